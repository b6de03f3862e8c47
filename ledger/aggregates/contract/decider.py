"""Which decision answers which command of a contract, and what it reads besides."""

from collections.abc import Mapping
from typing import Any

from ledger import commands as c
from ledger.aggregates.contract import billing, hours, milestones, offer
from ledger.aggregates.contract.state import Contract
from ledger.commands import Command
from ledger.errors import NotFound
from ledger.events import Event
from ledger.rules import RULES, Rules


def reads(state: Contract | None, command: Command) -> tuple[str, ...]:
    """The other streams that the decision reads."""
    if isinstance(command, c.OfferContract):
        return (command.client_id,)
    if state is not None and isinstance(command, c.AcceptOffer):
        return (state.freelancer_id,)
    if state is not None and isinstance(command, c.ResumeContract) and state.status == "suspended":
        return state.payouts
    return ()


def decide(state: Contract | None, command: Command, others: Mapping[str, Any], rules: Rules = RULES) -> list[Event]:
    """The events of a command; nothing for what has happened already, so that twice is once."""
    if isinstance(command, c.OfferContract):
        return [] if state is not None else offer.offer(command, others)
    if state is None:
        raise NotFound(f"contract {command.stream}")
    match command:
        case c.MilestoneCommand() | c.AddMilestone():
            return _decide_milestone(state, command, rules)
        case c.AcceptOffer() | c.DeclineOffer() | c.WithdrawOffer():
            return offer.answer_offer(state, command, others, rules)
        case c.ConfirmPayoutMethod():
            return offer.confirm_payout_method(state, command, rules)
        case c.AnswerQuestionnaire():
            return offer.answer_questionnaire(state, command)
        case c.RecommendClassification():
            return offer.recommend(state, command)
        case c.DecideClassification():
            return offer.decide_classification(state, command, rules)
        case c.SetEmployerOfRecord():
            return offer.set_employer_of_record(state, command, rules)
        case c.CompleteContract():
            return offer.complete(state, command, rules)
        case c.SuspendContract():
            return offer.suspend(state, command, rules)
        case c.ResumeContract():
            return offer.resume(state, command, others, rules)
        case c.LogTime():
            return hours.log(state, command, rules)
        case c.CorrectTime():
            return hours.correct(state, command, rules)
        case c.RemoveTime():
            return hours.remove(state, command, rules)
        case c.GrantBonus():
            return billing.grant_bonus(state, command, rules)
        case c.RecordPayroll():
            return billing.record_payroll(state, command)
        case c.CloseContract():
            return billing.close(state, command, rules)
        case c.NoteNotification():
            return offer.note_notification(state, command)
    raise TypeError(f"a contract does not decide {type(command).__name__}")


def _decide_milestone(state: Contract, command: c.MilestoneCommand | c.AddMilestone, rules: Rules) -> list[Event]:
    match command:
        case c.AddMilestone():
            return milestones.add(state, command)
        case c.ApproveMilestoneRequest() | c.DeclineMilestoneRequest():
            return milestones.answer_request(state, command)
        case c.ActivateMilestone():
            return milestones.activate(state, command)
        case c.SubmitMilestone():
            return milestones.submit(state, command, rules)
        case c.ApproveMilestone() | c.RequestChanges():
            return milestones.review(state, command)
        case c.LapseReview():
            return milestones.lapse(state, command)
    raise TypeError(f"a contract does not decide {type(command).__name__}")
