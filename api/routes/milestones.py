"""Milestones: requests, activation, submission and review (rules 8 to 13)."""

from typing import Annotated

from fastapi import Body

from api import presenters
from api.call import Answer, Call, Calling
from api.route import new_router
from api.routes.common import CREATED, NO_BODY, NO_MESSAGE, contract_now
from api.schemas.contracts import ContractOut, MilestoneOut
from api.schemas.requests import Message, NewMilestone
from ledger import commands as c
from ledger import ids
from ledger.aggregates.contract import Contract
from ledger.aggregates.contract.state import milestone_of

router = new_router("Milestones")
PATH = "/v1/contracts/{contract_id}/milestones"
ONE = PATH + "/{milestone_id}"


@router.post(PATH, status_code=CREATED, response_model=MilestoneOut)
def add_milestone(call: Calling, contract_id: str, body: NewMilestone) -> Answer:
    """Add a milestone: `planned` by the client, `requested` by the freelancer until the client approves (rule 8)."""
    call.loaded(Contract, contract_id)
    milestone_id = call.id(ids.MILESTONE)
    command = c.AddMilestone(
        **call.stamp(),
        contract_id=contract_id,
        milestone_id=milestone_id,
        description=call.seal(body.description, call.principal.owner),
        amount=body.amount,
        requested=call.principal.role == "freelancer",
    )
    call.carry_out(command)
    return _milestone(call, contract_id, milestone_id, CREATED)


@router.post(f"{ONE}/approve-request", response_model=MilestoneOut, dependencies=NO_BODY)
def approve_request(call: Calling, contract_id: str, milestone_id: str) -> Answer:
    """Take a requested milestone into the contract."""
    call.loaded(Contract, contract_id)
    call.carry_out(c.ApproveMilestoneRequest(**call.stamp(), contract_id=contract_id, milestone_id=milestone_id))
    return _milestone(call, contract_id, milestone_id)


@router.post(f"{ONE}/decline-request", response_model=ContractOut, dependencies=NO_BODY)
def decline_request(call: Calling, contract_id: str, milestone_id: str) -> Answer:
    """Decline a requested milestone. It is gone: the answer is the contract without it."""
    call.loaded(Contract, contract_id)
    call.carry_out(c.DeclineMilestoneRequest(**call.stamp(), contract_id=contract_id, milestone_id=milestone_id))
    return contract_now(call, contract_id)


@router.post(f"{ONE}/activate", response_model=MilestoneOut, dependencies=NO_BODY)
def activate(call: Calling, contract_id: str, milestone_id: str) -> Answer:
    """Activate the next planned milestone, when none is active or submitted (rule 9)."""
    call.loaded(Contract, contract_id)
    call.carry_out(c.ActivateMilestone(**call.stamp(), contract_id=contract_id, milestone_id=milestone_id))
    return _milestone(call, contract_id, milestone_id)


@router.post(f"{ONE}/submit", response_model=MilestoneOut)
def submit(call: Calling, contract_id: str, milestone_id: str, body: Annotated[Message, Body()] = NO_MESSAGE) -> Answer:
    """Submit the active milestone; at `review_deadline` silence approves it (rules 10, 12)."""
    call.loaded(Contract, contract_id)
    message = call.seal_optional(body.message, call.principal.owner)
    command = c.SubmitMilestone(**call.stamp(), contract_id=contract_id, milestone_id=milestone_id, message=message)
    call.carry_out(command)
    return _milestone(call, contract_id, milestone_id)


@router.post(f"{ONE}/approve", response_model=MilestoneOut)
def approve(
    call: Calling, contract_id: str, milestone_id: str, body: Annotated[Message, Body()] = NO_MESSAGE
) -> Answer:
    """Approve what was submitted: the payout is due and charged at once. Refused with `review_period_ended` when late."""
    call.loaded(Contract, contract_id)
    message = call.seal_optional(body.message, call.principal.owner)
    command = c.ApproveMilestone(**call.stamp(), contract_id=contract_id, milestone_id=milestone_id, message=message)
    call.carry_out(command)
    return _milestone(call, contract_id, milestone_id)


@router.post(f"{ONE}/request-changes", response_model=MilestoneOut)
def request_changes(
    call: Calling, contract_id: str, milestone_id: str, body: Annotated[Message, Body()] = NO_MESSAGE
) -> Answer:
    """Ask for changes: the milestone is active again (rule 11). Refused with `review_period_ended` when late."""
    call.loaded(Contract, contract_id)
    message = call.seal_optional(body.message, call.principal.owner)
    command = c.RequestChanges(**call.stamp(), contract_id=contract_id, milestone_id=milestone_id, message=message)
    call.carry_out(command)
    return _milestone(call, contract_id, milestone_id)


def _milestone(call: Call, contract_id: str, milestone_id: str, status: int = 200) -> Answer:
    """The milestone as the command left it, with its contract's version."""
    state = call.loaded(Contract, contract_id)
    one = milestone_of(state, milestone_id)
    content = presenters.milestone(state, one, call.texts([one.description]))
    return call.answer(content, status=status, version=state.version)
