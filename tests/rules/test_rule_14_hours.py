"""Rule 14: logging, correcting and locking time. Rule 15: what a timesheet comes to."""

from datetime import date

import pytest

from ledger import events as e
from ledger.errors import Invalid
from ledger.money import price_of
from tests.history import DAY, HOUR, MICROSECOND, WEEK, History, refused, utc

MONDAY = "2026-01-05"


def hourly(start: str = "2026-01-05 09:00", **terms: object) -> tuple[History, str]:
    history = History(start)
    return history, history.active("hourly", **{"hourly_rate": 6000, **terms})


def test_rule_14_time_is_logged_for_a_date_of_the_current_week_up_to_today() -> None:
    history, contract = hourly("2026-01-07 23:59:59")
    history.log_time(contract, 60, "2026-01-05")
    history.log_time(contract, 60, "2026-01-07")
    with refused("time_in_future"):
        history.log_time(contract, 60, "2026-01-08")
    history.advance("2026-01-08 00:00")
    history.log_time(contract, 60, "2026-01-08")


def test_rule_14_days_of_that_week_before_the_contract_became_active_count_too() -> None:
    history, contract = hourly("2026-01-09 15:00")
    history.log_time(contract, 60, MONDAY)
    history.advance("2026-01-12 12:00")
    assert history.payouts(contract) == ["timesheet pending 6000"]


def test_rule_14_time_is_not_logged_for_a_week_before_or_after() -> None:
    history, contract = hourly("2026-01-07 10:00")
    with refused("week_not_open"):
        history.log_time(contract, 60, "2026-01-04")
    with refused("week_not_open"):
        history.log_time(contract, 60, "2026-01-12")


def test_rule_14_the_week_ends_before_monday_midnight() -> None:
    history, contract = hourly("2026-01-11 23:59:59.999999")
    history.log_time(contract, 60, "2026-01-11")
    history.advance(MICROSECOND)
    with refused("week_not_open"):
        history.log_time(contract, 60, "2026-01-11")
    history.log_time(contract, 60, "2026-01-12")


def test_rule_14_once_the_week_has_ended_its_entries_can_be_corrected_or_removed_not_added() -> None:
    history, contract = hourly()
    first, second = history.log_time(contract, 60), history.log_time(contract, 90)
    history.advance("2026-01-12 11:59:59.999999")
    history.correct_time(contract, first, 120)
    history.remove_time(contract, second)
    with refused("week_not_open"):
        history.log_time(contract, 60, "2026-01-11")
    history.advance(MICROSECOND)
    assert history.last(e.TimesheetLocked).minutes == 120


@pytest.mark.parametrize("worker", [True, False], ids=["lock recorded", "lock not recorded"])
def test_rule_14_at_monday_noon_the_timesheet_is_locked(worker: bool) -> None:
    history, contract = hourly()
    entry = history.log_time(contract, 60)
    history.up = worker
    history.advance("2026-01-12 12:00")
    with refused("timesheet_locked"):
        history.correct_time(contract, entry, 30)
    with refused("timesheet_locked"):
        history.remove_time(contract, entry)
    with refused("timesheet_locked"):  # before week_not_open: the first of the list
        history.log_time(contract, 60, "2026-01-11")


def test_rule_14_a_late_worker_locks_as_of_the_close() -> None:
    history, contract = hourly()
    history.log_time(contract, 60)
    history.up = False
    history.advance("2026-01-30 08:00")
    history.worker_returns()
    locked = history.last(e.TimesheetLocked)
    assert (locked.occurred_at, locked.recorded_at) == (utc("2026-01-12 12:00"), utc("2026-01-30 08:00"))


def test_rule_14_on_a_biweekly_contract_time_is_logged_and_locked_week_by_week() -> None:
    history, contract = hourly(cadence="biweekly")
    entry = history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    with refused("timesheet_locked"):
        history.correct_time(contract, entry, 30)
    assert history.payouts(contract) == []
    history.log_time(contract, 30)
    history.advance("2026-01-19 12:00")
    assert [locked.minutes for locked in history.events(e.TimesheetLocked)] == [60, 30]
    assert history.payouts(contract) == ["timesheet pending 9000"]


