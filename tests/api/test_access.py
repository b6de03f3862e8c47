"""Who may do what: 401 before 403 before 404 before anything that is wrong with a body."""

import re

import pytest
from fastapi.routing import APIRoute

from api.app import ROUTERS
from api.auth import OPEN, RIGHTS
from tests.api.world import World, check_problem

ROLES = ("client", "freelancer", "auditor", "operator")
IDS = {
    "client_id": "cli_",
    "freelancer_id": "fre_",
    "contract_id": "con_",
    "milestone_id": "mil_",
    "entry_id": "tim_",
    "payout_id": "pay_",
    "reversal_id": "rev_",
    "adjustment_id": "adj_",
    "key_id": "key_",
}


def path_of(template: str) -> str:
    """A path of the template, to objects that do not exist."""
    return re.sub(r"\{(\w+)\}", lambda match: IDS[match[1]] + "a" * 20, template)


def routes() -> list[tuple[str, str]]:
    found = [route for router in ROUTERS for route in router.routes]
    return [(method, route.path) for route in found if isinstance(route, APIRoute) for method in route.methods]


def test_every_route_has_a_row_of_rights_and_every_row_a_route() -> None:
    assert {route for route in routes() if route[1] not in OPEN} == set(RIGHTS)


@pytest.mark.parametrize(("method", "template"), sorted(RIGHTS))
def test_no_key_is_401_whatever_else_is_wrong(world: World, method: str, template: str) -> None:
    answer = world.web.send(method, path_of(template) + "?nonsense=1", None, content=b"{not json")
    assert answer.status_code == 401
    assert check_problem(answer)["code"] == "unauthenticated"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "template"), sorted(RIGHTS))
def test_a_role_without_the_right_is_403_whatever_else_is_wrong(world: World, method: str, template: str) -> None:
    for role in set(ROLES) - RIGHTS[method, template]:
        body = {"content": b"{not json"} if method != "GET" else {}
        world.web.refused(403, "forbidden", method, path_of(template), world.key(role), **body)


def test_an_auditor_reads_everything_and_writes_nothing() -> None:
    for (method, _), roles in RIGHTS.items():
        if method != "GET":
            assert "auditor" not in roles


@pytest.mark.parametrize(("method", "template"), [route for route in sorted(RIGHTS) if "{" in route[1]])
def test_an_object_that_does_not_exist_is_404(world: World, method: str, template: str) -> None:
    for role in RIGHTS[method, template]:
        body = {} if method in ("GET", "DELETE") else {"body": VALID.get(template, {})}
        world.web.refused(404, "not_found", method, path_of(template), world.key(role), **body)


@pytest.mark.parametrize(
    "identifier", ["x", "con_", "pay_" + "a" * 20, "con_" + "A" * 20, "con_%00aaaaaaaaaaaaaaaaaaa", "%F0%9F%92%A9"]
)
def test_what_cannot_be_an_id_names_nothing(world: World, identifier: str) -> None:
    world.web.refused(404, "not_found", "GET", f"/v1/contracts/{identifier}", world.client_key)


def test_another_partys_objects_are_404(world: World) -> None:
    contract = world.contracts["milestone"]["id"]
    for key in (world.other_client_key, world.other_freelancer_key):
        world.web.refused(404, "not_found", "GET", f"/v1/contracts/{contract}", key)
        assert world.web.ok("GET", "/v1/contracts", key)["data"] == []
    for what in ("", "/balance", "/balance-transactions", "/earnings", "/withdrawals"):
        world.web.refused(
            404, "not_found", "GET", f"/v1/freelancers/{world.freelancer}{what}", world.other_freelancer_key
        )
    world.web.refused(404, "not_found", "GET", f"/v1/clients/{world.client}", world.other_client_key)
    bonus = {"body": {"amount": 1}}
    world.web.refused(404, "not_found", "POST", f"/v1/contracts/{contract}/bonuses", world.other_client_key, **bonus)
    method = {"body": {"token": "pm_card_visa"}}
    world.web.refused(
        404, "not_found", "PUT", f"/v1/clients/{world.client}/billing-method", world.other_client_key, **method
    )


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic abc", "Bearer lk_x", "Bearer lk_aaaaaaaaaaaa_zzz", "Bearer \xe9\xff", "Bearer " + "x" * 5000],
)
def test_a_bad_key_is_401(world: World, header: str) -> None:
    answer = world.web.http.get("/v1/contracts", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert check_problem(answer)["code"] == "unauthenticated"


def test_an_unknown_path_is_404_with_a_key_and_401_without(world: World) -> None:
    world.web.refused(404, "not_found", "GET", "/v1/nothing")
    world.web.refused(404, "not_found", "GET", "/v1/contracts/", world.client_key)
    world.web.refused(401, "unauthenticated", "GET", "/v1/nothing", None)


def test_a_method_that_a_path_does_not_have_is_405(world: World) -> None:
    world.web.refused(405, "method_not_allowed", "DELETE", "/v1/contracts", world.client_key)


VALID = {
    "/v1/clients/{client_id}/billing-method": {"token": "pm_card_visa"},
    "/v1/freelancers/{freelancer_id}/payout-method": {"token": "ba_test"},
    "/v1/freelancers/{freelancer_id}/withdrawals": {"amount": 1, "currency": "USD"},
    "/v1/contracts/{contract_id}/classification/questionnaire": {"answers": {"own_tools": "yes"}},
    "/v1/contracts/{contract_id}/classification/recommendation": {"outcome": "employee", "reasons": "they are one"},
    "/v1/contracts/{contract_id}/classification/decision": {"outcome": "employee"},
    "/v1/contracts/{contract_id}/employer-of-record": {"name": "Payroll Ltd", "pay_schedule": "monthly"},
    "/v1/contracts/{contract_id}/eor-payrolls": {"amount": 1, "period_start": "2026-01-01", "period_end": "2026-01-31"},
    "/v1/contracts/{contract_id}/milestones": {"description": "more", "amount": 1},
    "/v1/contracts/{contract_id}/time-entries": {"date": "2026-01-05", "minutes": 1},
    "/v1/contracts/{contract_id}/time-entries/{entry_id}": {"minutes": 1},
    "/v1/contracts/{contract_id}/bonuses": {"amount": 1},
    "/v1/payouts/{payout_id}/objections": {"reason": "no"},
    "/v1/payouts/{payout_id}/reduce": {"amount": 0},
    "/v1/payouts/{payout_id}/reversals": {"amount": 1, "reason": "refund"},
}
"""A body that is right for each path."""
