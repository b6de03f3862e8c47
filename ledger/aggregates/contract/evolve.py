"""What each event makes of a contract. Deadlines and amounts are read from the event, never computed again."""

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ledger import events as e
from ledger.aggregates.contract.state import (
    Bonus,
    Contract,
    EmployerOfRecord,
    Milestone,
    MilestoneStatus,
    Span,
    TimeEntry,
    Timesheet,
    milestone_of,
)
from ledger.aggregates.steps import Changes, Steps, follow
from ledger.calendar import midnight, week_of
from ledger.events import Event
from ledger.ids import event_id


def evolve(state: Contract | None, event: Event) -> Contract:
    if isinstance(event, e.ContractOffered):
        return _offered(event)
    closing = {"next_close": event.next_close} if isinstance(event, e.ClosingContractEvent) else {}
    return follow(state, event, _STEPS, "contract", **closing)


def _offered(event: e.ContractOffered) -> Contract:
    first: MilestoneStatus = "active" if event.kind == "single_payment" else "planned"
    milestones = (
        Milestone(id=m.milestone_id, position=n, description=m.description.id, amount=m.amount, status=first)
        for n, m in enumerate(event.milestones, 1)
    )
    return Contract(
        id=event.contract_id,
        version=1,
        status="invited",
        client_id=event.client_id,
        freelancer_id=event.freelancer_id,
        freelancer_email=event.freelancer_email.id,
        title=event.title.id,
        kind=event.kind,
        cadence=event.cadence,
        currency=event.currency,
        hourly_rate=event.hourly_rate,
        weekly_limit_minutes=event.weekly_limit_minutes,
        rate=event.rate,
        sourcing=event.sourcing,
        conversion_id=event.conversion_id,
        offered_at=event.occurred_at,
        classification_by=event.classification_by,
        outcome=event.outcome,
        milestones=tuple(milestones),
        untold={"invitation": event_id(event.contract_id, 1)},
    )


# Offer, classification, status


def _accepted(_: Contract, event: e.OfferAccepted) -> Changes:
    return {"status": "accepted", "payout_method_on_file": event.payout_method_on_file}


def _recommended(_: Contract, event: e.ClassificationRecommended) -> Changes:
    return {"recommendation": event.outcome, "recommendation_reasons": event.reasons.id}


def _eor(state: Contract, event: e.EmployerOfRecordSet) -> Changes:
    eor = EmployerOfRecord(id=event.eor_id, name=event.name.id, pay_schedule=event.pay_schedule)
    return {"eor": eor, "untold": {**state.untold, "eor_pay_schedule": event_id(state.id, state.version + 1)}}


def _notified(state: Contract, event: e.NotificationSent) -> Changes:
    return {"untold": {kind: about for kind, about in state.untold.items() if kind != event.kind}}


def _activated(_: Contract, event: e.ContractActivated) -> Changes:
    at = event.occurred_at
    return {"status": "active", "anchor": event.anchor, "activated_at": at, "spans": (Span(at),)}


def _suspended(state: Contract, event: e.ContractSuspended) -> Changes:
    return {"status": "suspended", "spans": _ended(state, event.occurred_at)}


def _resumed(state: Contract, event: e.ContractResumed) -> Changes:
    return {"status": "active", "spans": (*state.spans, Span(event.occurred_at))}


def _completed(state: Contract, event: e.ContractCompleted) -> Changes:
    return {"status": "completed", "completed_at": event.occurred_at, "spans": _ended(state, event.occurred_at)}


def _ended(state: Contract, at: datetime) -> tuple[Span, ...]:
    last = state.spans[-1]
    return state.spans if last.end is not None else (*state.spans[:-1], Span(last.start, at))


# Milestones


def _added(state: Contract, event: e.MilestoneAdded) -> Changes:
    milestone = Milestone(
        id=event.milestone_id,
        position=event.position,
        description=event.description.id,
        amount=event.amount,
        status="requested" if event.requested else "planned",
    )
    return {"milestones": (*state.milestones, milestone)}


def _request_declined(state: Contract, event: e.MilestoneRequestDeclined) -> Changes:
    return {"milestones": tuple(m for m in state.milestones if m.id != event.milestone_id)}


def _milestone(state: Contract, event: e.MilestoneEvent, **changes: Any) -> Changes:
    changed = replace(milestone_of(state, event.milestone_id), **changes)
    return {"milestones": tuple(changed if m.id == changed.id else m for m in state.milestones)}


