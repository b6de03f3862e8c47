"""What every endpoint shares: versions, positions, pages, times, problems."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from api import position_watch
from ledger.errors import Contention
from ledger.service import Service
from tests.api.world import OPERATOR_KEY, Web, World, check_problem, offer_of
from tests.processes import PROJECT


def bonuses_of(world: World) -> str:
    return f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"


# Versions


def test_the_etag_is_the_version(world: World) -> None:
    contract = world.web.send("GET", f"/v1/contracts/{world.contracts['hourly']['id']}", world.client_key)
    assert contract.headers["etag"] == f'"{contract.json()["version"]}"'
    granted = world.web.send("POST", bonuses_of(world), world.client_key, {"amount": 1})
    assert granted.headers["etag"] == f'"{contract.json()["version"] + 1}"'


def test_if_match_lets_a_write_through_only_at_that_version(world: World) -> None:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}"
    etag = world.web.send("GET", path, world.client_key).headers["etag"]
    current = {"If-Match": etag}
    assert (
        world.web.send("POST", bonuses_of(world), world.client_key, {"amount": 1}, headers=current).status_code == 201
    )
    body = {"amount": 1}
    world.web.refused(412, "version_conflict", "POST", bonuses_of(world), world.client_key, body=body, headers=current)
    assert (
        world.web.send("POST", bonuses_of(world), world.client_key, body, headers={"If-Match": "*"}).status_code == 201
    )


def test_of_two_writes_on_one_version_one_is_refused(world: World) -> None:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}"
    headers = {"If-Match": world.web.send("GET", path, world.client_key).headers["etag"]}

    def grant(_: int) -> int:
        return world.web.send("POST", bonuses_of(world), world.client_key, {"amount": 1}, headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(grant, range(4))) == [201, 412, 412, 412]


# Positions


def test_a_write_answers_with_the_position_that_covers_all_it_causes(own_world: World) -> None:
    web, contract = own_world.web, own_world.contracts["single_payment"]
    path = f"/v1/contracts/{contract['id']}/milestones/{contract['milestones'][0]['id']}"
    web.ok("POST", f"{path}/submit", own_world.freelancer_key)
    approved = web.send("POST", f"{path}/approve", own_world.client_key, {})
    position = int(approved.headers["ledger-position"])
    assert position == web.ledger.log.head()
    payout = web.ok("GET", "/v1/payouts", own_world.freelancer_key, headers={"Ledger-Min-Position": str(position)})[
        "data"
    ][0]
    assert payout["status"] == "pending", "the charge has happened by then"


def test_a_read_that_cannot_reach_the_position_is_503_after_two_seconds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert position_watch.WAIT_SECONDS == 2
    monkeypatch.setattr(position_watch, "WAIT_SECONDS", 0.05)
    headers = {"Ledger-Min-Position": str(world.web.ledger.log.head() + 1000)}
    answer = world.web.send("GET", "/v1/contracts", world.client_key, headers=headers)
    assert (answer.status_code, check_problem(answer)["code"]) == (503, "projection_behind")
    assert answer.headers["retry-after"] == "1"


def test_a_read_says_how_far_it_sees(world: World) -> None:
    answer = world.web.send("GET", "/v1/contracts", world.auditor_key)
    assert int(answer.headers["ledger-position"]) == world.web.ledger.reader.position()


# Pages


def test_pages_run_newest_first_without_gap_or_repetition(own_world: World) -> None:
    web, seen, cursor = own_world.web, [], None
    for _ in range(3):
        web.ok("POST", "/v1/contracts", own_world.client_key, offer_of("hourly"))
    while True:
        page = web.ok("GET", "/v1/contracts?limit=2" + (f"&cursor={cursor}" if cursor else ""), own_world.client_key)
        seen += page["data"]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
        web.ok(
            "POST", "/v1/contracts", own_world.client_key, offer_of("hourly")
        )  # what is new does not shift the pages
    assert len({contract["id"] for contract in seen}) == len(seen) == 7
    assert [one["offered_at"] for one in seen] == sorted((one["offered_at"] for one in seen), reverse=True)


def test_an_empty_list_is_a_page(web: Web) -> None:
    for path in ("/v1/contracts", "/v1/payouts", "/v1/events", "/v1/api-keys"):
        assert web.ok("GET", path) == {"data": [], "has_more": False, "next_cursor": None}


def test_twenty_by_default_and_a_hundred_at_most(own_world: World) -> None:
    for _ in range(21):
        own_world.web.ok("POST", "/v1/api-keys", body={"role": "auditor"})
    page = own_world.web.ok("GET", "/v1/api-keys")
    assert (len(page["data"]), page["has_more"]) == (20, True)
    assert own_world.web.ok("GET", "/v1/api-keys?limit=100")["has_more"] is False
    newest, *_ = page["data"]
    after = own_world.web.ok("GET", f"/v1/api-keys?cursor={page['next_cursor']}")["data"]
    assert newest["id"] not in {key["id"] for key in after}


def test_events_run_oldest_first_from_a_position(world: World) -> None:
    seen: list[int] = []
    while page := world.web.ok("GET", f"/v1/events?limit=7&after={seen[-1] if seen else 0}", world.auditor_key)["data"]:
        seen += [event["position"] for event in page]
    assert seen == list(range(1, world.web.ledger.log.head() + 1))


# Times and problems


def test_times_are_in_utc_with_z_whatever_zone_they_came_in(world: World) -> None:
    path = f"/v1/freelancers/{world.freelancer}/balance"
    balance = world.web.ok("GET", path, world.freelancer_key, params={"as_of": "2026-01-05T10:00:00+01:00"})
    assert balance["as_of"] == "2026-01-05T09:00:00Z"
    assert world.web.ok("GET", "/v1/test-clock")["now"] == "2026-01-05T09:00:00Z"


def test_health_and_metrics_and_the_document_are_open(world: World) -> None:
    health = world.web.ok("GET", "/v1/health", None)
    assert health["status"] == "ok"
    assert all(one["lag"] == 0 and one["error"] is None for one in health["projections"])
    metrics = world.web.http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "ledger_http_requests_total" in metrics.text
    assert "ledger_projection_lag_events" in metrics.text
    for path in ("/openapi.json", "/docs"):
        assert world.web.http.get(path).status_code == 200


def test_every_metric_that_the_operations_page_names_is_scraped(world: World) -> None:
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`/metrics` `(\w+)`", page))
    assert len(named) >= 3
    scraped = set(re.findall(r"^(\w+)", world.web.http.get("/metrics").text, re.MULTILINE))
    assert named <= scraped


def test_a_projection_that_has_stopped_shows_in_the_health(own_world: World) -> None:
    own_world.web.ledger.database.execute("UPDATE projections SET error = 'event x' WHERE name = 'balances'")
    problem = check_problem(own_world.web.send("GET", "/v1/health", None))
    assert (problem["status"], problem["code"]) == (503, "projection_stopped")
    assert any(one["error"] for one in problem["projections"])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Contention("busy"), 503, "contention"),
        (psycopg.OperationalError("gone"), 503, "database_unavailable"),
        (ZeroDivisionError("lk_secret"), 500, "internal_error"),
    ],
)
def test_what_is_not_the_callers_fault_is_a_problem_too(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    def broken(self: Service, *args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(Service, "handle", broken)
    answer = world.web.send("POST", bonuses_of(world), world.client_key, {"amount": 1})
    assert (answer.status_code, check_problem(answer)["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "lk_secret" not in answer.text


def test_the_test_clock_exists_in_the_sandbox_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.web.ledger.settings, "sandbox", False)
    world.web.refused(404, "not_found", "GET", "/v1/test-clock")
    world.web.refused(404, "not_found", "POST", "/v1/test-clock/advance", body={"to": "2026-01-05T10:00:00Z"})


def test_advancing_to_now_does_nothing(world: World) -> None:
    head = world.web.ledger.log.head()
    now = world.web.ok("GET", "/v1/test-clock", OPERATOR_KEY)["now"]
    assert world.web.ok("POST", "/v1/test-clock/advance", body={"to": now})["now"] == now
    assert world.web.ledger.log.head() == head
