"""The one PostgreSQL: its connections."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow

STATEMENT_TIMEOUT_MS, LOCK_TIMEOUT_MS = 30_000, 10_000
"""How long a statement may run, and wait for a lock, on behalf of a caller."""


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
    ) -> None:
        """`read_only`: any attempt to write raises psycopg.errors.ReadOnlySqlTransaction.

        Without `patience`, a statement or a wait for a lock that takes too long raises psycopg.OperationalError: what serves
        callers must answer them.
        """
        given = dict(conninfo_to_dict(url))
        where = {"host": "localhost", "port": "5432", "dbname": "ledger", "user": "ledger", "password": ""} | given
        known: dict[str, Any] = {name: str(where.pop(name)) for name in ("dbname", "host", "port", "user", "password")}
        self.url = url
        self.datastore = PostgresDatastore(
            **known,
            connect_timeout=wait_seconds,
            pool_size=pool_size,
            max_overflow=max_overflow,
            originator_id_type="text",
        )
        options = "-c timezone=UTC" + (" -c default_transaction_read_only=on" if read_only else "")
        options += "" if patience else f" -c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}"
        # what the library does not take, such as sslmode, still counts
        self.datastore.pool.kwargs |= {**where, "options": f"{where.get('options') or ''} {options}".strip()}  # type: ignore[operator]

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        """A connection of the pool. Raises psycopg.OperationalError when none is free in time or the server is away."""
        self.datastore.pool.open()
        with self.datastore.pool.connection() as connection:
            yield connection

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
