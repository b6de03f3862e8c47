"""The worker that runs for ever: woken by what is appended, and by nothing stopped but `stop`."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from ledger.bootstrap import Ledger, open_ledger
from ledger.settings import Settings
from tests.databases import Server
from tests.play import DAY, WEEK, Play
from tests.processes import PATIENCE_SECONDS, OtherProcess, in_time

POLLS = 2_000


@contextmanager
def running(ledger: Ledger) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=ledger.worker.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        ledger.worker.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "it does not stop"


def eventually(happened: Callable[[], bool]) -> None:
    """Within a bound that is no measure of speed."""
    for _ in range(POLLS):
        if happened():
            return
        time.sleep(PATIENCE_SECONDS / POLLS)
    raise AssertionError("it never happens")


def to_be_charged(play: Play, name: str = "single_payment") -> str:
    contract = play.active(name, amount=100)
    play.submit(contract)
    play.approve(contract)
    return contract


def is_pending(play: Play, contract: str) -> bool:
    return play.payouts(contract) == ["milestone pending 100"]


def test_it_does_what_is_appended_while_it_runs(ledger: Ledger, settings: Settings) -> None:
    with open_ledger(settings) as other, running(other):
        play = Play(ledger, up=False)
        contract = to_be_charged(play)
        eventually(lambda: is_pending(play, contract))
        eventually(lambda: play.balance() == (100, 0, 0))
        play.advance(4 * DAY)
        eventually(lambda: play.balance() == (0, 100, 0))


def test_it_does_what_was_appended_before_it_ran(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = to_be_charged(play)
    play.advance(WEEK)
    with running(ledger):
        eventually(lambda: is_pending(play, contract))


def test_it_stops_when_it_is_told_to_and_not_before(ledger: Ledger) -> None:
    with running(ledger) as thread:
        play = Play(ledger, up=False)
        contract = to_be_charged(play)
        eventually(lambda: is_pending(play, contract))
        assert thread.is_alive()


def test_of_two_workers_the_other_goes_on_when_one_stops(ledger: Ledger, settings: Settings) -> None:
    play = Play(ledger, up=False)
    with open_ledger(settings) as one, open_ledger(settings) as other, running(other):
        with running(one):
            first = to_be_charged(play)
            eventually(lambda: is_pending(play, first))
        second = to_be_charged(play)
        eventually(lambda: is_pending(play, second))


def test_of_two_workers_the_other_goes_on_when_one_is_killed(ledger: Ledger, settings: Settings) -> None:
    play = Play(ledger, up=False)
    doomed = OtherProcess(settings)
    doomed.start("import threading; threading.Thread(target=ledger.worker.run, daemon=True).start()").answer()
    first = to_be_charged(play)
    eventually(lambda: is_pending(play, first))
    with running(ledger):
        doomed.start("import os; os.kill(os.getpid(), 9)")
        assert doomed.wait_for_death() == -9
        doomed.close()
        second = to_be_charged(play)
        eventually(lambda: is_pending(play, second))


def test_it_goes_on_when_every_connection_of_the_database_was_broken(
    ledger: Ledger, settings: Settings, server: Server, database_url: str
) -> None:
    play = Play(ledger, up=False)
    with open_ledger(settings) as other, running(other) as thread:
        first = to_be_charged(play)
        eventually(lambda: is_pending(play, first))
        with psycopg.connect(server.admin_url_of(database_url), autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with open_ledger(settings) as fresh:
            play.ledger = fresh
            second = to_be_charged(play)
            eventually(lambda: is_pending(play, second))
            assert thread.is_alive()
            play.ledger = ledger


def test_it_goes_on_after_a_pass_that_broke(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(ledger, up=False)
    due, broke = ledger.agenda.due, threading.Event()

    def break_once(*args: object, **how: object) -> object:
        if not broke.is_set():
            broke.set()
            raise ZeroDivisionError("a mistake in the program")
        return due(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.agenda, "due", break_once)
    contract = to_be_charged(play)
    with running(ledger):
        eventually(lambda: is_pending(play, contract))
    assert broke.is_set()


def test_a_worker_that_was_stopped_can_be_drained_no_more_and_hangs_nobody(ledger: Ledger) -> None:
    ledger.worker.stop()
    in_time(ledger.worker.drain)
    in_time(ledger.worker.run)
