"""The freelancer: what they can withdraw, and their withdrawals (rules 1, 25, 26, 27).

What is available is decided here and nowhere else: a release, a reversal and an adjustment are appended to this
stream in the transaction of what they follow from.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ledger import commands as c
from ledger import events as e
from ledger.aggregates.steps import Changes, Steps, follow
from ledger.commands import Command
from ledger.errors import NotFound, Refused
from ledger.events import Event


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    amount: int
    currency: str
    method: str
    status: Literal["in_transit", "paid", "failed"] = "in_transit"
    requested_at: datetime
    submitted: bool = False
    settles_at: datetime | None = None
    ended_at: datetime | None = None
    failure: str | None = None


class Freelancer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    version: int
    name: str
    email: str
    method: str | None = None
    method_sha256: str | None = None
    awaiting: tuple[str, ...] = ()
    """Accepted contracts that wait for a payout method."""
    available: dict[str, int] = {}
    """Minor units by currency; may be negative after a reversal."""
    withdrawals: tuple[Withdrawal, ...] = ()
    erased_at: datetime | None = None


def withdrawal_of(state: Freelancer, withdrawal_id: str) -> Withdrawal:
    """Raises NotFound."""
    for withdrawal in state.withdrawals:
        if withdrawal.id == withdrawal_id:
            return withdrawal
    raise NotFound(f"withdrawal {withdrawal_id}")


def evolve(state: Freelancer | None, event: Event) -> Freelancer:
    if isinstance(event, e.FreelancerRegistered):
        return Freelancer(id=event.freelancer_id, version=1, name=event.name.id, email=event.email.id)
    return follow(state, event, _STEPS, "freelancer")


def _method(_: Freelancer, event: e.PayoutMethodSet) -> Changes:
    return {"method": event.method.id, "method_sha256": event.method.sha256, "awaiting": ()}


def _erased(_: Freelancer, event: e.FreelancerErased) -> Changes:
    return {"method": None, "method_sha256": None, "erased_at": event.occurred_at}


def _awaited(state: Freelancer, event: e.PayoutMethodAwaited) -> Changes:
    return {"awaiting": (*state.awaiting, event.contract_id)}


def _credit(state: Freelancer, currency: str, amount: int) -> Changes:
    return {"available": {**state.available, currency: state.available.get(currency, 0) + amount}}


def _credited(state: Freelancer, event: e.FundsReleased | e.FundsReinstated) -> Changes:
    return _credit(state, event.currency, event.amount)


def _reversed(state: Freelancer, event: e.FundsReversed) -> Changes:
    return _credit(state, event.currency, -event.amount)


def _adjusted(state: Freelancer, event: e.FundsAdjusted) -> Changes:
    return _credit(state, event.currency, event.amount if event.direction == "credit" else -event.amount)


def _requested(state: Freelancer, event: e.WithdrawalRequested) -> Changes:
    new = Withdrawal(
        id=event.withdrawal_id,
        amount=event.amount,
        currency=event.currency,
        method=event.method.id,
        requested_at=event.occurred_at,
    )
    return {**_credit(state, event.currency, -event.amount), "withdrawals": (*state.withdrawals, new)}


def _submitted(state: Freelancer, event: e.WithdrawalSubmitted) -> Changes:
    return _with(state, event.withdrawal_id, submitted=True, settles_at=event.settles_at)


def _paid(state: Freelancer, event: e.WithdrawalPaid) -> Changes:
    return _with(state, event.withdrawal_id, status="paid", ended_at=event.occurred_at)


def _failed(state: Freelancer, event: e.WithdrawalFailed) -> Changes:
    failed = _with(state, event.withdrawal_id, status="failed", ended_at=event.occurred_at, failure=event.failure)
    return {**_credit(state, event.currency, event.amount), **failed}


def _with(state: Freelancer, withdrawal_id: str, **changes: Any) -> Changes:
    """One withdrawal changed. Raises NotFound."""
    now = replace(withdrawal_of(state, withdrawal_id), **changes)
    return {"withdrawals": tuple(now if one.id == now.id else one for one in state.withdrawals)}


_STEPS: Steps = {
    e.PayoutMethodSet: _method,
    e.FreelancerErased: _erased,
    e.PayoutMethodAwaited: _awaited,
    e.FundsReleased: _credited,
    e.FundsReinstated: _credited,
    e.FundsReversed: _reversed,
    e.FundsAdjusted: _adjusted,
    e.WithdrawalRequested: _requested,
    e.WithdrawalSubmitted: _submitted,
    e.WithdrawalPaid: _paid,
    e.WithdrawalFailed: _failed,
}


def decide(state: Freelancer | None, command: Command) -> list[Event]:
    """Refuses with `email_taken`, `payout_method_required`, `insufficient_funds`; NotFound before registration."""
    if isinstance(command, c.RegisterFreelancer):
        if state is not None:
            raise Refused("email_taken", "a freelancer with this e-mail address is registered already: use its account")
        who: dict[str, Any] = {"freelancer_id": command.freelancer_id, "name": command.name, "email": command.email}
        return [e.FreelancerRegistered(**command.stamp(), **who)]
    if state is None:
        raise NotFound(f"freelancer {command.stream}")
    own = {**command.stamp(), "freelancer_id": state.id}
    match command:
        case c.SetPayoutMethod():
            return [e.PayoutMethodSet(**own, method=command.method, contracts=state.awaiting)]
        case c.EraseFreelancer():
            return [] if state.erased_at else [e.FreelancerErased(**own)]
        case c.AwaitPayoutMethod():
            needless = state.method is not None or command.contract_id in state.awaiting
            return [] if needless else [e.PayoutMethodAwaited(**own, contract_id=command.contract_id)]
        case c.ReleaseFunds():
            return [_funds(own, command)]
        case c.AdjustFunds():
            own |= {"amount": command.amount, "currency": command.currency}
            return [e.FundsAdjusted(**own, adjustment_id=command.adjustment_id, direction=command.direction)]
        case c.RequestWithdrawal():
            return [_request(state, command, own)]
        case c.RecordTransfer():
            return _record(state, command, own)
    raise TypeError(f"a freelancer does not decide {type(command).__name__}")


def _funds(own: dict[str, Any], command: c.ReleaseFunds) -> Event:
    moved: dict[str, Any] = {
        "payout_id": command.payout_id,
        "contract_id": command.contract_id,
        "amount": command.amount,
        "currency": command.currency,
    }
    match command:
        case c.ReverseFunds():
            return e.FundsReversed(**own, **moved, reversal_id=command.reversal_id)
        case c.ReinstateFunds():
            return e.FundsReinstated(**own, **moved, reversal_id=command.reversal_id)
    return e.FundsReleased(**own, **moved)


def _request(state: Freelancer, command: c.RequestWithdrawal, own: dict[str, Any]) -> Event:
    if state.method is None or state.method_sha256 is None:
        raise Refused("payout_method_required", "there is nowhere to send the money: set a payout method first")
    available = state.available.get(command.currency, 0)
    if command.amount > available:
        asked = f"{command.amount} minor units of {command.currency} were asked for"
        raise Refused("insufficient_funds", f"{asked} and {available} are available: ask for that at most")
    return e.WithdrawalRequested(
        **own,
        withdrawal_id=command.withdrawal_id,
        amount=command.amount,
        currency=command.currency,
        method=e.Sealed(id=state.method, sha256=state.method_sha256),
    )


def _record(state: Freelancer, command: c.RecordTransfer, own: dict[str, Any]) -> list[Event]:
    known = withdrawal_of(state, command.withdrawal_id)
    if known.status != "in_transit":
        return []
    own = {**own, "withdrawal_id": known.id, "amount": known.amount, "currency": known.currency}
    match command.outcome:
        case "paid":
            return [e.WithdrawalPaid(**own)]
        case "failed":
            return [e.WithdrawalFailed(**own, failure=command.failure or "unknown")]
        case "submitted":
            if command.settles_at is None:
                raise TypeError("a submitted transfer says when it settles")
            if known.settles_at == command.settles_at:
                return []
            return [e.WithdrawalSubmitted(**own, settles_at=command.settles_at)]
