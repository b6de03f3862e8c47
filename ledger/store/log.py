"""The log: append, load, read. The eventsourcing library's application, mapper and recorder, on one ordered, chained table."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eventsourcing.application import Application
from eventsourcing.persistence import IntegrityError, JSONTranscoder, Mapper, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresFactory
from eventsourcing.utils import Environment
from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.aggregates import State, evolve
from ledger.codec import decode, encode
from ledger.errors import Corrupt
from ledger.events import Event
from ledger.ids import event_id
from ledger.policies.unit import NewEvent
from ledger.store import chain, vault
from ledger.store.database import Database
from ledger.store.vault import Secret

CHANNEL = "ledger_events"
"""Notified by every append; listening only wakes a loop early."""


LOADED_AT_ONCE = 500
"""Rows to a round of a bulk load: the next are being found while these are folded."""
_LOAD = (
    "SELECT e.* FROM unnest(%s::text[]) AS s (id) CROSS JOIN LATERAL (SELECT originator_id, originator_version, topic, state"
    " FROM events WHERE originator_id = s.id ORDER BY originator_version) e"
)
"""Stream by stream by the index, however many there are: as one set they would be looked for in the whole table."""


class Stored(NamedTuple):
    """An event as it stands in the log."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    hash: bytes

    @property
    def id(self) -> str:
        return event_id(self.stream, self.version)

    @property
    def event(self) -> Event:
        """Decoded anew at each call. Raises Corrupt."""
        return decode(self.topic, self.state)