@pytest.mark.parametrize("minutes", [-1, 0])
def test_rule_14_an_entry_is_of_one_minute_or_more(minutes: int) -> None:
    history, contract = hourly()
    entry = history.log_time(contract, 60)
    before = list(history.log)
    with pytest.raises(Invalid, match="minutes"):
        history.log_time(contract, minutes)
    with pytest.raises(Invalid, match="minutes"):
        history.correct_time(contract, entry, minutes)
    assert history.log == before


def test_rule_14_a_date_never_holds_more_than_1440_minutes() -> None:
    history, contract = hourly()
    entry = history.log_time(contract, 1000)
    history.log_time(contract, 440)
    with refused("day_limit_exceeded"):
        history.log_time(contract, 1)
    with refused("day_limit_exceeded"):
        history.correct_time(contract, entry, 1001)
    history.correct_time(contract, entry, 999)
    history.log_time(contract, 1)


def test_rule_14_a_week_never_holds_more_than_the_contracts_limit() -> None:
    history, contract = hourly("2026-01-07 10:00", weekly_limit_minutes=600)
    entry = history.log_time(contract, 300, "2026-01-06")
    history.log_time(contract, 300, "2026-01-07")
    with refused("weekly_limit_exceeded"):
        history.log_time(contract, 1, "2026-01-05")
    with refused("weekly_limit_exceeded"):
        history.correct_time(contract, entry, 301)
    history.remove_time(contract, entry)
    history.log_time(contract, 300, "2026-01-05")
    history.advance("2026-01-12 09:00")  # another week has room of its own
    history.log_time(contract, 600)


def test_rule_14_the_day_comes_before_the_week_when_both_are_exceeded() -> None:
    history, contract = hourly(weekly_limit_minutes=1440)
    history.log_time(contract, 1440)
    with refused("day_limit_exceeded"):
        history.log_time(contract, 1)


def test_rule_14_a_contract_without_a_limit_takes_seven_whole_days() -> None:
    history, contract = hourly("2026-01-11 20:00")
    for day in range(5, 12):
        history.log_time(contract, 1440, date(2026, 1, day))
    history.advance("2026-01-12 12:00")
    assert history.payouts(contract) == [f"timesheet pending {7 * 24 * 6000}"]


def test_rule_14_a_correction_may_change_the_memo_alone() -> None:
    history, contract = hourly()
    entry = history.log_time(contract, 60)
    history.correct_time(contract, entry)
    assert history.last(e.TimeCorrected).minutes == 60


@pytest.mark.parametrize("ends", ["suspended", "completed"])
def test_rule_14_corrections_stay_possible_on_a_suspended_or_completed_contract(ends: str) -> None:
    history, contract = hourly()
    history.bonus(contract, 100)
    history.advance("2026-01-12 09:00")
    first, second = history.log_time(contract, 60), history.log_time(contract, 30)
    if ends == "suspended":
        history.billing_method("declines")
        history.advance("2026-01-16 12:00")
    else:
        history.complete(contract)
    assert history.status(contract) == ends
    history.correct_time(contract, first, 120)
    history.remove_time(contract, second)
    history.billing_method("pays")
    history.advance("2026-01-19 12:00")
    assert history.payouts(contract)[-1] == "timesheet pending 12000"


@pytest.mark.parametrize("kind", ["fixed_rate", "milestone", "single_payment"])
def test_rule_14_only_an_hourly_contract_takes_time(kind: str) -> None:
    history = History()
    terms = {"fixed_rate": {"rate": 100}, "milestone": {"milestones": (100,)}, "single_payment": {"amount": 100}}[kind]
    contract = history.active(kind, **terms)
    with refused("not_an_hourly_contract"):
        history.log_time(contract, 60)
    with refused("not_an_hourly_contract"):
        history.correct_time(contract, "tim_none", 60)
    with refused("not_an_hourly_contract"):
        history.remove_time(contract, "tim_none")


@pytest.mark.parametrize(
    ("minutes", "rate", "amount"),
    [
        (1, 29, 0),
        (1, 30, 1),
        (1, 89, 1),
        (1, 90, 2),
        (60, 3333, 3333),
        (30, 3333, 1667),
        (95, 3333, 5277),
        (10_080, 10**9, 168 * 10**9),
    ],
)
def test_rule_15_minutes_times_rate_by_sixty_is_rounded_half_up(minutes: int, rate: int, amount: int) -> None:
    assert price_of(minutes, rate) == amount


