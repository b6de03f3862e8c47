"""PostgreSQL for tests: a server, and databases on it that are migrated already."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from ledger.settings import Settings
from ledger.store.embedded import EmbeddedPostgres
from ledger.store.migrations import migrate

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""Where every test clock starts."""
NO_LIMIT = 10**9
"""Requests a second: a fast machine must not be told to slow down in a test of something else."""


class Server:
    """Makes databases that are migrated already: each a copy of a template to which nobody is connected.

    `owner_url` is of the role that owns and migrates them, `application_url` of the one that a ledger runs as.
    """

    def __init__(self, admin_url: str, owner_url: str, application_url: str) -> None:
        self._admin_url, self._owner_url, self._application_url = admin_url, owner_url, application_url
        self._prefix = f"ledger_test_{secrets.token_hex(4)}"
        self._made = 0
        self._template = self.create_empty()
        migrate(self.owner_url_of(self._template), self._template)

    def owner_url_of(self, url: str) -> str:
        """The owner's URL of the database of an application's URL."""
        return _at(self._owner_url, name_of(url))

    def admin_url_of(self, url: str) -> str:
        """The superuser's."""
        return _at(self._admin_url, name_of(url))

    def create(self, template: str | None = None) -> str:
        """A fresh database, or a copy of another that nobody is connected to; answers the application's URL."""
        return self._create(" TEMPLATE {} STRATEGY WAL_LOG", name_of(template or self._template))

    def create_empty(self) -> str:
        """A database that no migration has seen."""
        return self._create("")

    def _create(self, how: str, *names: str) -> str:
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        self._run("CREATE DATABASE {} OWNER {}" + how, name, str(urlsplit(self._owner_url).username), *names)
        return _at(self._application_url, name)

    def drop(self, url: str) -> None:
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name_of(url))

    def close(self) -> None:
        self.drop(self._template)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _at(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def name_of(url: str) -> str:
    return urlsplit(url).path[1:]


@contextmanager
def embedded_server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="ledger-tests-"))
    folder.chmod(0o755)  # as root the server runs as somebody else, who must be able to walk to it
    try:
        with EmbeddedPostgres(folder / "data") as postgres:
            yield Server(postgres.admin_url, postgres.url, postgres.application_url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def external_server(url: str) -> Iterator[Server]:
    """Roles for this session alone: those of a server of yours are not touched."""
    parts, token = urlsplit(url), secrets.token_hex(4)
    passwords = {f"ledger_test_{token}_{part}": secrets.token_hex(16) for part in ("owner", "app")}
    urls = [
        parts._replace(netloc=f"{role}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()
        for role, password in passwords.items()
    ]
    with psycopg.connect(url, autocommit=True) as connection:
        for role, password in passwords.items():
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(create.format(sql.Identifier(role), sql.Literal(password)))
        try:
            yield Server(url, *urls)
        finally:
            for role in passwords:
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def sandbox(database_url: str, data_dir: Path) -> Settings:
    """Settings of a sandbox whose clock starts on Monday 2026-01-05, 09:00."""
    return Settings(
        database_url=database_url,
        owner_url=None,
        data_dir=data_dir,
        sandbox=True,
        clock_start=MONDAY,
        smtp_url=None,
        rate_limit=NO_LIMIT,
    )
