"""The system: is it ready, how does it do, and, in the sandbox, what time is it."""

from starlette.responses import Response

from api.call import Answer, AtDesk, Call, Calling
from api.problems import ApiProblem, invalid, missing
from api.route import new_router
from api.schemas.answers import HealthOut, TestClockOut
from api.schemas.requests import ClockAdvance

router = new_router("System")


@router.get("/v1/health", response_model=HealthOut)
def get_health(desk: AtDesk) -> Answer:
    """Ready when the database answers and no projection has stopped; each projection's lag in events."""
    reader = desk.ledger.reader
    projections = [one._asdict() for one in reader.health()]
    stopped = [one["name"] for one in projections if one["error"]]
    if stopped:
        detail = f"projections have stopped: {', '.join(stopped)}; reads of them stay behind"
        raise ApiProblem(
            503, "projection_stopped", detail, headers={"Retry-After": "10"}, more={"projections": projections}
        )
    head, position = reader.head(), min((one["position"] for one in projections), default=0)
    content = {"object": "health", "status": "ok", "position": position, "head": head, "projections": projections}
    return Answer(content, headers={"Ledger-Position": str(position)})


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
def get_metrics(desk: AtDesk) -> Response:
    """For Prometheus."""
    return Response(desk.metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/v1/test-clock", response_model=TestClockOut)
def get_test_clock(call: Calling) -> Answer:
    """The sandbox's clock."""
    _require_sandbox(call)
    return call.answer({"object": "test_clock", "now": call.ledger.clock.now()})


@router.post("/v1/test-clock/advance", response_model=TestClockOut)
def advance_test_clock(call: Calling, body: ClockAdvance) -> Answer:
    """Advance the sandbox's clock, stopping at each instant at which something is due."""
    _require_sandbox(call)
    now = call.ledger.clock.now()
    if body.to < now:
        raise invalid("body.to", f"is in the past: the clock shows {now:%Y-%m-%dT%H:%M:%S.%fZ} and never goes back")
    if body.to > now:
        now = call.ledger.worker.advance(body.to)
    call.reached(call.ledger.log.head())
    return call.answer({"object": "test_clock", "now": now})


def _require_sandbox(call: Call) -> None:
    if not call.ledger.settings.sandbox:
        raise missing("test clock: this ledger runs on the real time")
