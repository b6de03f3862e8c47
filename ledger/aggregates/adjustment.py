"""An operator's correction: proposed by one person, in force when another approves it (rule 27)."""

from datetime import datetime

import msgspec

from ledger import commands as c
from ledger import events as e
from ledger.commands import Command
from ledger.errors import Corrupt, NotFound, Refused
from ledger.events import Event


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    version: int
    status: str
    """`proposed` or `approved`."""
    reason: str
    corrects_event_id: str
    postings: tuple[e.Posting, ...]
    stated_at: datetime | None
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    effective_at: datetime | None = None


def evolve(state: Adjustment | None, event: Event) -> Adjustment:
    if isinstance(event, e.AdjustmentProposed):
        return Adjustment(
            id=event.adjustment_id,
            version=1,
            status="proposed",
            reason=event.reason.id,
            corrects_event_id=event.corrects_event_id,
            postings=event.postings,
            stated_at=event.effective_at,
            proposed_by=event.person,
            proposed_at=event.occurred_at,
        )
    if state is None or not isinstance(event, e.AdjustmentApproved):
        raise Corrupt(f"{event.TOPIC} does not follow on an adjustment")
    return msgspec.structs.replace(
        state,
        version=state.version + 1,
        status="approved",
        approved_by=event.person,
        approved_at=event.recorded_at,
        effective_at=event.occurred_at,
    )


def decide(state: Adjustment | None, command: Command) -> list[Event]:
    """Refuses with `already_decided`, `second_operator_required`; NotFound for one that was not proposed."""
    match command:
        case c.ProposeAdjustment() if state is None:
            return [
                e.AdjustmentProposed(
                    **command.stamp(),
                    adjustment_id=command.adjustment_id,
                    person=command.person,
                    reason=command.reason,
                    corrects_event_id=command.corrects_event_id,
                    postings=command.postings,
                    effective_at=command.stated_at,
                )
            ]
        case c.ApproveAdjustment():
            if state is None:
                raise NotFound(f"adjustment {command.adjustment_id}")
            if state.status == "approved":
                raise Refused("already_decided", "this adjustment has been approved: propose another to correct it")
            if state.proposed_by == command.person:
                detail = (
                    "whoever proposed an adjustment cannot approve it: ask another operator, with a key of their own"
                )
                raise Refused("second_operator_required", detail)
            return [
                e.AdjustmentApproved(
                    **command.stamp(state.stated_at or command.now),
                    adjustment_id=state.id,
                    person=command.person,
                    postings=state.postings,
                )
            ]
    raise TypeError(f"an adjustment does not decide {type(command).__name__}")
