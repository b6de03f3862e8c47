"""What an event leads to on other aggregates, at once and in the same transaction. Pure: (event, its id) -> commands."""

from collections.abc import Callable
from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.commands import Command
from ledger.events import Event
from ledger.rules import RULES, Rules

Origin = dict[str, Any]
"""What a command has of the event that it follows from."""


def consequences(command: Command, event: Event, event_id: str, rules: Rules = RULES) -> list[Command]:
    """The commands that follow from an event that `command` led to; they are true when the event is."""
    follow = _CONSEQUENCES.get(type(event))
    if follow is None:
        return []
    return follow({**command.origin(event_id), "effective_at": event.occurred_at}, event, rules)


def _open_payout(
    origin: Origin, event: e.MilestoneApproved | e.BonusInvoiced | e.PayrollRecorded | e.CycleClosed, _: Rules
) -> list[Command]:
    terms = event.payout
    if terms is None:
        return []
    parties: dict[str, Any] = {
        "contract_id": event.contract_id,
        "client_id": event.client_id,
        "freelancer_id": event.freelancer_id,
    }
    return [c.OpenPayout(**origin, **parties, payout_id=terms.payout_id, terms=terms)]


def _await_method(origin: Origin, event: e.OfferAccepted, _: Rules) -> list[Command]:
    if event.payout_method_on_file:
        return []
    return [c.AwaitPayoutMethod(**origin, freelancer_id=event.freelancer_id, contract_id=event.contract_id)]


def _confirm_method(origin: Origin, event: e.PayoutMethodSet, _: Rules) -> list[Command]:
    return [c.ConfirmPayoutMethod(**origin, contract_id=contract) for contract in event.contracts]


def _charge_overdue(origin: Origin, event: e.BillingMethodSet, _: Rules) -> list[Command]:
    return [c.RequestCharge(**origin, payout_id=one, because="billing_method") for one in event.overdue]


def _charged(origin: Origin, event: e.PayoutCharged, _: Rules) -> list[Command]:
    settled: list[Command] = [c.ResumeContract(**origin, contract_id=event.contract_id)]
    if event.attempt > 1:
        settled.append(c.NotePaymentSettled(**origin, client_id=event.client_id, payout_id=event.payout_id))
    return settled


def _failed(origin: Origin, event: e.ChargeFailed, rules: Rules) -> list[Command]:
    failed: list[Command] = []
    if event.attempt == 1:
        failed.append(c.NotePaymentOverdue(**origin, client_id=event.client_id, payout_id=event.payout_id))
    if event.attempt == rules.suspending_failure:
        failed.append(c.SuspendContract(**origin, contract_id=event.contract_id, payout_id=event.payout_id))
    return failed


def _released(origin: Origin, event: e.PayoutReleased, _: Rules) -> list[Command]:
    return [c.ReleaseFunds(**_money(origin, event), amount=event.amount)] if _is_freelancers(event) else []


def _reversed(origin: Origin, event: e.PayoutReversed, _: Rules) -> list[Command]:
    if not (event.from_available and _is_freelancers(event)):
        return []
    return [c.ReverseFunds(**_money(origin, event), amount=event.from_available, reversal_id=event.reversal_id)]


def _reinstated(origin: Origin, event: e.ReversalReinstated, _: Rules) -> list[Command]:
    if not (event.to_available and _is_freelancers(event)):
        return []
    return [c.ReinstateFunds(**_money(origin, event), amount=event.to_available, reversal_id=event.reversal_id)]


def _is_freelancers(event: e.PayoutEvent) -> bool:
    """Whether the payee is the freelancer, and not their Employer of Record, who has no stream of available money."""
    return event.payee == event.freelancer_id


def _money(origin: Origin, event: e.PayoutEvent) -> dict[str, Any]:
    """Whose available money is moved, and which payout's it is."""
    return {
        **origin,
        "freelancer_id": event.freelancer_id,
        "payout_id": event.payout_id,
        "contract_id": event.contract_id,
        "currency": event.currency,
    }


def _adjust(origin: Origin, event: e.AdjustmentApproved, _: Rules) -> list[Command]:
    """What an adjustment does to available money, the freelancer's own stream has to know."""
    adjusted: list[Command] = []
    for posting in event.postings:
        owner, _colon, bucket = posting.account.partition(":")
        if owner.startswith("fre_") and bucket == "available":
            moved: dict[str, Any] = {"amount": posting.amount, "currency": posting.currency}
            who: dict[str, Any] = {"freelancer_id": owner, "adjustment_id": event.adjustment_id}
            adjusted.append(c.AdjustFunds(**origin, **who, direction=posting.direction, **moved))
    return adjusted


_CONSEQUENCES: dict[type[Event], Callable[[Origin, Any, Rules], list[Command]]] = {
    e.MilestoneApproved: _open_payout,
    e.BonusInvoiced: _open_payout,
    e.PayrollRecorded: _open_payout,
    e.CycleClosed: _open_payout,
    e.OfferAccepted: _await_method,
    e.PayoutMethodSet: _confirm_method,
    e.BillingMethodSet: _charge_overdue,
    e.PayoutCharged: _charged,
    e.ChargeFailed: _failed,
    e.PayoutReleased: _released,
    e.PayoutReversed: _reversed,
    e.ReversalReinstated: _reinstated,
    e.AdjustmentApproved: _adjust,
}
"""By the class of the event. From one that is not here nothing follows."""
