"""The live database as a source. Nothing here can write: the database refuses it on every connection of these handles."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import NamedTuple

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.conninfo import conninfo_to_dict

from ledger.bootstrap import urls
from ledger.clock import Clock
from ledger.settings import Settings
from ledger.store.checkpoints import Checkpoints
from ledger.store.clocks import SystemClock
from ledger.store.database import Database
from ledger.store.embedded import EmbeddedPostgresError
from ledger.store.embedded_folder import Folder
from ledger.store.log import LedgerLog
from ledger.store.reader import Reader
from ledger.store.vault import Vault
from replay.sources import SourceUnavailable


class Live(NamedTuple):
    """The live database, for reading only."""

    database: Database
    log: LedgerLog
    reader: Reader
    vault: Vault
    clock: Clock
    checkpoints: Checkpoints


class _StoredClock:
    """The sandbox's clock, which stands in the database; it is only looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        now: datetime = self._database.fetch("SELECT now FROM test_clock")[0]["now"]
        return now


@contextmanager
def open_live(settings: Settings) -> Iterator[Live]:
    """The database of the settings, as it is: nothing is made, migrated or projected. Raises SourceUnavailable.

    The embedded server is joined, or started where it is at rest.
    """
    with ExitStack() as stack:
        url = stack.enter_context(_url(settings))
        database = Database(url, read_only=True)
        stack.callback(database.close)
        _require_ledger(database)
        log = LedgerLog(database)
        clock: Clock = _StoredClock(database) if database.fetch("SELECT now FROM test_clock") else SystemClock()
        yield Live(database, log, Reader(log), Vault(database), clock, Checkpoints(settings.checkpoints))


@contextmanager
def _url(settings: Settings) -> Iterator[str]:
    """Of the application's role, which could not change an event either."""
    if settings.database_url is not None:
        _require_reachable(settings.database_url.get_secret_value())
    elif not Folder(settings.data_dir.expanduser().resolve()).location.exists():
        raise SourceUnavailable(
            f"there is no ledger in {settings.data_dir}: name its folder in LEDGER_DATA_DIR, or your PostgreSQL in"
            " LEDGER_DATABASE_URL"
        )
    with ExitStack() as stack:
        try:
            _, url = stack.enter_context(urls(settings))
        except EmbeddedPostgresError as error:
            raise SourceUnavailable(str(error)) from error
        yield url


def _require_reachable(url: str) -> None:
    """Says at once what is wrong, where the pool would only wait."""
    try:
        parameters = conninfo_to_dict(url)
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.ProgrammingError as error:
        raise SourceUnavailable(f"LEDGER_DATABASE_URL is no PostgreSQL URL: {error}") from error
    except psycopg.OperationalError as error:
        where = f"{parameters.get('host') or 'localhost'}:{parameters.get('port') or 5432}"
        raise SourceUnavailable(
            f"the database at {where} (LEDGER_DATABASE_URL) cannot be reached: {str(error).strip()}"
        ) from error


def _require_ledger(database: Database) -> None:
    try:
        database.fetch("SELECT position FROM log_head")
    except psycopg.errors.UndefinedTable as error:
        raise SourceUnavailable(
            "this database holds no ledger: check LEDGER_DATABASE_URL, or let `ledger serve` set it up first"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise SourceUnavailable(
            f"this role may not read the ledger ({error}): set it up with `ledger migrate`"
        ) from error
    except (psycopg.OperationalError, PersistenceError) as error:
        raise SourceUnavailable(f"the database cannot be read: {error}") from error
