"""Rule 29: a late worker changes nothing that the outside world does not decide; twice is once; the order at one instant."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from ledger import commands as c
from ledger import events as e
from ledger.aggregates import decide
from ledger.events import Event
from ledger.policies.deadlines import CLOSE, NOTIFY, RELEASE, command_of
from tests.history import DAY, HOUR, MICROSECOND, WEEK, History, due_by, refused, utc


def written(history: History) -> dict[str, list[Event]]:
    """Each stream's events, without the instant at which they were written."""
    streams: dict[str, list[Event]] = {}
    for recorded in history.log:
        forgotten = replace(recorded.event, recorded_at=recorded.event.occurred_at)
        streams.setdefault(recorded.stream, []).append(forgotten)
    return streams


def under_way() -> History:
    """Monday 2026-01-12 13:00: a charged milestone, an objected and a quiet timesheet, a biweekly week to lock."""
    history = History("2026-01-05 09:00")
    for _ in range(2):
        contract = history.active("hourly", hourly_rate=6000)
        history.log_time(contract, 60)
    biweekly = history.active("hourly", hourly_rate=6000, cadence="biweekly")
    milestone = history.active("single_payment", amount=50_000)
    history.submit(milestone)
    history.advance("2026-01-12 13:00")
    history.log_time(biweekly, 30)
    history.object(history.payout(contract))
    return history


@pytest.mark.parametrize("back", ["2026-01-16 12:00", "2026-01-19 11:59:59", "2026-01-19 11:00"])
def test_rule_29_a_worker_that_was_down_gives_the_same_events_but_for_when_they_were_written(back: str) -> None:
    on_time, late = under_way(), under_way()
    late.up = False
    on_time.advance(back)
    late.advance(back)
    assert len(late.log) < len(on_time.log)
    late.worker_returns()
    assert written(late) == written(on_time)


def test_rule_29_a_hold_and_a_later_release_that_both_came_meanwhile_are_two_steps_as_on_time() -> None:
    histories = [History("2026-01-05 09:00") for _ in range(2)]
    for history, up in zip(histories, (True, False), strict=True):
        history.log_time(history.active("hourly", hourly_rate=6000), 60)
        history.processor.charged_at = utc("2026-01-12 08:00")  # the hold ends four hours before the review
        history.advance("2026-01-13 12:00")
        history.up = up
        history.advance("2026-01-17 12:00")
        history.worker_returns()
    on_time, late = map(written, histories)
    assert late == on_time
    elapsed, released = histories[1].last(e.HoldElapsed), histories[1].last(e.PayoutReleased)
    assert elapsed.command_id != released.command_id


def test_rule_29_people_who_came_meanwhile_found_what_was_due_by_then_decided() -> None:
    """The same commands at the same instants, with the worker and without: the same answers, the same events."""
    histories = [under_way(), under_way()]
    for history, up in zip(histories, (True, False), strict=True):
        history.up = up
        history.advance("2026-01-16 10:00")  # the milestone of the first Monday was released at 09:00
        history.withdraw(1)
        history.advance("2026-01-16 12:00")
        with refused("review_period_ended"):
            history.object(history.payout("con_000001"))  # the quiet one
        history.advance("2026-01-17 09:00")
        history.worker_returns()
    assert _without_transfers(histories[0]) == _without_transfers(histories[1])


def _without_transfers(history: History) -> dict[str, list[Event]]:
    """A transfer is of the outside world: it happens when it happens."""
    kept = written(history)
    return {
        stream: [event for event in events if not isinstance(event, e.WithdrawalSubmitted | e.WithdrawalPaid)]
        for stream, events in kept.items()
    }


def test_rule_29_only_a_charge_happens_when_it_happens_and_its_hold_runs_from_then() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.up = False
    history.advance("2026-01-14 17:00")
    history.worker_returns()
    payout = history.payout(contract)
    assert payout.due_at == utc("2026-01-12 12:00")
    assert payout.charged_at == utc("2026-01-14 17:00")
    assert payout.hold_until == utc("2026-01-18 17:00")
    assert payout.review_deadline == utc("2026-01-16 12:00")


