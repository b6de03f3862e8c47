"""`replay verify` against the eventsourcing library's reading and decoding alone, on the same events.

Ours: the whole command, on a log that is intact: read, decode, chain, versions, texts, invariants, six projections folded from
zero and compared row by row. The library's: its application's recorder and its own mapper and JSON transcoder, as they come, on
events of its own class with the same fields and values; nothing is done with what they make. It reads in each way that it has:
through its subscription, as its ProjectionRunner does (500 to a query, read ahead by a thread); through its notification log, in
sections of 10; and bare, with its recorder alone, told to read 5,000 to a query.
"""

import gc
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import DatetimeAsISO, JSONTranscoder
from eventsourcing.projection import ApplicationSubscription
from eventsourcing.utils import register_topic
from msgspec.structs import asdict

from benchmarks import library
from benchmarks.measure import Report, compared, in_turns, settle_memory, timed
from benchmarks.repeating import Repeating, write
from benchmarks.server import Server
from ledger.codec import decode
from ledger.events import EVENTS, Value
from ledger.store.database import Database
from ledger.store.log import LedgerLog
from ledger.store.views import Views
from replay.verify.live import verify

NAME = "verifying"
PAGE = 5_000
WAYS = (
    "its subscription, reading and decoding only",
    "its notification log and mapper, in its sections of 10, reading and decoding only",
    f"its recorder and mapper alone, told to read {PAGE:,} to a query, reading and decoding only",
)
OWN = "library."
"""Before the topic of an event in the library's own class."""


class Reading(Application[str]):
    """The library's application with its own mapper, transcoder and recorder, as it comes."""

    name = "library_reading"


@cache
def own_class(topic: str, fields: tuple[str, ...]) -> type[DomainEvent]:
    """An event of the library's with these fields, under a topic that it can resolve; registered once, as it asks for."""
    annotations: dict[str, Any] = {"originator_id": str, **dict.fromkeys(fields, object)}
    made = type(f"Own_{topic.replace('.', '_')}", (DomainEvent,), {"__annotations__": annotations})
    register_topic(OWN + topic, made)
    return made


def as_library(value: Any) -> Any:
    """A value as the library's transcoder takes it: instants as they are, which it writes and reads as such."""
    if isinstance(value, Value):
        return {name: as_library(item) for name, item in asdict(value).items()}
    if isinstance(value, tuple):
        return [as_library(item) for item in value]
    return value.isoformat() if type(value) is date else value


class Verifying:
    """A log with its projections, and a stretch from its middle in the library's table."""

    def __init__(self, database: Database, stretch: int) -> None:
        self._database = database
        self._events = LedgerLog(database).head()
        for topic, cls in EVENTS.items():
            own_class(topic, cls.__struct_fields__)
        self._library = Reading(library.environment(database.url))
        self._stretch = min(stretch, self._events)
        self._copy((self._events - self._stretch) // 2)

    def close(self) -> None:
        self._library.close()

    def _copy(self, after: int) -> None:
        transcoder = JSONTranscoder()
        transcoder.register(DatetimeAsISO())
        stored = LedgerLog(self._database).read_all(after=after, until=after + self._stretch)
        columns = "originator_id, originator_version, topic, state, notification_id"
        command = f"COPY library_reading_events ({columns}) FROM STDIN".encode()
        with self._database.connection() as connection, connection.cursor().copy(command) as copy:
            for number, one in enumerate(stored, 1):
                state = transcoder.encode(as_library(decode(one.topic, one.state)))
                copy.write_row((one.stream, one.version, OWN + one.topic, state, number))
        self._database.execute("VACUUM ANALYZE library_reading_events")

    # Ours

    def one_process(self) -> float:
        """Events a second."""
        return self._verify(1)

    def two_processes(self) -> float:
        """Events a second."""
        return self._verify(2)

    def _verify(self, processes: int) -> float:
        """Without collecting garbage meanwhile, as the command does."""
        gc.disable()
        try:
            with timed() as clock:
                report = verify(self._database, processes=processes)
        finally:
            gc.enable()
        if not report.ok or report.events != self._events:
            raise AssertionError(f"what was verified is not what was written: {report.findings[:3]}")
        return self._events / clock.seconds

    # The library's

    def ways(self) -> tuple[Callable[[], float], ...]:
        """To read and decode, as `WAYS` names them."""
        return self.subscription, self.sections, self.pages

    def pages(self) -> float:
        """Events a second, read with its recorder, as many to a query as ours."""
        recorder = self._library.recorder
        return self._read(lambda start: recorder.select_notifications(start, PAGE))

    def sections(self) -> float:
        """Events a second, read from its notification log, whose sections have 10."""
        log = self._library.notification_log
        return self._read(lambda start: log.select(start, self._library.log_section_size))

    def subscription(self) -> float:
        """Events a second, from its subscription."""
        with timed() as clock, ApplicationSubscription(self._library, gt=0) as subscription:
            for _, tracking in subscription:
                if tracking.notification_id == self._stretch:
                    break
        return self._stretch / clock.seconds

    def _read(self, select: Callable[[int], Sequence[Any]]) -> float:
        start, to_domain_event = 1, self._library.mapper.to_domain_event
        with timed() as clock:
            while notifications := select(start):
                for one in notifications:
                    to_domain_event(one)
                start = notifications[-1].id + 1
        if start != self._stretch + 1:
            raise AssertionError(f"the library read {start - 1} of {self._stretch} events")
        return self._stretch / clock.seconds


def run(server: Server, report: Report, *, events: int, stretch: int, repeat: int) -> None:
    """Writes a log, projects it, and lets both sides read it."""
    with server.open(server.create(NAME)) as database:
        log = Repeating(events)
        write(database, log, log.turned)
        del log
        views = Views(LedgerLog(database))
        views.prepare()
        views.catch_up()
        database.execute("VACUUM ANALYZE")
        settle_memory()
        both = Verifying(database, stretch)
        ours, two, *theirs = in_turns(repeat, both.one_process, both.two_processes, *both.ways())
        both.close()
    for name, rates, target in (("one process", ours, 2.5), ("two processes", two, 3.5)):
        for alternative, their_rates in zip(WAYS, theirs, strict=True):
            what = f"replay verify, {name}"
            report.ratios.append(compared(what, "events/s", rates, their_rates, alternative, target=target))
