"""Idempotency keys: the first answer again, for the same request of the same owner; nothing is done twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from ledger.aggregates.contract import Contract
from ledger.service import Service
from ledger.store.database import Database
from ledger.store.idempotency import LOCKS, Idempotency, Kept, KeyInProgress, fingerprint_of
from tests.api.world import OPERATOR_KEY, World, check_problem, offer_of

SHOWN = ("content-type", "ledger-position", "etag")


def bonus(world: World, key: str, amount: int = 100, **more: Any) -> httpx.Response:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    headers = {"Idempotency-Key": key, **more.pop("headers", {})}
    return world.web.send("POST", path, world.client_key, {"amount": amount}, headers=headers, **more)


def bonuses(world: World) -> int:
    return len(world.web.ok("GET", f"/v1/contracts/{world.contracts['hourly']['id']}", world.client_key)["bonuses"])


def granted_in_log(world: World) -> int:
    contract = world.contracts["hourly"]["id"]
    state = world.web.ledger.log.load([contract])[contract]
    assert isinstance(state, Contract)
    return len(state.bonuses)


def test_the_same_request_again_gets_the_first_answer_and_does_nothing(world: World) -> None:
    before = bonuses(world)
    first = bonus(world, "again")
    head = world.web.ledger.log.head()
    again = bonus(world, "again")
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert {name: again.headers[name] for name in SHOWN} == {name: first.headers[name] for name in SHOWN}
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["request-id"] != first.headers["request-id"]
    assert (bonuses(world), world.web.ledger.log.head()) == (before + 1, head)


def test_without_the_header_nothing_is_deduplicated(world: World) -> None:
    before = bonuses(world)
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    assert len({world.web.ok("POST", path, world.client_key, {"amount": 100})["id"] for _ in range(2)}) == 2
    assert bonuses(world) == before + 2


def test_the_answer_stays_the_first_when_the_object_has_moved_on(own_world: World) -> None:
    web = own_world.web
    headers = {"Idempotency-Key": "offer"}
    first = web.ok("POST", "/v1/contracts", own_world.client_key, offer_of("hourly"), headers=headers)
    web.ok("POST", f"/v1/contracts/{first['id']}/accept", own_world.freelancer_key)
    again = web.ok("POST", "/v1/contracts", own_world.client_key, offer_of("hourly"), headers=headers)
    assert again == first
    assert again["status"] == "invited"


@pytest.mark.parametrize("change", ["body", "path", "method"])
def test_another_request_under_the_same_key_is_422(world: World, change: str) -> None:
    assert bonus(world, f"reused {change}").status_code == 201
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    body: dict[str, Any] = {"amount": 100}
    method = "POST"
    match change:
        case "body":
            body = {"amount": 101}
        case "path":
            path = f"/v1/contracts/{world.contracts['fixed_rate']['id']}/bonuses"
        case "method":
            method, path, body = "PUT", f"/v1/clients/{world.client}/billing-method", {"token": "pm_card_visa"}
    headers = {"Idempotency-Key": f"reused {change}"}
    world.web.refused(422, "idempotency_key_reused", method, path, world.client_key, body=body, headers=headers)


def test_a_key_is_its_owners_alone(own_world: World) -> None:
    web = own_world.web
    headers = {"Idempotency-Key": "mine"}
    one = web.ok("POST", "/v1/contracts", own_world.client_key, offer_of("hourly"), headers=headers)
    other = web.ok("POST", "/v1/contracts", own_world.other_client_key, offer_of("hourly"), headers=headers)
    assert one["id"] != other["id"]
    assert one["client_id"] != other["client_id"]


def test_two_keys_of_one_party_share_its_idempotency_keys(own_world: World) -> None:
    second = own_world.web.ok("POST", "/v1/api-keys", body={"role": "client", "party_id": own_world.client})["key"]
    headers = {"Idempotency-Key": "shared"}
    one = own_world.web.ok("POST", "/v1/contracts", own_world.client_key, offer_of("hourly"), headers=headers)
    assert own_world.web.ok("POST", "/v1/contracts", second, offer_of("hourly"), headers=headers) == one


def test_a_refusal_of_the_state_is_kept(own_world: World) -> None:
    web, contract = own_world.web, own_world.contracts["milestone"]
    path = f"/v1/contracts/{contract['id']}/milestones/{contract['milestones'][0]['id']}"
    headers = {"Idempotency-Key": "too early"}
    first = web.send("POST", f"{path}/submit", own_world.freelancer_key, {}, headers=headers)
    assert (first.status_code, check_problem(first)["code"]) == (409, "milestone_not_active")
    web.ok("POST", f"{path}/activate", own_world.client_key)
    again = web.send("POST", f"{path}/submit", own_world.freelancer_key, {}, headers=headers)
    assert again.status_code == 409
    assert again.content == first.content
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"


def test_a_bad_request_is_not_kept_and_the_key_is_free_again(world: World) -> None:
    for wrong in ({"amount": 0}, {"amount": 1.5}, {}):
        path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
        headers = {"Idempotency-Key": "corrected"}
        world.web.refused(422, "validation_error", "POST", path, world.client_key, body=wrong, headers=headers)
    assert bonus(world, "corrected").status_code == 201


def test_a_missing_right_is_not_kept(world: World) -> None:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    headers = {"Idempotency-Key": "not mine"}
    for _ in range(2):
        body = {"amount": 1}
        world.web.refused(403, "forbidden", "POST", path, world.freelancer_key, body=body, headers=headers)


def test_a_version_conflict_is_not_kept(own_world: World) -> None:
    path = f"/v1/contracts/{own_world.contracts['hourly']['id']}/bonuses"
    stale = {"Idempotency-Key": "stale", "If-Match": '"1"'}
    own_world.web.refused(
        412, "version_conflict", "POST", path, own_world.client_key, body={"amount": 100}, headers=stale
    )
    assert bonus(own_world, "stale").status_code == 201


def test_a_secret_that_is_shown_once_is_left_out_of_the_answer_again(world: World) -> None:
    headers = {"Idempotency-Key": "secret"}
    first = world.web.ok("POST", "/v1/api-keys", body={"role": "auditor"}, headers=headers)
    again = world.web.ok("POST", "/v1/api-keys", body={"role": "auditor"}, headers=headers)
    secret = first.pop("key")
    assert first == again
    stored = world.web.ledger.database.fetch("SELECT body FROM idempotency WHERE key = 'secret'")
    assert secret.encode() not in bytes(stored[0]["body"])
    assert world.web.send("GET", "/v1/contracts", secret).status_code == 200


def test_a_deletion_again_is_the_same_204(own_world: World) -> None:
    web = own_world.web
    path = f"/v1/contracts/{own_world.contracts['hourly']['id']}/time-entries"
    entry = web.ok("POST", path, own_world.freelancer_key, {"date": "2026-01-05", "minutes": 5})["id"]
    headers = {"Idempotency-Key": "gone"}
    first = web.send("DELETE", f"{path}/{entry}", own_world.freelancer_key, headers=headers)
    again = web.send("DELETE", f"{path}/{entry}", own_world.freelancer_key, headers=headers)
    assert first.status_code == again.status_code == 204
    assert again.headers["idempotent-replayed"] == "true"
    assert web.send("DELETE", f"{path}/{entry}", own_world.freelancer_key).status_code == 404


@contextmanager
def claimed_elsewhere(url: str, owner: str, key: str) -> Iterator[None]:
    """Another process holds the key."""
    database = Database(url)
    elsewhere = Idempotency(database)
    claim = elsewhere.claim(owner, key, fingerprint_of("GET", "/", b""))
    try:
        yield
    finally:
        elsewhere.forget(claim)
        elsewhere.release(owner, key)
        elsewhere.close()
        database.close()


def test_a_key_that_another_process_is_at_is_in_progress(world: World) -> None:
    with claimed_elsewhere(world.web.ledger.database.url, world.client, "elsewhere"):
        answer = bonus(world, "elsewhere")
        assert (answer.status_code, check_problem(answer)["code"]) == (409, "idempotency_in_progress")
    assert bonus(world, "elsewhere").status_code == 201


def test_of_many_at_once_one_is_carried_out(world: World) -> None:
    before = bonuses(world)
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(bonus(world, "at once"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert bonuses(world) == before + 1
    assert bonus(world, "at once").headers["idempotent-replayed"] == "true"


def test_a_command_whose_answer_was_lost_is_carried_on_under_its_id(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events are written, then the database goes away before the answer is kept: 503; the retry finds the command done."""
    handle = Service.handle

    def lost(self: Service, *args: Any, **kwargs: Any) -> Any:
        handle(self, *args, **kwargs)
        raise psycopg.OperationalError("the connection broke")

    with monkeypatch.context() as patch:
        patch.setattr(Service, "handle", lost)
        answer = bonus(own_world, "lost")
        assert (answer.status_code, check_problem(answer)["code"]) == (503, "database_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert granted_in_log(own_world) == 1
    wrong = {"Idempotency-Key": "lost"}
    path = f"/v1/contracts/{own_world.contracts['hourly']['id']}/bonuses"
    refusal = own_world.web.send("POST", path, own_world.client_key, {"amount": 7}, headers=wrong)
    assert check_problem(refusal)["code"] == "idempotency_key_reused"
    head = own_world.web.ledger.log.head()
    retried = bonus(own_world, "lost")
    assert retried.status_code == 201
    assert own_world.web.ledger.log.head() == head
    assert bonuses(own_world) == 1
    assert bonus(own_world, "lost").content == retried.content


@pytest.mark.parametrize("answered", [True, False])
def test_a_claim_that_a_crash_of_postgresql_took_away_is_still_one_effect_and_one_answer(
    own_world: World, monkeypatch: pytest.MonkeyPatch, *, answered: bool
) -> None:
    """The row of the claim waits for no disk. PostgreSQL is back before the command is appended, and the row is gone."""
    handle, database = Service.handle, own_world.web.ledger.database

    def crashed_before(self: Service, *args: Any, **kwargs: Any) -> Any:
        database.execute("DELETE FROM idempotency WHERE key = 'crash'")
        receipt = handle(self, *args, **kwargs)
        if not answered:
            raise psycopg.OperationalError("the connection broke")
        return receipt

    with monkeypatch.context() as patch:
        patch.setattr(Service, "handle", crashed_before)
        first = bonus(own_world, "crash")
    assert first.status_code == (201 if answered else 503)
    head = own_world.web.ledger.log.head()
    retried = bonus(own_world, "crash")
    assert retried.status_code == 201
    assert retried.headers.get("idempotent-replayed") == ("true" if answered else None)
    assert bonus(own_world, "crash").content == retried.content
    assert (own_world.web.ledger.log.head(), bonuses(own_world)) == (head, 1)


def test_the_first_answer_that_was_kept_stands(own_world: World) -> None:
    """Two may carry on one command where a crash of PostgreSQL ended the lock of the first."""
    store = Idempotency(own_world.web.ledger.database)
    claim = store.claim("cli_x", "k", b"f" * 32)
    for body in (b"first", b"second"):
        store.keep(claim, Kept(201, {}, body))
    store.release("cli_x", "k")
    kept = store.claim("cli_x", "k", b"f" * 32).kept
    assert kept is not None
    assert kept.body == b"first"
    store.close()


def test_a_key_made_before_its_answer_was_lost_still_opens(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Idempotency.keep

    def lost(self: Idempotency, *_: Any) -> None:
        raise psycopg.OperationalError("the connection broke")

    headers = {"Idempotency-Key": "key"}
    monkeypatch.setattr(Idempotency, "keep", lost)
    assert own_world.web.send("POST", "/v1/api-keys", body={"role": "auditor"}, headers=headers).status_code == 503
    monkeypatch.setattr(Idempotency, "keep", keep)
    made = own_world.web.ok("POST", "/v1/api-keys", body={"role": "auditor"}, headers=headers)
    assert own_world.web.send("GET", "/v1/contracts", made["key"]).status_code == 200


def test_the_connection_that_holds_the_locks_may_break(own_world: World) -> None:
    assert bonus(own_world, "before").status_code == 201
    with own_world.web.ledger.database.connection() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            (LOCKS,),
        )
    assert bonus(own_world, "after").status_code == 201


def test_locks_are_free_after_each_request(own_world: World) -> None:
    assert bonus(own_world, "free").status_code == 201
    rows = own_world.web.ledger.database.fetch(
        "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    )
    assert rows[0]["n"] == 0
    store = Idempotency(own_world.web.ledger.database)
    claim = store.claim("cli_x", "k", b"f" * 32)
    with pytest.raises(KeyInProgress):
        store.claim("cli_x", "k", b"f" * 32)
    store.release("cli_x", "k")
    assert store.claim("cli_x", "k", b"f" * 32) == claim
    store.release("cli_x", "k")
    store.close()


def test_operators_share_a_key_by_person(world: World) -> None:
    headers = {"Idempotency-Key": "person"}
    body = {"role": "auditor"}
    second = world.web.ok("POST", "/v1/api-keys", body={"role": "operator"})["key"]
    first = world.web.ok("POST", "/v1/api-keys", OPERATOR_KEY, body, headers=headers)
    same = world.web.ok("POST", "/v1/api-keys", second, body, headers=headers)
    other = world.web.ok("POST", "/v1/api-keys", world.operator_key, body, headers=headers)
    assert first["id"] == same["id"] != other["id"]
