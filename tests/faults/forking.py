"""Starts `ledger serve` as often as it is told to, each in a process of its own, having imported everything once.

    python -m tests.faults.forking      # each line on standard input starts one; its process id is the answer

What is killed is a whole server process; what is saved is the second and more that Python takes to import one.
"""

import os
import signal
import sys

import uvicorn  # noqa: F401  # imported here so that no server has to

import api.app  # noqa: F401
import ledger.bootstrap  # noqa: F401
from api.cli import app


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once
    for _ in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.set_blocking(0, True)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            app(["serve"])
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
