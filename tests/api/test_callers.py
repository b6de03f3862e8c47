"""Every endpoint and six callers: no key, a bad key, another client, another freelancer, an auditor, an operator.

The objects in the paths exist, and belong to the first client and the first freelancer. Which endpoints there are, the OpenAPI
document says: one that has no row here fails.
"""

from typing import Any

import pytest

from tests.api.test_access import VALID
from tests.api.test_openapi import document, existing, operations
from tests.api.world import OPERATOR_KEY, World, offer_of

__all__ = ["document"]  # a fixture

IN = "in"
"""Let in: what then comes of it is for other tests."""
NOTHING = "nothing"
"""Let in, and shown nothing of what belongs to others."""
OPEN = ["open"] * 6
"""Needs no key, and looks at none."""
CALLERS = ("no key", "a bad key", "another client", "another freelancer", "an auditor", "an operator")

TABLE = """
POST   /v1/adjustments                                                   401 401 403 403 403 in
GET    /v1/adjustments/{adjustment_id}                                   401 401 403 403 in  in
POST   /v1/adjustments/{adjustment_id}/approve                           401 401 403 403 403 in
GET    /v1/api-keys                                                      401 401 403 403 in  in
POST   /v1/api-keys                                                      401 401 403 403 403 in
DELETE /v1/api-keys/{key_id}                                             401 401 403 403 403 in
GET    /v1/audit/checkpoints                                             401 401 403 403 in  in
GET    /v1/audit/contracts/{contract_id}/history                         401 401 403 403 in  in
GET    /v1/audit/integrity                                               401 401 403 403 in  in
GET    /v1/audit/trial-balance                                           401 401 403 403 in  in
POST   /v1/clients                                                       401 401 403 403 403 in
GET    /v1/clients/{client_id}                                           401 401 404 403 in  in
PUT    /v1/clients/{client_id}/billing-method                            401 401 404 403 403 403
GET    /v1/contracts                                                     401 401 nothing nothing in in
POST   /v1/contracts                                                     401 401 in  403 403 403
GET    /v1/contracts/{contract_id}                                       401 401 404 404 in  in
POST   /v1/contracts/{contract_id}/accept                                401 401 403 404 403 403
POST   /v1/contracts/{contract_id}/decline                               401 401 403 404 403 403
POST   /v1/contracts/{contract_id}/withdraw-offer                        401 401 404 403 403 403
POST   /v1/contracts/{contract_id}/complete                              401 401 404 404 403 403
POST   /v1/contracts/{contract_id}/bonuses                               401 401 404 403 403 403
POST   /v1/contracts/{contract_id}/classification/questionnaire          401 401 403 404 403 403
POST   /v1/contracts/{contract_id}/classification/recommendation         401 401 403 403 403 in
POST   /v1/contracts/{contract_id}/classification/decision               401 401 404 403 403 403
PUT    /v1/contracts/{contract_id}/employer-of-record                    401 401 403 403 403 in
POST   /v1/contracts/{contract_id}/eor-payrolls                          401 401 403 403 403 in
POST   /v1/contracts/{contract_id}/milestones                            401 401 404 404 403 403
POST   /v1/contracts/{contract_id}/milestones/{milestone_id}/approve-request 401 401 404 403 403 403
POST   /v1/contracts/{contract_id}/milestones/{milestone_id}/decline-request 401 401 404 403 403 403
POST   /v1/contracts/{contract_id}/milestones/{milestone_id}/activate    401 401 404 403 403 403
POST   /v1/contracts/{contract_id}/milestones/{milestone_id}/submit      401 401 403 404 403 403
POST   /v1/contracts/{contract_id}/milestones/{milestone_id}/approve     401 401 404 403 403 403
POST   /v1/contracts/{contract_id}/milestones/{milestone_id}/request-changes 401 401 404 403 403 403
POST   /v1/contracts/{contract_id}/time-entries                          401 401 403 404 403 403
PATCH  /v1/contracts/{contract_id}/time-entries/{entry_id}               401 401 403 404 403 403
DELETE /v1/contracts/{contract_id}/time-entries/{entry_id}               401 401 403 404 403 403
POST   /v1/conversions                                                   401 401 403 403 403 in
GET    /v1/events                                                        401 401 nothing nothing in in
POST   /v1/freelancers                                                   401 401 403 403 403 in
GET    /v1/freelancers/{freelancer_id}                                   401 401 403 404 in  in
PUT    /v1/freelancers/{freelancer_id}/payout-method                     401 401 403 404 403 403
GET    /v1/freelancers/{freelancer_id}/balance                           401 401 403 404 in  in
GET    /v1/freelancers/{freelancer_id}/balance-transactions              401 401 403 404 in  in
GET    /v1/freelancers/{freelancer_id}/earnings                          401 401 403 404 in  in
GET    /v1/freelancers/{freelancer_id}/withdrawals                       401 401 403 404 in  in
POST   /v1/freelancers/{freelancer_id}/withdrawals                       401 401 403 404 403 403
GET    /v1/payouts                                                       401 401 nothing nothing in in
GET    /v1/payouts/{payout_id}                                           401 401 404 404 in  in
GET    /v1/payouts/{payout_id}/explain                                   401 401 404 404 in  in
POST   /v1/payouts/{payout_id}/objections                                401 401 404 403 403 403
POST   /v1/payouts/{payout_id}/objections/withdraw                       401 401 404 403 403 403
POST   /v1/payouts/{payout_id}/reduce                                    401 401 403 404 403 403
POST   /v1/payouts/{payout_id}/retry-charge                              401 401 403 403 403 in
POST   /v1/payouts/{payout_id}/reversals                                 401 401 403 403 403 in
POST   /v1/payouts/{payout_id}/reversals/{reversal_id}/reinstate         401 401 403 403 403 in
POST   /v1/processor/stripe                                              open
GET    /v1/health                                                        open
GET    /metrics                                                          open
GET    /v1/test-clock                                                    401 401 403 403 403 in
POST   /v1/test-clock/advance                                            401 401 403 403 403 in
"""


