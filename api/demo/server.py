"""The ledger that the demo plays on: `ledger serve` in a process of its own, on an empty embedded database, as a sandbox."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from api.demo.client import Api, Refusal

HOST = "127.0.0.1"
USUAL_PORT = 8000
START_SECONDS, STOP_SECONDS, REMOVE_SECONDS = 90.0, 15.0, 10.0
POLL_SECONDS = 0.05
LOG_TAIL = 2_000


class DemoError(Exception):
    """The demo cannot go on: the message says why, and what to do."""


class Server:
    """One `ledger serve`. `environment` is all that it, and any other command on its database, needs."""

    def __init__(self, data_dir: Path, port: int, settings: dict[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
        where = {"LEDGER_DATA_DIR": str(data_dir), "LEDGER_HOST": HOST, "LEDGER_PORT": str(port)}
        self.environment = inherited | where | {"LEDGER_SANDBOX": "1"} | settings
        self.port, self.address = port, f"http://{HOST}:{port}"
        self.data_dir = data_dir
        self._log = data_dir / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                python_command("api.cli", "serve"), env=self.environment, cwd=data_dir,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of this project, on the same database."""
        return subprocess.run(
            python_command(module, *arguments), env=self.environment, cwd=self.data_dir,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Returns once it answers. Raises DemoError when it ends, or stays silent."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_running():
                raise DemoError(f"the server ended with status {self._process.returncode}:\n{self.log_tail()}")
            api = Api(HOST, self.port, "health")
            try:
                api.get("/v1/health", "")
                return
            except (OSError, HTTPException, Refusal):
                time.sleep(POLL_SECONDS)
            finally:
                api.close()
        raise DemoError(f"the server did not answer within {START_SECONDS:.0f} s:\n{self.log_tail()}")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Until it ends; its exit status."""
        return self._process.wait()

    def stop(self) -> None:
        """Ends it, gently first."""
        if self.is_running():
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def log_tail(self) -> str:
        return self._log.read_bytes()[-LOG_TAIL:].decode("utf-8", "replace").strip() or "it said nothing"


@contextmanager
def serving(data_dir: Path | None, port: int | None, settings: dict[str, str]) -> Iterator[Server]:
    """A server that answers, on `port` (0: any free one; none: 8000 where that is free), until the block is left.

    Without a data directory it has a temporary one, which is removed.
    """
    folder = _empty(data_dir) if data_dir else Path(tempfile.mkdtemp(prefix="ledger-demo-"))
    try:
        server = Server(folder, _free_port(port), settings)
        try:
            server.wait_until_ready()
            yield server
        finally:
            server.stop()
    finally:
        if data_dir is None:
            _remove(folder)


def python_command(module: str, *arguments: str) -> list[str]:
    """A command line of this project, run by this very interpreter, wherever its scripts are."""
    return [sys.executable, "-P", "-c", f"from {module} import app; app()", *arguments]


def _empty(folder: Path) -> Path:
    folder = folder.expanduser().resolve()
    if folder.exists() and any(folder.iterdir()):
        raise DemoError(f"{folder} is not empty, and the demo begins on an empty database: name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _free_port(wanted: int | None) -> int:
    choices = (USUAL_PORT, 0) if wanted is None else (wanted,)
    for port in choices:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise DemoError(f"port {wanted} is in use: name another with --port, or --port 0 for any")


def _remove(folder: Path) -> None:
    """The database of the folder ends when the folder goes; until then it may still write there."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(POLL_SECONDS)
