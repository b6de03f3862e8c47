"""Other threads and other processes at work on one database, each waited for no longer than a bound."""

import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

from ledger.bootstrap import open_ledger
from ledger.settings import Settings

PATIENCE_SECONDS = 180.0
"""How long anything is waited for before a test is given up: far more than it takes, and no measure of speed."""
PROJECT = Path(__file__).parents[1]


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Runs all at once, each in a thread that starts when all are ready; what they answered or raised, in their order."""
    answers: list[Any] = [None] * len(tasks)
    ready = threading.Barrier(len(tasks))

    def run(number: int, task: Callable[[], Any]) -> None:
        try:
            ready.wait(PATIENCE_SECONDS)
            answers[number] = task()
        except Exception as error:  # noqa: BLE001 - it is the answer
            answers[number] = error

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "it hangs"
    return answers


def in_time(task: Callable[[], Any]) -> Any:
    """What the task answers; an AssertionError when it hangs."""
    (answer,) = together(task)
    if isinstance(answer, Exception):
        raise answer
    return answer


class OtherProcess:
    """A process with a ledger of its own on the same database. It carries out a piece of Python, told `ledger`, at a time."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        where = [settings.database_url.get_secret_value(), str(settings.data_dir)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.processes import serve; serve()", *where],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers: Queue[str] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self.answer() == "ready"

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)

    def start(self, code: str) -> Self:
        """Lets it begin; `answer` waits for the end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return self

    def answer(self) -> Any:
        """What the code left in `answer`. Raises what it raised, as a RuntimeError."""
        try:
            answer, error = json.loads(self._answers.get(timeout=PATIENCE_SECONDS))
        except Empty:
            raise AssertionError("the other process does not answer") from None
        if error:
            raise RuntimeError(error)
        return answer

    def run(self, code: str) -> Any:
        return self.start(code).answer()

    def wait_for_death(self) -> int:
        """The exit status: minus the signal that killed it."""
        return self._process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def other_processes(settings: Settings, count: int) -> Iterator[list[OtherProcess]]:
    with ExitStack() as stack:
        yield [stack.enter_context(closing(OtherProcess(settings))) for _ in range(count)]


def all_at_once(processes: Sequence[OtherProcess], code: str) -> list[Any]:
    """Lets every process carry out the same, at once."""
    for process in processes:
        process.start(code)
    return [process.answer() for process in processes]


def serve() -> None:
    """The other process: reads code from standard input until that ends."""
    url, data_dir = sys.argv[1:]
    settings = Settings(database_url=url, data_dir=Path(data_dir), sandbox=True, smtp_url=None)
    with open_ledger(settings) as ledger:
        say("ready", None)
        for line in sys.stdin:
            names: dict[str, Any] = {"ledger": ledger}
            try:
                exec(json.loads(line), names)
                say(names.get("answer"), None)
            except Exception:  # noqa: BLE001 - the test is told
                say(None, traceback.format_exc())


def say(answer: Any, error: str | None) -> None:
    print(json.dumps([answer, error]), flush=True)
