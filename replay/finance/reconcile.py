"""A processor's settlement report held against the ledger, movement by movement, in both directions. Nothing is ever written.

Every row is looked for in the whole log, so that a movement at the edge of two reports is found in either; only what stands
between `since` and `until`, here or there, is judged. A row of another business of the same processor's account is a break too:
whatever the processor moved and the ledger does not know is not accounted for.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from replay.finance.matching import CATEGORIES, Matching
from replay.finance.processor_movements import Movement, at_the_processor
from replay.finance.settlement_report import Report, Row
from replay.sources import EventSource, Progress

Status = Literal[
    "matched",
    "under_way",
    "missing_here",
    "missing_there",
    "amount_differs",
    "currency_differs",
    "duplicated",
    "not_ours",
]
BREAKS: tuple[Status, ...] = ("missing_here", "missing_there", "amount_differs", "currency_differs", "duplicated")
"""What has to be looked into. `here` is the ledger, `there` the processor's report."""
OTHERS: dict[str, str] = {
    "fee": "a fee of the processor's: the platform bears it (rule 6)",
    "tax": "a tax on the processor's fees",
    "network_cost": "a cost of the card network's",
    "payout": "the processor's balance paid out to the platform's own bank: no withdrawal",
    "payout_reversal": "a payout to the platform's own bank that came back",
    "topup": "money the platform added to the processor's balance",
    "topup_reversal": "money the platform added to the processor's balance, and took back",
    "risk_reserved_funds": "money the processor keeps in reserve",
    "connect_reserved_funds": "money the processor keeps in reserve for connected accounts",
    "platform_earning": "an application fee, of which the ledger has none",
    "platform_earning_refund": "an application fee that was given back, of which the ledger has none",
}
"""Reporting categories that the ledger does not keep, and what they are: information."""
CONCERNS: dict[str, str] = {
    "charge_failure": "a charge that failed after it had succeeded",
    "refund_failure": "a refund that failed, and came back to the processor's balance",
    "partial_capture_reversal": "a part of a charge that was never captured",
    "other_adjustment": "an adjustment of the processor's",
}
"""Categories that the ledger does not keep, and should hear of where they name one of its payments."""
_UNKNOWN = "a category that the ledger does not know"


@dataclass(frozen=True, slots=True)
class Item:
    """One movement, as it stands on either side. `difference`: the report's gross less the ledger's amount, in minor units.

    There is no difference between two currencies: then it is null.
    """

    status: Status
    kind: str
    difference: int | None
    why: str
    ledger: Movement | None
    report: Row | None


@dataclass(frozen=True)
class Total:
    """A category in a currency, in minor units, on both sides; `difference` is `gross` less `ledger`."""

    category: str
    currency: str
    rows: int
    gross: int
    fee: int
    net: int
    movements: int
    ledger: int
    difference: int


@dataclass(frozen=True)
class Reconciliation:
    """`items`: those of the report in its order, then what is missing there in the order of the log.

    `position`: how far the log was read. `outside`: rows of the report that stand before `since` or not before `until`.
    """

    object: Literal["reconciliation"]
    position: int
    since: datetime | None
    until: datetime | None
    known_at: datetime | None
    rows: int
    outside: int
    counts: dict[Status, int]
    totals: tuple[Total, ...]
    items: tuple[Item, ...]

    @property
    def breaks(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.status in BREAKS)

    @property
    def ok(self) -> bool:
        """Nothing has to be looked into."""
        return not any(self.counts[status] for status in BREAKS)


