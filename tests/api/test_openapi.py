"""The OpenAPI document is whole, and the server keeps to it whoever sends whatever fits it."""

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.auth import OPEN
from tests.api.test_access import routes
from tests.api.world import OPERATOR_KEY, World, route_of

METHODS = ("get", "post", "put", "patch", "delete")
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
ROLES = ("client", "freelancer", "auditor", "operator")


@pytest.fixture(scope="module")
def document(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.web.http.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method]) for path, item in document["paths"].items() for method in METHODS if method in item
    ]


def test_every_route_is_in_the_document(document: dict[str, Any]) -> None:
    documented = {(method.upper(), path) for method, path, _ in operations(document)}
    assert documented == set(routes())


def test_every_operation_states_its_success_its_problems_and_what_it_is(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        what = f"{method} {path}"
        assert operation["summary"], what
        assert operation["description"], what
        assert any(status.startswith("2") for status in operation["responses"]), what
        needed = {"500", "503"} if path in OPEN else {"401", "422", "500", "503"}
        assert needed <= set(operation["responses"]), what
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                assert set(response["content"]) == {"application/problem+json"}, what
                assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")


def test_every_body_has_an_example_and_every_field_a_bound(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if "requestBody" in operation and path not in OPEN:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            for reference in re.findall(r"#/components/schemas/(\w+)", str(schema)):
                shape = document["components"]["schemas"][reference]
                assert shape["additionalProperties"] is False, f"{method} {path}"
                assert not shape["properties"] or shape.get("examples"), f"{reference} has no example"


def test_the_document_refers_to_nothing_that_is_not_there(document: dict[str, Any]) -> None:
    for reference in set(re.findall(r"'\$ref': '#/([\w/]+)'", str(document))):
        found: Any = document
        for part in reference.split("/"):
            found = found[part]
        assert found


def test_two_servers_of_one_code_say_the_same(world: World, document: dict[str, Any]) -> None:
    assert world.web.http.get("/openapi.json").json() == document


@pytest.mark.parametrize("role", ROLES)
def test_whatever_fits_the_document_gets_an_answer_that_does(world: World, role: str) -> None:
    """Generated requests to every operation, half of them to objects that exist: no 5xx, no answer outside its schema."""
    schema = schemathesis.openapi.from_url(f"{world.web.url}/openapi.json")
    known = existing(world)
    headers = {"Authorization": f"Bearer {world.key(role)}"}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/v1/test-clock/advance":  # years of Mondays would be played
            continue

        @settings(
            max_examples=6,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Any) -> None:
            for parameters in (case.path_parameters, {**(case.path_parameters or {}), **known}):
                if case.path_parameters:
                    case.path_parameters = {name: parameters[name] for name in case.path_parameters}
                answer = case.call(headers=headers)
                case.validate_response(answer, checks=CHECKS)
                assert route_of(case.method.upper(), case.path)

        given(operation.as_strategy())(check)()


def existing(world: World) -> dict[str, str]:
    """Objects of the world's client and freelancer, by the names that paths use."""
    web, contract = world.web, world.contracts["milestone"]
    event = web.ok("GET", "/v1/events", OPERATOR_KEY)["data"][0]["id"]
    postings = [
        {"account": "processor", "direction": "debit", "amount": 1, "currency": "USD"},
        {"account": "platform:adjustments", "direction": "credit", "amount": 1, "currency": "USD"},
    ]
    adjustment = web.ok(
        "POST", "/v1/adjustments", OPERATOR_KEY, {"reason": "r", "corrects_event_id": event, "postings": postings}
    )
    payouts = web.ok("GET", "/v1/payouts", OPERATOR_KEY)["data"] or [paid(world)]
    return {
        "client_id": world.client,
        "freelancer_id": world.freelancer,
        "contract_id": contract["id"],
        "milestone_id": contract["milestones"][0]["id"],
        "payout_id": payouts[0]["id"],
        "adjustment_id": adjustment["id"],
    }


def paid(world: World) -> Any:
    """The payout of the approved single payment."""
    contract = world.contracts["single_payment"]
    path = f"/v1/contracts/{contract['id']}/milestones/{contract['milestones'][0]['id']}"
    world.web.ok("POST", f"{path}/submit", world.freelancer_key)
    world.web.ok("POST", f"{path}/approve", world.client_key)
    return world.web.ok("GET", "/v1/payouts", OPERATOR_KEY)["data"][0]
