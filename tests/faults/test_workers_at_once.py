"""Two and eight workers on one tick: at most one charge and one release for each payout.

Half of the ticks the workers elect a leader, as they do; half of the ticks they do not, as if the lock had been lost with its
connection: then the log alone decides who was first.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ledger import events as e
from ledger.bootstrap import Ledger, open_ledger
from ledger.policies.deadlines import LAPSE
from ledger.worker import Worker
from replay.verify.live import verify
from tests.databases import Server, sandbox
from tests.faults.rounds import rounds
from tests.play import DAY, HOUR, WEEK, Play
from tests.processes import together

TICKS = rounds(ci=100, soak=1_000)
"""With two workers, and again with eight."""
APART = 4 * HOUR
REVIEWED_TICKS, HELD_TICKS = WEEK // APART, 4 * DAY // APART
"""How many ticks a review lasts, and a hold."""


@contextmanager
def ledgers(url: str, count: int, folder: Path) -> Iterator[list[Ledger]]:
    """Ledgers that share nothing but the database."""
    with ExitStack() as stack:
        yield [stack.enter_context(open_ledger(sandbox(url, folder))) for _ in range(count)]


@pytest.mark.parametrize("workers", [2, 8])
def test_workers_on_one_tick_charge_and_release_each_payout_once(server: Server, tmp_path: Path, workers: int) -> None:
    """At each tick two reviews lapse and are charged, and what was charged four days before is released."""
    url = server.create()
    with ledgers(url, workers, tmp_path) as all_of_them:
        play = Play(all_of_them[0], up=False)
        for number in range(REVIEWED_TICKS + TICKS):
            if number < TICKS:
                for _ in range(2):
                    play.submit(play.active("single_payment", amount=100))
            if number >= REVIEWED_TICKS:
                with pytest.MonkeyPatch.context() as patch:
                    if number % 2:
                        patch.setattr(Worker, "_leading", everybody_leads)
                    answers = together(*[one.worker.drain for one in all_of_them])
                assert not [one for one in answers if isinstance(one, Exception)], answers
                ahead = 2 * (min(number + 1, TICKS) - (number - REVIEWED_TICKS + 1))
                assert lapses_ahead(all_of_them[0]) == ahead, "each tick had its own"
            play.advance(APART)
        check(all_of_them[0], payouts=2 * TICKS, released=2 * (TICKS - HELD_TICKS))
    server.drop(url)


def lapses_ahead(ledger: Ledger) -> int:
    """How many submissions wait for their review."""
    return int(ledger.database.fetch("SELECT count(*) AS n FROM deadlines WHERE kind = %s", (LAPSE,))[0]["n"])


@contextmanager
def everybody_leads(worker: Worker, lock: int, *, wait: bool) -> Iterator[bool]:
    yield True


def check(ledger: Ledger, payouts: int, released: int) -> None:
    of: dict[str, Counter[type]] = {}
    for stored in ledger.log.read_all():
        if isinstance(stored.event, e.PayoutEvent):
            of.setdefault(stored.event.payout_id, Counter())[type(stored.event)] += 1
    assert len(of) == payouts
    for payout, counted in of.items():
        assert counted[e.PayoutCharged] == counted[e.ChargeRequested] == counted[e.PayoutDue] == 1, (
            f"{payout}: {counted}"
        )
        assert counted[e.PayoutReleased] <= 1, f"{payout}: {counted}"
    assert sum(counted[e.PayoutReleased] for counted in of.values()) == released
    rows = ledger.database.fetch("SELECT count(*) AS n, count(DISTINCT subject) AS payouts FROM simulated_operations")
    assert (rows[0]["n"], rows[0]["payouts"]) == (payouts, payouts), "the processor was told of one charge for each"
    report = verify(ledger.database)
    assert report.ok, report.findings
