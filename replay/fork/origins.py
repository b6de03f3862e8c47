"""Where an event comes from: what was put into history, or what that came to (docs/decisions/0008-what-if.md). Pure.

An event is one of four things, by its class and, for an attempt to charge, by what caused it:

- a *wish*: somebody sent a command and this is what it led to, so it is turned back into that command;
- a *fact*: the outside world said so (charged, declined, paid out, sent back, mailed), turned into the command that recorded it;
- *due*: a deadline came (a close, a lapse, a retry, a release), so it is found again from the deadline, never repeated;
- a *consequence*: it follows from another event in the same transaction, or rides along with one, and follows again.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import asdict

from ledger import commands as c
from ledger import events as e
from ledger.commands import Command
from ledger.events import Event
from ledger.policies.deadlines import ASK, CHARGE, CLOSE, LAPSE, NOTIFY, REFUND, RELEASE, TRANSFER

WISHES: Mapping[type[Event], type[Command]] = {
    e.ClientRegistered: c.RegisterClient,
    e.BillingMethodSet: c.SetBillingMethod,
    e.ConversionRecorded: c.RecordConversion,
    e.ClientErased: c.EraseClient,
    e.FreelancerRegistered: c.RegisterFreelancer,
    e.PayoutMethodSet: c.SetPayoutMethod,
    e.FreelancerErased: c.EraseFreelancer,
    e.WithdrawalRequested: c.RequestWithdrawal,
    e.ContractOffered: c.OfferContract,
    e.OfferAccepted: c.AcceptOffer,
    e.OfferDeclined: c.DeclineOffer,
    e.OfferWithdrawn: c.WithdrawOffer,
    e.QuestionnaireAnswered: c.AnswerQuestionnaire,
    e.ClassificationRecommended: c.RecommendClassification,
    e.ClassificationDecided: c.DecideClassification,
    e.EmployerOfRecordSet: c.SetEmployerOfRecord,
    e.ContractCompleted: c.CompleteContract,
    e.MilestoneAdded: c.AddMilestone,
    e.MilestoneRequestApproved: c.ApproveMilestoneRequest,
    e.MilestoneRequestDeclined: c.DeclineMilestoneRequest,
    e.MilestoneActivated: c.ActivateMilestone,
    e.MilestoneSubmitted: c.SubmitMilestone,
    e.ChangesRequested: c.RequestChanges,
    e.MilestoneApproved: c.ApproveMilestone,
    e.TimeLogged: c.LogTime,
    e.TimeCorrected: c.CorrectTime,
    e.TimeRemoved: c.RemoveTime,
    e.BonusGranted: c.GrantBonus,
    e.PayrollRecorded: c.RecordPayroll,
    e.ChargeRequested: c.RequestCharge,
    e.ObjectionRaised: c.RaiseObjection,
    e.ObjectionWithdrawn: c.WithdrawObjection,
    e.PayoutReduced: c.ReducePayout,
    e.PayoutReversed: c.ReversePayout,
    e.ReversalReinstated: c.ReinstateReversal,
    e.AdjustmentProposed: c.ProposeAdjustment,
    e.AdjustmentApproved: c.ApproveAdjustment,
}
"""By the event that a command leads to first. A silent approval is no wish, nor is an attempt that is due or follows."""

FACTS: Mapping[type[Event], tuple[type[Command], str]] = {
    e.PayoutCharged: (c.RecordCharge, ASK),
    e.ChargeFailed: (c.RecordCharge, ASK),
    e.WithdrawalSubmitted: (c.RecordTransfer, TRANSFER),
    e.WithdrawalPaid: (c.RecordTransfer, TRANSFER),
    e.WithdrawalFailed: (c.RecordTransfer, TRANSFER),
    e.RefundPaid: (c.RecordRefund, REFUND),
    e.NotificationSent: (c.NoteNotification, NOTIFY),
}
"""With the deadline at which the outside world is asked. A charge that fails for want of a billing method is no fact."""

DUE: Mapping[type[Event], str] = {
    e.TimesheetLocked: CLOSE,
    e.CycleClosed: CLOSE,
    e.BonusInvoiced: CLOSE,
    e.MilestoneApproved: LAPSE,
    e.ChargeRequested: CHARGE,
    e.ChargeFailed: CHARGE,
    e.HoldElapsed: RELEASE,
    e.PayoutReleased: RELEASE,
}
"""With the deadline that led to it."""

_STAMP = frozenset(Command.__struct_fields__)
_COMPUTED: Mapping[type[Event], Callable[[Any], dict[str, Any]]] = {
    e.PayrollRecorded: lambda event: {"amount": event.payout.amount},
    e.PayoutReversed: lambda event: {"amount": event.from_pending + event.from_available},
    e.AdjustmentProposed: lambda event: {"stated_at": event.effective_at},
    e.ChargeRequested: lambda event: {"because": _because(event)},
    e.ChargeFailed: lambda event: {"because": _because(event)},
    e.WithdrawalSubmitted: lambda _: {"outcome": "submitted"},
    e.WithdrawalPaid: lambda _: {"outcome": "paid"},
    e.WithdrawalFailed: lambda _: {"outcome": "failed"},
}


def _because(event: e.ChargeRequested | e.ChargeFailed) -> str:
    """An operator tries a failed charge again; the first attempt they only bring forward."""
    return "operator" if event.attempt > 1 else "schedule"


def command_of(event: Event, kind: type[Command]) -> Command:
    """The command of that kind that led to the event: at the time when it was recorded, true when the event is."""
    known = asdict(event)
    known = {**known, **_COMPUTED.get(type(event), lambda _: {})(event)}
    names = [name for name in kind.__struct_fields__ if name not in _STAMP and name in known]
    stated = isinstance(event, e.AdjustmentApproved)  # the stated instant is the proposal's
    return kind(
        command_id=event.command_id,
        actor=event.actor,
        now=event.recorded_at,
        effective_at=None if stated or event.occurred_at == event.recorded_at else event.occurred_at,
        cause_id=event.cause_id,
        **{name: known[name] for name in names},
    )


def item_of(event: Event) -> str:
    """The item of the deadline that the event answers to."""
    match event:
        case e.MilestoneApproved():
            return event.milestone_id
        case e.WithdrawalEvent():
            return event.withdrawal_id
        case e.RefundPaid():
            return event.refund_id
        case e.NotificationSent():
            return event.kind
    return ""
