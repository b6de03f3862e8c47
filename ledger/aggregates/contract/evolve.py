"""What each event makes of a contract. Deadlines and amounts are read from the event, never computed again."""

from collections.abc import Callable
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
from ledger.calendar import midnight, week_of
from ledger.errors import Corrupt
from ledger.events import EVENTS, Event
from ledger.ids import event_id


def evolve(state: Contract | None, event: Event) -> Contract:
    if type(event) is e.ContractOffered:  # `isinstance` takes pydantic's classes as long as all the rest
        return _offered(event)
    if state is None:
        raise Corrupt(f"{event.TOPIC} before the contract was offered")
    change = _CHANGES.get(type(event))
    if change is None:
        raise Corrupt(f"{event.TOPIC} is not an event of a contract")
    changed = change(replace(state, version=state.version + 1), event)
    return replace(changed, next_close=vars(event)["next_close"]) if type(event) in _CLOSING else changed


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


def _accepted(state: Contract, event: e.OfferAccepted) -> Contract:
    return replace(state, status="accepted", payout_method_on_file=event.payout_method_on_file)


def _recommended(state: Contract, event: e.ClassificationRecommended) -> Contract:
    return replace(state, recommendation=event.outcome, recommendation_reasons=event.reasons.id)


def _eor(state: Contract, event: e.EmployerOfRecordSet) -> Contract:
    eor = EmployerOfRecord(id=event.eor_id, name=event.name.id, pay_schedule=event.pay_schedule)
    return replace(state, eor=eor, untold={**state.untold, "eor_pay_schedule": event_id(state.id, state.version)})


def _notified(state: Contract, event: e.NotificationSent) -> Contract:
    return replace(state, untold={kind: about for kind, about in state.untold.items() if kind != event.kind})


def _activated(state: Contract, event: e.ContractActivated) -> Contract:
    at = event.occurred_at
    return replace(state, status="active", anchor=event.anchor, activated_at=at, spans=(Span(at),))


def _suspended(state: Contract, event: e.ContractSuspended) -> Contract:
    return replace(state, status="suspended", spans=_ended(state, event.occurred_at))


def _resumed(state: Contract, event: e.ContractResumed) -> Contract:
    return replace(state, status="active", spans=(*state.spans, Span(event.occurred_at)))


def _completed(state: Contract, event: e.ContractCompleted) -> Contract:
    return replace(state, status="completed", completed_at=event.occurred_at, spans=_ended(state, event.occurred_at))


def _ended(state: Contract, at: datetime) -> tuple[Span, ...]:
    last = state.spans[-1]
    return state.spans if last.end is not None else (*state.spans[:-1], Span(last.start, at))


# Milestones


def _added(state: Contract, event: e.MilestoneAdded) -> Contract:
    milestone = Milestone(
        id=event.milestone_id,
        position=event.position,
        description=event.description.id,
        amount=event.amount,
        status="requested" if event.requested else "planned",
    )
    return replace(state, milestones=(*state.milestones, milestone))


def _request_declined(state: Contract, event: e.MilestoneRequestDeclined) -> Contract:
    return replace(state, milestones=tuple(m for m in state.milestones if m.id != event.milestone_id))


def _milestone(state: Contract, event: e.MilestoneEvent, **changes: Any) -> Contract:
    changed = replace(milestone_of(state, event.milestone_id), **changes)
    return replace(state, milestones=tuple(changed if m.id == changed.id else m for m in state.milestones))


def _submitted(state: Contract, event: e.MilestoneSubmitted) -> Contract:
    submissions = milestone_of(state, event.milestone_id).submissions + 1
    deadline = event.review_deadline
    return _milestone(state, event, status="submitted", submissions=submissions, review_deadline=deadline)


def _approved(state: Contract, event: e.MilestoneApproved) -> Contract:
    approved = {"status": "approved", "lapsed": event.by_silence, "approved_at": event.occurred_at}
    state = _milestone(state, event, **approved, payout_id=event.payout.payout_id)
    return replace(state, payouts=(*state.payouts, event.payout.payout_id))


# Time, cycles, bonuses


def _logged(state: Contract, event: e.TimeLogged) -> Contract:
    entry = TimeEntry(
        id=event.entry_id,
        date=event.date,
        week=week_of(midnight(event.date)),
        minutes=event.minutes,
        memo=event.memo.id if event.memo else None,
    )
    return replace(state, entries=(*state.entries, entry))


def _corrected(state: Contract, event: e.TimeCorrected) -> Contract:
    memo = {"memo": event.memo.id} if event.memo else {}
    entries = (
        replace(entry, minutes=event.minutes, **memo) if entry.id == event.entry_id else entry
        for entry in state.entries
    )
    return replace(state, entries=tuple(entries))


def _removed(state: Contract, event: e.TimeRemoved) -> Contract:
    return replace(state, entries=tuple(entry for entry in state.entries if entry.id != event.entry_id))


def _locked(state: Contract, event: e.TimesheetLocked) -> Contract:
    timesheet = Timesheet(week=event.week, minutes=event.minutes, amount=event.amount)
    entries = (replace(entry, locked=True) if entry.week == event.week else entry for entry in state.entries)
    return replace(state, timesheets=(*state.timesheets, timesheet), entries=tuple(entries))


def _cycle_closed(state: Contract, event: e.CycleClosed) -> Contract:
    timesheets = (
        replace(sheet, billed=True) if event.start <= sheet.week < event.end else sheet for sheet in state.timesheets
    )
    payouts = (event.payout.payout_id,) if event.payout else ()
    return replace(state, closed_through=event.end, timesheets=tuple(timesheets), payouts=(*state.payouts, *payouts))


def _granted(state: Contract, event: e.BonusGranted) -> Contract:
    bonus = Bonus(
        id=event.bonus_id,
        amount=event.amount,
        note=event.note.id if event.note else None,
        granted_at=event.occurred_at,
        invoice_at=event.invoice_at,
    )
    return replace(state, bonuses=(*state.bonuses, bonus))


def _invoiced(state: Contract, event: e.BonusInvoiced) -> Contract:
    payout_id = event.payout.payout_id
    bonuses = (replace(one, payout_id=payout_id) if one.id == event.bonus_id else one for one in state.bonuses)
    return replace(state, bonuses=tuple(bonuses), payouts=(*state.payouts, payout_id))


_CHANGES: dict[type[Event], Callable[[Contract, Any], Contract]] = {
    e.OfferAccepted: _accepted,
    e.OfferDeclined: lambda state, _: replace(state, status="declined"),
    e.OfferWithdrawn: lambda state, _: replace(state, status="withdrawn"),
    e.PayoutMethodConfirmed: lambda state, _: replace(state, payout_method_on_file=True),
    e.QuestionnaireAnswered: lambda state, event: replace(state, questionnaire=event.answers.id),
    e.ClassificationRecommended: _recommended,
    e.ClassificationDecided: lambda state, event: replace(state, outcome=event.outcome),
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
    e.PayrollRecorded: lambda state, event: replace(state, payouts=(*state.payouts, event.payout.payout_id)),
    e.NotificationSent: _notified,
}
_CLOSING = frozenset(cls for cls in EVENTS.values() if issubclass(cls, e.ClosingContractEvent))
