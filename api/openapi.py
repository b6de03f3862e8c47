"""The OpenAPI document: what FastAPI derives, and what every operation shares: headers, keys and problems."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.auth import ALL, OPEN, RIGHTS
from api.problems import MEDIA_TYPE
from api.schemas.answers import Problem

METHODS = ("get", "post", "put", "patch", "delete")
DESCRIPTION = """The ledger of freelance contracts that are paid through the platform.

Amounts are whole minor units of an ISO 4217 currency; times are RFC 3339 in UTC. Every write may carry an
`Idempotency-Key`, and answers with the log position it reached in `Ledger-Position`.

A read with the header `Ledger-Min-Position: N` waits until the projections have reached N, 2 s at most; then it is
503 `projection_behind`."""
"""That header is no parameter of the operations: whoever tries parameters out would take its 503 for a fault."""

PROBLEMS = {
    401: "No key, or one that is unknown or revoked.",
    403: "The key's role has no right to this.",
    404: "There is no such object, or none that this key may know of.",
    409: "The state of things forbids it: `code` says why. Or a request under the same Idempotency-Key is running.",
    412: "`version_conflict`: the object has changed since the version in If-Match.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not JSON.",
    422: "`validation_error`: the request is not valid; or `idempotency_key_reused`.",
    429: "`rate_limited`: too many requests for this party or person. Retry-After says when.",
    500: "The server's own fault.",
    503: "Not now: `projection_behind`, `contention`, `database_unavailable`. Retry-After says when.",
}
EXAMPLE = {
    "type": "urn:ledger:problem:review_period_ended",
    "title": "Conflict",
    "status": 409,
    "detail": "the review ended at 2026-01-12T10:00:00Z, and silence is approval",
    "instance": "/v1/contracts/con_aaaaaaaaaaaaaaaaaaaa/milestones/mil_aaaaaaaaaaaaaaaaaaaa/approve",
    "code": "review_period_ended",
    "request_id": "req_aaaaaaaaaaaaaaaaaaaa",
}

Json = dict[str, Any]


def document(app: FastAPI) -> Json:
    """The whole document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            separate_input_output_schemas=True,
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["components"]["parameters"] = PARAMETERS
        for path, item in schema["paths"].items():
            for method in METHODS:
                if method in item:
                    _complete(path, method, item[method])
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(path: str, method: str, operation: Json) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status in _statuses(path, method, operation):
        responses[str(status)] = {
            "description": PROBLEMS[status],
            "headers": _headers("RequestId", *(["RetryAfter"] if status in (429, 503) else [])),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": EXAMPLE | {"status": status},
                }
            },
        }
    _complete_success(path, method, responses)
    if path in OPEN:
        return
    operation["security"] = [{"key": []}]
    if method != "get":
        references = [{"$ref": f"#/components/parameters/{name}"} for name in PARAMETERS]
        operation["parameters"] = operation.get("parameters", []) + references


def _statuses(path: str, method: str, operation: Json) -> list[int]:
    """The problems that an operation may answer."""
    statuses = [500, 503]
    if path not in OPEN:
        statuses += [401, 422, 429]
        if RIGHTS[method.upper(), path] != ALL:
            statuses.append(403)
        if "{" in path or "test-clock" in path:
            statuses.append(404)
        if method != "get":
            statuses += [409, 412, 413]
        if "requestBody" in operation:
            statuses.append(415)
    return sorted(statuses)


def _complete_success(path: str, method: str, responses: Json) -> None:
    for status, response in responses.items():
        if status.startswith("2"):
            names = ["RequestId"] if path == "/metrics" else ["RequestId", "LedgerPosition", "ETag"]
            response["headers"] = _headers(*names, *(["Replayed"] if method != "get" else []))


def _headers(*names: str) -> Json:
    return {HEADERS[name][0]: HEADERS[name][1] for name in names}


HEADERS: dict[str, tuple[str, Json]] = {
    "RequestId": ("Request-Id", {"description": "Names this request.", "schema": {"type": "string"}}),
    "LedgerPosition": (
        "Ledger-Position",
        {
            "description": "The log position that the answer covers.",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        },
    ),
    "ETag": ("ETag", {"description": "The version of the object, for If-Match.", "schema": {"type": "string"}}),
    "RetryAfter": (
        "Retry-After",
        {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    ),
    "Replayed": (
        "Idempotent-Replayed",
        {"description": "`true`: the first answer again.", "schema": {"type": "string", "enum": ["true"]}},
    ),
}
PARAMETERS: Json = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key, method, path and body again give the first answer again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the object as the caller last saw it.",
        "schema": {"type": "string", "pattern": '^"[0-9]{1,18}"$'},
        "example": '"3"',
    },
}
