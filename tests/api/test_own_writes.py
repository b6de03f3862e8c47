"""A party's read after its own write holds that write, whichever process took it; what is older says so by its position."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import position_watch
from ledger.bootstrap import open_ledger
from tests.api.world import OPERATOR_KEY, Web, World, build, check_problem, operated, served
from tests.databases import NO_LIMIT, sandbox
from tests.faults.rounds import rounds
from tests.processes import PATIENCE_SECONDS, together
from tests.serving import LIMITS, also, free_port, serving, wait_until_up

TRIES = 50
ROUNDS = rounds(ci=60, soak=1_000)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads wait as long as it takes, however slow the machine is."""
    monkeypatch.setattr(position_watch, "WAIT_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def two(database_url: str, tmp_path: Path) -> Iterator[tuple[World, Web]]:
    """Two servers on one database, as in production, and no worker: the people, and the other server."""
    settings = operated(sandbox(database_url, tmp_path), sandbox=False)
    with ExitStack() as stack:
        one, other = (
            Web(stack.enter_context(served(ledger)), ledger)
            for ledger in (stack.enter_context(open_ledger(settings)) for _ in range(2))
        )
        yield build(one), other
        one.http.close()
        other.http.close()


def grant(world: World) -> httpx.Response:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    return world.web.send("POST", path, world.client_key, {"amount": 5})


def shown(web: Web, world: World, key: str, **headers: str) -> httpx.Response:
    return web.send("GET", f"/v1/contracts/{world.contracts['hourly']['id']}", key, headers=headers)


def test_a_read_through_another_process_waits_for_the_partys_own_write(two: tuple[World, Web], patience: None) -> None:
    world, other = two
    for number in range(1, 6):
        granted = grant(world)
        read, _ = together(lambda: shown(other, world, world.client_key), other.ledger.views.catch_up)
        assert len(read.json()["bonuses"]) == number
        assert int(read.headers["ledger-position"]) >= int(granted.headers["ledger-position"])


def test_a_read_that_cannot_hold_the_partys_own_write_is_503_whoever_is_asked(
    two: tuple[World, Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, other = two
    grant(world)
    monkeypatch.setattr(position_watch, "WAIT_SECONDS", 0.05)
    for web in (world.web, other):
        refused = shown(web, world, world.client_key)
        assert (refused.status_code, check_problem(refused)["code"]) == (503, "projection_behind")
        assert refused.headers["retry-after"] == "1"
    world.web.ledger.views.catch_up()
    for web in (world.web, other):
        assert len(shown(web, world, world.client_key).json()["bonuses"]) == 1


def test_another_partys_read_does_not_wait_and_says_how_far_it_sees(two: tuple[World, Web], patience: None) -> None:
    world, other = two
    world.web.ledger.views.catch_up()
    written = int(grant(world).headers["ledger-position"])
    for web in (world.web, other):
        old = shown(web, world, world.freelancer_key)
        assert (old.status_code, old.json()["bonuses"]) == (200, [])
        assert int(old.headers["ledger-position"]) < written
    awaited, _ = together(
        lambda: shown(other, world, world.freelancer_key, **{"Ledger-Min-Position": str(written)}),
        other.ledger.views.catch_up,
    )
    assert len(awaited.json()["bonuses"]) == 1


def test_a_write_that_was_answered_again_is_waited_for_too(two: tuple[World, Web], patience: None) -> None:
    world, other = two
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    for _ in range(2):
        world.web.ok("POST", path, world.client_key, {"amount": 5}, headers={"Idempotency-Key": "once"})
    read, _ = together(lambda: shown(other, world, world.client_key), other.ledger.views.catch_up)
    assert len(read.json()["bonuses"]) == 1


# Processes


@contextmanager
def three_processes() -> Iterator[list[httpx.Client]]:
    """Two servers without workers, and a worker, as in production, on one database."""
    settings = {"LEDGER_SANDBOX": "0", "LEDGER_RATE_LIMIT": str(NO_LIMIT)}
    port = free_port()
    with ExitStack() as stack:
        first = stack.enter_context(
            serving("--no-workers", clock_start="2026-01-05T09:00:00Z", operator_key=OPERATOR_KEY, **settings)
        )
        second = stack.enter_context(also(first, "serve", "--no-workers", LEDGER_PORT=str(port)))
        stack.enter_context(also(first, "worker"))
        urls = [first.url, f"http://127.0.0.1:{port}"]
        wait_until_up(urls[1], second)
        yield [stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, limits=LIMITS)) for url in urls]


def ok(http: httpx.Client, method: str, path: str, key: str = OPERATOR_KEY, body: Any = None) -> Any:
    """The JSON of the answer; one that is too early is asked for again, as its Retry-After says."""
    for _ in range(TRIES):
        answer = http.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})
        if answer.status_code != 503 or answer.json()["code"] != "projection_behind":
            break
    assert answer.is_success, answer.text
    return answer.json()


def test_with_two_servers_and_a_worker_no_party_ever_misses_what_it_has_just_written() -> None:
    with three_processes() as servers:
        turns = cycle([servers, servers[::-1]])
        one, _ = servers
        client, freelancer = (
            ok(one, "POST", f"/v1/{role}s", body={"name": role, "email": f"{role}@example.com"})["id"]
            for role in ("client", "freelancer")
        )
        client_key, freelancer_key = (
            ok(one, "POST", "/v1/api-keys", body={"role": role, "party_id": party})["key"]
            for role, party in (("client", client), ("freelancer", freelancer))
        )
        ok(one, "PUT", f"/v1/freelancers/{freelancer}/payout-method", freelancer_key, {"token": "ba_test"})
        terms = {"freelancer_email": "freelancer@example.com", "title": "T", "cadence": "weekly", "currency": "USD"}
        offer = {**terms, "kind": "hourly", "hourly_rate": 6_000}
        contract = ok(one, "POST", "/v1/contracts", client_key, offer)["id"]
        ok(one, "POST", f"/v1/contracts/{contract}/accept", freelancer_key, {})
        for number in range(1, ROUNDS + 1):
            writing, reading = next(turns)
            ok(writing, "POST", f"/v1/contracts/{contract}/bonuses", client_key, {"amount": 1})
            assert len(ok(reading, "GET", f"/v1/contracts/{contract}", client_key)["bonuses"]) == number
