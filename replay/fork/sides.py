"""Two histories side by side: each payout, each account, and what the outside world was asked. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from ledger import events as e
from ledger.aggregates import payout
from ledger.aggregates.payout import Payout
from ledger.policies.unit import NewEvent
from ledger.postings import entries
from replay.fork.forking import Forked


@dataclass(frozen=True)
class PayoutSide:
    """`amount` in minor units: charged, or to be charged, less reductions and reversals."""

    status: str
    amount: int
    currency: str
    due_at: datetime
    charged_at: datetime | None
    available_on: datetime | None
    released_at: datetime | None


@dataclass(frozen=True)
class PayoutChange:
    """A payout as it is and as it would have been; null where there is none."""

    payout_id: str
    contract_id: str
    freelancer_id: str
    source: str
    changed: bool
    old: PayoutSide | None
    new: PayoutSide | None


@dataclass(frozen=True)
class AccountChange:
    """Balances in minor units, credits less debits; null where not all that moved the account was forked."""

    account: str
    currency: str
    old: int | None
    new: int | None
    difference: int


@dataclass(frozen=True)
class Ask:
    """What the outside world was, or would have been, asked for, and what it said. `ended_at` is when that was true.

    `method`: the billing method that is charged, by its vault id; null of anything but a charge.
    """

    amount: int
    currency: str
    method: str | None
    at: datetime
    outcome: str
    ended_at: datetime | None


@dataclass(frozen=True)
class Captured:
    """A charge, withdrawal or refund that is not as it was: nothing of it was sent. `assumed`: history knows no answer to it."""

    kind: Literal["charge", "withdrawal", "refund"]
    key: str
    subject: str
    old: Ask | None
    new: Ask | None
    assumed: bool


def payout_changes(old: Iterable[NewEvent], new: Iterable[NewEvent]) -> list[PayoutChange]:
    """Every payout of either, the one that was due first before the others."""
    before, after = _folded(old), _folded(new)
    changes = []
    for identifier in sorted(before.keys() | after.keys(), key=lambda one: _order(before.get(one) or after[one])):
        sides = _side(before.get(identifier)), _side(after.get(identifier))
        one = before.get(identifier) or after[identifier]
        about = (identifier, one.contract_id, one.freelancer_id, one.source.type)
        changes.append(PayoutChange(*about, sides[0] != sides[1], *sides))
    return changes


def _folded(events: Iterable[NewEvent]) -> dict[str, Payout]:
    states: dict[str, Payout] = {}
    for new in events:
        if isinstance(new.event, e.PayoutEvent):
            states[new.stream] = payout.evolve(states.get(new.stream), new.event)
    return states


def _order(one: Payout) -> tuple[Any, ...]:
    return one.due_at, one.contract_id, one.id


def _side(one: Payout | None) -> PayoutSide | None:
    if one is None:
        return None
    times = (one.due_at, one.charged_at, one.available_on, one.released_at)
    return PayoutSide(one.status, one.amount, one.currency, *times)


def account_changes(
    old: Iterable[NewEvent], new: Iterable[NewEvent], complete: frozenset[str] | None
) -> tuple[AccountChange, ...]:
    """Those that differ. `complete`: whose accounts these events hold all movements of; None is everybody's."""
    before, after = _balances(old), _balances(new)
    changes = []
    for account, currency in sorted(before.keys() | after.keys()):
        was, would_be = (balances.get((account, currency), 0) for balances in (before, after))
        if was != would_be:
            owner = account.partition(":")[0]
            whole = complete is None or owner in complete
            old_balance, new_balance = (was, would_be) if whole else (None, None)
            changes.append(AccountChange(account, currency, old_balance, new_balance, would_be - was))
    return tuple(changes)


def _balances(events: Iterable[NewEvent]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for new in events:
        for entry in entries(new.event):
            key = entry.account, entry.currency
            found[key] = found.get(key, 0) + entry.credit
    return found


# What would have been asked


def captured(old: Iterable[NewEvent], new: Forked) -> tuple[Captured, ...]:
    """The charges, withdrawals and refunds that are not the same on both sides, in the order of their time."""
    before, after = _asks(old), _asks(new.events)
    found = [
        Captured(kind, key, subject, before.get(one), after.get(one), key in new.assumed)
        for one in before.keys() | after.keys()
        for kind, key, subject in (one,)
        if before.get(one) != after.get(one)
    ]
    return tuple(sorted(found, key=_asked_at))


def _asked_at(one: Captured) -> tuple[datetime, str, str]:
    ask = one.new or one.old
    assert ask is not None, "it is on one side at least"
    return ask.at, one.kind, one.key


_Asked = tuple[Literal["charge", "withdrawal", "refund"], str, str]


def _asks(events: Iterable[NewEvent]) -> dict[_Asked, Ask]:
    found: dict[_Asked, Ask] = {}
    for new in events:
        match new.event:
            case e.ChargeRequested() as event:
                asked = Ask(event.amount, event.currency, event.method.id, event.occurred_at, "in flight", None)
                found["charge", event.key, event.payout_id] = asked
            case e.PayoutCharged() as event:
                _end(found, ("charge", f"{event.payout_id}:{event.attempt}", event.payout_id), "charged", event)
            case e.ChargeFailed() as event:
                _end(found, ("charge", f"{event.payout_id}:{event.attempt}", event.payout_id), event.failure, event)
            case e.WithdrawalRequested() as event:
                asked = Ask(event.amount, event.currency, None, event.occurred_at, "in transit", None)
                found["withdrawal", event.withdrawal_id, event.freelancer_id] = asked
            case e.WithdrawalPaid() as event:
                _end(found, ("withdrawal", event.withdrawal_id, event.freelancer_id), "paid", event)
            case e.WithdrawalFailed() as event:
                _end(found, ("withdrawal", event.withdrawal_id, event.freelancer_id), event.failure, event)
            case e.PayoutReduced() as event:
                asked = Ask(event.returned, event.currency, None, event.occurred_at, "not sent yet", None)
                found["refund", event.refund_id, event.payout_id] = asked
            case e.PayoutReversed(reason="refund") as event:
                amount = event.from_pending + event.from_available
                asked = Ask(amount, event.currency, None, event.occurred_at, "not sent yet", None)
                found["refund", event.reversal_id, event.payout_id] = asked
            case e.RefundPaid() as event:
                _end(found, ("refund", event.refund_id, event.payout_id), "sent", event)
    return found


def _end(found: dict[_Asked, Ask], asked: _Asked, outcome: str, event: e.Event) -> None:
    """A failure for want of a billing method was never asked."""
    if asked in found:
        found[asked] = replace(found[asked], outcome=outcome, ended_at=event.occurred_at)
