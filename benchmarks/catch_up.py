"""Catching up: the ledger's projections against the eventsourcing library's ProjectionRunner, on the same events."""

from collections.abc import Sequence
from typing import Any

from benchmarks import library
from benchmarks.histories import batches, history
from benchmarks.measure import Fact, Rate, Report, compared, in_turns, settle_memory, timed
from benchmarks.server import Server
from ledger import postings
from ledger.projections import PROJECTIONS
from ledger.projections.balances import Balances
from ledger.projections.rows import Projection
from ledger.store.database import Database
from ledger.store.log import LedgerLog
from ledger.store.views import Views

NAME = "catch_up"
APPEND_BATCH = 5_000
TABLES = ", ".join(table.name for projection in PROJECTIONS for table in projection.tables)


class CatchUp:
    """A log, and both sides over it. The library runs over a stretch in its middle: it would take minutes over all of it.

    Before the library starts, its tables hold what was there before that stretch; afterwards, what ours hold there. Both sides
    are as they come: ours commits without waiting for the disk, as position and rows are one transaction and nothing can be
    lost; the library waits, and `without_waiting` says what it does otherwise.
    """

    def __init__(self, database: Database, stretch: int) -> None:
        self._database, self._log = database, LedgerLog(database)
        self._head = self._log.head()
        self._start = self._head // 2
        self._end = min(self._head, self._start + stretch)
        self._money = self._count_money(0, self._head)
        library.copy_events(database, self._start, self._end)

    def _count_money(self, after: int, until: int) -> int:
        rows = self._database.fetch(
            "SELECT count(*) AS n FROM events WHERE notification_id > %s AND notification_id <= %s AND topic = ANY(%s)",
            (after, until, list(postings.TOPICS)),
        )
        return int(rows[0]["n"])

    # Ours

    def balances(self) -> float:
        """Events that move money, a second."""
        return self._money / self._ours((Balances(),))

    def all(self) -> float:
        """Events a second."""
        return self._head / self._ours(PROJECTIONS)

    def _ours(self, projections: Sequence[Projection]) -> float:
        views = self._reset(projections)
        with timed() as clock:
            views.catch_up()
        return clock.seconds

    def _reset(self, projections: Sequence[Projection]) -> Views:
        self._database.execute(f"TRUNCATE {TABLES}")
        self._database.execute("DELETE FROM projections")
        views = Views(self._log, projections)
        views.prepare()
        return views

    # The library's

    def library_balances(self) -> float:
        """Events that move money, a second: it subscribes to no others."""
        return self._library(library.Balances, (Balances(),))

    def library_balances_of_all(self) -> float:
        """Events a second, subscribed to all of them."""
        return self._library(library.BalancesOfAll, (Balances(),))

    def library_all(self) -> float:
        """Events a second."""
        return self._library(library.All, PROJECTIONS)

    def without_waiting(self, run: Rate) -> float:
        """A rate of the library when its commits do not wait for the disk either, which no setting of the library does."""
        self._database.execute(f"ALTER DATABASE {NAME} SET synchronous_commit = off")
        try:
            return run()
        finally:
            self._database.execute(f"ALTER DATABASE {NAME} RESET synchronous_commit")

    def _library(self, projection: type[library.Balances] | type[library.All], same: Sequence[Projection]) -> float:
        views = self._reset(same)
        views.catch_up(until=self._start)
        library.prepare(self._database, projection)
        rate = library.project(self._database, projection, self._last(projection.topics)).rate
        theirs = self._rows(same, "library_balances" if issubclass(projection, library.Balances) else None)
        self._reset(same).catch_up(until=self._end)
        if self._rows(same) != theirs:
            raise AssertionError(f"{projection.__name__} of the library and ours came to different rows")
        return rate

    def _last(self, topics: Sequence[str]) -> int:
        rows = self._database.fetch(
            "SELECT max(notification_id) AS last FROM library_events WHERE %s = '{}' OR topic = ANY(%s)",
            (list(topics), list(topics)),
        )
        return int(rows[0]["last"])

    def _rows(self, projections: Sequence[Projection], table: str | None = None) -> list[Any]:
        return [
            self._database.fetch(f"SELECT t::text FROM {table or one.name} t ORDER BY 1")
            for projection in projections
            for one in projection.tables
        ]


def run(server: Server, report: Report, *, names: Sequence[str], events: int, stretch: int, repeat: int) -> None:
    """Appends a history and lets both sides catch up with it."""
    made = history(events)
    with server.open(server.create(NAME)) as database:
        with timed() as clock:
            append(LedgerLog(database), made)
        report.facts.append(Fact("appended, 5,000 to a batch", len(made) / clock.seconds, "events/s"))
        del made
        settle_memory()
        both = CatchUp(database, stretch)
        if "balances" in names:
            ours, theirs = in_turns(repeat, both.balances, both.library_balances)
            unit, alternative = "events that move money/s", "its ProjectionRunner and one balance table"
            report.ratios.append(compared("balances catch up", unit, ours, theirs, alternative, target=50))
            faster = both.without_waiting(both.library_balances)
            report.facts.append(Fact("the library's balances, not waiting", faster, unit))
        if "projections" in names:
            ours, six, one = in_turns(repeat, both.all, both.library_all, both.library_balances_of_all)
            name, alternative = "all six projections catch up", "its ProjectionRunner and the same six"
            report.ratios.append(compared(name, "events/s", ours, six, alternative, target=25))
            alternative = "its ProjectionRunner and one balance table"
            report.ratios.append(compared(name, "events/s", ours, one, alternative))
            faster = both.without_waiting(both.library_all)
            report.facts.append(Fact("the library's six, not waiting", faster, "events/s"))


def append(log: LedgerLog, events: Sequence[Any]) -> None:
    head = log.head()
    for batch, expect in batches(events, APPEND_BATCH):
        head = log.append(batch, head=head, expect=expect)
