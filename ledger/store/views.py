"""The pull loop: reads the log and keeps the projections' tables. The same loop serves live, catch-up and rebuild.

Many events to a transaction, the rows and the position in the same one. An event that a projection cannot fold stops that
projection there, with the reason in its row; the others go on, and nothing is ever skipped.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import orjson
import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from ledger import postings
from ledger.codec import decode
from ledger.events import EVENTS
from ledger.projections import PROJECTIONS
from ledger.projections.rows import Key, Projection, Record, Row, Rows, Table
from ledger.store.log import LedgerLog, Stored

BATCH = 30_000
"""Events to a transaction: fewer pay for more commits, more for more memory."""


def record_of(stored: Stored) -> Record:
    """A stored event, decoded for the projections. Raises Corrupt."""
    position, stream, version, topic, state, _ = stored
    event = decode(topic, state)
    return Record(position, stream, version, event.TOPIC, event, postings.entries(event))


class Batch(NamedTuple):
    """The events that a group of projections wants after one position and up to another.

    `corrupt`: the event after those, and why it cannot be read.
    """

    records: list[Record]
    reached: int
    corrupt: tuple[Stored, Exception] | None = None


class Views:
    def __init__(self, log: LedgerLog, projections: Sequence[Projection] = PROJECTIONS) -> None:
        self.log, self.database, self.projections = log, log.database, tuple(projections)

    def prepare(self) -> None:
        """Makes a row for each projection, and lets those that stopped try again."""
        with self.database.connection() as connection, connection.transaction():
            for projection in self.projections:
                connection.execute(
                    "INSERT INTO projections (name) VALUES (%s) ON CONFLICT DO NOTHING", (projection.name,)
                )
            connection.execute("UPDATE projections SET error = NULL, error_position = NULL WHERE error IS NOT NULL")

    def catch_up(self, until: int | None = None, on_batch: Callable[[int], None] | None = None) -> int:
        """Brings every projection up to the head of the log, or to a position; answers how many events they went through.

        While one batch is folded and written, the next is read and decoded.
        """
        total = 0
        ahead: dict[Any, Future[Batch]] = {}
        with ThreadPoolExecutor(max_workers=1) as reader:
            while (behind := self._behind(until)) is not None:
                position, group, goal = behind
                without = _unwanted(group)
                with _no_garbage_collection():
                    read = ahead.pop((position, goal, without), None)
                    batch = read.result() if read else self._read(position, goal, without)
                    if batch.reached < goal and batch.corrupt is None:
                        following = (batch.reached, goal, without)
                        ahead = {following: reader.submit(self._read, *following)}
                    self._apply(group, position, batch)
                total += batch.reached - position
                if on_batch:
                    on_batch(batch.reached - position)
        return total

    def _read(self, position: int, goal: int, without: frozenset[str]) -> Batch:
        events = self.log.read(position, BATCH, goal, without)
        records: list[Record] = []
        for stored in events:
            try:
                records.append(record_of(stored))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with an event, it stops whoever wants it
                return Batch(records, stored.position - 1, (stored, error))
        return Batch(records, events[-1].position if len(events) == BATCH else goal)

    def _behind(self, until: int | None) -> tuple[int, list[Projection], int] | None:
        """The furthest behind of the projections that run, all that stand there, and how far they may go together."""
        found = self.database.fetch(
            "SELECT name, position, (SELECT position FROM log_head) AS head FROM projections WHERE error IS NULL"
        )
        ours = {projection.name: projection for projection in self.projections}
        standing = [row for row in found if row["name"] in ours]
        if not standing:
            return None
        goal = min(row["head"] for row in standing) if until is None else until
        position = min(row["position"] for row in standing)
        if position >= goal:
            return None
        group = [ours[row["name"]] for row in standing if row["position"] == position]
        ahead = [row["position"] for row in standing if position < row["position"] < goal]
        return position, group, min(ahead, default=goal)

    def _apply(self, group: list[Projection], position: int, batch: Batch) -> None:
        if batch.records or batch.reached > position:
            self._apply_records(group, position, batch.records, batch.reached)
        if batch.corrupt is not None:
            stored, error = batch.corrupt
            for projection in group:
                if projection.topics is None or stored.topic in projection.topics or stored.topic not in EVENTS:
                    self._stop(projection, batch.reached, stored, error)

    def _apply_records(self, group: list[Projection], position: int, records: list[Record], reached: int) -> None:
        try:
            self._apply_together(group, position, records, reached)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except Exception as error:
            if not records:
                raise
            if len(group) > 1:
                for projection in group:
                    self._apply_records([projection], position, records, reached)
            elif len(records) > 1:
                half = len(records) // 2
                between = records[half].position - 1
                self._apply_records(group, position, records[:half], between)
                self._apply_records(group, between, records[half:], reached)
            else:
                self._stop(group[0], position, records[0], error)

    def _apply_together(self, group: list[Projection], position: int, records: list[Record], reached: int) -> None:
        names = [projection.name for projection in group]
        with self.database.connection() as connection, connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = off")
            standing = connection.execute(
                "SELECT position FROM projections WHERE name = ANY(%s) AND error IS NULL ORDER BY name FOR UPDATE",
                (names,),
            ).fetchall()
            if [row["position"] for row in standing] != [position] * len(group):
                return  # somebody else has been here
            for projection in group:
                fold_into(connection, projection, wanted(projection, records))
            connection.execute("UPDATE projections SET position = %s WHERE name = ANY(%s)", (reached, names))

    def _stop(self, projection: Projection, position: int, poison: Record | Stored, error: Exception) -> None:
        """Leaves a projection that stands at a position before the event that it cannot take, with the reason."""
        reason = f"event {poison.id} ({poison.topic}): {error!r}"[:1000]
        self.database.execute(
            "UPDATE projections SET error = %s, error_position = %s, position = %s WHERE name = %s AND position = %s",
            (reason, poison.position, poison.position - 1, projection.name, position),
        )


def wanted(projection: Projection, records: list[Record]) -> list[Record]:
    """The records of the topics that a projection is made of."""
    topics = projection.topics
    return records if topics is None else [record for record in records if record.topic in topics]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Decoding makes hundreds of thousands of objects and no cycles: to look through them takes a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _unwanted(group: Sequence[Projection]) -> frozenset[str]:
    """The topics that no projection of a group is made of. One that is not known, or is an older version, is not among them:
    what it is, only the event says."""
    wants: set[str] = set()
    for projection in group:
        wants |= EVENTS.keys() if projection.topics is None else projection.topics
    return frozenset(EVENTS.keys() - wants)


def fold_into(connection: Connection[Any], projection: Projection, records: list[Record]) -> None:
    """Loads what the projection needs, folds, and writes what changed, within the caller's transaction."""
    if not records:
        return
    rows = Rows(projection.tables)
    needs = projection.needs(records)
    for name, keys in needs.keys.items():
        for row in _select(connection, rows.tables[name], keys):
            rows.load(name, row)
    for name, groups in needs.groups.items():
        for row in _select_groups(connection, rows.tables[name], groups):
            rows.load(name, row)
    projection.fold(rows, records)
    for table in projection.tables:
        write(connection, table, rows)


