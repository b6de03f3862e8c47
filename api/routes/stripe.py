"""What Stripe reports by itself: its webhooks, which come without a key and are let in by their signature."""

from functools import partial
from typing import Annotated, Any, Literal

import orjson
from fastapi import Header, Request
from pydantic import BaseModel

from api.call import Answer, AtDesk, Desk
from api.problems import MEDIA_TYPE, ApiProblem, unavailable
from api.route import new_router
from ledger.processors.protocol import OutcomeUnknown

router = new_router("Processor")

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "`signature_invalid`, or `not_an_event`.", "content": _PROBLEM},
    404: {"description": "This ledger takes no webhooks of Stripe.", "content": _PROBLEM},
    413: {"description": "The body is larger than 1 MiB.", "content": _PROBLEM},
}
_BODY = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}


class ReceivedOut(BaseModel):
    """The webhook was taken; Stripe need not send it again."""

    received: Literal[True]


@router.post("/v1/processor/stripe", response_model=ReceivedOut, responses=_PROBLEMS, openapi_extra=_BODY)
async def take_stripe_webhook(
    desk: AtDesk, request: Request, signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None
) -> Answer:
    """Stripe's webhooks: what they are about is asked of Stripe, and recorded as far as it is new."""
    report = _verified(desk, await request.body(), signature)
    await desk.webhooks.run(partial(_take, desk, report))
    return Answer({"received": True})


def _verified(desk: Desk, body: bytes, signature: str | None) -> dict[str, Any]:
    """The event in the body. 404 where this ledger has no Stripe, 400 for a signature that is none."""
    ledger, processor = desk.ledger, desk.ledger.outside.processor
    configured = ledger.settings.stripe_webhook_secret
    if configured is None or processor is None or processor.name != "stripe":
        raise ApiProblem(404, "not_found", "this ledger takes no webhooks of Stripe: it is not configured for them")
    from ledger.processors.stripe_reports import verify  # here, because only who uses Stripe waits for its library

    secrets = [one.strip() for one in configured.get_secret_value().split(",") if one.strip()]
    if not verify(body, signature, secrets):
        detail = "the Stripe-Signature header does not sign this body, or did so more than five minutes ago"
        raise ApiProblem(400, "signature_invalid", detail)
    return _event(body)


def _take(desk: Desk, report: dict[str, Any]) -> None:
    """503 where Stripe is to send it again."""
    from ledger.processors.stripe import StripeProcessor
    from ledger.processors.stripe_reports import StripeReports

    ledger, processor = desk.ledger, desk.ledger.outside.processor
    assert isinstance(processor, StripeProcessor)
    reports = StripeReports(processor, ledger.log, ledger.clock, ledger.service.handle, ledger.outside.ask)
    try:
        reports.take(report)
    except OutcomeUnknown as unknown:
        raise unavailable("processor_unavailable", f"this cannot be recorded yet, send it again: {unknown}") from None


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        event = None
    if not isinstance(event, dict) or event.get("object") != "event":
        raise ApiProblem(400, "not_an_event", "the body is signed, but is no event of Stripe's API version 1")
    return event
