"""Contracts: the offer, its answer, completion, bonuses (rules 1, 2, 5, 20)."""

from typing import Annotated, Any

from fastapi import Body, Depends

from api import presenters
from api.call import Answer, Call, Calling
from api.pagination import DEFAULT_LIMIT, CursorText, Limit, decode_one, page
from api.query import Truth
from api.route import new_router
from api.routes.common import CREATED, NO_REASON, contract_json, contract_now, take_reason
from api.schemas.answers import Page
from api.schemas.contracts import BonusOut, ContractOut
from api.schemas.requests import (
    AnyOffer,
    ClientDecision,
    FixedRateOffer,
    HourlyOffer,
    MilestoneOffer,
    NewBonus,
    Reason,
    SinglePaymentOffer,
)
from ledger import commands as c
from ledger import ids
from ledger.aggregates.contract import Contract
from ledger.aggregates.contract.state import Status
from ledger.events import MilestoneTerms

router = new_router("Contracts")


@router.post("/v1/contracts", status_code=CREATED, response_model=ContractOut)
def offer_contract(call: Calling, body: Annotated[AnyOffer, Body()]) -> Answer:
    """Offer a contract to an e-mail address; an invitation is sent to it. Refused with `conversion_required` (rule 2)."""
    client_id, contract_id = call.principal.owner, call.id(ids.CONTRACT)
    freelancer_id = call.ledger.vault.identify(ids.FREELANCER, body.freelancer_email)
    decided = body.classification
    command = c.OfferContract(
        **call.stamp(),
        contract_id=contract_id,
        client_id=client_id,
        freelancer_id=freelancer_id,
        freelancer_email=call.seal(body.freelancer_email, freelancer_id),
        title=call.seal(body.title, client_id),
        kind=body.kind,
        cadence=body.cadence,
        currency=body.currency,
        sourcing=body.sourcing,
        conversion_id=body.conversion_id if body.sourcing == "marketplace" else None,
        classification_by=decided.by,
        outcome=decided.outcome if isinstance(decided, ClientDecision) else None,
        **_work(call, body),
    )
    call.carry_out(command)
    state = call.loaded(Contract, contract_id)
    return call.answer(contract_json(call, state), status=CREATED, version=state.version)


def _work(call: Call, body: AnyOffer) -> dict[str, Any]:
    """What is worked for how much, by kind of contract."""
    match body:
        case SinglePaymentOffer():
            return {"milestones": _milestones(call, [(body.title, body.amount)])}
        case MilestoneOffer():
            return {"milestones": _milestones(call, [(one.description, one.amount) for one in body.milestones])}
        case HourlyOffer():
            return {"hourly_rate": body.hourly_rate, "weekly_limit_minutes": body.weekly_limit_minutes}
        case FixedRateOffer():
            return {"rate": body.rate}


def _milestones(call: Call, described: list[tuple[str, int]]) -> tuple[MilestoneTerms, ...]:
    return tuple(
        MilestoneTerms(
            milestone_id=call.id(ids.MILESTONE, str(number)),
            description=call.seal(description, call.principal.owner),
            amount=amount,
        )
        for number, (description, amount) in enumerate(described, 1)
    )


@router.get("/v1/contracts", response_model=Page[ContractOut])
def list_contracts(
    call: Calling,
    status: Status | None = None,
    archived: Truth | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText | None = None,
) -> Answer:
    """The caller's contracts, newest first; archived are the completed ones."""
    rows = call.ledger.reader.contracts(
        **call.own_parties(), status=status, archived=archived, before=decode_one(cursor), limit=limit + 1
    )
    shown, more = page([((position,), state) for position, state in rows], limit)
    texts = call.texts([one for state in shown for one in presenters.contract_texts(state)])
    return call.answer({"data": [presenters.contract(state, texts) for state in shown], **more})


@router.get("/v1/contracts/{contract_id}", response_model=ContractOut)
def get_contract(call: Calling, contract_id: str) -> Answer:
    """A contract with its milestones, time, bonuses and payouts' ids."""
    state = call.read(Contract, contract_id)
    return call.answer(contract_json(call, state), version=state.version)


@router.post("/v1/contracts/{contract_id}/accept", response_model=ContractOut, dependencies=[Depends(take_reason)])
def accept_offer(call: Calling, contract_id: str) -> Answer:
    """Accept an offer. It is active once there is a payout method and all that rule 3 asks for. A reason is not kept."""
    call.loaded(Contract, contract_id)
    call.carry_out(c.AcceptOffer(**call.stamp(), contract_id=contract_id))
    return contract_now(call, contract_id)


@router.post("/v1/contracts/{contract_id}/decline", response_model=ContractOut)
def decline_offer(call: Calling, contract_id: str, body: Annotated[Reason, Body()] = NO_REASON) -> Answer:
    """Decline an offer."""
    call.loaded(Contract, contract_id)
    reason = call.seal_optional(body.reason, call.principal.owner)
    call.carry_out(c.DeclineOffer(**call.stamp(), contract_id=contract_id, reason=reason))
    return contract_now(call, contract_id)


@router.post("/v1/contracts/{contract_id}/withdraw-offer", response_model=ContractOut)
def withdraw_offer(call: Calling, contract_id: str, body: Annotated[Reason, Body()] = NO_REASON) -> Answer:
    """Withdraw an offer that is not accepted yet."""
    call.loaded(Contract, contract_id)
    reason = call.seal_optional(body.reason, call.principal.owner)
    call.carry_out(c.WithdrawOffer(**call.stamp(), contract_id=contract_id, reason=reason))
    return contract_now(call, contract_id)


@router.post("/v1/contracts/{contract_id}/complete", response_model=ContractOut)
def complete_contract(call: Calling, contract_id: str, body: Annotated[Reason, Body()] = NO_REASON) -> Answer:
    """Complete a contract. Reviews and payouts under way run on, and time logged is billed (rule 5)."""
    call.loaded(Contract, contract_id)
    reason = call.seal_optional(body.reason, call.principal.owner)
    call.carry_out(c.CompleteContract(**call.stamp(), contract_id=contract_id, reason=reason))
    return contract_now(call, contract_id)


@router.post("/v1/contracts/{contract_id}/bonuses", status_code=CREATED, response_model=BonusOut)
def grant_bonus(call: Calling, contract_id: str, body: NewBonus) -> Answer:
    """Grant a bonus: it is invoiced at the next close of the billing cycle (rule 20)."""
    call.loaded(Contract, contract_id)
    bonus_id = call.id(ids.BONUS)
    note = call.seal_optional(body.note, call.principal.owner)
    call.carry_out(
        c.GrantBonus(**call.stamp(), contract_id=contract_id, bonus_id=bonus_id, amount=body.amount, note=note)
    )
    state = call.loaded(Contract, contract_id)
    (granted,) = (one for one in state.bonuses if one.id == bonus_id)
    content = presenters.bonus(state, granted, call.texts([granted.note]))
    return call.answer(content, status=CREATED, version=state.version)
