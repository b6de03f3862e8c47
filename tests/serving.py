"""A real server in a process of its own, on an empty embedded database."""

import os
import random
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

import httpx

from tests.processes import PATIENCE_SECONDS

LIMITS = httpx.Limits(keepalive_expiry=2)
"""The server lets an idle connection go after 5 s: a client must do so earlier, or now and then meets it going."""
LEDGER = str(Path(sys.executable).parent / "ledger")
PORTS = range(15_000, 32_000)
"""Below those that the system gives to whoever connects: nobody takes one by chance while its server is being started."""


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
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")} | {
        "LEDGER_DATA_DIR": str(folder / "data"),
        "LEDGER_PORT": str(port),
        "LEDGER_SANDBOX": "1",
        "LEDGER_CLOCK_START": clock_start,
        "LEDGER_OPERATOR_KEY": operator_key,
        **settings,
    }
    program = [LEDGER, "serve", *arguments]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(program, env=env, cwd=folder, stdout=output, stderr=output)
    try:
        wait_until_up(f"http://127.0.0.1:{port}", process, log)
        yield Server(f"http://127.0.0.1:{port}", env, process)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def also(server: Server, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the ledger on the same database, `ledger serve` or `ledger worker`; it ends well on SIGTERM."""
    process = subprocess.Popen([LEDGER, *arguments], env={**server.env, **settings}, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path | None = None) -> None:
    """Until it answers. Raises RuntimeError, with the end of what it logged, when it does not."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/v1/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    said = log.read_text(errors="replace")[-3000:] if log else ""
    raise RuntimeError(f"the server did not come up:\n{said}")
