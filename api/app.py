"""The application: everything of the interface on one ledger."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from api import openapi
from api.auth import Authenticator
from api.call import Desk
from api.limits import RateLimit
from api.metrics import Metrics
from api.middleware import Gate, refuse
from api.position_watch import PositionWatch
from api.routes import (
    adjustments,
    audit,
    classification,
    contracts,
    events,
    funds,
    keys,
    milestones,
    parties,
    payouts,
    stripe,
    system,
    time_entries,
)
from api.waiting_room import WaitingRoom
from ledger.bootstrap import Ledger
from ledger.store.idempotency import Idempotency
from ledger.store.keys import Keys
from ledger.store.own_writes import OwnWrites
from replay.verify.integrity import IntegrityWatch

ROUTERS = tuple(
    module.router
    for module in (
        parties,
        keys,
        contracts,
        classification,
        milestones,
        time_entries,
        payouts,
        funds,
        events,
        adjustments,
        audit,
        stripe,
        system,
    )
)

WEBHOOKS_AT_ONCE, WEBHOOK_WAIT_SECONDS = 8, 10.0
"""Each asks the processor, which may be slow or away; it sends again what it is not answered."""


def create_app(ledger: Ledger) -> FastAPI:
    """The interface to a ledger. The caller opens the ledger and closes it; `app.state.desk.idempotency` is closed with it."""
    app = FastAPI(title="Ledger", version="1", redoc_url=None, redirect_slashes=False)
    operator_key = ledger.settings.operator_key
    keys = Keys(ledger.database)
    desk = Desk(
        ledger=ledger,
        keys=keys,
        idempotency=Idempotency(ledger.database),
        authenticator=Authenticator(keys, ledger.clock, operator_key.get_secret_value() if operator_key else None),
        metrics=Metrics(ledger),
        own_writes=OwnWrites(ledger.database),
        integrity=IntegrityWatch(ledger.log, ledger.checkpoints, ledger.clock),
        webhooks=WaitingRoom(WEBHOOKS_AT_ONCE, WEBHOOK_WAIT_SECONDS),
        projected=PositionWatch(ledger.reader.position),
    )
    app.state.desk = desk
    limit = RateLimit(ledger.settings.rate_limit)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    app.add_exception_handler(Exception, _refused)
    app.add_exception_handler(404, _refused)
    app.add_exception_handler(405, _refused)
    app.add_middleware(Gate, authenticator=desk.authenticator, metrics=desk.metrics, limit=limit)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


async def _refused(request: Request, error: Exception) -> Response:
    """What no route took."""
    return refuse(error, request.url.path, request.state.request_id)