class LedgerMapper(Mapper[str]):
    """Between an event on its stream and stored bytes: our codec, our topics, our upcasters."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        new: NewEvent = domain_event
        return StoredEvent(new.stream, new.version, new.event.TOPIC, encode(new.event))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        stream, version = str(stored_event.originator_id), stored_event.originator_version
        return NewEvent(stream, version, decode(stored_event.topic, stored_event.state))


class LedgerRecorder(PostgresApplicationRecorder):
    """Appends under the head row: dense positions, one order, the chain, and the versions that the decision was based on."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """The positions of the appended events. Raises IntegrityError, having written nothing, on a conflict.

        `head`: the log's position before anything was loaded; `expect`: the version at which each stream was loaded;
        `secrets`: what goes into the vault; `command_id`: of a command from outside, refused a second time.
        """
        with self.datastore.get_connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            row = cursor.execute("SELECT position, hash FROM log_head FOR UPDATE").fetchone()
            if row is None:
                raise Corrupt("the log has no head row")
            position, head = row
            if position != kwargs.get("head"):
                _require_unchanged(connection, kwargs["expect"])
            rows = []
            for stored in stored_events:
                position += 1
                stream, version = str(stored.originator_id), stored.originator_version
                head = chain.link(head, position, version, stream, stored.topic, stored.state)
                rows.append((position, stream, version, stored.topic, stored.state, head))
            _insert(connection, rows)
            vault.store(connection, kwargs.get("secrets", ()))
            if kwargs.get("command_id"):
                cursor.execute(
                    "INSERT INTO commands (command_id, position) VALUES (%s, %s)", (kwargs["command_id"], position)
                )
            cursor.execute("UPDATE log_head SET position = %s, hash = %s", (position, head))
            cursor.execute(f"NOTIFY {CHANNEL}")
        return [row[0] for row in rows]


def _require_unchanged(connection: Connection[Any], expect: Mapping[str, int]) -> None:
    """Somebody appended since the states were loaded: it must not have been to any of them."""
    streams = list(expect)
    found = connection.cursor(row_factory=tuple_row).execute(
        "SELECT s.id, coalesce((SELECT max(originator_version) FROM events WHERE originator_id = s.id), 0)"
        " FROM unnest(%s::text[]) AS s (id)",
        (streams,),
    )
    for stream, version in found:
        if version != expect[stream]:
            raise IntegrityError(f"{stream} was loaded at version {expect[stream]} and is at {version}")


def _insert(connection: Connection[Any], rows: Sequence[tuple[int, str, int, str, bytes, bytes]]) -> None:
    columns = "notification_id, originator_id, originator_version, topic, state, hash"
    with connection.cursor().copy(f"COPY events ({columns}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.set_types(("bigint", "text", "bigint", "text", "bytea", "bytea"))
        for row in rows:
            copy.write_row(row)


class Appended(NamedTuple):
    """What this process has appended: transactions, events, and the most events in one."""

    batches: int = 0
    events: int = 0
    largest: int = 0

    def plus(self, events: int) -> "Appended":
        return Appended(self.batches + 1, self.events + events, max(self.largest, events))


class LedgerLog(Application[str]):
    """The log of one database."""

    mapper: LedgerMapper
    recorder: LedgerRecorder

    def __init__(self, database: Database) -> None:
        self.database = database
        self.appended = Appended()
        super().__init__()

    def construct_factory(self, env: Environment) -> Any:
        """The library's PostgreSQL factory would open a pool of its own: ours is shared."""
        factory = PostgresFactory.__new__(PostgresFactory)
        factory.env = env
        factory.datastore = self.database.datastore
        return factory

    def construct_mapper(self) -> Mapper[str]:
        return LedgerMapper(JSONTranscoder())

    def construct_recorder(self) -> LedgerRecorder:
        return LedgerRecorder(self.database.datastore, events_table_name="events")

    def close(self) -> None:
        """Leaves the database open: it is its owner's. The library would close it with the first log that is let go."""
        self.closing.set()

    def head(self) -> int:
        """The position of the last event; 0 when there is none."""
        return self.head_hash()[0]

    def head_hash(self) -> tuple[int, bytes]:
        """The position of the last event, and the head of the chain there."""
        row = self.database.fetch("SELECT position, hash FROM log_head")[0]
        return int(row["position"]), bytes(row["hash"])

    def hashes(self, positions: Sequence[int]) -> dict[int, bytes]:
        """The chain's head after each of these events, as the log has it."""
        rows = self.database.fetch(
            "SELECT notification_id AS position, hash FROM events WHERE notification_id = ANY(%s)", (list(positions),)
        )
        return {row["position"]: bytes(row["hash"]) for row in rows}

    def append(
        self,
        events: Sequence[NewEvent],
        *,
        head: int,
        expect: Mapping[str, int],
        secrets: Sequence[Secret] = (),
        command_id: str | None = None,
    ) -> int:
        """Appends in one transaction and answers the last position. Raises IntegrityError on a conflict.

        Versions must follow on those expected: the library would take gaps.
        """
        versions = dict(expect)
        for new in events:
            if new.version != versions[new.stream] + 1:
                raise Corrupt(f"{new.stream} is at version {versions[new.stream]}: {new.version} does not follow")
            versions[new.stream] = new.version
        stored = [self.mapper.to_stored_event(new) for new in events]
        known = {"head": head, "expect": expect, "secrets": secrets, "command_id": command_id}
        position = self.recorder.insert_events(stored, **known)[-1]
        self.appended = self.appended.plus(len(events))
        return position

    def load(self, streams: Iterable[str]) -> dict[str, State | None]:
        """The states of many streams, in one query; None for an empty one. Raises Corrupt on a gap in versions."""
        states: dict[str, State | None] = dict.fromkeys(streams)
        with self.database.connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            wanted = (sorted(states),)
            many = len(states) > LOADED_AT_ONCE
            rows = (
                cursor.stream(_LOAD, wanted, size=LOADED_AT_ONCE) if many else cursor.execute(_LOAD, wanted).fetchall()
            )
            for stream, version, topic, state in rows:
                evolved = evolve(stream, states[stream], decode(topic, state))
                if evolved.version != version:
                    raise Corrupt(f"{stream} has a gap before version {version}")
                states[stream] = evolved
        return states

    def read(self, after: int, limit: int, until: int | None = None, without: Collection[str] = ()) -> list[Stored]:
        """Up to `limit` events after a position, in order; up to `until` if that is given, and `without` some topics."""
        with self.database.connection() as connection:
            rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
                "SELECT notification_id, originator_id, originator_version, topic, state, hash FROM events"
                " WHERE notification_id > %s AND notification_id <= coalesce(%s, 9223372036854775807)"
                " AND topic <> ALL(%s) ORDER BY notification_id LIMIT %s",
                (after, until, sorted(without), limit),
            )
            return [Stored._make(row) for row in rows.fetchall()]

    def read_all(self, *, after: int = 0, until: int | None = None, batch: int = 5_000) -> Iterator[Stored]:
        """Every event after a position, in order, read batch by batch."""
        while rows := self.read(after, batch, until):
            yield from rows
            after = rows[-1].position

    def find(self, stream: str, version: int) -> Stored | None:
        """One event by its place."""
        with self.database.connection() as connection:
            row = (
                connection.cursor(row_factory=tuple_row, binary=True)
                .execute(
                    "SELECT notification_id, originator_id, originator_version, topic, state, hash FROM events"
                    " WHERE originator_id = %s AND originator_version = %s",
                    (stream, version),
                )
                .fetchone()
            )
        return Stored(*row) if row else None

    def handled(self, command_id: str) -> int | None:
        """The position that a command from outside reached, if it has been carried out."""
        rows = self.database.fetch("SELECT position FROM commands WHERE command_id = %s", (command_id,))
        return int(rows[0]["position"]) if rows else None
