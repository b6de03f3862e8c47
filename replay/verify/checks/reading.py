"""The log as it stands in the database, whatever its positions are, read within one snapshot."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Literal

from ledger.projections import PROJECTIONS
from ledger.store.database import Database
from ledger.store.log import Stored

BATCH = 1_000
"""Events to a round trip: few enough that they are still in the processor's cache when the last of the folds comes to them."""
FIRST, LAST = -(2**63), 2**63 - 1
_EVENTS = "SELECT notification_id, originator_id, originator_version, topic, state, hash FROM events"


class Standing(NamedTuple):
    """Where a live projection stands, and what stopped it there."""

    position: int
    error: str | None
    error_position: int | None


def head_of(connection: Connection[Any]) -> tuple[int, bytes] | None:
    """The head row: the position and chain hash of the last event."""
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    row = cursor.execute("SELECT position, hash FROM log_head").fetchone()
    return (row[0], bytes(row[1])) if row else None


def standing(connection: Connection[Any]) -> dict[str, Standing]:
    """The live projections, by name."""
    cursor = connection.cursor(row_factory=tuple_row)
    rows = cursor.execute("SELECT name, position, error, error_position FROM projections ORDER BY name")
    return {name: Standing(position, error, at) for name, position, error, at in rows}


def batches(connection: Connection[Any], after: int = FIRST) -> Iterator[list[Stored]]:
    """The events after a position, in the order of their positions."""
    while True:
        rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
            f"{_EVENTS} WHERE notification_id > %s ORDER BY notification_id LIMIT %s".encode(), (after, BATCH)
        )
        batch = [Stored._make(row) for row in rows.fetchall()]
        if not batch:
            return
        yield batch
        after = batch[-1].position


def last_of(connection: Connection[Any]) -> int:
    """The position of the last event; 0 when there is none."""
    row = connection.cursor(row_factory=tuple_row).execute("SELECT max(notification_id) FROM events").fetchone()
    return row[0] if row and row[0] is not None else 0


def event_ids(connection: Connection[Any], positions: set[int]) -> dict[int, str]:
    """The ids of the events at these positions."""
    rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
        f"{_EVENTS} WHERE notification_id = ANY(%s)".encode(), (sorted(positions),)
    )
    return {stored.position: stored.id for stored in (Stored(*row) for row in rows)}


def beyond(connection: Connection[Any], position: int) -> tuple[int, int]:
    """How many commands say that they reached beyond a position, and how far the last of them did."""
    query = "SELECT count(*), coalesce(max(position), 0) FROM commands WHERE position > %s"
    row = connection.cursor(row_factory=tuple_row).execute(query, (position,)).fetchone()
    return (row[0], row[1]) if row else (0, 0)


_TABLES = ", ".join(table.name for projection in PROJECTIONS for table in projection.tables)


@contextmanager
def snapshot(database: Database, same_as: str | None = None) -> Iterator[Connection[Any]]:
    """A connection that sees one state of the database to the end, that of another one's `name_of` if that is given."""
    with database.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if same_as is None:
            # before the first look at anything: a table that `replay rebuild` swapped in later would seem empty to it
            connection.execute(f"LOCK TABLE {_TABLES} IN ACCESS SHARE MODE".encode())
        else:
            connection.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(same_as)))
        yield connection


def name_of(connection: Connection[Any]) -> str:
    """The name by which others see the same state, as long as this transaction runs."""
    row = connection.cursor(row_factory=tuple_row).execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def ahead(database: Database, name: str) -> Iterator[Iterator[list[Stored]]]:
    """The batches of a snapshot, each read while the one before is worked on."""
    with ThreadPoolExecutor(1, "reading-ahead") as reader, snapshot(database, name) as connection:
        source = batches(connection)

        def following() -> Iterator[list[Stored]]:
            coming = reader.submit(next, source, None)
            while (batch := coming.result()) is not None:
                coming = reader.submit(next, source, None)
                yield batch

        yield following()
