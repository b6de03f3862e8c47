"""What happens around every endpoint, in this order: the role, the headers and the query, freshness or idempotency, the body.

A refusal of any of them, and whatever an endpoint raises, becomes a problem here.
"""

import re
from collections.abc import Callable, Coroutine
from json import JSONDecodeError
from secrets import token_bytes
from typing import Any

import orjson
import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute, APIRouter
from starlette.concurrency import run_in_threadpool

from api.auth import OPEN, Principal, require_right
from api.call import Answer, Call, Desk, behind
from api.middleware import BODYLESS, refuse
from api.problems import ApiProblem, FieldError, invalid, invalid_request
from api.query import whole
from ledger import ids
from ledger.store.idempotency import Claim, Kept, KeyInProgress, KeyReused, fingerprint_of

LONGEST_KEY = 255
KEPT_HEADERS = ("ledger-position", "etag")

_ETAG = re.compile(r'"([0-9]{1,18})"')
_JSON = re.compile(r"application/([!-~]+\+)?json", re.IGNORECASE)


class JsonRequest(Request):
    """A request whose body is read by orjson: no NaN, no lone surrogates, no number that only looks like an integer."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise JSONDecodeError(error.msg, "", 0) from None


class LedgerRoute(APIRoute):
    """A route of the interface."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = super().get_route_handler()
        parameters = {parameter.alias for parameter in self.dependant.query_params}
        template, has_body = self.path, self.body_field is not None

        async def handle(plain: Request) -> Response:
            request = JsonRequest(plain.scope, plain.receive)
            request.state.template = template
            try:
                if template in OPEN:
                    return await endpoint(request)
                principal: Principal = request.state.principal
                require_right(principal, request.method, template)
                _require_known(request, parameters)
                if request.method in BODYLESS:
                    request.state.call = await _fresh_call(request, principal)
                    return await endpoint(request)
                return await _write(request, principal, endpoint, has_body)
            except Exception as error:  # noqa: BLE001 - whatever it is becomes a problem; one of our own making is logged
                return refuse(error, request.url.path, request.state.request_id)

        return handle


def new_router(tag: str) -> APIRouter:
    """A router for the routes of one subject."""
    return APIRouter(route_class=LedgerRoute, tags=[tag], strict_content_type=False)


def _require_known(request: Request, parameters: set[str]) -> None:
    """Raises 422 for a query parameter that the route does not have."""
    unknown = sorted(set(request.query_params) - parameters)
    if unknown:
        known = f"the parameters here are {', '.join(sorted(parameters))}" if parameters else "there are none here"
        raise invalid_request([FieldError("query", f"an unknown query parameter was sent; {known}", "extra_forbidden")])


# Reads


async def _fresh_call(request: Request, principal: Principal) -> Call:
    """Waits until the projections hold what the caller asks for and wrote. Raises 503 `projection_behind`."""
    desk: Desk = request.app.state.desk
    call = Call(desk, principal)
    written, projected = await run_in_threadpool(desk.own_writes.standing, principal.owner)
    awaited = max(written, _min_position(request))
    reached = projected if projected >= awaited else await desk.projected.reached(awaited)
    if reached is None:
        raise behind(awaited)
    call.position = reached
    return call


def _min_position(request: Request) -> int:
    header = request.headers.get("ledger-min-position")
    if header is None:
        return 0
    try:
        position: int = whole(header)
    except ValueError:
        raise invalid("header.Ledger-Min-Position", "must be a log position, a whole number") from None
    return position


# Writes


async def _write(
    request: Request, principal: Principal, endpoint: Callable[[Request], Coroutine[Any, Any, Response]], has_body: bool
) -> Response:
    desk: Desk = request.app.state.desk
    expected_version = _expected_version(request)
    key = _idempotency_key(request)
    if has_body:
        await _require_json(request)

    async def run(command_id: str) -> Response:
        request.state.call = Call(desk, principal, command_id=command_id, expected_version=expected_version)
        try:
            return await endpoint(request)
        except Exception as error:  # noqa: BLE001 - as in `handle`; here because a refusal is an answer that may be kept
            return refuse(error, request.url.path, request.state.request_id)

    if key is None:
        fresh = ids.of(ids.COMMAND, token_bytes(16))
        structlog.contextvars.bind_contextvars(command_id=fresh)
        return await run(fresh)
    return await _once(desk, principal.owner, key, request, run)


def _expected_version(request: Request) -> int | None:
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        raise invalid("header.If-Match", 'must be one ETag as it was answered, such as "3"')
    return int(match[1])


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= LONGEST_KEY and key.isprintable()):
        raise invalid("header.Idempotency-Key", f"must have 1 to {LONGEST_KEY} printable characters")
    return key


async def _require_json(request: Request) -> None:
    """Raises 415 for a body of another kind; a body without a Content-Type is taken for JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind and not _JSON.fullmatch(kind) and await request.body():
        raise ApiProblem(415, "unsupported_media_type", "send the body as application/json")


async def _once(
    desk: Desk,
    owner: str,
    key: str,
    request: Request,
    run: Callable[[str], Coroutine[Any, Any, Response]],
) -> Response:
    """The first answer under a key, again and again; a command that got no answer is carried on under its id."""
    store = desk.idempotency
    fingerprint = fingerprint_of(request.method, request.url.path, await request.body())
    try:
        claim = await run_in_threadpool(store.claim, owner, key, fingerprint)
    except KeyInProgress:
        detail = "a request under this Idempotency-Key is being carried out: ask again for its answer"
        raise ApiProblem(409, "idempotency_in_progress", detail) from None
    except KeyReused:
        detail = "this Idempotency-Key stands for another request: use a new key for a new request"
        raise ApiProblem(422, "idempotency_key_reused", detail) from None
    structlog.contextvars.bind_contextvars(command_id=claim.command_id)
    try:
        if claim.kept is not None:
            return _replayed(claim.kept)
        answer = await run(claim.command_id)
        await run_in_threadpool(_settle_claim, desk, claim, answer)
        return answer
    finally:
        await run_in_threadpool(store.release, owner, key)


def _settle_claim(desk: Desk, claim: Claim, answer: Response) -> None:
    """Keeps 2xx and 409. After another refusal nothing was done and the key is free; after a 5xx nobody knows."""
    if answer.status_code < 300 or answer.status_code == 409:
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        headers["content-type"] = answer.headers.get("content-type", "")
        body = answer.kept if isinstance(answer, Answer) and answer.kept is not None else bytes(answer.body)
        desk.idempotency.keep(claim, Kept(answer.status_code, headers, body))
    elif answer.status_code < 500:
        desk.idempotency.forget(claim)


def _replayed(kept: Kept) -> Response:
    headers = {name: value for name, value in kept.headers.items() if value}
    return Response(kept.body, kept.status, {**headers, "Idempotent-Replayed": "true"})
