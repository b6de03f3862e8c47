"""An operator's correction: proposed by one person, in force when another approves it (rule 27)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ledger import commands as c
from ledger import events as e
from ledger import ids
from ledger.commands import Command
from ledger.errors import Corrupt, Invalid, NotFound, Refused
from ledger.events import Event
from ledger.postings import PLATFORM, PROCESSOR

_ADJUSTABLE = {(ids.FREELANCER, "available"), (ids.EMPLOYER_OF_RECORD, "available"), (ids.CLIENT, "returned")}
"""Whose accounts, and which of them, an adjustment may post to besides the platform's own."""


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


def unbalanced(postings: Sequence[e.Posting]) -> str | None:
    """What keeps postings from being balanced in each currency (rule 27); None: nothing does."""
    sums: dict[str, int] = {}
    for posting in postings:
        signed = posting.amount if posting.direction == "credit" else -posting.amount
        sums[posting.currency] = sums.get(posting.currency, 0) + signed
    if not sums:
        return "must name what is debited and what is credited"
    wrong = sorted(currency for currency, total in sums.items() if total)
    return f"debits must equal credits in {', '.join(wrong)}" if wrong else None


def unadjustable(account: str) -> str | None:
    """Why an adjustment may not post to such an account; None: it may, where the account's owner exists."""
    owner, _, bucket = account.partition(":")
    if account in (PROCESSOR, PLATFORM) or (ids.kind_of(owner), bucket) in _ADJUSTABLE:
        return None
    if bucket == "pending":
        return "is not adjustable: pending money belongs to payouts; reverse one, or reinstate a reversal, instead"
    return f"must be fre_…:available, eor_…:available, cli_…:returned, {PROCESSOR} or {PLATFORM}"


def _require_sound(command: c.ProposeAdjustment) -> None:
    if wrong := unbalanced(command.postings):
        raise Invalid(f"postings: {wrong}")
    for number, posting in enumerate(command.postings):
        if wrong := unadjustable(posting.account):
            raise Invalid(f"postings.{number}.account: {posting.account} {wrong}")
    if command.stated_at is not None and command.stated_at > command.now:
        raise Invalid(
            "stated_at: is in the future: an adjustment takes effect as of its approval or of an earlier instant"
        )


def decide(state: Adjustment | None, command: Command) -> list[Event]:
    """Refuses with `already_decided`, `second_operator_required`; NotFound for one that was not proposed.

    Invalid: the postings do not balance or are on accounts that are not adjustable, or the stated instant is in the future.
    """
    match command:
        case c.ProposeAdjustment() if state is None:
            _require_sound(command)
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
