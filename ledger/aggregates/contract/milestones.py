"""Deciding about milestones: order, submission, review and its silence (rules 8 to 13)."""

from ledger import commands as c
from ledger import events as e
from ledger.aggregates.contract.guards import REVIEW, WORK, own, require, require_fixed_price, require_no_eor
from ledger.aggregates.contract.state import Contract, Milestone, milestone_of
from ledger.commands import Command
from ledger.errors import Refused
from ledger.events import Event
from ledger.ids import PAYOUT, derive
from ledger.rules import Rules


def add(state: Contract, command: c.AddMilestone) -> list[Event]:
    """By the client, or requested by the freelancer (rule 8). Refuses with `single_payment_has_one_milestone`."""
    require(state, *WORK)
    require_fixed_price(state)
    if state.kind == "single_payment":
        raise Refused("single_payment_has_one_milestone", "offer a milestone contract for further work")
    require_no_eor(state)
    return [
        e.MilestoneAdded(
            **own(state, command),
            milestone_id=command.milestone_id,
            position=max((milestone.position for milestone in state.milestones), default=0) + 1,
            description=command.description,
            amount=command.amount,
            requested=command.requested,
        )
    ]


def answer_request(state: Contract, command: c.ApproveMilestoneRequest | c.DeclineMilestoneRequest) -> list[Event]:
    """Refuses with `milestone_not_requested`."""
    approves = isinstance(command, c.ApproveMilestoneRequest)
    milestone = _milestone(state, command, *(WORK if approves else REVIEW))
    if milestone.status != "requested":
        raise Refused("milestone_not_requested", f"the milestone is {milestone.status}: there is no request to answer")
    mine = {**own(state, command), "milestone_id": milestone.id}
    return [e.MilestoneRequestApproved(**mine) if approves else e.MilestoneRequestDeclined(**mine)]


def activate(state: Contract, command: c.ActivateMilestone) -> list[Event]:
    """Refuses with `milestone_already_active`, `milestone_out_of_order` (rule 9)."""
    milestone = _milestone(state, command, *WORK)
    if any(one.status in ("active", "submitted") for one in state.milestones):
        raise Refused("milestone_already_active", "at most one milestone is active: have it approved first")
    planned = [one for one in state.milestones if one.status == "planned"]
    first = min(planned, key=lambda one: one.position, default=None)
    if first is None or first.id != milestone.id:
        what = f"the next planned milestone is {first.id}" if first else "no milestone is planned"
        raise Refused("milestone_out_of_order", f"milestones are activated in their order: {what}")
    return [e.MilestoneActivated(**own(state, command), milestone_id=milestone.id)]


def submit(state: Contract, command: c.SubmitMilestone, rules: Rules) -> list[Event]:
    """Refuses with `milestone_not_active`. After completion, only what was submitted before (rule 11)."""
    again = any(
        one.id == command.milestone_id and one.status == "active" and one.submissions for one in state.milestones
    )
    milestone = _milestone(state, command, *WORK, *(("completed",) if again else ()))
    if milestone.status != "active":
        raise Refused(
            "milestone_not_active", f"the milestone is {milestone.status}: only an active one can be submitted"
        )
    return [
        e.MilestoneSubmitted(
            **own(state, command),
            milestone_id=milestone.id,
            message=command.message,
            review_deadline=command.at + rules.review_window(state.cadence),
        )
    ]


def review(state: Contract, command: c.ApproveMilestone | c.RequestChanges) -> list[Event]:
    """The client's answer, before the deadline. Refuses with `review_period_ended`, `nothing_to_review` (rule 12)."""
    milestone = _milestone(state, command, *REVIEW)
    deadline = milestone.review_deadline
    if deadline and (milestone.lapsed or (milestone.status == "submitted" and command.now >= deadline)):
        detail = f"the review ended at {deadline:%Y-%m-%dT%H:%M:%SZ}, and silence is approval"
        raise Refused("review_period_ended", detail)
    if milestone.status != "submitted":
        raise Refused("nothing_to_review", f"the milestone is {milestone.status}: nothing is submitted")
    if isinstance(command, c.RequestChanges):
        return [e.ChangesRequested(**own(state, command), milestone_id=milestone.id, message=command.message)]
    return [_approved(state, milestone, command, by_silence=False, message=command.message)]


def lapse(state: Contract, command: c.LapseReview) -> list[Event]:
    """At the deadline silence is approval, as of the deadline, however late this is decided (rule 12)."""
    for milestone in state.milestones:
        waits = milestone.status == "submitted" and milestone.review_deadline == command.at
        if milestone.id == command.milestone_id and waits and command.now >= command.at:
            return [_approved(state, milestone, command, by_silence=True, message=None)]
    return []


def _milestone(state: Contract, command: c.MilestoneCommand, *allowed: str) -> Milestone:
    require(state, *allowed)  # type: ignore[arg-type]  # the statuses above, joined
    require_fixed_price(state)
    require_no_eor(state)
    return milestone_of(state, command.milestone_id)


def _approved(
    state: Contract, milestone: Milestone, command: Command, *, by_silence: bool, message: e.Sealed | None
) -> Event:
    payout = e.PayoutTerms(
        payout_id=derive(PAYOUT, state.id, milestone.id),
        payee=state.freelancer_id,
        source=e.Source(type="milestone", id=milestone.id),
        amount=milestone.amount,
        currency=state.currency,
        review_deadline=None,
    )
    mine = {**own(state, command), "milestone_id": milestone.id}
    return e.MilestoneApproved(**mine, by_silence=by_silence, message=message, payout=payout)
