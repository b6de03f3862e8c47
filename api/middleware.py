"""The gate before everything: an id for each request, its key, its pace, and a bound on its body. Nothing is parsed before it.

Pure ASGI: the body is read here once, within its bound, and handed on. Every line that is logged for a request, in whichever
thread, carries `request_id` and `correlation_id`, and for a write `command_id`, which its events carry too.
"""

import re
import time
from secrets import token_bytes

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import OPEN, Authenticator
from api.limits import RateLimit
from api.metrics import Metrics
from api.problems import ApiProblem, answer, problem_of
from ledger import ids

MAX_BODY_BYTES = 2**20
DRAINED_BYTES = 16 * MAX_BODY_BYTES
"""How much of a body that is too large is still read, so that its sender comes to read the answer."""
BODYLESS = ("GET", "HEAD", "OPTIONS")

_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

log = structlog.get_logger("api")


class Gate:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, metrics: Metrics, limit: RateLimit) -> None:
        self._app, self._authenticator, self._metrics, self._limit = app, authenticator, metrics, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = ids.of(ids.REQUEST, token_bytes(16))
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 500
        ids_of_it = {"request_id": request_id, "correlation_id": correlation_of(Headers(scope=scope)) or request_id}

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(**ids_of_it):
            try:
                await self._pass(scope, receive, send_with_id)
            finally:
                self._note(scope, status, time.perf_counter() - started)
        return None

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope["state"]["request_id"]
        try:
            headers = Headers(scope=scope)
            if scope["path"] not in OPEN:
                principal = await run_in_threadpool(self._authenticator.principal, headers.get("authorization"))
                scope["state"]["principal"] = principal
                self._limit.take(principal.owner)
            if scope["method"] not in BODYLESS:
                receive = await bounded(receive, headers)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the caller gets a problem and the log its traceback
            refusal = refuse(error, scope["path"], request_id)
            return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        template = scope["state"].get("template", "unmatched")
        principal = scope["state"].get("principal")
        self._metrics.note(scope["method"], template, status, seconds)
        log.info(
            "request",
            method=scope["method"],
            route=template,
            status=status,
            milliseconds=round(1000 * seconds, 1),
            actor=principal.actor if principal else None,
        )


def refuse(error: Exception, path: str, request_id: str) -> Response:
    """The answer to an exception; one that is the server's own fault is logged."""
    problem = problem_of(error)
    if problem.status >= 500:
        foreseen = problem.status != 500
        log.log(30 if foreseen else 40, problem.code, exc_info=None if foreseen else error, cause=repr(error))
    return answer(problem, path, request_id)


def correlation_of(headers: Headers) -> str | None:
    """The trace that the caller says the request is a part of (W3C `traceparent`): hexadecimal, so that it says nothing else."""
    match = _TRACE.fullmatch(headers.get("traceparent", ""))
    return match[1] if match and set(match[1]) != {"0"} else None


async def bounded(receive: Receive, headers: Headers) -> Receive:
    """Reads the body. Raises 413 `body_too_large` beyond MAX_BODY_BYTES, whatever Content-Length says; 400 when it breaks off."""
    declared = headers.get("content-length", "")
    size, chunks, more = 0, [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":  # half a body, or none where one was announced, is no request
            raise ApiProblem(400, "body_incomplete", "the connection ended before the body did")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > DRAINED_BYTES:
            break
    if size > MAX_BODY_BYTES or (declared.isdecimal() and int(declared[:19]) > MAX_BODY_BYTES):
        raise ApiProblem(
            413, "body_too_large", f"a body has at most {MAX_BODY_BYTES} bytes", headers={"Connection": "close"}
        )
    body = b"".join(chunks)
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
