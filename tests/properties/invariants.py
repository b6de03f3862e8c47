"""'What must hold after every event': the domain page's last section, checked over nothing but the events of a log."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger import events as e
from ledger.postings import entries
from tests.history import History, Recorded


@dataclass
class Money:
    """What the events say of one payout."""

    amount: int = 0
    charged: int = 0
    pending: int = 0
    released: int = 0
    returned: int = 0
    reversed_before: int = 0
    reversed_after: int = 0
    hold_until: datetime | None = None
    hold_elapsed: bool = False
    review_deadline: datetime | None = None
    objection_open: bool = False
    in_flight: int | None = None
    attempts: int = 0
    reversals: dict[str, Any] = field(default_factory=dict)


@dataclass
class Available:
    """What the freelancer's own events say of one currency."""

    released: int = 0
    withdrawn: int = 0
    failed: int = 0
    paid: int = 0
    reversed: int = 0
    won: int = 0
    adjusted: int = 0

    @property
    def available(self) -> int:
        return self.released + self.failed - self.withdrawn - self.reversed + self.won + self.adjusted

    @property
    def in_transit(self) -> int:
        return self.withdrawn - self.failed - self.paid


class Invariants:
    """Reads a history's log as it grows; `check` fails at the first thing that does not hold."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._read = 0
        self.payouts: dict[str, Money] = defaultdict(Money)
        self.freelancers: dict[tuple[str, str], Available] = defaultdict(Available)
        self.made: dict[tuple[Any, ...], str] = {}
        self.terms = 0
        self.accounts: dict[tuple[str, str], int] = defaultdict(int)

    def check(self) -> None:
        touched: set[str] = set()
        for recorded in self.history.log[self._read :]:
            self._entries(recorded)
            self._event(recorded)
            touched.add(recorded.stream)
        self._read = len(self.history.log)
        self._payouts(touched)
        self._freelancers()
        self._follows()

    # Event by event

    def _entries(self, recorded: Recorded) -> None:
        sums: dict[str, int] = defaultdict(int)
        for entry in entries(recorded.event):
            sums[entry.currency] += entry.credit
            self.accounts[entry.account, entry.currency] += entry.credit
        assert not any(sums.values()), f"debits = credits in {recorded}"

    def _event(self, recorded: Recorded) -> None:
        event = recorded.event
        assert event.occurred_at <= event.recorded_at, f"{recorded} is true before it was written"
        match event:
            case e.PayoutEvent():
                self._payout(event, self.payouts[event.payout_id])
            case e.FundsEvent() | e.FundsAdjusted() | e.WithdrawalEvent():
                self._funds(event, self.freelancers[event.freelancer_id, event.currency])
            case e.MilestoneApproved() | e.BonusInvoiced() | e.PayrollRecorded() | e.CycleClosed():
                self.terms += event.payout is not None

    def _payout(self, event: e.PayoutEvent, money: Money) -> None:
        match event:
            case e.PayoutDue():
                source = event.source
                made_by = event.contract_id, source.type, source.id, source.start
                assert made_by not in self.made, "one approval, cycle or bonus makes one payout"
                self.made[made_by] = event.payout_id
                money.amount, money.review_deadline = event.amount, event.review_deadline
            case e.ChargeRequested():
                assert money.in_flight is None, "at most one attempt is in flight"
                assert not money.charged, "what is charged is not charged again"
                assert event.attempt == money.attempts + 1
                money.in_flight = money.attempts = event.attempt
            case e.ChargeFailed():
                money.in_flight, money.attempts = None, event.attempt
            case e.PayoutCharged():
                assert event.amount == money.amount, "no fee: what is charged is what is due"
                money.in_flight, money.charged, money.pending = None, event.amount, event.amount
                money.hold_until = event.hold_until
            case _:
                self._charged_payout(event, money)

    def _charged_payout(self, event: e.PayoutEvent, money: Money) -> None:
        match event:
            case e.HoldElapsed():
                assert not money.hold_elapsed
                assert event.occurred_at == money.hold_until
                money.hold_elapsed = True
            case e.PayoutReleased():
                assert money.hold_elapsed, "nothing is released before its hold has elapsed"
                assert money.hold_until is not None
                assert event.occurred_at >= max(money.hold_until, money.review_deadline or money.hold_until)
                assert not money.objection_open, "nothing is released under an open objection"
                assert event.amount == money.pending, "nothing is released twice"
                money.pending, money.released = 0, money.released + event.amount
            case e.ObjectionRaised():
                assert money.review_deadline is not None
                assert event.occurred_at < money.review_deadline
                money.objection_open = True
            case e.ObjectionWithdrawn():
                money.objection_open = False
            case e.PayoutReduced():
                assert event.amount + event.returned == money.pending
                money.pending, money.returned = event.amount, money.returned + event.returned
                money.objection_open = False
            case e.PayoutReversed():
                money.pending -= event.from_pending
                money.reversed_before += event.from_pending
                money.reversed_after += event.from_available
                money.objection_open &= not event.ends_objection
                money.reversals[event.reversal_id] = event
            case e.ReversalReinstated():
                taken = money.reversals.pop(event.reversal_id)
                assert (event.to_pending, event.to_available) == (taken.from_pending, taken.from_available)
                money.pending += event.to_pending
                money.reversed_before -= event.to_pending
                money.reversed_after -= event.to_available

    def _funds(self, event: e.Event, funds: Available) -> None:
        match event:
            case e.FundsReleased():
                funds.released += event.amount
            case e.FundsReversed():
                funds.reversed += event.amount
            case e.FundsReinstated():
                funds.won += event.amount
            case e.FundsAdjusted():
                funds.adjusted += event.amount if event.direction == "credit" else -event.amount
            case e.WithdrawalRequested():
                assert event.amount <= funds.available, "a withdrawal never exceeds what is available"
                funds.withdrawn += event.amount
            case e.WithdrawalFailed():
                funds.failed += event.amount
            case e.WithdrawalPaid():
                funds.paid += event.amount

    # All in all

    def _payouts(self, streams: set[str]) -> None:
        for payout in streams & self.payouts.keys():
            money = self.payouts[payout]
            parts = money.pending + money.released + money.returned + money.reversed_before
            assert money.charged == parts, f"charged is pending, released, returned or reversed: {money}"
            assert 0 <= money.reversed_after <= money.released, f"no more is reversed than was released: {money}"
            assert min(money.pending, money.returned, money.reversed_before) >= 0, f"never negative: {money}"
            held = money.pending + money.released - money.reversed_after
            assert not (money.objection_open and money.charged and not held), "no objection to what holds nothing"
            state = self.history.state(payout)
            said = state.charged, state.pending, state.released, state.returned
            assert said == (money.charged, money.pending, money.released, money.returned)
            assert (state.reversed_before, state.reversed_after) == (money.reversed_before, money.reversed_after)
        assert len(self.made) == self.terms, "what makes a payout makes exactly one"

    def _freelancers(self) -> None:
        pending: dict[tuple[str, str], int] = defaultdict(int)
        for payout, money in self.payouts.items():
            state = self.history.state(payout)
            pending[state.payee, state.currency] += money.pending
        for (payee, currency), amount in pending.items():
            assert self.accounts[f"{payee}:pending", currency] == amount >= 0
        for (freelancer, currency), funds in self.freelancers.items():
            assert self.accounts[f"{freelancer}:available", currency] == funds.available
            assert self.accounts[f"{freelancer}:in_transit", currency] == funds.in_transit >= 0
            assert self.history.state(freelancer).available.get(currency, 0) == funds.available
        assert not any(sum(self._of_currency(currency)) for currency in {code for _, code in self.accounts})

    def _of_currency(self, currency: str) -> list[int]:
        return [amount for (_, code), amount in self.accounts.items() if code == currency]

    def _follows(self) -> None:
        """What the freelancer can withdraw is what their payouts released, less what was reversed after release."""
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for payout, money in self.payouts.items():
            state = self.history.state(payout)
            if state.payee == state.freelancer_id:
                sums[state.freelancer_id, state.currency] += money.released - money.reversed_after
        for key, funds in self.freelancers.items():
            assert sums[key] == funds.released - funds.reversed + funds.won, (
                "in one transaction with what it follows from"
            )