def test_rule_29_money_is_released_as_of_its_release_time() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    history.up = False
    history.advance("2026-03-01 00:00")
    history.worker_returns()
    released, told = history.last(e.PayoutReleased), history.last(e.FundsReleased)
    assert released.occurred_at == told.occurred_at == utc("2026-01-09 09:00")
    assert released.recorded_at == utc("2026-03-01 00:00")


def _approve(history: History, contract: str) -> None:
    history.approve(contract)


def _log(history: History, contract: str) -> None:
    history.log_time(contract, 60)


@pytest.mark.parametrize(
    ("kind", "terms", "work", "command", "at", "decided"),
    [
        ("single_payment", {"amount": 100}, History.submit, _approve, "2026-01-12 09:00", e.MilestoneApproved),
        ("hourly", {"hourly_rate": 60}, _log, _log, "2026-01-12 12:00", e.TimesheetLocked),
        ("fixed_rate", {"rate": 60}, lambda *_: None, History.complete, "2026-01-12 12:00", e.CycleClosed),
    ],
)
def test_rule_29_before_a_command_everything_due_by_then_on_its_object_is_decided(
    kind: str,
    terms: dict[str, int],
    work: Callable[..., object],
    command: Callable[..., object],
    at: str,
    decided: type[Event],
) -> None:
    history = History("2026-01-05 09:00")
    contract = history.active(kind, **terms)
    work(history, contract)
    history.up = False
    history.advance(at)
    assert history.events(decided) == []
    if decided is e.MilestoneApproved:
        with refused("review_period_ended"):
            command(history, contract)
    else:
        command(history, contract)
    assert len(history.events(decided)) == 1
    assert history.events(e.ChargeRequested) == [], "charges excepted"


def test_rule_29_what_is_due_on_other_objects_waits_for_the_worker() -> None:
    history = History("2026-01-05 09:00")
    mine, other = (history.active("hourly", hourly_rate=6000) for _ in range(2))
    for contract in (mine, other):
        history.log_time(contract, 60)
    history.up = False
    history.advance(WEEK)
    history.advance(DAY)
    history.log_time(mine, 60)
    assert {event.contract_id for event in history.events(e.TimesheetLocked)} == {mine}


def test_rule_29_two_workers_at_once_change_nothing() -> None:
    """Every deadline's command is sent again by a worker that took it up before the other had written."""
    history, once = under_way(), under_way()
    for at in ("2026-01-16 12:00", "2026-01-19 12:00", "2026-01-24 00:00"):
        taken = [deadline for kind in (CLOSE, RELEASE) for deadline in due_by(history, kind)]
        history.advance(at)
        for deadline in taken:
            if deadline.at <= history.now:
                assert history.send(command_of(deadline, history.now)) == []
        once.advance(at)
    assert written(history) == written(once)


def test_rule_29_a_notification_noted_by_two_workers_is_noted_once() -> None:
    history = History()
    history.up = False
    contract = history.offer("hourly", hourly_rate=100)
    (deadline,) = due_by(history, NOTIFY)
    note = c.NoteNotification(
        command_id="cmd_n",
        actor="system",
        now=history.now,
        contract_id=contract,
        kind="invitation",
        about=deadline.cause_id,
    )
    assert len(history.send(note)) == 1
    assert history.send(note) == []


def test_rule_29_a_pay_schedule_that_changed_while_the_freelancer_was_told_of_the_former_is_told_too() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=100, outcome="employee")
    history.up = False
    history.employer_of_record(contract, pay_schedule="weekly")
    former = history.log[-2 if isinstance(history.log[-1].event, e.ContractActivated) else -1]
    history.employer_of_record(contract, pay_schedule="monthly")
    told = {"contract_id": contract, "kind": "eor_pay_schedule", "about": former.id}
    history.send(c.NoteNotification(command_id="cmd_n", actor="system", now=history.now, **told))
    history.worker_returns()
    assert history.last(e.NotificationSent).about == history.log[-2].id
    assert history.log[-2].event.pay_schedule == "monthly"


