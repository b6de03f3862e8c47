"""The log as a feed: what happened, oldest first."""

from typing import Annotated

from fastapi import Query

from api import audit_presenters
from api.call import Answer, Calling
from api.fields import Reference
from api.pagination import DEFAULT_LIMIT, CursorText, Limit, decode_one, page
from api.problems import invalid
from api.query import Position
from api.route import new_router
from api.schemas.answers import Page
from api.schemas.audit import EventOut

router = new_router("Events")


@router.get("/v1/events", response_model=Page[EventOut])
def list_events(
    call: Calling,
    after: Annotated[Position | None, Query(description="Only events after this log position.")] = None,
    type_: Annotated[Reference | None, Query(alias="type", description="Such as `payout.charged.v1`.")] = None,
    contract_id: Reference | None = None,
    payout_id: Reference | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText | None = None,
) -> Answer:
    """Events after a position, oldest first, unlike other lists; parties see their own.

    To follow the log, ask again with `after` set to the `position` of the last event.
    """
    if after is not None and cursor is not None:
        raise invalid("query.after", "excludes cursor")
    views = call.ledger.reader.events(
        after=decode_one(cursor) or after or 0,
        topic=type_,
        contract_id=contract_id,
        payout_id=payout_id,
        party_id=call.principal.party_id,
        limit=limit + 1,
    )
    shown, more = page([((view.position,), view) for view in views], limit)
    return call.answer({"data": [audit_presenters.event(view) for view in shown], **more})
