"""Double entry, and what a freelancer can withdraw: the books, kept a second time, from the events alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger import events as e
from ledger.aggregates.freelancer import Freelancer, evolve
from ledger.ids import FREELANCER, kind_of
from ledger.projections.rows import Record
from replay.verify.findings import Findings, Total

Key = tuple[str, str]


@dataclass(slots=True)
class Available:
    """What available is made of, in minor units; each number only grows."""

    released: int = 0
    failed: int = 0
    withdrawn: int = 0
    reversed: int = 0
    won: int = 0
    adjusted: int = 0
    position: int = 0

    @property
    def total(self) -> int:
        return self.released + self.failed - self.withdrawn - self.reversed + self.won + self.adjusted


class AccountCheck:
    """Every movement is a double entry; available is what domain.md says it is made of; in transit is never negative."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.balances: dict[Key, int] = {}
        self._turnover: dict[str, list[int]] = {}
        self._available: dict[Key, Available] = {}
        self.freelancers: dict[str, Freelancer] = {}
        self._in_transit: dict[str, tuple[str, int, str]] = {}

    def take(self, record: Record) -> None:
        if record.entries:
            self.post(record)
        event = record.event
        if type(event) in _CHANGES_AVAILABLE:
            for key in self._of_available(record):
                self._compare(record, key)
        if record.stream.startswith(_OF_FREELANCER):
            if isinstance(event, e.WithdrawalEvent):
                self._withdrawal(record, event)
            self.freelancers[record.stream] = evolve(self.freelancers.get(record.stream), event)

    def post(self, record: Record) -> None:
        """What an event posts: its debits are its credits, and nothing in transit is negative after it."""
        sums: dict[str, int] = {}
        for account, currency, credit, _ in record.entries:
            key = account, currency
            balance = self.balances[key] = self.balances.get(key, 0) + credit
            sums[currency] = sums.get(currency, 0) + credit
            turnover = self._turnover.setdefault(currency, [0, 0])
            turnover[credit > 0] += abs(credit)
            if balance < 0 and account.endswith(":in_transit"):
                self._once(record, "in_transit", account, f"{account} is negative", balance)
        for currency, difference in sums.items():
            if difference:
                what = f"its credits are not its debits in {currency}"
                self._once(record, f"double entry {record.position}", record.stream, what, difference)

    def _once(self, record: Record, invariant: str, about: str, what: str, minor_units: int | None = None) -> None:
        where = {"position": record.position, "event_id": record.id, "minor_units": minor_units}
        self._findings.once(invariant, about, what, **where)

    # Available, from its parts

    def _of_available(self, record: Record) -> list[Key]:
        """Takes down what the event adds to or takes from whose available, and answers whose that is."""
        event: Any = record.event
        if isinstance(event, e.AdjustmentApproved):
            return [self._adjust(record, posting) for posting in event.postings if _is_available(posting.account)]
        part = _PARTS.get(type(event))
        if part is None or getattr(event, "payee", event.freelancer_id) != event.freelancer_id:
            return []
        name, amount_of = part
        parts = self._parts(record, event.freelancer_id, event.currency)
        setattr(parts, name, getattr(parts, name) + amount_of(event))
        return [(event.freelancer_id, event.currency)]

    def _adjust(self, record: Record, posting: e.Posting) -> Key:
        owner = posting.account.partition(":")[0]
        parts = self._parts(record, owner, posting.currency)
        parts.adjusted += posting.amount if posting.direction == "credit" else -posting.amount
        return owner, posting.currency

    def _parts(self, record: Record, freelancer_id: str, currency: str) -> Available:
        parts = self._available.setdefault((freelancer_id, currency), Available())
        parts.position = record.position
        return parts

    def _compare(self, record: Record, key: Key) -> None:
        account = f"{key[0]}:available"
        difference = self.balances.get((account, key[1]), 0) - self._available[key].total
        if difference:
            what = f"{account} is not released + failed - withdrawn - reversed + won + adjusted, in {key[1]}"
            self._once(record, "available", account, what, difference)

    def _withdrawal(self, record: Record, event: e.WithdrawalEvent) -> None:
        """Each leaves available once, within what is there, and ends once, with the amount that it began with."""
        account = f"{event.freelancer_id}:available"
        known = self._in_transit.get(event.withdrawal_id)
        this = (event.freelancer_id, event.amount, event.currency)
        if isinstance(event, e.WithdrawalRequested):
            left = self.balances.get((account, event.currency), 0)
            if left < 0:
                self._once(record, "withdrawal", event.withdrawal_id, f"more was withdrawn than {account} held", left)
            if known is not None:
                self._once(record, "withdrawal twice", event.withdrawal_id, "it was requested before")
            self._in_transit[event.withdrawal_id] = this
        elif known != this:
            self._once(record, "withdrawal end", event.withdrawal_id, "no such withdrawal was in transit")
        elif not isinstance(event, e.WithdrawalSubmitted):
            del self._in_transit[event.withdrawal_id]

    # At the end

    def end(self, position: int) -> None:
        """The freelancers' own streams agree with the accounts, and all debits with all credits."""
        decided = {
            (freelancer_id, currency): amount
            for freelancer_id, state in self.freelancers.items()
            for currency, amount in state.available.items()
        }
        for key in sorted(decided.keys() | self._available.keys()):
            self._agree(key, decided.get(key, 0))
        for total in self.totals():
            if total.debits != total.credits:
                what = f"all debits are not all credits in {total.currency}"
                self._findings.add("invariant", what, position=position, minor_units=total.credits - total.debits)

    def _agree(self, key: Key, decided: int) -> None:
        account = f"{key[0]}:available"
        difference = decided - self.balances.get((account, key[1]), 0)
        if difference:
            parts = self._available.get(key)
            what = f"the freelancer's own stream has another amount available than {account}, in {key[1]}"
            position = parts.position if parts else None
            self._findings.once("own stream", account, what, position=position, minor_units=difference)

    def totals(self) -> tuple[Total, ...]:
        return tuple(Total(currency, *both) for currency, both in sorted(self._turnover.items()))


def _is_available(account: str) -> bool:
    owner, _, bucket = account.partition(":")
    return kind_of(owner) == FREELANCER and bucket == "available"


_PARTS: dict[type[e.Event], tuple[str, Callable[[Any], int]]] = {
    e.PayoutReleased: ("released", lambda event: event.amount),
    e.PayoutReversed: ("reversed", lambda event: event.from_available),
    e.ReversalReinstated: ("won", lambda event: event.to_available),
    e.WithdrawalRequested: ("withdrawn", lambda event: event.amount),
    e.WithdrawalFailed: ("failed", lambda event: event.amount),
}
"""What each event adds to, where it is a freelancer's and not an Employer of Record's."""
_CHANGES_AVAILABLE = {*_PARTS, e.AdjustmentApproved}
_OF_FREELANCER = f"{FREELANCER}_"
