"""A freelancer's statement, folded from the log: opening balances, a line for each movement, closing balances.

The fold is the projection's own (`ledger.projections.statements`), so that the live statement and this one are the same by
construction: lines run by (occurred_at, position), and one that became known late stands where it occurred.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ledger import ids, postings
from ledger.projections.rows import Record, Row, Rows
from ledger.projections.statements import TABLE, Statements, amount_of, line_id
from ledger.store.log import Stored
from ledger.upcasters import UPCASTERS
from replay.balances import Money, movements
from replay.sources import EventSource, Progress


@dataclass(frozen=True)
class Line:
    """What one event changed in one currency, and the balances after it, in minor units.

    `amount` is the change of available where there is one, else of pending, else of in transit. An adjustment has neither
    a payout nor a withdrawal.
    """

    id: str
    type: str
    currency: str
    amount: int
    occurred_at: datetime
    recorded_at: datetime
    position: int
    payout_id: str | None
    withdrawal_id: str | None
    adjustment_id: str | None
    pending_change: int
    available_change: int
    in_transit_change: int
    pending: int
    available: int
    in_transit: int


@dataclass(frozen=True)
class Standing:
    """The balances just before `at`; without one, before everything (opening) or after everything (closing)."""

    at: datetime | None
    pending: tuple[Money, ...]
    available: tuple[Money, ...]
    in_transit: tuple[Money, ...]

    def of(self, currency: str) -> tuple[int, int, int]:
        """Pending, available and in transit of a currency; nothing where there has been none."""
        buckets = (self.pending, self.available, self.in_transit)
        pending, available, in_transit = (
            sum(money.amount for money in bucket if money.currency == currency) for bucket in buckets
        )
        return pending, available, in_transit


@dataclass(frozen=True)
class Statement:
    """Lines from `opening.at` to before `closing.at`, the oldest first. `position`: how far the log was read."""

    object: Literal["statement"]
    freelancer_id: str
    position: int
    as_of: datetime | None
    known_at: datetime | None
    opening: Standing
    lines: tuple[Line, ...]
    closing: Standing

    @property
    def currencies(self) -> list[str]:
        """In which there has been money by the end."""
        return [money.currency for money in self.closing.pending]


def statement(
    source: EventSource,
    freelancer_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Statement:
    """What occurred from `since` to before `until`, with the balances before, between and after."""
    position = source.head()
    rows = Rows(Statements.tables)
    about = _About(source, freelancer_id, on_events)
    Statements().fold(rows, list(_records(freelancer_id, movements(about, position, as_of, known_at, None))))
    lines = sorted(
        rows.rows[TABLE.name].values(), key=lambda row: (row["occurred_at"], row["position"], row["currency"])
    )
    before = [row for row in lines if since is not None and row["occurred_at"] < since]
    until_end = [row for row in lines if until is None or row["occurred_at"] < until]
    return Statement(
        "statement",
        freelancer_id,
        position,
        as_of,
        known_at,
        _standing(since, before),
        tuple(_line(row) for row in until_end[len(before) :]),
        _standing(until, until_end),
    )


class _About:
    """The events that name somebody: whose accounts an event posts to stands in its bytes, so others are not even decoded."""

    def __init__(self, source: EventSource, name: str, on_events: Progress | None) -> None:
        self._source, self._name, self._on_events = source, name.encode(), on_events

    def head(self) -> int:
        return self._source.head()

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        for stored in self._source.read_all(after=after, until=until):
            if self._on_events:
                self._on_events(1)
            if self._name in stored.state or stored.topic in UPCASTERS:
                yield stored

    def find(self, stream: str, version: int) -> Stored | None:
        return self._source.find(stream, version)


def _records(owner: str, moved: Iterable[tuple[Stored, list[postings.Entry]]]) -> Iterator[Record]:
    """What moved the owner's money, without the other accounts."""
    for stored, entries in moved:
        mine = [entry for entry in entries if entry.account.startswith(f"{owner}:")]
        if mine:
            yield Record(stored.position, stored.stream, stored.version, stored.topic, stored.event, mine)


def _standing(at: datetime | None, rows: list[Row]) -> Standing:
    last = {row["currency"]: row for row in rows}
    buckets = (
        tuple(Money(last[currency][bucket], currency) for currency in sorted(last)) for bucket in postings.BUCKETS
    )
    return Standing(at, *buckets)


def _line(row: Row) -> Line:
    subject: str = row["subject"]
    named: dict[str, Any] = {
        name: subject if ids.kind_of(subject) == kind else None
        for name, kind in (
            ("payout_id", ids.PAYOUT),
            ("withdrawal_id", ids.WITHDRAWAL),
            ("adjustment_id", ids.ADJUSTMENT),
        )
    }
    shared = ("currency", "occurred_at", "recorded_at", "position")
    changes = tuple(f"{bucket}_change" for bucket in postings.BUCKETS)
    return Line(
        id=line_id(row["position"], row["currency"]),
        type=row["type"],
        amount=amount_of(*(row[change] for change in changes)),
        **named,
        **{name: row[name] for name in (*shared, *changes, *postings.BUCKETS)},
    )
