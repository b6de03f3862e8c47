"""Projections folded anew beside the live ones, compared with them, and put in their place: docs/decisions/0009-rebuild.md.

The shadow tables have the names of the live ones, in a schema that comes first on the search path: so the very same pull loop
folds into them, with positions of their own, and what was folded is kept when the process is killed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row

from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection, Table
from ledger.store import shadow_schema, shadow_tables
from ledger.store.database import Database
from ledger.store.log import LedgerLog
from ledger.store.migrations import MIGRATION_LOCK
from ledger.store.shadow_schema import CannotRebuild
from ledger.store.shadow_tables import LIVE, SHADOW
from ledger.store.views import Views

SWAP_ATTEMPTS, SWAP_LOCK_TIMEOUT_MS, SWAP_PAUSE_SECONDS = 60, 500, 0.5
"""How often the swap is tried, how long readers wait behind one attempt at most, and the pause between two."""

OnBatch = Callable[[int, int], None]
"""Told how many further events were folded, and how many there are to fold."""


class Standing(NamedTuple):
    """Where the shadow of a projection stands; `error` names the event that it cannot be folded beyond."""

    position: int
    error: str | None


class Shadow:
    """The shadow tables of some projections. Get one from `open_shadow`."""

    def __init__(self, owner: Connection[DictRow], database: Database, projections: Sequence[Projection]) -> None:
        self._owner, self._database, self._log = owner, database, LedgerLog(database)
        self._projections = {projection.name: projection for projection in projections}
        self._names = sorted(self._projections)
        self._tables = [table.name for projection in projections for table in projection.tables]
        Views(self._log, projections).prepare()

    def standing(self) -> dict[str, Standing]:
        """Of each projection's shadow."""
        rows = self._database.fetch(f"SELECT name, position, error FROM {SHADOW}.projections ORDER BY name")
        return {row["name"]: Standing(row["position"], row["error"]) for row in rows}

    def fold(self, on_batch: OnBatch | None = None) -> None:
        """Brings the shadows to where the live projections stand, and no further: there they can be compared.

        One that meets an event it cannot take stops there, as a live one does.
        """
        standing = self.standing()
        groups: dict[int, list[Projection]] = {}
        for row in self._database.fetch(_POSITIONS, (self._names,)):
            groups.setdefault(row["position"], []).append(self._projections[row["name"]])
        behind = {goal: goal - min(standing[one.name].position for one in group) for goal, group in groups.items()}
        total = sum(max(0, events) for events in behind.values())

        def folded(events: int) -> None:
            if on_batch:
                on_batch(events, total)

        for goal, group in sorted(groups.items()):
            Views(self._log, group).catch_up(goal, folded)

    @contextmanager
    def level(self) -> Iterator[Connection[DictRow]]:
        """Yields a snapshot in which live and shadow stand at the same positions, however long it is looked at.

        The live projections stand still only until it is taken; nobody who reads or appends waits for it. Raises
        CannotRebuild where the shadow is ahead, which only the live projections' being set back can bring about.
        """
        self.fold()
        with self._database.connection() as connection, connection.transaction():
            with self._owner.transaction():
                live = self._hold_live()
                self.fold()
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                connection.execute(f"SELECT FROM {SHADOW}.projections".encode())
            for name, (position, error) in self.standing().items():
                if error is None and position != live[name]:
                    raise CannotRebuild(
                        f"{name} has been folded up to {position} and the live one stands at {live[name]}: begin at the first"
                        " event with `replay rebuild --anew`"
                    )
            yield connection

    def swap(self) -> None:
        """Puts the shadow tables in the place of the live ones, in one transaction.

        Whoever projects goes on from there, also where a projection had stopped. Raises CannotRebuild, having changed nothing.
        """
        with self._owner.transaction():
            for table in self._tables:
                shadow_tables.complete(self._owner, table)
        for _ in range(SWAP_ATTEMPTS):
            self.fold()  # what came since the last time, while nobody waits for it
            try:
                return self._swap()
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                time.sleep(SWAP_PAUSE_SECONDS)
            except psycopg.errors.DependentObjectsStillExist as error:
                what = (error.diag.message_detail or "").replace("\n", "; ")
                raise CannotRebuild(
                    f"other objects hang on what is to be replaced ({what}): drop them, run this again, make them anew"
                ) from error
        raise CannotRebuild(
            "the tables were read all the time, as a backup or `replay verify` does: nothing was swapped, and what was folded"
            " is kept. Run this again when that has ended"
        )

    def _swap(self) -> None:
        with self._owner.transaction():
            live = self._hold_live()
            self.fold()
            if self.standing() != {name: Standing(position, None) for name, position in live.items()}:
                raise CannotRebuild("an event cannot be folded: `replay rebuild --dry-run` says which")
            self._owner.execute(f"SET LOCAL lock_timeout = {SWAP_LOCK_TIMEOUT_MS}".encode())
            self._owner.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            shadow_schema.require_same_making(self._owner, self._names)
            tables = ", ".join(f"{LIVE}.{table}" for table in self._tables)
            self._owner.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE".encode())
            for table in self._tables:
                shadow_tables.replace(self._owner, table)
            self._owner.execute(
                f"UPDATE {LIVE}.projections p SET position = s.position, error = NULL, error_position = NULL"
                f" FROM {SHADOW}.projections s WHERE s.name = p.name".encode()
            )
            shadow_schema.drop(self._owner)

    def drop(self) -> None:
        """Leaves nothing behind."""
        shadow_schema.drop(self._owner)

    def _hold_live(self) -> dict[str, int]:
        """The positions of the live projections, which stand still for the transaction: who projects takes these rows first."""
        rows = self._owner.execute(f"{_POSITIONS} FOR UPDATE".encode(), (self._names,))
        return {row["name"]: row["position"] for row in rows}