def reconcile(
    source: EventSource,
    report: Report,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Reconciliation:
    """Each movement of the report or the ledger, matched or explained. Raises Unreadable for a report that cannot be used."""
    position = source.head()
    matching = Matching(at_the_processor(source, position, known_at, on_events))
    matching.take(report)
    window = _Window(since, until)
    items = [*_of_report(matching, window), *_missing_there(matching, window)]
    counts: dict[Status, int] = dict.fromkeys(("matched", "under_way", *BREAKS, "not_ours"), 0)
    for item in items:
        counts[item.status] += 1
    return Reconciliation(
        "reconciliation",
        position,
        since,
        until,
        known_at,
        matching.rows,
        sum(not window.holds(row.created) for row in matching.all_rows()),
        counts,
        tuple(_totals(items)),
        tuple(items),
    )


@dataclass(frozen=True)
class _Window:
    """From `since` to before `until`."""

    since: datetime | None
    until: datetime | None

    def holds(self, at: datetime) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def _of_report(matching: Matching, window: _Window) -> Iterator[Item]:
    """In the order of the report. Both of a pair are judged where either stands in the window."""
    for row, movement, first in matching.judged():
        if not (window.holds(row.created) or (movement is not None and window.holds(movement.occurred_at))):
            continue
        if first is not None:
            yield _duplicated(row, movement, first)
        elif movement is not None:
            yield _pair(row, movement)
        else:
            yield _unmatched(row, ours=matching.is_ours(row))


def _pair(row: Row, movement: Movement) -> Item:
    kind = movement.kind
    if row.currency != movement.currency:
        why = f"the processor moved {row.currency}, and the ledger has {movement.currency}"
        return Item("currency_differs", kind, None, why, movement, row)
    difference = row.gross - movement.amount
    if difference:
        more = "more" if difference > 0 else "less"
        why = f"the processor's balance has {abs(difference)} minor units {more} of it than the ledger's"
        return Item("amount_differs", kind, difference, why, movement, row)
    if movement.state == "under_way":
        why = "the processor has sent it, and the ledger still waits for its outcome"
        return Item("under_way", kind, 0, why, movement, row)
    return Item("matched", kind, 0, "", movement, row)


def _duplicated(row: Row, movement: Movement | None, first: Row) -> Item:
    same = row.id == first.id
    why = (
        f"the same balance transaction as in line {first.line}"
        if same
        else f"the processor moved this once already, in line {first.line}, as {first.id}"
    )
    kind = movement.kind if movement is not None else CATEGORIES.get(row.category, row.category)
    return Item("duplicated", kind, row.gross, why, movement, row)


def _unmatched(row: Row, *, ours: bool) -> Item:
    kind = CATEGORIES.get(row.category)
    if kind is not None:
        return Item(
            "missing_here", kind, row.gross, "the processor moved it, and the ledger knows nothing of it", None, row
        )
    what = OTHERS.get(row.category) or CONCERNS.get(row.category, _UNKNOWN)
    if ours and row.category not in OTHERS:
        return Item("missing_here", row.category, row.gross, f"{what}: of a payment of the ledger's", None, row)
    return Item("not_ours", row.category, None, what, None, row)


def _missing_there(matching: Matching, window: _Window) -> Iterator[Item]:
    """What the ledger holds to have moved and no row shows; what may not have left yet, or never left, need not be there."""
    for movement in matching.without_row():
        if window.holds(movement.occurred_at) and matching.must_be_there(movement):
            why = "the ledger has it, and the report does not"
            if movement.kind == "adjustment":
                why = "posted to the processor's account by an adjustment that corrects no movement of it (rule 27)"
            yield Item("missing_there", movement.kind, -movement.amount, why, movement, None)


def _totals(items: Iterable[Item]) -> Iterator[Total]:
    """By category, then currency; every row and movement counts on its own side once."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 6)
    for item in items:
        if item.report is not None:
            one = sums[item.kind, item.report.currency]
            for place, value in enumerate((1, item.report.gross, item.report.fee, item.report.net)):
                one[place] += value
        if item.ledger is not None and item.status != "duplicated":
            one = sums[item.kind, item.ledger.currency]
            one[4] += 1
            one[5] += item.ledger.amount
    for (category, currency), (rows, gross, fee, net, count, ledger) in sorted(sums.items()):
        yield Total(category, currency, rows, gross, fee, net, count, ledger, gross - ledger)
