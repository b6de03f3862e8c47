"""Payouts: where the money is and why; objections, reductions, retries and reversals (rules 18 to 26)."""

from typing import Annotated

from fastapi import Query

from api import money_presenters
from api.call import Answer, Call, Calling
from api.fields import Instant, Reference
from api.pagination import DEFAULT_LIMIT, CursorText, Limit, decode_one, page
from api.problems import missing
from api.route import new_router
from api.routes.common import CREATED, NO_BODY, payout_json, payout_now, require_past
from api.schemas.answers import Page
from api.schemas.funds import ExplanationOut, ObjectionOut, PayoutOut, ReversalOut
from api.schemas.requests import NewObjection, NewReversal, Reduction
from ledger import commands as c
from ledger import ids
from ledger.aggregates.payout import Payout, Status, reversal_of
from replay.times import AtTimes

router = new_router("Payouts")
ONE = "/v1/payouts/{payout_id}"


@router.get("/v1/payouts", response_model=Page[PayoutOut])
def list_payouts(
    call: Calling,
    contract_id: Reference | None = None,
    freelancer_id: Reference | None = None,
    status: Status | None = None,
    available_from: Annotated[Instant | None, Query(alias="available_on[gte]")] = None,
    available_before: Annotated[Instant | None, Query(alias="available_on[lt]")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText | None = None,
) -> Answer:
    """The caller's payouts, newest first."""
    parties = call.own_parties()
    if freelancer_id is not None and parties.get("freelancer_id") not in (None, freelancer_id):
        return call.answer({"data": [], "has_more": False, "next_cursor": None})
    rows = call.ledger.reader.payouts(
        **({"freelancer_id": freelancer_id} | parties),
        contract_id=contract_id,
        status=status,
        available_from=available_from,
        available_before=available_before,
        before=decode_one(cursor),
        limit=limit + 1,
    )
    shown, more = page([((position,), state) for position, state in rows], limit)
    texts = call.texts([one for state in shown for one in money_presenters.payout_texts(state)])
    return call.answer({"data": [money_presenters.payout(state, texts) for state in shown], **more})


@router.get(ONE, response_model=PayoutOut)
def get_payout(call: Calling, payout_id: str) -> Answer:
    """A payout."""
    state = call.read(Payout, payout_id)
    return call.answer(payout_json(call, state), version=state.version)


@router.get(f"{ONE}/explain", response_model=ExplanationOut)
def explain_payout(
    call: Calling, payout_id: str, as_of: Instant | None = None, known_at: Instant | None = None
) -> Answer:
    """Why the money is where it is: each event, the rule applied, what is awaited and until when.

    `as_of`: why it was where it was then; `known_at`: as it would have been explained then.
    """
    from replay.explain import explain  # here, because starting a server does not need it

    call.read(Payout, payout_id)
    now = require_past(call, as_of=as_of, known_at=known_at)
    times = AtTimes(call.ledger.reader, as_of=as_of, known_at=known_at)
    explanation = explain(times, payout_id, as_of or known_at or now)
    if explanation is None:
        raise missing("payout")
    return call.answer(explanation)


@router.post(f"{ONE}/objections", status_code=CREATED, response_model=ObjectionOut)
def object_to(call: Calling, payout_id: str, body: NewObjection) -> Answer:
    """Object to the release of a cycle's payout, until its review deadline (rule 18)."""
    call.loaded(Payout, payout_id)
    reason = call.seal(body.reason, call.principal.owner)
    call.carry_out(c.RaiseObjection(**call.stamp(), payout_id=payout_id, reason=reason))
    state = call.loaded(Payout, payout_id)
    content = money_presenters.objection(state, call.texts(money_presenters.payout_texts(state)))
    return call.answer(content, status=CREATED, version=state.version)


@router.post(f"{ONE}/objections/withdraw", response_model=PayoutOut, dependencies=NO_BODY)
def withdraw_objection(call: Calling, payout_id: str) -> Answer:
    """Withdraw the open objection."""
    call.loaded(Payout, payout_id)
    call.carry_out(c.WithdrawObjection(**call.stamp(), payout_id=payout_id))
    return payout_now(call, payout_id)


@router.post(f"{ONE}/reduce", response_model=PayoutOut)
def reduce(call: Calling, payout_id: str, body: Reduction) -> Answer:
    """Settle the open objection for less, to zero at the least: the difference goes back to the client."""
    call.loaded(Payout, payout_id)
    refund_id = call.id(ids.REDUCTION)
    call.carry_out(c.ReducePayout(**call.stamp(), payout_id=payout_id, refund_id=refund_id, amount=body.amount))
    return payout_now(call, payout_id)


@router.post(f"{ONE}/retry-charge", response_model=PayoutOut, dependencies=NO_BODY)
def retry_charge(call: Calling, payout_id: str) -> Answer:
    """Attempt a failed charge at once (rule 24)."""
    call.loaded(Payout, payout_id)
    call.carry_out(c.RequestCharge(**call.stamp(), payout_id=payout_id, because="operator"))
    return payout_now(call, payout_id)


@router.post(f"{ONE}/reversals", status_code=CREATED, response_model=ReversalOut)
def reverse(call: Calling, payout_id: str, body: NewReversal) -> Answer:
    """Take charged money back: a refund or a chargeback, never more than the payout still holds (rule 26)."""
    call.loaded(Payout, payout_id)
    reversal_id = call.id(ids.REVERSAL)
    command = c.ReversePayout(
        **call.stamp(), payout_id=payout_id, reversal_id=reversal_id, amount=body.amount, reason=body.reason
    )
    call.carry_out(command)
    return _reversal(call, payout_id, reversal_id, CREATED)


@router.post(f"{ONE}/reversals/{{reversal_id}}/reinstate", response_model=ReversalOut, dependencies=NO_BODY)
def reinstate(call: Calling, payout_id: str, reversal_id: str) -> Answer:
    """A chargeback was won: the money goes back to where it was taken from."""
    call.loaded(Payout, payout_id)
    call.carry_out(c.ReinstateReversal(**call.stamp(), payout_id=payout_id, reversal_id=reversal_id))
    return _reversal(call, payout_id, reversal_id)


def _reversal(call: Call, payout_id: str, reversal_id: str, status: int = 200) -> Answer:
    """The reversal as the command left it, with its payout's version."""
    state = call.loaded(Payout, payout_id)
    content = money_presenters.reversal(state, reversal_of(state, reversal_id))
    return call.answer(content, status=status, version=state.version)
