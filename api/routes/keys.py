"""API keys. A key is shown once; an operator's key is the person's who made it (rule 27)."""

from typing import Annotated

from fastapi import Path

from api import presenters
from api.call import Answer, Call, Calling
from api.fields import is_id
from api.pagination import DEFAULT_LIMIT, CursorText, Limit, decode_one, page
from api.problems import invalid, missing
from api.route import new_router
from api.routes.common import CREATED
from api.schemas.answers import ApiKeyOut, NewApiKeyOut, Page
from api.schemas.requests import NewApiKey
from ledger import ids
from ledger.aggregates.client import Client
from ledger.aggregates.freelancer import Freelancer

router = new_router("API keys")


@router.post("/v1/api-keys", status_code=CREATED, response_model=NewApiKeyOut)
def create_key(call: Calling, body: NewApiKey) -> Answer:
    """Make a key for a party, an auditor or an operator."""
    if body.party_id is not None and not _is_party(call, body.role, body.party_id):
        raise invalid("body.party_id", f"names no {body.role}")
    person = {"operator": call.principal.person, "auditor": call.id(ids.PERSON)}.get(body.role)
    key, text = call.desk.keys.create(
        call.id(ids.API_KEY),
        body.role,
        party_id=body.party_id,
        person=person,
        created_by=call.principal.actor,
        now=call.ledger.clock.now(),
    )
    call.reached(call.ledger.log.head())
    shown = presenters.api_key(key)
    return call.answer({**shown, "key": text}, status=CREATED, kept=shown)


@router.get("/v1/api-keys", response_model=Page[ApiKeyOut])
def list_keys(call: Calling, limit: Limit = DEFAULT_LIMIT, cursor: CursorText | None = None) -> Answer:
    """Every key, revoked ones too."""
    keys = call.desk.keys.list(before=decode_one(cursor), limit=limit + 1)
    shown, more = page([((number,), key) for number, key in keys], limit)
    return call.answer({"data": [presenters.api_key(key) for key in shown], **more})


@router.delete("/v1/api-keys/{key_id}", status_code=204)
def revoke_key(call: Calling, key_id: Annotated[str, Path()]) -> Answer:
    """Revoke a key: it opens nothing any more."""
    if not is_id(key_id, ids.API_KEY):
        raise missing("API key")
    call.desk.keys.revoke(key_id, call.ledger.clock.now())
    call.reached(call.ledger.log.head())
    return call.answer(None, status=204)


def _is_party(call: Call, role: str, party_id: str) -> bool:
    state = call.known(Client, party_id) if role == "client" else call.known(Freelancer, party_id)
    return state is not None
