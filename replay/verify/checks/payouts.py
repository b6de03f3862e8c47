"""Payouts: what was charged is somewhere, nothing is released too early or twice, and each is made once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger import events as e
from ledger.aggregates.payout import Payout
from ledger.projections.rows import Record
from replay.verify.findings import Findings


@dataclass(slots=True)
class Tally:
    """A payout's money in minor units, added up from its events alone; reversed less what was won back."""

    payee: str
    due: int
    freelancers: bool
    charged: int = 0
    pending: int = 0
    released: int = 0
    returned: int = 0
    reversed_before: int = 0
    reversed_after: int = 0
    credited: int = 0
    """What the freelancer's own stream took in of it."""
    hold_until: datetime | None = None
    hold_elapsed: bool = False
    objection: bool = False
    reversals: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Chargebacks that can be won: what they took from pending and from available."""
    position: int = 0


class PayoutCheck:
    """Follows every payout by its events; `end` compares with the freelancers' streams and the refolded states."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.tallies: dict[str, Tally] = {}
        self._made_by: set[tuple[str, ...]] = set()
        self._awaited: dict[str, tuple[Record, e.PayoutTerms]] = {}

    def take(self, record: Record) -> None:
        take = _TAKES.get(type(record.event))
        if take is not None:
            take(self, record, record.event)

    def _change(self, record: Record, event: e.PayoutEvent | e.FundsEvent) -> None:
        tally = self.tallies.get(event.payout_id)
        if tally is None:
            self._once(record, "due", event.payout_id, "something happened to a payout that was never due")
            return
        move, change = _MOVES.get(type(event)), _CHANGES.get(type(event))
        if move is not None:
            move(tally, event)
        elif change is not None:
            change(self, record, tally, event)
        else:
            return
        tally.position = record.position
        self._balance(record, event.payout_id, tally)

    def _once(self, record: Record, invariant: str, about: str, what: str, minor_units: int | None = None) -> None:
        where = {"position": record.position, "event_id": record.id, "minor_units": minor_units}
        self._findings.once(invariant, about, what, **where)

    def _balance(self, record: Record, payout_id: str, tally: Tally) -> None:
        accounted = tally.pending + tally.released + tally.returned + tally.reversed_before
        if tally.charged != accounted:
            what = "charged is not pending + released + returned + reversed before release"
            self._once(record, "accounted", payout_id, what, accounted - tally.charged)
        if tally.pending < 0:
            self._once(record, "pending", payout_id, "pending is negative", tally.pending)
        if tally.reversed_after > tally.released:
            excess = tally.reversed_after - tally.released
            self._once(record, "reversed", payout_id, "more was reversed after release than was released", excess)

    # One approval, cycle, bonus or payroll makes one payout

    def _made(
        self, record: Record, event: e.MilestoneApproved | e.CycleClosed | e.BonusInvoiced | e.PayrollRecorded
    ) -> None:
        terms = event.payout
        if terms is None:
            return
        maker = (record.stream, terms.source.type, terms.source.id or str(terms.source.start))
        if maker in self._made_by or terms.payout_id in self._awaited or terms.payout_id in self.tallies:
            what = f"{' '.join(maker[1:])} makes a second payout"
            self._once(record, "made twice", terms.payout_id, what, terms.amount)
        self._made_by.add(maker)
        self._awaited[terms.payout_id] = (record, terms)

    def _due(self, record: Record, event: e.PayoutDue) -> None:
        _, terms = self._awaited.pop(event.payout_id, (None, None))
        if event.payout_id in self.tallies:
            self._once(record, "due twice", event.payout_id, "the payout was due before", event.amount)
            return
        if terms is None:
            what = "no approval, cycle, bonus or payroll makes this payout"
            self._once(record, "made by nothing", event.payout_id, what, event.amount)
        elif any(getattr(terms, name) != getattr(event, name) for name in _TERMS):
            what = "the payout is not what its approval, cycle, bonus or payroll says"
            self._once(record, "terms", event.payout_id, what, event.amount - terms.amount)
        tally = Tally(event.payee, event.amount, event.payee == event.freelancer_id, position=record.position)
        self.tallies[event.payout_id] = tally

    # What an event does

    def _charged(self, record: Record, tally: Tally, event: e.PayoutCharged) -> None:
        if tally.charged:
            self._once(record, "charged twice", event.payout_id, "it was charged before", event.amount)
        if event.amount != tally.due:
            what = "another amount was charged than was due"
            self._once(record, "charged amount", event.payout_id, what, event.amount - tally.due)
        tally.charged += event.amount
        tally.pending += event.amount
        tally.hold_until = event.hold_until

    def _held(self, record: Record, tally: Tally, event: e.HoldElapsed) -> None:
        if tally.hold_until is None or event.occurred_at < tally.hold_until:
            self._once(record, "hold", event.payout_id, "the hold elapsed before its end")
        tally.hold_elapsed = True

    def _released(self, record: Record, tally: Tally, event: e.PayoutReleased) -> None:
        early = tally.hold_until is None or event.occurred_at < tally.hold_until
        if early or not tally.hold_elapsed:
            what = "it was released before its hold had elapsed"
            self._once(record, "released early", event.payout_id, what, event.amount)
        if tally.objection:
            what = "it was released under an open objection"
            self._once(record, "released under objection", event.payout_id, what, event.amount)
        if event.amount > tally.pending:
            twice = "it was released twice" if tally.released else "more was released than was pending"
            self._once(record, "released twice", event.payout_id, twice, event.amount - tally.pending)
        tally.pending -= event.amount
        tally.released += event.amount

    def _reduced(self, record: Record, tally: Tally, event: e.PayoutReduced) -> None:
        if not tally.objection:
            self._once(record, "reduced", event.payout_id, "it was reduced without an objection", event.returned)
        tally.objection = False
        tally.pending -= event.returned
        tally.returned += event.returned

    def _reinstated(self, record: Record, tally: Tally, event: e.ReversalReinstated) -> None:
        back = (event.to_pending, event.to_available)
        if tally.reversals.pop(event.reversal_id, None) != back:
            what = f"{event.reversal_id} brought back what no open chargeback of it had taken"
            self._once(record, "reinstated", event.payout_id, what, sum(back))
        tally.pending += event.to_pending
        tally.reversed_before -= event.to_pending
        tally.reversed_after -= event.to_available

    # At the end

    def end(self, states: Mapping[str, Payout] | None) -> None:
        """`states`: refolded by the aggregate's own evolve up to the head, where there are such."""
        for payout_id, (record, terms) in self._awaited.items():
            self._once(record, "never due", payout_id, "the payout that it makes was never due", terms.amount)
        for payout_id, tally in self.tallies.items():
            own = tally.released - tally.reversed_after if tally.freelancers else 0
            if tally.credited != own:
                what = "the freelancer's own stream took in another amount than was released less reversed"
                where = {"position": tally.position, "minor_units": tally.credited - own}
                self._findings.once("credited", payout_id, what, **where)
            if states is not None:
                self._agree(payout_id, tally, states.get(payout_id))

    def _agree(self, payout_id: str, tally: Tally, state: Payout | None) -> None:
        for name in _FOLDED:
            difference = (getattr(state, name) if state else 0) - getattr(tally, name)
            if difference:
                what = f"the payout's state has another {name} than its events"
                where = {"position": tally.position, "minor_units": difference}
                self._findings.once(f"state {name}", payout_id, what, **where)


