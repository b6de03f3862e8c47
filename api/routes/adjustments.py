"""Corrections: an operator's adjustment takes effect when a different person approves it (rule 27)."""

from collections.abc import Sequence

from api import audit_presenters
from api.call import Answer, Call, Calling
from api.fields import is_id
from api.problems import FieldError, invalid, invalid_request
from api.route import new_router
from api.routes.common import CREATED, NO_BODY
from api.schemas.audit import AdjustmentOut
from api.schemas.requests import NewAdjustment
from ledger import commands as c
from ledger import ids
from ledger.aggregates.adjustment import Adjustment, unadjustable, unbalanced
from ledger.aggregates.client import Client
from ledger.aggregates.freelancer import Freelancer
from ledger.events import Posting

router = new_router("Adjustments")


@router.post("/v1/adjustments", status_code=CREATED, response_model=AdjustmentOut)
def propose_adjustment(call: Calling, body: NewAdjustment) -> Answer:
    """Propose a correction: balanced postings, the event it corrects, and why.

    Accounts: `fre_…:available`, `eor_…:available`, `cli_…:returned`, `processor`, `platform:adjustments`.
    """
    _require_event(call, body.corrects_event_id)
    postings = tuple(Posting(**posting.model_dump()) for posting in body.postings)
    if wrong := unbalanced(postings):
        raise invalid("body.postings", wrong)
    _require_accounts(call, postings)
    if body.effective_at is not None and body.effective_at > call.ledger.clock.now():
        raise invalid("body.effective_at", "is in the future: an adjustment takes effect as of its approval or earlier")
    adjustment_id = call.id(ids.ADJUSTMENT)
    command = c.ProposeAdjustment(
        **call.stamp(),
        adjustment_id=adjustment_id,
        person=call.principal.owner,
        reason=call.seal(body.reason, call.principal.owner),
        corrects_event_id=body.corrects_event_id,
        postings=postings,
        stated_at=body.effective_at,
    )
    call.carry_out(command)
    return _adjustment(call, call.loaded(Adjustment, adjustment_id), CREATED)


@router.get("/v1/adjustments/{adjustment_id}", response_model=AdjustmentOut)
def get_adjustment(call: Calling, adjustment_id: str) -> Answer:
    """An adjustment."""
    return _adjustment(call, call.read(Adjustment, adjustment_id))


@router.post("/v1/adjustments/{adjustment_id}/approve", response_model=AdjustmentOut, dependencies=NO_BODY)
def approve_adjustment(call: Calling, adjustment_id: str) -> Answer:
    """Approve a correction. Refused with `second_operator_required` to whoever proposed it, whichever key they use."""
    call.loaded(Adjustment, adjustment_id)
    person = call.principal.owner
    call.carry_out(c.ApproveAdjustment(**call.stamp(), adjustment_id=adjustment_id, person=person))
    return _adjustment(call, call.loaded(Adjustment, adjustment_id))


def _adjustment(call: Call, state: Adjustment, status: int = 200) -> Answer:
    content = audit_presenters.adjustment(state, call.texts([state.reason]))
    return call.answer(content, status=status, version=state.version)


def _require_event(call: Call, event_id: str) -> None:
    try:
        place = ids.place_of(event_id)
    except ValueError:
        place = None
    if place is None or call.ledger.log.find(*place) is None:
        raise invalid("body.corrects_event_id", "names no event: GET /v1/events shows their ids")


def _require_accounts(call: Call, postings: Sequence[Posting]) -> None:
    """Raises 422 for the accounts that no adjustment may touch, or that are nobody's."""
    verdicts = {account: _verdict(call, account) for account in {posting.account for posting in postings}}
    errors = [
        FieldError(f"body.postings.{number}.account", verdict, "value_error")
        for number, posting in enumerate(postings)
        if (verdict := verdicts[posting.account])
    ]
    if errors:
        raise invalid_request(errors)


def _verdict(call: Call, account: str) -> str | None:
    """What is wrong with an account; None when nothing is."""
    if wrong := unadjustable(account):
        return wrong
    owner = account.partition(":")[0]
    match ids.kind_of(owner):
        case ids.FREELANCER:
            return None if call.known(Freelancer, owner) else "names no freelancer"
        case ids.CLIENT:
            return None if call.known(Client, owner) else "names no client"
        case ids.EMPLOYER_OF_RECORD:
            known = is_id(owner, ids.EMPLOYER_OF_RECORD) and call.ledger.vault.is_identified(owner)
            return None if known else "names no Employer of Record"
    return None
