"""A PostgreSQL that stops answering, without a word and for ever: 503 in bounded time, nothing lost, and no help needed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from ledger.bootstrap import Ledger, open_ledger
from ledger.events import BonusGranted
from ledger.store.database import Database
from ledger.store.idempotency import LOCKS, Idempotency, KeyInProgress
from replay.verify.live import verify
from tests.api.world import World, check_problem, operated, world_of
from tests.databases import Server, sandbox
from tests.faults.running import wait_for
from tests.faults.wire import Wire, wire
from tests.processes import in_time, together

SHORT = {"wait_seconds": 2.0, "statement_seconds": 2.0, "silence_seconds": 0.5}
CALLERS = 12


@contextmanager
def at_the_end_of(line: Wire, folder: Path) -> Iterator[World]:
    """A server, with people on it, whose every connection to its database goes through the wire, and with little patience."""
    database = Database(line.url, patience=False, pool_size=2, max_overflow=2, **SHORT)  # type: ignore[arg-type]
    with world_of(Ledger(operated(sandbox(line.straight_url, folder)), database)) as world:
        yield world
    database.close()


@contextmanager
def straight(line: Wire, folder: Path) -> Iterator[Ledger]:
    """A ledger on the same database that goes there straight, and has patience."""
    with open_ledger(sandbox(line.straight_url, folder)) as ledger:
        yield ledger


def grant(world: World, key: str) -> httpx.Response:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    return world.web.send("POST", path, world.client_key, {"amount": 5}, headers={"Idempotency-Key": key})


def granted(world: World, key: str) -> None:
    """Sends it until it is answered."""
    wait_for(lambda: grant(world, key).status_code == 201, "it answers")


def bonuses(ledger: Ledger) -> int:
    return len([one for one in ledger.log.read_all() if isinstance(one.event, BonusGranted)])


def test_callers_of_a_silent_postgresql_get_503_and_what_they_send_again_has_one_effect(
    server: Server, tmp_path: Path
) -> None:
    url = server.create()
    with wire(url) as line, at_the_end_of(line, tmp_path) as world:
        granted(world, "before")
        line.fall_silent()
        keys = [f"silent {number}" for number in range(CALLERS)]
        with ThreadPoolExecutor(CALLERS) as pool:
            for answer in pool.map(lambda key: grant(world, key), keys):
                assert (answer.status_code, check_problem(answer)["code"]) == (503, "database_unavailable")
                assert answer.headers["retry-after"].isdigit()
        line.speak()
        for key in keys:
            granted(world, key)
        with straight(line, tmp_path) as ledger:
            assert bonuses(ledger) == 1 + CALLERS, "each has one effect"
            ledger.worker.drain()
            assert verify(ledger.database).ok
    server.drop(url)


def test_a_silence_in_the_middle_of_a_command_is_503_and_leaves_it_whole_or_not_at_all(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It falls right before the append, and so the commit, is sent; nobody knows then whether it was carried out."""
    url = server.create()
    with wire(url) as line, at_the_end_of(line, tmp_path) as world:
        log = world.web.ledger.log
        append = log.append

        def append_in_silence(*args: object, **known: object) -> int:
            line.fall_silent()
            return append(*args, **known)  # type: ignore[arg-type]

        monkeypatch.setattr(log, "append", append_in_silence)
        assert grant(world, "half").status_code == 503
        monkeypatch.undo()
        line.speak()
        granted(world, "half")
        with straight(line, tmp_path) as ledger:
            assert bonuses(ledger) == 1
    server.drop(url)


def test_a_read_on_a_silent_postgresql_is_503(server: Server, tmp_path: Path) -> None:
    url = server.create()
    with wire(url) as line, at_the_end_of(line, tmp_path) as world:
        line.fall_silent()
        answer = world.web.send("GET", "/v1/contracts", world.client_key)
        assert (answer.status_code, check_problem(answer)["code"]) == (503, "database_unavailable")
        line.speak()
        wait_for(lambda: world.web.send("GET", "/v1/contracts", world.client_key).is_success, "it answers again")
    server.drop(url)


# The connection that holds the locks of Idempotency-Keys


@contextmanager
def keys_through(line: Wire) -> Iterator[tuple[Database, Idempotency]]:
    database = Database(line.url, patience=False, **SHORT)  # type: ignore[arg-type]
    store = Idempotency(database)
    try:
        yield database, store
    finally:
        line.speak()
        store.close()
        database.close()


def test_a_key_is_not_claimed_through_a_connection_that_is_silent_and_is_once_it_speaks(database_url: str) -> None:
    with wire(database_url) as line, keys_through(line) as (_, store):
        first = store.claim("cli_x", "first", b"f" * 32)
        line.fall_silent()
        answers = together(*[lambda n=n: store.claim("cli_x", f"k{n}", b"f" * 32) for n in range(CALLERS)])
        assert all(isinstance(one, psycopg.OperationalError) for one in answers), answers
        in_time(lambda: store.release("cli_x", "first"))
        line.speak()
        wait_for(lambda: claims(store, "first"), "the key is free")
        assert store.claim("cli_x", "first", b"f" * 32).command_id == first.command_id


def claims(store: Idempotency, key: str) -> bool:
    """Whether the key could be claimed; it is released again."""
    try:
        store.claim("cli_x", key, b"f" * 32)
    except (psycopg.OperationalError, KeyInProgress):
        return False
    store.release("cli_x", key)
    return True


def test_a_key_is_not_claimed_where_whoever_listens_never_speaks(database_url: str) -> None:
    with wire(database_url) as line, keys_through(line) as (_, store):
        line.fall_silent()
        with pytest.raises(psycopg.OperationalError):
            in_time(lambda: store.claim("cli_x", "k", b"f" * 32))


def test_the_locks_are_held_under_the_same_time_outs_as_everything_else(database_url: str) -> None:
    database = Database(database_url, patience=False, statement_seconds=7, lock_seconds=3)
    with database.connect(LOCKS) as locks:
        row = locks.execute(
            "SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,"
            " current_setting('application_name') AS name"
        ).fetchone()
    assert row == {"statement": "7s", "lock": "3s", "name": LOCKS}
    database.close()
