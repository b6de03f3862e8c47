"""A projection or worker killed anywhere resumes exactly: the log is, byte for byte, what an undisturbed worker makes.

Crash points lie between every two things that are kept: before and after a projection's commit, before and after the
append, after the outside world has answered and before that is recorded, before and after the clock moves. A crash ends the
worker there; a new ledger, knowing only what is in the database, goes on.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from psycopg import Connection

from ledger.bootstrap import open_ledger
from ledger.outside import Outside
from ledger.service import Service
from ledger.store import views
from ledger.store.clocks import TestClock
from ledger.store.log import LedgerLog
from ledger.store.views import Views
from replay.verify.live import verify
from tests.databases import Server, sandbox
from tests.faults.rounds import chance, rounds
from tests.play import BANK_FAILS, DECLINES, Play, utc
from tests.processes import OtherProcess

CRASHES = rounds(ci=50, soak=1_000)
KILLS = rounds(ci=5, soak=100)
END = utc("2026-01-31 00:00")
SMALL_BATCH = 11
"""Events to a projection's transaction: small, so that there are many to be killed in."""


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class Crashing:
    """Counts the crash points that are passed, and crashes at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.passed = at, 0
        self.places: list[str] = []

    def point(self, place: str) -> None:
        self.passed += 1
        self.places.append(place)
        if self.passed == self.at:
            raise Crash(place)

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.point(f"before {name}")
            result = function(*args, **kwargs)
            self.point(f"after {name}")
            return result

        return wrapped


@contextmanager
def crashing(at: int | None = None) -> Iterator[Crashing]:
    crash = Crashing(at)
    fold_into = views.fold_into

    def fold(connection: Connection[Any], *args: Any) -> None:
        fold_into(connection, *args)
        crash.point("a projection is folded and not committed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "BATCH", SMALL_BATCH)
        patch.setattr(views, "fold_into", fold)
        for owner, name in (
            (Views, "_apply_together"),
            (Service, "handle_all"),
            (LedgerLog, "append"),
            (Outside, "ask"),
            (TestClock, "set"),
        ):
            patch.setattr(owner, name, crash.around(getattr(owner, name), f"{owner.__name__}.{name}"))
        yield crash


@pytest.fixture(scope="module")
def begun(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database where much has been done by people and nothing by a worker; nobody is connected to it."""
    url = server.create()
    with open_ledger(sandbox(url, tmp_path_factory.mktemp("begun"))) as ledger:
        begin(Play(ledger, up=False))
    yield url
    server.drop(url)


def begin(play: Play) -> None:
    """Contracts of every kind, of a client who pays and of one who does not, with work done and submitted."""
    declined = play.register_client("Carl", DECLINES)
    people = [play.freelancer, play.register_freelancer("Faye", BANK_FAILS)]
    for number, freelancer in enumerate(people):
        for client in (play.client, declined):
            who = {"freelancer": freelancer, "client": client}
            hourly = play.active("hourly", hourly_rate=6_001, **who)
            play.log_time(hourly, 61 + number)
            play.bonus(hourly, 700)
            single = play.active("single_payment", amount=900, **who)
            play.submit(single)
        play.active("fixed_rate", rate=5_000, cadence="biweekly", freelancer=freelancer)
        approved = play.active("single_payment", amount=1_000, freelancer=freelancer)
        play.submit(approved)
        play.approve(approved)


def work(url: str, folder: Path, until: datetime = END) -> None:
    """A worker's life, from what is in the database alone, until nothing is due by `until`."""
    with open_ledger(sandbox(url, folder)) as ledger:
        ledger.worker.advance(until)


def state(url: str, folder: Path) -> tuple[list[bytes], dict[str, int]]:
    """The stored bytes and hashes of the log, and what the processor was asked to do; refold and projections agree."""
    with open_ledger(sandbox(url, folder)) as ledger:
        report = verify(ledger.database)
        assert report.ok, report.findings
        assert ledger.reader.position() == ledger.log.head()
        operations = ledger.database.fetch("SELECT key, count(*) AS n FROM simulated_operations GROUP BY key")
        log = [part for one in ledger.log.read_all() for part in (one.state, one.hash)]
        return log, {row["key"]: row["n"] for row in operations}


@pytest.fixture(scope="module")
def undisturbed(
    server: Server, begun: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[list[bytes], dict[str, int]], Crashing]:
    """What a worker makes that nothing happens to, and the crash points that it passes."""
    url, folder = server.create(begun), tmp_path_factory.mktemp("undisturbed")
    with crashing() as crash:
        work(url, folder)
    return state(url, folder), crash


def test_the_crash_points_lie_everywhere(undisturbed: tuple[Any, Crashing]) -> None:
    places = set(undisturbed[1].places)
    assert len(places) == 11
    assert undisturbed[1].passed > 500


def test_a_worker_that_crashed_anywhere_resumes_exactly(
    server: Server, begun: str, undisturbed: tuple[Any, Crashing], tmp_path: Path
) -> None:
    expected, points = undisturbed
    crashed = 0
    for number in range(CRASHES):
        if crashed >= CRASHES:
            break
        random = chance("worker crashed", number)
        url, folder = server.create(begun), tmp_path / str(number)
        crashed += crash_again_and_again(random, points, url, folder)
        assert state(url, folder) == expected, f"round {number} ended otherwise"
        server.drop(url)
    assert crashed >= CRASHES


def crash_again_and_again(random: Random, points: Crashing, url: str, folder: Path) -> int:
    """Lets workers crash, each a few times further than the last, until one ends; how many crashed."""
    for crashes in range(points.passed):
        try:
            with crashing(at=random.randint(1, points.passed // 3)):
                work(url, folder)
        except Crash:
            continue
        return crashes
    raise AssertionError("it never ends")


def test_a_worker_killed_with_kill_9_resumes_exactly(
    server: Server, begun: str, undisturbed: tuple[Any, Crashing], tmp_path: Path
) -> None:
    """A process of its own, killed at random moments; whoever comes next goes on while the dead one's session may still hang."""
    expected, _ = undisturbed
    url = server.create(begun)
    for number in range(KILLS):
        random = chance("worker killed", number)
        worker = OtherProcess(sandbox(url, tmp_path))
        pid = worker.run("import os; answer = os.getpid()")
        to = END - timedelta(days=25 * (KILLS - number) // KILLS)
        worker.start(
            f"from datetime import datetime; ledger.worker.advance(datetime.fromisoformat({to.isoformat()!r}))"
        )
        threading.Event().wait(random.uniform(0.0, 0.3))
        os.kill(pid, signal.SIGKILL)
        assert worker.wait_for_death() == -signal.SIGKILL
    work(url, tmp_path)
    assert state(url, tmp_path) == expected
    server.drop(url)
