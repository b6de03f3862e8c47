"""Rule 16: a fixed rate is billed in full for every cycle during any part of which the contract was active."""

import pytest

from ledger import events as e
from tests.history import MICROSECOND, WEEK, History, utc


def fixed(start: str, cadence: str = "weekly", card: str = "pays") -> tuple[History, str]:
    history = History(start, card=card)
    return history, history.active("fixed_rate", rate=90_000, cadence=cadence)


def billed(history: History) -> list[str]:
    """The first days of the cycles that were billed."""
    return [f"{one.payout.source.start:%Y-%m-%d}" for one in history.events(e.CycleClosed) if one.payout]


def suspended_contract(at: str, until: str) -> tuple[History, str]:
    """Suspended from `at` up to `until`, because the bonus's charge kept failing."""
    history, contract = fixed("2026-01-05 09:00")
    history.advance("2026-01-06 09:00")
    history.bonus(contract, 100)
    history.advance("2026-01-12 11:00")
    history.billing_method("declines finally")  # the bonus and the first cycle fail at noon; nothing is retried
    history.advance("2026-01-12 13:00")
    payout = history.payout(contract)
    for _ in range(3):
        history.retry_charge(payout)
    history.advance(at)
    history.retry_charge(payout)
    assert history.status(contract) == "suspended"
    history.advance(until)
    history.billing_method("pays")
    assert history.status(contract) == "active"
    return history, contract


def test_rule_16_a_cycle_is_billed_in_full_at_its_close() -> None:
    history, contract = fixed("2026-01-05 09:00")
    history.advance("2026-01-12 11:59:59.999999")
    assert history.payouts(contract) == []
    history.advance(MICROSECOND)
    assert history.payouts(contract) == ["fixed_rate pending 90000"]
    due = history.last(e.PayoutDue)
    assert (due.source.start, due.source.end) == (utc("2026-01-05 00:00"), utc("2026-01-12 00:00"))


def test_rule_16_active_for_the_last_microsecond_of_a_cycle_it_is_billed_in_full() -> None:
    history, contract = fixed("2026-01-11 23:59:59.999999")
    history.advance("2026-01-12 12:00")
    assert history.payouts(contract) == ["fixed_rate pending 90000"]


def test_rule_16_active_from_monday_midnight_the_week_before_is_not_billed() -> None:
    history, _ = fixed("2026-01-12 00:00")
    history.advance("2026-01-19 12:00")
    assert billed(history) == ["2026-01-12"]


def test_rule_16_a_biweekly_rate_is_billed_every_other_monday_from_the_first_week() -> None:
    history, _ = fixed("2026-01-14 15:00", cadence="biweekly")
    history.advance("2026-02-23 12:00")
    assert billed(history) == ["2026-01-12", "2026-01-26", "2026-02-09"]


def test_rule_16_completed_exactly_on_monday_midnight_the_week_that_begins_is_not_billed() -> None:
    history, contract = fixed("2026-01-05 09:00")
    history.advance("2026-01-12 00:00")
    history.complete(contract)
    history.advance("2026-03-01 00:00")
    assert billed(history) == ["2026-01-05"]


def test_rule_16_completed_a_microsecond_into_a_week_that_week_is_billed_in_full() -> None:
    history, contract = fixed("2026-01-05 09:00")
    history.advance("2026-01-12 00:00:00.000001")
    history.complete(contract)
    history.advance("2026-03-01 00:00")
    assert billed(history) == ["2026-01-05", "2026-01-12"]


@pytest.mark.parametrize(
    ("at", "until", "cycles"),
    [
        # suspended throughout the week of the 19th only
        ("2026-01-19 00:00", "2026-01-26 00:00", ["2026-01-05", "2026-01-12", "2026-01-26"]),
        # one microsecond of it was active: at its beginning, at its end
        ("2026-01-19 00:00:00.000001", "2026-01-26 00:00", ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]),
        ("2026-01-19 00:00", "2026-01-25 23:59:59.999999", ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]),
        # suspended and resumed within a week, and for two whole weeks
        ("2026-01-20 09:00", "2026-01-21 09:00", ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]),
        ("2026-01-14 09:00", "2026-01-30 09:00", ["2026-01-05", "2026-01-12", "2026-01-26"]),
    ],
)
def test_rule_24_a_cycle_that_was_suspended_throughout_is_not_billed(at: str, until: str, cycles: list[str]) -> None:
    history, _ = suspended_contract(at, until)
    history.advance("2026-02-02 12:00")
    assert billed(history) == cycles


def test_rule_16_completed_while_suspended_nothing_is_billed_from_then_on() -> None:
    history, contract = fixed("2026-01-05 09:00", card="declines")
    history.advance("2026-01-16 12:00")
    assert history.status(contract) == "suspended"
    history.complete(contract)
    history.billing_method("pays")
    history.advance("2026-03-01 00:00")
    assert billed(history) == ["2026-01-05", "2026-01-12"]


def test_rule_16_a_worker_that_was_down_for_weeks_bills_each_cycle_as_of_its_close() -> None:
    history, contract = fixed("2026-01-05 09:00")
    history.up = False
    history.advance("2026-01-28 09:00")
    history.worker_returns()
    assert [one.occurred_at for one in history.events(e.CycleClosed)] == [
        utc("2026-01-12 12:00"),
        utc("2026-01-19 12:00"),
        utc("2026-01-26 12:00"),
    ]
    assert {one.occurred_at for one in history.events(e.PayoutCharged)} == {utc("2026-01-28 09:00")}
    assert history.payouts(contract) == ["fixed_rate pending 90000"] * 3


def test_rule_16_no_hours_no_milestones_only_the_rate() -> None:
    history, contract = fixed("2026-01-05 09:00")
    history.advance(4 * WEEK)
    assert history.payouts(contract) == ["fixed_rate released 90000"] * 3
    assert history.events(e.TimesheetLocked, e.MilestoneEvent) == []