_TERMS = ("payee", "source", "amount", "currency", "review_deadline")
_FOLDED = ("charged", "pending", "released", "returned", "reversed_before", "reversed_after")


def _reversed(tally: Tally, event: e.PayoutReversed) -> None:
    tally.pending -= event.from_pending
    tally.reversed_before += event.from_pending
    tally.reversed_after += event.from_available
    tally.objection = tally.objection and not event.ends_objection
    if event.reason == "chargeback":
        tally.reversals[event.reversal_id] = (event.from_pending, event.from_available)


def _objected(tally: Tally, event: e.ObjectionRaised | e.ObjectionWithdrawn) -> None:
    tally.objection = isinstance(event, e.ObjectionRaised)


def _credited(tally: Tally, event: e.FundsEvent) -> None:
    tally.credited += -event.amount if isinstance(event, e.FundsReversed) else event.amount


_MOVES: dict[type[e.Event], Callable[[Tally, Any], None]] = {
    e.PayoutReversed: _reversed,
    e.ObjectionRaised: _objected,
    e.ObjectionWithdrawn: _objected,
    e.FundsReleased: _credited,
    e.FundsReversed: _credited,
    e.FundsReinstated: _credited,
}
"""What events do that cannot be wrong by themselves, but only in what they leave."""

_CHANGES: dict[type[e.Event], Callable[[PayoutCheck, Record, Tally, Any], None]] = {
    e.PayoutCharged: PayoutCheck._charged,
    e.HoldElapsed: PayoutCheck._held,
    e.PayoutReleased: PayoutCheck._released,
    e.PayoutReduced: PayoutCheck._reduced,
    e.ReversalReinstated: PayoutCheck._reinstated,
}


def _take_of(cls: type[e.Event]) -> Callable[[PayoutCheck, Record, Any], None] | None:
    """What takes an event of a class; None for one that is nothing to a payout."""
    if issubclass(cls, e.PayoutDue):
        return PayoutCheck._due
    if issubclass(cls, e.PayoutEvent | e.FundsEvent):
        return PayoutCheck._change
    makes = issubclass(cls, e.MilestoneApproved | e.CycleClosed | e.BonusInvoiced | e.PayrollRecorded)
    return PayoutCheck._made if makes else None


_TAKES = {cls: take for cls in e.EVENTS.values() if (take := _take_of(cls)) is not None}
