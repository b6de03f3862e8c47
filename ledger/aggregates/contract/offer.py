"""Deciding about the offer, the classification, the Employer of Record and the end of a contract (rules 1 to 5)."""

from collections.abc import Mapping
from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.aggregates.client import has_conversion
from ledger.aggregates.contract.guards import add_closing, draft, own, require
from ledger.aggregates.contract.state import Contract
from ledger.aggregates.draft import Draft
from ledger.calendar import week_of
from ledger.commands import Command
from ledger.errors import Refused
from ledger.events import Event
from ledger.rules import Rules


def offer(command: c.OfferContract, others: Mapping[str, Any]) -> list[Event]:
    """Refuses with `conversion_required` (rule 2)."""
    if command.sourcing == "marketplace":
        client = others[command.client_id]
        if client is None or not has_conversion(client, command.conversion_id, command.freelancer_id):
            detail = "this freelancer was met on the platform: have an operator record the conversion and name its id"
            raise Refused("conversion_required", detail)
    return [
        e.ContractOffered(
            **command.stamp(),
            contract_id=command.contract_id,
            client_id=command.client_id,
            freelancer_id=command.freelancer_id,
            freelancer_email=command.freelancer_email,
            title=command.title,
            kind=command.kind,
            cadence=command.cadence,
            currency=command.currency,
            hourly_rate=command.hourly_rate,
            weekly_limit_minutes=command.weekly_limit_minutes,
            rate=command.rate,
            milestones=command.milestones,
            sourcing=command.sourcing,
            conversion_id=command.conversion_id,
            classification_by=command.classification_by,
            outcome=command.outcome,
        )
    ]


def answer_offer(
    state: Contract, command: c.AcceptOffer | c.DeclineOffer | c.WithdrawOffer, others: Mapping[str, Any], rules: Rules
) -> list[Event]:
    """Refuses with `already_decided`."""
    if state.status != "invited":
        raise Refused("already_decided", f"the offer has been answered: the contract is {state.status}")
    mine = own(state, command)
    match command:
        case c.DeclineOffer():
            return [e.OfferDeclined(**mine, reason=command.reason)]
        case c.WithdrawOffer():
            return [e.OfferWithdrawn(**mine, reason=command.reason)]
    freelancer = others[state.freelancer_id]
    accepted = draft(state)
    accepted.add(
        e.OfferAccepted(**mine, payout_method_on_file=freelancer is not None and freelancer.method is not None)
    )
    return _activate_when_ready(accepted, command, rules)


def confirm_payout_method(state: Contract, command: c.ConfirmPayoutMethod, rules: Rules) -> list[Event]:
    if state.payout_method_on_file:
        return []
    confirmed = draft(state)
    confirmed.add(e.PayoutMethodConfirmed(**own(state, command)))
    return _activate_when_ready(confirmed, command, rules)


def _activate_when_ready(events: Draft[Contract], command: Command, rules: Rules) -> list[Event]:
    state = events.state
    if state.ready:
        add_closing(events, e.ContractActivated(**own(state, command), anchor=week_of(command.at)), rules)
    return events.events


def note_notification(state: Contract, command: c.NoteNotification) -> list[Event]:
    """Nothing when it was noted already, or tells of an event that another has overtaken: that one is still to be told."""
    if state.untold.get(command.kind) != command.about:
        return []
    return [e.NotificationSent(**own(state, command), kind=command.kind, about=command.about)]


# Classification


def _require_unclassified(state: Contract) -> None:
    if state.status in ("declined", "withdrawn"):
        raise Refused("contract_not_active", f"the offer was {state.status}")
    if state.outcome is not None:
        raise Refused("already_decided", f"the freelancer has been classified as {state.outcome}: the outcome stands")


def answer_questionnaire(state: Contract, command: c.AnswerQuestionnaire) -> list[Event]:
    """Refuses with `already_decided`."""
    _require_unclassified(state)
    return [e.QuestionnaireAnswered(**own(state, command), answers=command.answers)]


def recommend(state: Contract, command: c.RecommendClassification) -> list[Event]:
    """Refuses with `already_decided`, and with `classification_required` before the questionnaire is answered."""
    _require_unclassified(state)
    if state.questionnaire is None:
        raise Refused("classification_required", "the freelancer has not answered the questionnaire yet")
    return [e.ClassificationRecommended(**own(state, command), outcome=command.outcome, reasons=command.reasons)]


def decide_classification(state: Contract, command: c.DecideClassification, rules: Rules) -> list[Event]:
    """Refuses with `already_decided`, and with `classification_required` before the recommendation."""
    _require_unclassified(state)
    if state.recommendation is None:
        raise Refused("classification_required", "the recommendation that was asked for is not there yet")
    decided = draft(state)
    decided.add(e.ClassificationDecided(**own(state, command), outcome=command.outcome))
    return _activate_when_ready(decided, command, rules)


# Employer of Record


def set_employer_of_record(state: Contract, command: c.SetEmployerOfRecord, rules: Rules) -> list[Event]:
    """Refuses with `contract_not_active`, `already_decided` (a contractor), `classification_required`.

    What is set already is not set again, so that nobody is told of it twice (rule 4).
    """
    if state.status in ("declined", "withdrawn", "completed"):
        raise Refused("contract_not_active", f"the contract is {state.status}")
    if state.outcome == "independent_contractor":
        raise Refused("already_decided", "the freelancer is an independent contractor: there is no employer of record")
    if state.outcome is None:
        raise Refused("classification_required", "the freelancer has not been classified as an employee")
    if state.eor and (state.eor.id, state.eor.pay_schedule) == (command.eor_id, command.pay_schedule):
        return []
    assigned = draft(state)
    name, schedule = command.name, command.pay_schedule
    assigned.add(e.EmployerOfRecordSet(**own(state, command), eor_id=command.eor_id, name=name, pay_schedule=schedule))
    return _activate_when_ready(assigned, command, rules)


# Status


def complete(state: Contract, command: c.CompleteContract, rules: Rules) -> list[Event]:
    require(state, "active", "suspended")
    completed = draft(state)
    add_closing(completed, e.ContractCompleted(**own(state, command), reason=command.reason), rules)
    return completed.events


def suspend(state: Contract, command: c.SuspendContract, rules: Rules) -> list[Event]:
    """Only an active contract is ever suspended (rule 24)."""
    if state.status != "active":
        return []
    suspended = draft(state)
    add_closing(suspended, e.ContractSuspended(**own(state, command), payout_id=command.payout_id), rules)
    return suspended.events


def resume(state: Contract, command: c.ResumeContract, others: Mapping[str, Any], rules: Rules) -> list[Event]:
    """A suspended contract resumes when none of its payouts is due or failed (rule 24).

    That is when the last of them was charged, which need not be the one whose outcome was reported last.
    """
    if state.status != "suspended":
        return []
    payouts = [others[payout] for payout in state.payouts]
    if any(payout.status in ("due", "charge_failed") for payout in payouts):
        return []
    instants = [command.at, *(payout.charged_at for payout in payouts), *(span.end for span in state.spans)]
    resumed = draft(state)
    mine = {**own(state, command), "occurred_at": max(instant for instant in instants if instant is not None)}
    add_closing(resumed, e.ContractResumed(**mine), rules)
    return resumed.events
