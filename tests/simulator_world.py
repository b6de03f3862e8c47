"""What stays when everything of a simulation crashes: its database, and the books of its payment processor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, NamedTuple

from ledger import postings
from ledger.aggregates import State, evolve
from ledger.codec import decode, encode
from ledger.policies.deadlines import Deadline
from ledger.policies.unit import NewEvent
from ledger.projections import PROJECTIONS
from ledger.projections.rows import Key, Projection, Record, Row, Rows
from ledger.store import chain
from tests.history import Recorded


class Conflict(Exception):
    """Somebody appended to what a decision had read."""


class Stored(NamedTuple):
    position: int
    stream: str
    version: int
    topic: str
    state: bytes
    hash: bytes


@dataclass
class Store:
    """What is committed. Each method is one transaction."""

    log: list[Stored] = field(default_factory=list)
    streams: dict[str, list[Stored]] = field(default_factory=dict)
    commands: dict[str, int] = field(default_factory=dict)
    tables: dict[str, dict[Key, Row]] = field(
        default_factory=lambda: {table.name: {} for one in PROJECTIONS for table in one.tables}
    )
    positions: dict[str, int] = field(default_factory=lambda: dict.fromkeys((one.name for one in PROJECTIONS), 0))

    @property
    def head(self) -> int:
        return len(self.log)

    def append(self, events: Sequence[NewEvent], expect: dict[str, int], command_id: str | None) -> None:
        """As the store does it: nothing at all on a conflict, or a command id that is taken."""
        if command_id in self.commands or any(len(self.streams.get(one, ())) != at for one, at in expect.items()):
            raise Conflict
        for new in events:
            position, state = self.head + 1, encode(new.event)
            previous = self.log[-1].hash if self.log else chain.START
            head = chain.link(previous, position, new.version, new.stream, new.event.TOPIC, state)
            stored = Stored(position, new.stream, new.version, new.event.TOPIC, state, head)
            assert stored.version == len(self.streams.get(new.stream, ())) + 1, "versions have no gaps"
            self.log.append(stored)
            self.streams.setdefault(new.stream, []).append(stored)
        if command_id is not None:
            self.commands[command_id] = self.head

    def load(self, stream: str) -> State | None:
        state: State | None = None
        for stored in self.streams.get(stream, ()):
            state = evolve(stream, state, decode(stored.topic, stored.state))
        return state

    def commit(self, projection: Projection, rows: Rows, after: int, position: int) -> None:
        """What a projection made of a batch, and how far it came, together; nothing if somebody else has been here."""
        if self.positions[projection.name] != after:
            return
        for table in projection.tables:
            kept, live = rows.rows[table.name], self.tables[table.name]
            for key in rows.changed[table.name]:
                if key in kept:
                    live[key] = kept[key]
                else:
                    live.pop(key, None)
        self.positions[projection.name] = position


def record_of(stored: Stored) -> Record:
    event = decode(stored.topic, stored.state)
    return Record(
        stored.position,
        stored.stream,
        stored.version,
        stored.topic,
        event,
        postings.entries(event),
    )


class Processor:
    """Outside: its books survive every crash. It answers the same for the same key, or, at times, not at all."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.books: dict[str, tuple[str, str, int, datetime]] = {}
        self.asked = 0

    def ask(self, key: str, subject: str, amount: int, now: datetime, *, declines: bool) -> tuple[str, datetime] | None:
        """What the key came to the first time, and when; None: no answer, whatever was done."""
        self.asked += 1
        outcome = "declined" if declines and self._random.random() < 0.85 else "paid"
        if self._random.random() < 0.05:
            return None  # it never got there
        kept = self.books.setdefault(key, (outcome, subject, amount, now))
        assert kept[1:3] == (subject, amount), "one key asks for one thing"
        return None if self._random.random() < 0.05 else (kept[0], kept[3])


class Past:
    """The log and the states in it, as `Invariants` reads them."""

    def __init__(self, store: Store) -> None:
        self._states = {stream: store.load(stream) for stream in store.streams}
        records: Iterable[Record] = map(record_of, store.log)
        self.log = [Recorded(one.position, one.stream, one.version, one.id, one.event) for one in records]

    def state(self, stream: str) -> Any:
        return self._states[stream]


def concerns(projection: Projection, record: Record) -> bool:
    return projection.topics is None or record.topic in projection.topics


def deadline_of(row: Row) -> Deadline:
    return Deadline(*(row[name] for name in Deadline._fields))
