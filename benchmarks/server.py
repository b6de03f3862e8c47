"""A PostgreSQL of its own for a run, in a folder that is removed afterwards, and databases on it."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from ledger.store.database import Database
from ledger.store.embedded import EmbeddedPostgres, is_supervised
from ledger.store.embedded_folder import Folder
from ledger.store.migrations import migrate

STOP_SECONDS = 15.0


class Server:
    """A running server; every database on it belongs to the role that the ledger uses."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres

    @property
    def version(self) -> str:
        with psycopg.connect(self._postgres.url) as connection:
            return str(connection.execute("SHOW server_version").fetchone()[0])  # type: ignore[index]

    def create(self, name: str, template: str = "template1") -> str:
        """A database, as a copy of another one to which nobody is connected; answers its URL."""
        url = urlsplit(self._postgres.url)
        with psycopg.connect(self._postgres.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {url.username}".encode())
        return url._replace(path=f"/{name}").geturl()

    def drop(self, name: str) -> None:
        with psycopg.connect(self._postgres.admin_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    @contextmanager
    def open(self, url: str) -> Iterator[Database]:
        """A database of the ledger, migrated, closed afterwards."""
        migrate(url, url)
        database = Database(url)
        try:
            yield database
        finally:
            database.close()


@contextmanager
def running_server() -> Iterator[Server]:
    """A server that stops, and is removed, with everything on it, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-benchmark-"))
    os.chmod(folder, 0o755)  # under root the server runs as another user, who has to walk to its data
    try:
        with EmbeddedPostgres(folder / "data") as postgres:
            yield Server(postgres)
        deadline = time.monotonic() + STOP_SECONDS
        while is_supervised(Folder(folder / "data")) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
