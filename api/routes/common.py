"""What the routes share: bodies that say nothing, instants that have passed, answers with a contract or a payout."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Body, Depends

from api import money_presenters, presenters
from api.call import Answer, Call
from api.presenters import Json
from api.problems import invalid
from api.schemas.requests import Message, Nothing, Reason
from ledger.aggregates.contract import Contract
from ledger.aggregates.payout import Payout

NOTHING, NO_REASON, NO_MESSAGE = Nothing(), Reason(), Message()
"""What an optional body is when it is left out."""


async def _nothing(body: Annotated[Nothing, Body()] = NOTHING) -> Nothing:
    return body


async def take_reason(body: Annotated[Reason, Body()] = NO_REASON) -> Reason:
    """For a route whose body may give a reason that is not kept."""
    return body


NO_BODY: list[Any] = [Depends(_nothing)]
"""For a route that takes `{}` or no body, and nothing else."""

CREATED = 201


def require_past(call: Call, **instants: datetime | None) -> datetime:
    """The present instant. Raises 422 for an instant that is in the future."""
    now = call.ledger.clock.now()
    for name, instant in instants.items():
        if instant is not None and instant > now:
            raise invalid(f"query.{name}", f"is in the future: the ledger's clock shows {now:%Y-%m-%dT%H:%M:%SZ}")
    return now


def contract_json(call: Call, state: Contract) -> Json:
    return presenters.contract(state, call.texts(presenters.contract_texts(state)))


def contract_now(call: Call, contract_id: str) -> Answer:
    """The contract as the command left it."""
    state = call.loaded(Contract, contract_id)
    return call.answer(contract_json(call, state), version=state.version)


def payout_json(call: Call, state: Payout) -> Json:
    return money_presenters.payout(state, call.texts(money_presenters.payout_texts(state)))


def payout_now(call: Call, payout_id: str) -> Answer:
    """The payout as the command left it."""
    state = call.loaded(Payout, payout_id)
    return call.answer(payout_json(call, state), version=state.version)