_POSITIONS = f"SELECT name, position FROM {LIVE}.projections WHERE name = ANY(%s) ORDER BY name"


@contextmanager
def open_shadow(
    owner_url: str, projections: Sequence[Projection] = PROJECTIONS, *, anew: bool = False
) -> Iterator[Shadow]:
    """The shadow tables of these projections: those that an earlier run left, else new ones. `anew` forgets the former.

    Raises CannotRebuild where this role may not, another rebuild runs, or what was left is of another making.
    """
    with _connected(owner_url) as owner:
        shadow_schema.require_rights(owner, projections)
        shadow_schema.require_alone(owner)
        if anew:
            shadow_schema.drop(owner)
        shadow_schema.prepare(owner, projections)
        given = conninfo_to_dict(owner_url).get("options") or ""
        database = Database(make_conninfo(owner_url, options=f"{given} -c search_path={SHADOW},{LIVE}".strip()))
        try:
            yield Shadow(owner, database, projections)
        finally:
            database.close()


def _connected(owner_url: str) -> Connection[DictRow]:
    try:
        return psycopg.connect(owner_url, autocommit=True, row_factory=dict_row)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise CannotRebuild(f"the database cannot be reached as its owner, by LEDGER_OWNER_URL: {error}") from error


def differing(
    connection: Connection[DictRow], table: Table
) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """The rows of a table that are not the same live and anew, as JSON has them, in the order of their keys.

    None stands for a row that is only in the other one.
    """
    types = table.columns
    live, anew = (
        ", ".join(f"{one}.{column}{'::text' if types[column] == 'json' else ''}" for column in types) for one in "ls"
    )
    collated = {"text": ' COLLATE "C"'}
    order = ", ".join(f"coalesce(l.{one}, s.{one}){collated.get(types[one], '')}" for one in table.key)
    with connection.cursor("differing", row_factory=dict_row) as cursor:
        cursor.execute(
            f"SELECT CASE WHEN l.{table.key[0]} IS NOT NULL THEN to_json(l) END AS live,"
            f" CASE WHEN s.{table.key[0]} IS NOT NULL THEN to_json(s) END AS anew"
            f" FROM {LIVE}.{table.name} l FULL JOIN {SHADOW}.{table.name} s"
            f" ON {' AND '.join(f'l.{one} = s.{one}' for one in table.key)}"
            f" WHERE ({live}) IS DISTINCT FROM ({anew}) ORDER BY {order}".encode()
        )
        for row in cursor:
            yield row["live"], row["anew"]


def count(connection: Connection[DictRow], table: Table) -> int:
    """How many rows the shadow table has."""
    row = connection.execute(f"SELECT count(*) AS n FROM {SHADOW}.{table.name}".encode()).fetchone()
    return int(row["n"]) if row else 0