def _submitted(state: Contract, event: e.MilestoneSubmitted) -> Changes:
    submissions = milestone_of(state, event.milestone_id).submissions + 1
    deadline = event.review_deadline
    return _milestone(state, event, status="submitted", submissions=submissions, review_deadline=deadline)


def _approved(state: Contract, event: e.MilestoneApproved) -> Changes:
    approved = {"status": "approved", "lapsed": event.by_silence, "approved_at": event.occurred_at}
    milestones = _milestone(state, event, **approved, payout_id=event.payout.payout_id)
    return {**milestones, "payouts": (*state.payouts, event.payout.payout_id)}


# Time, cycles, bonuses


def _logged(state: Contract, event: e.TimeLogged) -> Changes:
    entry = TimeEntry(
        id=event.entry_id,
        date=event.date,
        week=week_of(midnight(event.date)),
        minutes=event.minutes,
        memo=event.memo.id if event.memo else None,
    )
    return {"entries": (*state.entries, entry)}


def _corrected(state: Contract, event: e.TimeCorrected) -> Changes:
    memo = {"memo": event.memo.id} if event.memo else {}
    entries = (
        replace(entry, minutes=event.minutes, **memo) if entry.id == event.entry_id else entry
        for entry in state.entries
    )
    return {"entries": tuple(entries)}


def _removed(state: Contract, event: e.TimeRemoved) -> Changes:
    return {"entries": tuple(entry for entry in state.entries if entry.id != event.entry_id)}


def _locked(state: Contract, event: e.TimesheetLocked) -> Changes:
    timesheet = Timesheet(week=event.week, minutes=event.minutes, amount=event.amount)
    entries = (replace(entry, locked=True) if entry.week == event.week else entry for entry in state.entries)
    return {"timesheets": (*state.timesheets, timesheet), "entries": tuple(entries)}


def _cycle_closed(state: Contract, event: e.CycleClosed) -> Changes:
    timesheets = (
        replace(sheet, billed=True) if event.start <= sheet.week < event.end else sheet for sheet in state.timesheets
    )
    payouts = (event.payout.payout_id,) if event.payout else ()
    return {"closed_through": event.end, "timesheets": tuple(timesheets), "payouts": (*state.payouts, *payouts)}


def _granted(state: Contract, event: e.BonusGranted) -> Changes:
    bonus = Bonus(
        id=event.bonus_id,
        amount=event.amount,
        note=event.note.id if event.note else None,
        granted_at=event.occurred_at,
        invoice_at=event.invoice_at,
    )
    return {"bonuses": (*state.bonuses, bonus)}


def _invoiced(state: Contract, event: e.BonusInvoiced) -> Changes:
    payout_id = event.payout.payout_id
    bonuses = (replace(one, payout_id=payout_id) if one.id == event.bonus_id else one for one in state.bonuses)
    return {"bonuses": tuple(bonuses), "payouts": (*state.payouts, payout_id)}


_STEPS: Steps = {
    e.OfferAccepted: _accepted,
    e.OfferDeclined: lambda *_: {"status": "declined"},
    e.OfferWithdrawn: lambda *_: {"status": "withdrawn"},
    e.PayoutMethodConfirmed: lambda *_: {"payout_method_on_file": True},
    e.QuestionnaireAnswered: lambda _, event: {"questionnaire": event.answers.id},
    e.ClassificationRecommended: _recommended,
    e.ClassificationDecided: lambda _, event: {"outcome": event.outcome},
    e.EmployerOfRecordSet: _eor,
    e.ContractActivated: _activated,
    e.ContractSuspended: _suspended,
    e.ContractResumed: _resumed,
    e.ContractCompleted: _completed,
    e.MilestoneAdded: _added,
    e.MilestoneRequestApproved: lambda state, event: _milestone(state, event, status="planned"),
    e.MilestoneRequestDeclined: _request_declined,
    e.MilestoneActivated: lambda state, event: _milestone(state, event, status="active"),
    e.MilestoneSubmitted: _submitted,
    e.ChangesRequested: lambda state, event: _milestone(state, event, status="active", review_deadline=None),
    e.MilestoneApproved: _approved,
    e.TimeLogged: _logged,
    e.TimeCorrected: _corrected,
    e.TimeRemoved: _removed,
    e.TimesheetLocked: _locked,
    e.CycleClosed: _cycle_closed,
    e.BonusGranted: _granted,
    e.BonusInvoiced: _invoiced,
    e.PayrollRecorded: lambda state, event: {"payouts": (*state.payouts, event.payout.payout_id)},
    e.NotificationSent: _notified,
}
