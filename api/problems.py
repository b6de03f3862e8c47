"""Problems as the caller sees them: `application/problem+json` (RFC 9457) with a stable `code`.

Every refusal, wherever it is raised, becomes an answer here. Of what the caller sent, only ids are repeated in it.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ledger.errors import Contention, NotFound, Refused, VersionConflict

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
"""How many of the errors of one request are listed."""
RETRY_SECONDS = 1


class FieldError(NamedTuple):
    """One thing that is wrong with a request: where, in words, and the kind of error."""

    field: str
    message: str
    type: str


class ApiProblem(Exception):
    """A refusal that the interface itself decides: status, stable code, and what to do about it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers, self.more = tuple(errors), dict(headers or {}), dict(more or {})
        super().__init__(f"{code}: {detail}")


def invalid(field: str, message: str, kind: str = "value_error") -> ApiProblem:
    """422 `validation_error` for one field of the request."""
    return invalid_request([FieldError(field, message, kind)])


def invalid_request(errors: Sequence[FieldError]) -> ApiProblem:
    """422 `validation_error`."""
    detail = "the request is not valid: errors[] says what to change in it"
    return ApiProblem(422, "validation_error", detail, errors=errors[:MAX_ERRORS])


def missing(what: str) -> ApiProblem:
    """404 `not_found`: there is none, or none that this caller may know of."""
    return ApiProblem(404, "not_found", f"there is no {what}, or not for this key")


def unavailable(code: str, detail: str) -> ApiProblem:
    """503 with Retry-After."""
    return ApiProblem(503, code, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def problem_of(error: Exception) -> ApiProblem:
    """What an exception means to the caller. One that nobody foresaw is 500 `internal_error`."""
    match error:
        case ApiProblem():
            return error
        case Refused():
            return ApiProblem(409, error.code, error.detail)
        case NotFound():
            return missing(error.what)
        case VersionConflict():
            detail = (
                f"If-Match names version {error.expected}; the object is at {error.actual}: read it again, then decide"
            )
            return ApiProblem(412, "version_conflict", detail)
        case Contention():
            return unavailable(
                "contention", "others kept writing to the same objects and nothing was written: send it again"
            )
        case RequestValidationError():
            return invalid_request([_field_error(one, error.body) for one in error.errors()])
        case HTTPException():
            return _of_http(error)
        case psycopg.OperationalError() | psycopg.InterfaceError() | OperationalError() | InterfaceError():
            return unavailable("database_unavailable", "the database does not answer: send the request again")
    detail = "this is the server's fault: name the request_id when reporting it; sending the request again is safe"
    return ApiProblem(500, "internal_error", f"{detail} with an Idempotency-Key")


def _field_error(error: Mapping[str, Any], body: Any) -> FieldError:
    """Without the input, which pydantic would repeat."""
    kind = str(error["type"])
    location = error["loc"][:1] if kind == "json_invalid" else _in_body(error["loc"], body)
    message = "is not valid JSON" if kind == "json_invalid" else _message(error)
    return FieldError(".".join(str(part)[:64] for part in location), message, kind)


def _in_body(location: Sequence[int | str], body: Any) -> list[int | str]:
    """Where in what was sent. Where there are several kinds of an object, pydantic puts the kind into the path as well."""
    where, *parts = location
    path: list[int | str] = [where]
    at = body if where == "body" else None
    for number, part in enumerate(parts, 1):
        is_kind = isinstance(at, dict) and part not in at and number < len(parts)
        if not is_kind:
            path.append(part)
            at = _part(at, part)
    return path


def _part(at: Any, name: int | str) -> Any:
    """Of an object or a list; None where there is none."""
    if isinstance(at, dict):
        return at.get(name)
    return at[name] if isinstance(at, list) and isinstance(name, int) and name < len(at) else None


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "union_tag_invalid":
        return f"must be one of {error['ctx']['expected_tags']}"
    return str(error["msg"])


def _of_http(error: HTTPException) -> ApiProblem:
    match error.status_code:
        case 404:
            return ApiProblem(404, "not_found", "there is no such path")
        case 405:
            return ApiProblem(405, "method_not_allowed", "this path has no such method", headers=error.headers)
        case 400:
            errors = [FieldError("body", "is not valid JSON", "json_invalid")]
            return invalid_request(errors)
    phrase = HTTPStatus(error.status_code).phrase
    return ApiProblem(error.status_code, phrase.lower().replace(" ", "_"), phrase, headers=error.headers)


def answer(problem: ApiProblem, instance: str, request_id: str) -> Response:
    """The problem as a response. `instance` is the path that was asked for."""
    content: dict[str, Any] = {
        "type": f"urn:ledger:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance.encode("utf-8", "replace").decode(),
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.errors or problem.code == "validation_error":
        content["errors"] = [error._asdict() for error in problem.errors]
    content.update(problem.more)
    return Response(orjson.dumps(content), problem.status, problem.headers, MEDIA_TYPE)