def rows() -> dict[tuple[str, str], list[str]]:
    """What each of the six callers is answered, by method and path."""
    found = {}
    for line in TABLE.strip().splitlines():
        method, path, *answers = line.split()
        assert (method, path) not in found, f"{method} {path} has two rows"
        found[method, path] = OPEN if answers == ["open"] else answers
    return found


ROWS = rows()


def without_a_row(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for method, path, _ in operations(document)} - ROWS.keys()


def test_every_endpoint_of_the_document_has_a_row_and_every_row_an_endpoint(document: dict[str, Any]) -> None:
    assert without_a_row(document) == set()
    assert ROWS.keys() == {(method.upper(), path) for method, path, _ in operations(document)}
    assert {len(answers) for answers in ROWS.values()} == {len(CALLERS)}


def test_a_new_endpoint_without_a_row_is_noticed(document: dict[str, Any]) -> None:
    paths = {**document["paths"], "/v1/refunds": {"get": {"summary": "New"}}}
    assert without_a_row({**document, "paths": paths}) == {("GET", "/v1/refunds")}


@pytest.fixture(scope="module")
def theirs(world: World) -> dict[str, str]:
    """Objects of the first client and the first freelancer, by the names that paths use."""
    web, hourly = world.web, world.contracts["hourly"]["id"]
    entry = {"date": "2026-01-05", "minutes": 5}
    known = existing(world)
    reversal = {"amount": 1, "reason": "chargeback"}
    return {
        **known,
        "hourly_id": hourly,
        "entry_id": web.ok("POST", f"/v1/contracts/{hourly}/time-entries", world.freelancer_key, entry)["id"],
        "reversal_id": web.ok("POST", f"/v1/payouts/{known['payout_id']}/reversals", OPERATOR_KEY, reversal)["id"],
        "key_id": web.ok("POST", "/v1/api-keys", body={"role": "auditor"})["id"],
    }


BODIES = {
    **VALID,
    "/v1/adjustments": {"reason": "r", "corrects_event_id": "evt_x", "postings": []},
    "/v1/api-keys": {"role": "auditor"},
    "/v1/clients": {"name": "N", "email": "new@example.com"},
    "/v1/freelancers": {"name": "N", "email": "new@example.com"},
    "/v1/contracts": offer_of("hourly", freelancer_email="stranger@example.com"),
    "/v1/conversions": {"client_id": "cli_x", "freelancer_email": "x@example.com"},
    "/v1/test-clock/advance": {"to": "2026-01-05T09:00:00Z"},
}


@pytest.mark.parametrize(("method", "path"), ROWS)
def test_each_of_six_callers_is_answered_as_the_table_says(
    world: World, theirs: dict[str, str], method: str, path: str
) -> None:
    keys = (
        None,
        "lk_aaaaaaaaaaaa_no_such_key",
        world.other_client_key,
        world.other_freelancer_key,
        world.auditor_key,
        OPERATOR_KEY,
    )
    named = {**theirs, "contract_id": theirs["hourly_id"]} if "time-entries" in path else theirs
    for caller, key, expected in zip(CALLERS, keys, ROWS[method, path], strict=True):
        head = world.web.ledger.log.head()
        body = None if method in ("GET", "DELETE") else BODIES.get(path, {})
        if path == "/metrics":
            assert world.web.http.get(path).status_code == 200
            continue
        answer = world.web.send(method, path.format(**named), key, body)
        said = f"{caller}: {answer.status_code} {answer.text[:300]}"
        match expected:
            case "open":
                assert answer.status_code not in (401, 403), said
            case "in":
                assert answer.status_code not in (401, 403, 404), said
                assert answer.status_code < 500, said
            case "nothing":
                assert answer.status_code == 200, said
                shown = str(answer.json()["data"])
                assert not [one for one in theirs.values() if one in shown], said
            case _:
                assert answer.status_code == int(expected), said
                assert world.web.ledger.log.head() == head, f"{caller} was refused, and something was written"
