"""The one PostgreSQL: its connections, and how long anything of it is waited for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

STATEMENT_SECONDS, LOCK_SECONDS = 30.0, 10.0
"""How long a statement may run, and wait for a lock, on behalf of a caller."""
SILENCE_SECONDS = 5.0
"""How much longer an answer is waited for: PostgreSQL has ended the statement by then, or is not there any more."""

T = TypeVar("T")


class Silent(psycopg.OperationalError):
    """PostgreSQL said nothing in time: it hangs, or the network swallows what is sent. The connection is closed."""


class Database:
    """A pool of connections, autocommit, to one database. Close it when done."""

    def __init__(
        self,
        url: str,
        *,
        read_only: bool = False,
        patience: bool = True,
        pool_size: int = 4,
        max_overflow: int = 12,
        wait_seconds: float = 10.0,
        statement_seconds: float = STATEMENT_SECONDS,
        lock_seconds: float = LOCK_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """`read_only`: any attempt to write raises psycopg.errors.ReadOnlySqlTransaction.

        Without `patience`, a statement or a wait for a lock that takes too long raises psycopg.OperationalError, and so does
        a PostgreSQL that does not answer at all: what serves callers must answer them. A free connection, or a new one, is
        waited for no longer than `wait_seconds` in any case.
        """
        given = dict(conninfo_to_dict(url))
        where = {"host": "localhost", "port": "5432", "user": "ledger", "password": ""} | given
        where.setdefault("dbname", where["user"])  # as everything else that connects takes it
        known: dict[str, Any] = {name: str(where.pop(name)) for name in ("dbname", "host", "port", "user", "password")}
        self.url, self.wait_seconds = url, wait_seconds
        self.datastore = PostgresDatastore(
            **known,
            connect_timeout=wait_seconds,
            pool_size=pool_size,
            max_overflow=max_overflow,
            originator_id_type="text",
        )
        options = "-c timezone=UTC" + (" -c default_transaction_read_only=on" if read_only else "")
        if not patience:
            options += (
                f" -c statement_timeout={round(1000 * statement_seconds)} -c lock_timeout={round(1000 * lock_seconds)}"
            )
        # what the library does not take, such as sslmode, still counts
        more = {
            "connect_timeout": max(1, round(wait_seconds)),
            **where,
            "options": f"{where.get('options') or ''} {options}".strip(),
        }
        pool = self.datastore.pool
        pool.kwargs |= more  # type: ignore[operator]
        pool.connection_class = connection_within(None if patience else statement_seconds + silence_seconds)
        # It tries again at once when a connection is asked for: else, after a long outage, it would for minutes not.
        pool.reconnect_timeout = wait_seconds
        self._how: dict[str, Any] = {**known, **more, "autocommit": True, "row_factory": dict_row}

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        """A connection of the pool. Raises psycopg.OperationalError when none is free in time or the server is away."""
        self.datastore.pool.open()
        with self.datastore.pool.connection() as connection:
            yield connection

    def connect(self, name: str) -> psycopg.Connection[DictRow]:
        """A connection beside the pool, `name` in pg_stat_activity; it is waited for, and answers, within `wait_seconds`."""
        return connection_within(self.wait_seconds).connect(**{**self._how, "application_name": name})

    def fetch(self, query: str, parameters: Any = None) -> list[DictRow]:
        """The rows of one query. The query is a constant of this program; what varies is a parameter."""
        with self.connection() as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def execute(self, query: str, parameters: Any = None) -> None:
        """Runs one statement and commits it."""
        with self.connection() as connection:
            connection.execute(query.encode(), parameters)

    def close(self) -> None:
        self.datastore.close()

    def rights_beyond_need(self) -> list[str]:
        """What this role may do to the log beyond appending to it: least privilege says nothing."""
        rows = self.fetch(
            "SELECT r.name FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS r (name)"
            " WHERE has_table_privilege('events', r.name)"
            " UNION ALL SELECT 'ownership' WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = 'events'::regclass"
            " AND pg_has_role(c.relowner, 'MEMBER'))"
        )
        return [row["name"] for row in rows]


def connection_within(seconds: float | None) -> type[psycopg.Connection[DictRow]]:
    """Connections whose answers are waited for so long, or for ever; then they are closed, and Silent is raised."""
    if seconds is None:
        return psycopg.Connection[DictRow]

    class Within(psycopg.Connection[DictRow]):
        def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
            try:
                return super().wait(gen, interval, seconds if timeout is None else timeout)
            except psycopg.OperationalError as error:
                if timeout is not None or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                    raise
                self.close()
                raise Silent(f"PostgreSQL has not answered within {seconds:g} s") from error

    return Within
