"""What changed between two points of the log, per account and currency, and which events made the difference.

A point is a position of the log, an instant that things occurred by, or one that they were recorded by. Each event counts at
either point or does not; what counts at only one of them is the difference. A late worker, a late webhook and a correction
therefore show up at one point in the time that things were true at and at another in the time that they were written at.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from ledger.postings import Entry
from ledger.store.reader import EventView, view_of
from replay.balances import may_move
from replay.history import Happening, happenings, history
from replay.sources import EventSource, Progress, Source
from replay.times import counts
from replay.values import instant, parse_instant

KNOWN = "known:"


@dataclass(frozen=True)
class Point:
    """`axis` is what it is measured on; one of the two values is set."""

    axis: Literal["position", "occurred", "recorded"]
    position: int | None = None
    time: datetime | None = None

    def counts(self, event: "_Moved | Happening") -> bool:
        """Whether the event had happened there."""
        if self.time is None:
            return self.position is not None and event.position <= self.position
        return (event.occurred_at if self.axis == "occurred" else event.recorded_at) <= self.time

    def __str__(self) -> str:
        if self.time is None:
            return f"position {self.position}"
        return f"{'what had occurred' if self.axis == 'occurred' else 'what was known'} by {instant(self.time)}"


def parse_point(text: str) -> Point:
    """`120`, `2026-01-09T12:00:00Z` or `known:2026-01-09T12:00:00Z`. Raises ValueError, saying what to write."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return Point("position", position=int(text))
    try:
        if text.startswith(KNOWN):
            return Point("recorded", time=parse_instant(text.removeprefix(KNOWN)))
        return Point("occurred", time=parse_instant(text))
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no point of the log: give a position (120), the time that things occurred by"
            " (2026-01-09T12:00:00Z), or that they were recorded by (known:2026-01-09T12:00:00Z)"
        ) from error


@dataclass(frozen=True)
class AccountDifference:
    """Minor units: `difference` is `after` less `before`. `events`: how many of the differing events moved it."""

    account: str
    currency: str
    before: int
    after: int
    difference: int
    events: int


@dataclass(frozen=True)
class DifferingEvent:
    """`side` says where it counts: `added` at the second point alone, `removed` at the first alone."""

    side: Literal["added", "removed"]
    event: Happening


@dataclass(frozen=True)
class Difference:
    """`position`: how far the log was read. With a subject, amounts are only what its own events moved."""

    object: Literal["difference"]
    a: Point
    b: Point
    as_of: datetime | None
    known_at: datetime | None
    subject: str | None
    account: str | None
    position: int
    accounts: tuple[AccountDifference, ...]
    events: tuple[DifferingEvent, ...]


def diff(
    source: Source,
    a: Point,
    b: Point,
    *,
    subject: str | None = None,
    account: str | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Difference | None:
    """What changed from `a` to `b`; None where there is no such subject, or nothing was ever posted to the account.

    `subject` is a contract, payout, freelancer or client; `account` one account (`fre_…:available`) or their owner (`fre_…`).
    `as_of` and `known_at` narrow what counts at either point. Raises ValueError for a subject of another kind.
    """
    position = source.log.head()
    if subject is None:
        events = _of_log(source.log, position, on_events)
    else:
        found = history(source, subject)
        if found is None:
            return None
        position = found.position
        events = (
            _Moved(one.position, one.occurred_at, one.recorded_at, one.entries, one, None) for one in found.events
        )
    sums = _Sums(account)
    for one in events:
        if sums.concerns(one) and counts(one, as_of, known_at):
            sums.add(one, a.counts(one), b.counts(one))
    if account is not None and not sums.is_known:
        return None
    happenings = tuple(_told(source, sums.differing))
    return Difference("difference", a, b, as_of, known_at, subject, account, position, sums.accounts(), happenings)


class _Moved(NamedTuple):
    """An event with what it posts, either told already or still to be."""

    position: int
    occurred_at: datetime
    recorded_at: datetime
    entries: Iterable[Entry]
    told: Happening | None
    view: EventView | None


def _of_log(log: EventSource, head: int, on_events: Progress | None) -> Iterator[_Moved]:
    """Every event that moved money."""
    for stored in log.read_all(until=head):
        if on_events:
            on_events(1)
        if may_move(stored):
            view = view_of(stored)
            event = view.event
            yield _Moved(view.position, event.occurred_at, event.recorded_at, view.entries, None, view)


class _Sums:
    def __init__(self, account: str | None) -> None:
        self.wanted = account
        self.is_known = False
        """Whether anything was ever posted to the wanted account."""
        self.sums: dict[tuple[str, str], list[int]] = {}
        """By currency and account: before, after, and how many of the differing events moved it."""
        self.differing: list[tuple[Literal["added", "removed"], _Moved]] = []

    def concerns(self, event: _Moved) -> bool:
        """Whether the event moved money on the wanted accounts."""
        concerned = any(self._wants(entry) for entry in event.entries)
        self.is_known = self.is_known or concerned
        return concerned

    def _wants(self, entry: Entry) -> bool:
        return self.wanted in (None, entry.account, entry.account.partition(":")[0])

    def add(self, event: _Moved, before: bool, after: bool) -> None:
        mine = [entry for entry in event.entries if self._wants(entry)]
        for entry in mine:
            known = self.sums.setdefault((entry.currency, entry.account), [0, 0, 0])
            known[0] += entry.credit if before else 0
            known[1] += entry.credit if after else 0
        if before != after:
            self.differing.append(("added" if after else "removed", event))
            for currency, account in {(entry.currency, entry.account) for entry in mine}:
                self.sums[currency, account][2] += 1

    def accounts(self) -> tuple[AccountDifference, ...]:
        """Those that a differing event moved, by currency and account."""
        return tuple(
            AccountDifference(account, currency, before, after, after - before, events)
            for (currency, account), (before, after, events) in sorted(self.sums.items())
            if events
        )


def _told(source: Source, differing: list[tuple[Literal["added", "removed"], _Moved]]) -> Iterator[DifferingEvent]:
    views = [event.view for _, event in differing if event.view is not None]
    told = {one.position: one for one in happenings(source, views)}
    for side, event in differing:
        yield DifferingEvent(side, event.told or told[event.position])
