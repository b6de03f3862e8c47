"""A real server in a process of its own, on an empty embedded database."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60


@dataclass
class Server:
    url: str
    env: dict[str, str]
    process: subprocess.Popen[bytes]


@contextmanager
def serving(*arguments: str, clock_start: str, operator_key: str, **settings: str) -> Iterator[Server]:
    """`ledger serve` in sandbox mode on a free port; ends with a SIGTERM, and its data is removed."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    folder.chmod(0o755)  # the embedded server's own user must get there
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")} | {
        "LEDGER_DATA_DIR": str(folder / "data"),
        "LEDGER_PORT": str(port),
        "LEDGER_SANDBOX": "1",
        "LEDGER_CLOCK_START": clock_start,
        "LEDGER_OPERATOR_KEY": operator_key,
        **settings,
    }
    program = [str(Path(sys.executable).parent / "ledger"), "serve", *arguments]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(program, env=env, cwd=folder, stdout=output, stderr=output)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}", process, log)
        yield Server(f"http://127.0.0.1:{port}", env, process)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/v1/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the server did not come up:\n{log.read_text(errors='replace')[-3000:]}")
