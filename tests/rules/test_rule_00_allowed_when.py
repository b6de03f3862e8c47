"""The table 'What is allowed when': every status against every command."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.history import HOUR, History, refused

STATUSES = ("invited", "accepted", "active", "suspended", "completed", "declined", "withdrawn")
WORKED = ("active", "suspended", "completed")
"""The statuses of contracts that have been active: only they have submissions, time and payouts."""


class Scene(NamedTuple):
    """One contract of each family in the same status, with something of everything to act upon."""

    history: History
    milestones: str
    """1 is approved and its payout charged (or failing), 2 is submitted, 3 is planned, 4 is requested."""
    hourly: str
    entry: str


def scene(status: str) -> Scene:
    """On Monday 2026-01-12 13:00, except before the contract was active."""
    history = History("2026-01-05 09:00", card="declines" if status == "suspended" else "pays")
    if status in WORKED:
        return _worked(history, status)
    if status == "accepted":
        history = History(bank=None)
    milestones = history.offer("milestone", milestones=(1000, 2000, 3000), cadence="biweekly")
    hourly = history.offer("hourly", hourly_rate=6000)
    answer = {"accepted": history.accept, "declined": history.decline, "withdrawn": history.withdraw_offer}
    for contract in (milestones, hourly):
        if status != "invited":
            answer[status](contract)
    return Scene(history, milestones, hourly, "tim_none")


def _worked(history: History, status: str) -> Scene:
    milestones = history.active("milestone", milestones=(1000, 2000, 3000), cadence="biweekly")
    hourly = history.active("hourly", hourly_rate=6000)
    history.bonus(hourly, 100)
    history.advance("2026-01-12 12:00")
    entry = history.log_time(hourly, 60)
    history.activate(milestones, 1)
    history.submit(milestones, 1)
    history.approve(milestones, 1)
    history.activate(milestones, 2)
    history.submit(milestones, 2)
    history.add_milestone(milestones, 4000, by="freelancer")
    history.advance(HOUR)
    for contract in (milestones, hourly):
        if status == "suspended":
            for _ in range(9):  # ten failures in all: suspended, and nothing is retried on schedule any more
                history.retry_charge(history.payout(contract))
        if status == "completed":
            history.complete(contract)
    for card in history.processor.does:
        history.processor.does[card] = "pays"
    return Scene(history, milestones, hourly, entry)


class Act(NamedTuple):
    allowed: tuple[str, ...]
    do: Callable[[Scene], object]
    first: Callable[[Scene], object] = lambda _: None
    """What brings a contract that was active to where only its status can stand against the command."""
    needs_work: bool = False


def _approve_second(it: Scene) -> None:
    it.history.approve(it.milestones, 2)


def _change_second(it: Scene) -> None:
    it.history.request_changes(it.milestones, 2)


def _timesheet_charged(it: Scene) -> None:
    it.history.advance("2026-01-19 13:00")


def _objected(it: Scene) -> None:
    _timesheet_charged(it)
    it.history.object(it.history.payout(it.hourly, 2))


RUNS_ON = ("active", "suspended", "completed")

ACTS = {
    "accept": Act(("invited",), lambda it: it.history.accept(it.hourly)),
    "decline": Act(("invited",), lambda it: it.history.decline(it.hourly)),
    "withdraw the offer": Act(("invited",), lambda it: it.history.withdraw_offer(it.hourly)),
    "submit for the first time": Act(
        ("active",),
        lambda it: it.history.submit(it.milestones, 3),
        lambda it: (
            _approve_second(it),
            it.history.status(it.milestones) == "active" and it.history.activate(it.milestones, 3),
        ),
    ),
    "submit again after changes": Act(
        ("active", "completed"), lambda it: it.history.submit(it.milestones, 2), _change_second
    ),
    "activate": Act(("active",), lambda it: it.history.activate(it.milestones, 3), _approve_second),
    "add a milestone": Act(("active",), lambda it: it.history.add_milestone(it.milestones, 500)),
    "request a milestone": Act(("active",), lambda it: it.history.add_milestone(it.milestones, 500, by="freelancer")),
    "approve a request": Act(("active",), lambda it: it.history.approve_request(it.milestones, 4), needs_work=True),
    "log time": Act(("active",), lambda it: it.history.log_time(it.hourly, 60)),
    "approve": Act(RUNS_ON, lambda it: it.history.approve(it.milestones, 2)),
    "request changes": Act(RUNS_ON, lambda it: it.history.request_changes(it.milestones, 2)),
    "decline a request": Act(RUNS_ON, lambda it: it.history.decline_request(it.milestones, 4), needs_work=True),
    "correct time": Act(RUNS_ON, lambda it: it.history.correct_time(it.hourly, it.entry, 30)),
    "remove time": Act(RUNS_ON, lambda it: it.history.remove_time(it.hourly, it.entry)),
    "object": Act(
        RUNS_ON, lambda it: it.history.object(it.history.payout(it.hourly, 2)), _timesheet_charged, needs_work=True
    ),
    "withdraw an objection": Act(
        RUNS_ON, lambda it: it.history.withdraw_objection(it.history.payout(it.hourly, 2)), _objected, needs_work=True
    ),
    "reduce": Act(
        RUNS_ON, lambda it: it.history.reduce(it.history.payout(it.hourly, 2), 10), _objected, needs_work=True
    ),
    "grant a bonus": Act(("active", "completed"), lambda it: it.history.bonus(it.hourly, 100)),
    "complete": Act(("active", "suspended"), lambda it: it.history.complete(it.hourly)),
}

ANSWERS = ("accept", "decline", "withdraw the offer")

CELLS = [
    pytest.param(status, name, id=f"{name} when {status}")
    for name, act in ACTS.items()
    for status in STATUSES
    if status in WORKED or not act.needs_work
]


def expected_code(status: str, name: str) -> str:
    if name in ANSWERS:
        return "already_decided"
    return "contract_suspended" if status == "suspended" else "contract_not_active"


@pytest.mark.parametrize(("status", "name"), CELLS)
def test_what_is_allowed_when(status: str, name: str) -> None:
    it, act = scene(status), ACTS[name]
    assert {it.history.status(it.milestones), it.history.status(it.hourly)} == {status}
    if status in WORKED:
        act.first(it)
    if status in act.allowed:
        act.do(it)
        return
    before = len(it.history.log)
    with refused(expected_code(status, name)):
        act.do(it)
    assert len(it.history.log) == before, "a refusal writes nothing"


@pytest.mark.parametrize("status", ["invited", "accepted", "declined", "withdrawn"])
def test_before_it_was_active_a_contract_has_no_payout(status: str) -> None:
    it = scene(status)
    it.history.advance("2026-03-02 12:00")
    assert it.history.payouts(it.milestones) == it.history.payouts(it.hourly) == []
