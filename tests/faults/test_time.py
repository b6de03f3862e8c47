"""Sixty cases of difficult time: leap days, the ends of weeks and years, summer time, time zones, clocks that step or are wrong.

The instants of the rules are exact in all of them: a day is 24 hours, a week begins on Monday 00:00 UTC, wherever a process runs.
"""

import json
import os
import subprocess
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from ledger import events as e
from ledger.bootstrap import open_ledger
from ledger.settings import Settings
from tests.databases import Server, name_of
from tests.history import DAY, History, refused, utc
from tests.play import Play
from tests.processes import PROJECT
from tests.properties.invariants import Invariants
from tests.store.test_views import live

# Dates

DATES = {
    # began, the weekly close after it, the biweekly one
    "in the week of a leap day": ("2028-02-28 09:00", "2028-03-06 12:00", "2028-03-13 12:00"),
    "on the leap day": ("2028-02-29 23:59:59.999999", "2028-03-06 12:00", "2028-03-13 12:00"),
    "in the 53rd week of a year": ("2026-12-31 23:59:59", "2027-01-04 12:00", "2027-01-11 12:00"),
    "in a week of two years": ("2024-12-31 08:00", "2025-01-06 12:00", "2025-01-13 12:00"),
    "in the last microsecond of a week": ("2027-02-28 23:59:59.999999", "2027-03-01 12:00", "2027-03-08 12:00"),
    "in the first instant of a week after Europe's summer time began": (
        "2026-03-30 00:00",
        "2026-04-06 12:00",
        "2026-04-13 12:00",
    ),
}
WEEKS = {"weekly": 1, "biweekly": 2}


@pytest.mark.parametrize("cadence", WEEKS)
@pytest.mark.parametrize("kind", ["hourly", "fixed_rate", "single_payment"])
@pytest.mark.parametrize("when", DATES)
def test_work_begun_at_a_difficult_date_is_due_charged_and_released_at_the_exact_instant(
    when: str, kind: str, cadence: str
) -> None:
    began, *closes = DATES[when]
    history = History(began)
    terms: dict[str, Any] = {"hourly": {"hourly_rate": 6_000}, "fixed_rate": {"rate": 500}}.get(kind, {"amount": 500})
    contract = history.active(kind, cadence=cadence, **terms)
    if kind == "hourly":
        history.log_time(contract, 60)
    if kind == "single_payment":
        history.submit(contract)
    due = utc(closes[WEEKS[cadence] - 1]) if kind != "single_payment" else utc(began) + WEEKS[cadence] * 7 * DAY
    history.advance(due - timedelta(microseconds=1))
    assert history.payouts(contract) == []
    history.advance(due)
    payout = history.payout(contract)
    assert (payout.due_at, payout.charged_at, payout.hold_until) == (due, due, due + 4 * DAY)
    assert payout.review_deadline == (None if kind == "single_payment" else due + 4 * DAY)
    history.advance(due + 4 * DAY - timedelta(microseconds=1))
    assert history.payout(contract).status == "pending"
    history.advance(due + 4 * DAY)
    assert history.payout(contract).released_at == due + 4 * DAY
    Invariants(history).check()


# Clocks that step back, or are a day wrong

STEPS = (timedelta(microseconds=1), timedelta(seconds=1), timedelta(hours=1), DAY, 7 * DAY)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_clock_that_steps_back_moves_no_deadline_and_undoes_nothing(step: timedelta) -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=500)
    history.submit(contract)
    history.advance("2026-01-12 09:00")
    before = list(history.log)
    history.now -= step
    history.settle()
    assert history.log == before, "what has happened has happened, and happens once"
    with refused("review_period_ended"):
        history.approve(contract)
    history.advance("2026-01-16 09:00")
    assert history.payout(contract).released_at == utc("2026-01-16 09:00")
    Invariants(history).check()


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_work_submitted_before_a_clock_stepped_back_lapses_when_it_would_have(step: timedelta) -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=500)
    history.submit(contract)
    history.now -= step
    history.advance("2026-01-12 08:59:59.999999")
    assert history.milestones(contract) == ["submitted"]
    history.advance("2026-01-12 09:00")
    assert history.last(e.MilestoneApproved).occurred_at == utc("2026-01-12 09:00")
    assert history.payouts(contract) == ["milestone pending 500"]
    Invariants(history).check()