def test_rule_29_at_one_instant_closes_come_before_lapses_retries_and_releases() -> None:
    """Monday 2026-01-19 12:00 is a close, a review deadline, a retry and the end of a hold."""
    history = History("2026-01-12 12:00")
    lapsing, failing, held = (history.active("single_payment", amount=amount) for amount in (1, 2, 3))
    closing = history.active("hourly", hourly_rate=6000)
    history.log_time(closing, 60)
    history.submit(lapsing)
    history.advance("2026-01-15 12:00")
    history.submit(held)
    history.approve(held)
    history.advance("2026-01-18 12:00")
    history.processor.does = dict.fromkeys(history.processor.does, "declines")
    history.submit(failing)
    history.approve(failing)
    history.processor.does = dict.fromkeys(history.processor.does, "pays")
    before = len(history.log)
    history.advance("2026-01-19 12:00")
    steps = {
        e.CycleClosed: "close",
        e.MilestoneApproved: "lapse",
        e.ChargeRequested: "charge",
        e.PayoutReleased: "release",
    }
    seen = [steps[type(one.event)] for one in history.log[before:] if type(one.event) in steps]
    assert seen == ["close", "lapse", "charge", "charge", "charge", "release"]
    charged = [event.contract_id for event in history.events(e.ChargeRequested)[-3:]]
    assert set(charged) == {closing, lapsing, failing}
    assert history.payouts(held) == ["milestone released 3"]


def test_rule_29_a_command_at_the_very_instant_comes_after_what_is_due_then() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=100)
    history.submit(contract)
    history.approve(contract)
    history.up = False
    history.advance("2026-01-09 09:00")
    history.withdraw(100)
    assert history.withdrawals() == ["in_transit 100"]


def test_rule_29_deadlines_named_too_early_do_nothing() -> None:
    history = under_way()
    before = len(history.log)
    for kind in (CLOSE, RELEASE):
        for deadline in due_by(history, kind):
            assert history.send(command_of(deadline, deadline.at - MICROSECOND - HOUR)) == []
    assert len(history.log) == before


@pytest.mark.parametrize("late", [0 * DAY, MICROSECOND])
def test_rule_12_the_contract_refuses_a_late_answer_even_before_the_lapse_was_recorded(late: timedelta) -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=100)
    history.submit(contract)
    submitted, now = history.state(contract), history.now + WEEK + late
    words = {
        "command_id": "cmd_l",
        "actor": "client:x",
        "contract_id": contract,
        "milestone_id": history.milestone(contract),
    }
    for answer in (c.ApproveMilestone, c.RequestChanges):
        with refused("review_period_ended"):
            decide(submitted, answer(**words, now=now), {})
        decide(submitted, answer(**words, now=history.now + WEEK - MICROSECOND), {})


@pytest.mark.parametrize("late", [0 * DAY, MICROSECOND])
def test_rule_14_the_contract_refuses_a_late_correction_even_before_the_lock_was_recorded(late: timedelta) -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    words = {
        "command_id": "cmd_l",
        "actor": "freelancer:x",
        "contract_id": contract,
        "entry_id": history.log_time(contract, 60),
    }
    logged = history.state(contract)
    with refused("timesheet_locked"):
        decide(logged, c.CorrectTime(**words, minutes=30, now=utc("2026-01-12 12:00") + late), {})
    with refused("timesheet_locked"):
        decide(logged, c.RemoveTime(**words, now=utc("2026-01-12 12:00") + late), {})
    decide(logged, c.RemoveTime(**words, now=utc("2026-01-12 12:00") - MICROSECOND), {})
