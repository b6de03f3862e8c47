"""What one caller may take of the server: so many requests a second, so long a statement, so long a wait for a lock.

The bounds of bodies, nesting and pages are in test_bad_input.py, that of connections in faults/test_exhaustion.py, and what
happens when PostgreSQL says nothing at all in faults/test_silence.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api import limits
from api.limits import BURST_SECONDS
from ledger.bootstrap import Ledger
from ledger.store.database import Database
from tests.api.world import World, check_problem, operated, world_of
from tests.databases import NO_LIMIT, Server, sandbox
from tests.faults.running import wait_for

PER_SECOND = 3


@contextmanager
def limited(url: str, folder: Path, *, rate_limit: int = NO_LIMIT, **database: Any) -> Iterator[World]:
    """A server with people on it, and limits of its own."""
    opened = Database(url, patience=False, **database)
    with world_of(Ledger(operated(sandbox(url, folder), rate_limit=rate_limit), opened)) as world:
        yield world
    opened.close()


class Time:
    """Passes by `step` with each request."""

    now, step = 0.0, 0.0

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(limits, "time", time)
    return time


def grant(world: World, key: str = "") -> Any:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    headers = {"Idempotency-Key": key} if key else {}
    return world.web.send("POST", path, world.client_key, {"amount": 5}, headers=headers)


# Requests a second


def test_a_party_that_asks_too_fast_is_told_to_wait_and_nothing_is_written(
    database_url: str, tmp_path: Path, time: Time
) -> None:
    with limited(database_url, tmp_path, rate_limit=PER_SECOND) as world:
        for _ in range(PER_SECOND * BURST_SECONDS):
            assert world.web.send("GET", "/v1/contracts", world.client_key).status_code == 200
        head = world.web.ledger.log.head()
        refused = grant(world, "too fast")
        assert (refused.status_code, check_problem(refused)["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert world.web.ledger.log.head() == head
        time.now += int(refused.headers["retry-after"])
        assert grant(world, "too fast").status_code == 201, "a 429 is not kept under the key"


def test_a_party_that_asks_too_fast_is_told_so_with_each_of_its_keys_and_another_party_is_not(
    database_url: str, tmp_path: Path, time: Time
) -> None:
    with limited(database_url, tmp_path, rate_limit=PER_SECOND) as world:
        second = world.web.ok("POST", "/v1/api-keys", body={"role": "client", "party_id": world.client})["key"]
        for _ in range(PER_SECOND * BURST_SECONDS):
            world.web.ok("GET", "/v1/contracts", world.client_key)
        for key in (world.client_key, second):
            assert world.web.send("GET", "/v1/contracts", key).status_code == 429
        for key in (world.other_client_key, world.freelancer_key, world.auditor_key):
            world.web.ok("GET", "/v1/contracts", key)


def test_a_pace_that_is_kept_is_never_refused(database_url: str, tmp_path: Path, time: Time) -> None:
    with limited(database_url, tmp_path, rate_limit=PER_SECOND) as world:
        time.step = 1 / PER_SECOND
        for _ in range(10 * PER_SECOND):
            world.web.ok("GET", "/v1/contracts", world.client_key)


# Waiting for a lock, and a statement


@contextmanager
def head_held(server: Server, url: str) -> Iterator[None]:
    """Somebody holds the log's head, as one who appends does, and does not let go."""
    with psycopg.connect(server.owner_url_of(url)) as holder:
        holder.execute("SELECT * FROM log_head FOR UPDATE")
        yield


@pytest.mark.parametrize(
    "time_outs",
    [{"lock_seconds": 1.0}, {"lock_seconds": 60.0, "statement_seconds": 1.0}],
    ids=["a wait for a lock", "a statement"],
)
def test_what_takes_too_long_is_503_and_nothing_is_written(
    server: Server, database_url: str, tmp_path: Path, time_outs: dict[str, float]
) -> None:
    with limited(database_url, tmp_path, **time_outs) as world:
        before = world.web.ledger.log.head()
        with head_held(server, database_url):
            refused = grant(world, "too long")
            assert (refused.status_code, check_problem(refused)["code"]) == (503, "database_unavailable")
            assert refused.headers["retry-after"] == "1"
        assert world.web.ledger.log.head() == before
        wait_for(lambda: grant(world, "too long").status_code == 201, "it is carried out")
        assert world.web.ledger.log.head() > before


def test_a_served_ledger_has_time_outs(ledger: Ledger) -> None:
    shown = [ledger.database.fetch(f"SHOW {name}")[0][name] for name in ("statement_timeout", "lock_timeout")]
    assert shown == ["30s", "10s"]