@pytest.mark.parametrize("skew", [-DAY, -timedelta(hours=1), timedelta(0), timedelta(hours=1), DAY], ids=str)
def test_a_worker_whose_clock_is_wrong_records_the_instants_of_the_rules(skew: timedelta) -> None:
    """It may come early or late by as much as its clock is wrong; what it records is true as of the deadline itself."""
    history = History("2026-01-05 09:00")
    lapsing = history.active("single_payment", amount=500)
    history.submit(lapsing)
    history.up = False
    history.advance("2026-01-13 09:00")
    history.now += skew
    history.settle()
    history.now -= skew
    approved = history.last(e.MilestoneApproved)
    assert approved.occurred_at == utc("2026-01-12 09:00")
    assert history.last(e.PayoutDue).occurred_at == utc("2026-01-12 09:00")
    charged = history.payout(lapsing).charged_at
    assert charged == utc("2026-01-13 09:00") + skew, "a charge happens when it happens: by the processor's clock"
    history.worker_returns()
    history.advance("2026-01-20 09:00")
    assert history.payout(lapsing).released_at == charged + 4 * DAY
    Invariants(history).check()


# Time zones: of the process, and of the database

ZONES = ("Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu")
STARTS = ("2028-02-28T09:00:00Z", "2026-12-30T23:30:00Z", "2026-10-25T00:30:00Z")


def story(url: str, folder: Path, start: str) -> str:
    """What a ledger of this process makes of a few weeks: the head of its chain, and its tables."""
    settings = Settings(
        database_url=url, owner_url=None, data_dir=folder, sandbox=True, clock_start=start, smtp_url=None
    )  # type: ignore[arg-type]  # pydantic reads the times
    with open_ledger(settings) as ledger:
        play = Play(ledger)
        for cadence in WEEKS:
            hourly = play.active("hourly", hourly_rate=6_001, cadence=cadence)
            play.log_time(hourly, 61)
            play.bonus(hourly, 5)
            play.active("fixed_rate", rate=70, cadence=cadence)
            play.submit(play.active("single_payment", amount=900, cadence=cadence))
        play.advance(24 * DAY)
        play.withdraw(50)
        play.advance(2 * DAY)
        tables = sha256(repr(sorted(live(ledger).items())).encode()).hexdigest()
        return f"{ledger.log.head_hash()[1].hex()} {tables}"


def told_by_a_process(server: Server, folder: Path, zone: str) -> dict[str, str]:
    """Each story, by a process and on databases of that time zone."""
    urls = {start: server.create() for start in STARTS}
    for url in urls.values():
        with psycopg.connect(server.admin_url_of(url), autocommit=True) as connection:
            name = sql.Identifier(name_of(url))
            connection.execute(sql.SQL("ALTER DATABASE {} SET timezone = {}").format(name, sql.Literal(zone)))
    arguments = [json.dumps(urls), str(folder)]
    env = {**os.environ, "TZ": zone, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.test_time", *arguments],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    for url in urls.values():
        server.drop(url)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def in_utc(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return told_by_a_process(server, tmp_path_factory.mktemp("utc"), "UTC")


@pytest.fixture(scope="module")
def elsewhere(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return {zone: told_by_a_process(server, tmp_path_factory.mktemp("zone"), zone) for zone in ZONES}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", STARTS)
def test_in_every_time_zone_the_same_history_has_the_same_bytes(
    in_utc: dict[str, str], elsewhere: dict[str, dict[str, str]], zone: str, start: str
) -> None:
    assert elsewhere[zone][start] == in_utc[start]


def main() -> None:
    urls, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    print(json.dumps({start: story(url, folder, start) for start, url in urls.items()}))


if __name__ == "__main__":
    main()
