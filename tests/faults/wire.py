"""A wire between the ledger and its PostgreSQL that can be cut so that neither end notices: it only falls silent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.processes import PATIENCE_SECONDS

CHUNK_BYTES = 65_536


class Wire:
    """`url` leads to the same database as `straight_url`, by this wire."""

    def __init__(self, url: str) -> None:
        self.straight_url = url
        self._far = conninfo_to_dict(url)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._flows = threading.Event()
        self._flows.set()
        self._ends: list[socket.socket] = []
        self.url = make_conninfo(url, host="127.0.0.1", port=self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        """From now on nothing gets through; who connects is let in, and hears nothing."""
        self._flows.clear()

    def speak(self) -> None:
        """What was held up arrives, and everything after it."""
        self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):  # the wire is taken away
            while True:
                near, _ = self._listening.accept()
                self._ends.append(near)
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._flows.wait(PATIENCE_SECONDS)
        with suppress(OSError):
            far = self._connect()
            self._ends.append(far)
            threading.Thread(target=self._carry, args=(far, near), daemon=True).start()
            self._carry(near, far)

    def _connect(self) -> socket.socket:
        host, port = str(self._far.get("host") or "localhost"), int(self._far.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(Path(host, f".s.PGSQL.{port}")))
        return far

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(CHUNK_BYTES):
                self._flows.wait(PATIENCE_SECONDS)
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._flows.set()
        for end in (self._listening, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    made = Wire(url)
    try:
        yield made
    finally:
        made.close()
