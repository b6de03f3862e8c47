"""What an event leads to on other aggregates, at once and in the same transaction. Pure: (event, its id) -> commands."""

from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.commands import Command
from ledger.events import Event
from ledger.rules import RULES, Rules


def consequences(command: Command, event: Event, event_id: str, rules: Rules = RULES) -> list[Command]:
    """The commands that follow from an event that `command` led to; they are true when the event is."""
    origin = {**command.origin(event_id), "effective_at": event.occurred_at}
    match event:
        case e.MilestoneApproved() | e.BonusInvoiced() | e.PayrollRecorded() | e.CycleClosed():
            return _open_payout(origin, event)
        case e.OfferAccepted(payout_method_on_file=False):
            who = event.freelancer_id
            return [c.AwaitPayoutMethod(**origin, freelancer_id=who, contract_id=event.contract_id)]
        case e.PayoutMethodSet():
            return [c.ConfirmPayoutMethod(**origin, contract_id=contract) for contract in event.contracts]
        case e.BillingMethodSet():
            return [c.RequestCharge(**origin, payout_id=one, because="billing_method") for one in event.overdue]
        case e.PayoutEvent():
            return _of_payout(origin, event, rules)
        case e.AdjustmentApproved():
            return _adjust(origin, event)
    return []


def _open_payout(
    origin: dict[str, Any], event: e.MilestoneApproved | e.BonusInvoiced | e.PayrollRecorded | e.CycleClosed
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


def _of_payout(origin: dict[str, Any], event: e.PayoutEvent, rules: Rules) -> list[Command]:
    match event:
        case e.ChargeFailed():
            return _failed(origin, event, rules)
        case e.PayoutCharged():
            settled: list[Command] = [c.ResumeContract(**origin, contract_id=event.contract_id)]
            if event.attempt > 1:
                settled.append(c.NotePaymentSettled(**origin, client_id=event.client_id, payout_id=event.payout_id))
            return settled
    if event.payee != event.freelancer_id:
        return []
    match event:
        case e.PayoutReleased():
            return [c.ReleaseFunds(**_money(origin, event), amount=event.amount)]
        case e.PayoutReversed() if event.from_available:
            money = _money(origin, event)
            return [c.ReverseFunds(**money, amount=event.from_available, reversal_id=event.reversal_id)]
        case e.ReversalReinstated() if event.to_available:
            money = _money(origin, event)
            return [c.ReinstateFunds(**money, amount=event.to_available, reversal_id=event.reversal_id)]
    return []


def _money(origin: dict[str, Any], event: e.PayoutEvent) -> dict[str, Any]:
    """Whose available money is moved, and which payout's it is."""
    return {
        **origin,
        "freelancer_id": event.freelancer_id,
        "payout_id": event.payout_id,
        "contract_id": event.contract_id,
        "currency": event.currency,
    }


def _failed(origin: dict[str, Any], event: e.ChargeFailed, rules: Rules) -> list[Command]:
    failed: list[Command] = []
    if event.attempt == 1:
        failed.append(c.NotePaymentOverdue(**origin, client_id=event.client_id, payout_id=event.payout_id))
    if event.attempt == rules.suspending_failure:
        failed.append(c.SuspendContract(**origin, contract_id=event.contract_id, payout_id=event.payout_id))
    return failed


def _adjust(origin: dict[str, Any], event: e.AdjustmentApproved) -> list[Command]:
    """What an adjustment does to available money, the freelancer's own stream has to know."""
    adjusted: list[Command] = []
    for posting in event.postings:
        owner, _, bucket = posting.account.partition(":")
        if owner.startswith("fre_") and bucket == "available":
            moved: dict[str, Any] = {"amount": posting.amount, "currency": posting.currency}
            who: dict[str, Any] = {"freelancer_id": owner, "adjustment_id": event.adjustment_id}
            adjusted.append(c.AdjustFunds(**origin, **who, direction=posting.direction, **moved))
    return adjusted