def write(connection: Connection[Any], table: Table, rows: Rows) -> None:
    """Writes the changed rows of a table."""
    changed = rows.changed[table.name]
    kept = rows.rows[table.name]
    present = [kept[key] for key in changed if key in kept]
    gone = [key for key in changed if key not in kept]
    if present and table.append_only:
        with connection.cursor().copy(f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN".encode()) as copy:
            values = itemgetter(*table.columns)
            for row in present:
                copy.write_row(values(row))
    elif present:
        others = [column for column in table.columns if column not in table.key]
        update = ", ".join(f"{column} = excluded.{column}" for column in others)
        conflict = f" ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {update}"
        columns = ", ".join(table.columns)
        connection.execute(
            f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM json_to_recordset(%s::json)"
            f" AS r ({_typed(table.columns)}){conflict}".encode(),
            (dump(table, present),),
        )
    if gone:
        keys = [dict(zip(table.key, key, strict=True)) for key in gone]
        matches = " AND ".join(f"t.{column} = r.{column}" for column in table.key)
        connection.execute(
            f"DELETE FROM {table.name} t USING json_to_recordset(%s::json) AS r ({_typed_key(table)}) WHERE {matches}".encode(),
            (orjson.dumps(keys).decode(),),
        )


def dump(table: Table, rows: list[Row]) -> str:
    """Rows as a JSON array. Totals are written as text: they may be larger than a JSON number is safe for."""
    totals = [column for column, type_ in table.columns.items() if type_ == "numeric"]
    if totals or table.state:
        rows = [dict(row) for row in rows]
        for row in rows:
            for column in totals:
                row[column] = str(row[column])
            if table.state:
                row["state"] = orjson.Fragment(msgspec.json.encode(row["state"]))
    return orjson.dumps(rows, option=orjson.OPT_UTC_Z).decode()


def load(table: Table, row: Row) -> Row:
    """A row as the projection keeps it."""
    for column, type_ in table.columns.items():
        if type_ == "numeric":
            row[column] = int(row[column])
        elif type_ == "json":
            row[column] = msgspec.json.decode(row[column], type=table.state)
    return row


def selected(table: Table) -> str:
    """The columns of a table as `load` takes them: JSON as its text."""
    return ", ".join(
        f"t.{column}::text" if type_ == "json" else f"t.{column}" for column, type_ in table.columns.items()
    )


def _select(connection: Connection[Any], table: Table, keys: set[Key]) -> list[Row]:
    if not keys:
        return []
    wanted = orjson.dumps([dict(zip(table.key, key, strict=True)) for key in keys]).decode()
    matches = " AND ".join(f"t.{column} = r.{column}" for column in table.key)
    return _fetch(
        connection,
        table,
        f"SELECT {selected(table)} FROM json_to_recordset(%s::json) AS r ({_typed_key(table)}) JOIN {table.name} t ON {matches}",
        wanted,
    )


def _select_groups(connection: Connection[Any], table: Table, groups: dict[Key, Key]) -> list[Row]:
    """For each group: the last row before its earliest new key, and every row after that."""
    if not groups:
        return []
    wanted = orjson.dumps([dict(zip(table.key, key, strict=True)) for key in groups.values()], option=orjson.OPT_UTC_Z)
    group, order = table.key[: table.group], table.key[table.group :]
    same = " AND ".join(f"t.{column} = r.{column}" for column in group)
    ours, theirs = (f"({', '.join(f'{alias}.{column}' for column in order)})" for alias in ("t", "r"))
    backwards = ", ".join(f"t.{column} DESC" for column in order)
    source = f"json_to_recordset(%(keys)s::json) AS r ({_typed_key(table)})"
    return _fetch(
        connection,
        table,
        f"SELECT t.* FROM {source} CROSS JOIN LATERAL (SELECT {selected(table)} FROM {table.name} t"
        f" WHERE {same} AND {ours} < {theirs} ORDER BY {backwards} LIMIT 1) t"
        f" UNION ALL SELECT {selected(table)} FROM {source} JOIN {table.name} t ON {same} AND {ours} >= {theirs}",
        {"keys": wanted.decode()},
    )


def _fetch(connection: Connection[Any], table: Table, query: str, parameters: Any) -> list[Row]:
    values = parameters if isinstance(parameters, dict) else (parameters,)
    found = connection.cursor(row_factory=dict_row, binary=True).execute(query.encode(), values).fetchall()
    return [load(table, row) for row in found]


def _typed(columns: dict[str, str]) -> str:
    return ", ".join(f"{column} {type_}" for column, type_ in columns.items())


def _typed_key(table: Table) -> str:
    return _typed({column: table.columns[column] for column in table.key})