@pytest.mark.parametrize("cadence", ["weekly", "biweekly"])
def test_rule_14_a_week_that_was_locked_takes_no_more_time_by_whichever_clock(cadence: str) -> None:
    """The worker's clock was ahead, or the command was late: the cycle is billed once, with what was in it then."""
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6_000, cadence=cadence)
    history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    history.now = utc("2026-01-11 09:00")
    with refused("timesheet_locked"):
        history.log_time(contract, 3)
    history.advance("2026-01-19 12:00")
    assert [payout.split()[::2] for payout in history.payouts(contract)] == [["timesheet", "6000"]]


def test_rule_14_a_week_without_time_whose_cycle_was_billed_takes_none_either() -> None:
    history, contract = hourly("2026-01-05 09:00", cadence="biweekly")
    history.log_time(contract, 60)
    history.advance("2026-01-19 12:00")
    history.now = utc("2026-01-18 09:00")
    with refused("timesheet_locked"):
        history.log_time(contract, 3)


def test_rule_14_a_week_before_the_contracts_first_one_was_never_locked() -> None:
    history, contract = hourly("2026-01-05 09:00")
    history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    with refused("week_not_open"):
        history.log_time(contract, 60, "2026-01-02")


def test_rule_14_a_week_that_no_close_has_touched_takes_what_was_logged_in_time() -> None:
    """Nothing was locked at its Monday 12:00: the command that was on its way then is billed as of then."""
    history, contract = hourly("2026-01-05 09:00")
    history.advance("2026-01-12 12:00")
    history.now = utc("2026-01-11 09:00")
    history.log_time(contract, 60)
    history.advance("2026-01-13 12:00")
    assert [payout.split()[::2] for payout in history.payouts(contract)] == [["timesheet", "6000"]]


def test_rule_15_it_is_rounded_once_for_a_timesheet_not_for_each_entry() -> None:
    history, contract = hourly(hourly_rate=3333)
    for _ in range(4):
        history.log_time(contract, 15)  # each alone would be 833.25
    history.advance("2026-01-12 12:00")
    assert history.payouts(contract) == ["timesheet pending 3333"]


def test_rule_15_a_cycles_payout_is_the_sum_of_its_timesheets_each_rounded() -> None:
    history, contract = hourly(hourly_rate=3333, cadence="biweekly")
    history.log_time(contract, 30)
    history.advance(WEEK)
    history.log_time(contract, 30)
    history.advance("2026-01-19 12:00")
    assert [locked.amount for locked in history.events(e.TimesheetLocked)] == [1667, 1667]
    assert history.payouts(contract) == ["timesheet pending 3334"]


def test_rule_15_a_sum_of_zero_makes_no_payout() -> None:
    history, contract = hourly(hourly_rate=1)
    history.log_time(contract, 29)
    history.advance("2026-01-12 12:00")
    assert history.last(e.TimesheetLocked).amount == 0
    assert history.payouts(contract) == []
    assert history.last(e.CycleClosed).payout is None


def test_rule_15_a_week_without_time_makes_no_payout() -> None:
    history, contract = hourly()
    entry = history.log_time(contract, 60)
    history.advance(HOUR)
    history.remove_time(contract, entry)
    history.advance(30 * DAY)
    assert history.payouts(contract) == []
    assert history.events(e.TimesheetLocked) == []


def test_rule_15_the_second_week_of_a_cycle_alone_is_billed_at_the_cycles_close() -> None:
    history, contract = hourly("2026-01-08 09:00", cadence="biweekly")
    history.advance("2026-01-18 23:00")
    history.log_time(contract, 60)
    history.advance("2026-01-19 12:00")
    assert history.payouts(contract) == ["timesheet pending 6000"]


def test_rule_15_a_cycle_counts_from_the_week_in_which_the_contract_became_active() -> None:
    history, contract = hourly("2026-01-18 23:59", cadence="biweekly")  # a Sunday: its week began on the 12th
    history.log_time(contract, 60)
    history.advance("2026-01-26 11:59:59")
    assert history.payouts(contract) == []
    history.advance("2026-01-26 12:00")
    assert history.payouts(contract) == ["timesheet pending 6000"]
