"""Rules 21 to 23: charged money is pending at once, held four days, then released."""

from datetime import timedelta

import pytest

from ledger import events as e
from ledger.policies.deadlines import RELEASE, command_of
from tests.history import DAY, MICROSECOND, Balance, History, due_by, utc


def approved(at: str = "2026-01-12 10:15", card: str = "pays") -> tuple[History, str]:
    history = History(at, card=card)
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    return history, contract


def test_rule_21_when_the_processor_reports_success_the_amount_is_pending_at_once() -> None:
    history, contract = approved()
    assert history.payouts(contract) == ["milestone pending 50000"]
    assert history.balance() == Balance(50_000, 0, 0)
    assert history.accounts["processor", "USD"] == -50_000


def test_rule_21_until_the_processor_has_reported_nothing_is_pending() -> None:
    history, contract = approved(card="silent")
    history.advance(10 * DAY)
    assert history.payouts(contract) == ["milestone due 50000"]
    assert history.balance() == Balance(0, 0, 0)


def test_rule_22_charged_on_monday_withdrawable_on_friday_at_the_same_time_of_day() -> None:
    history, contract = approved("2026-01-12 10:15")
    assert history.payout(contract).hold_until == utc("2026-01-16 10:15")
    history.advance("2026-01-16 10:14:59.999999")
    assert history.balance() == Balance(50_000, 0, 0)
    history.advance(MICROSECOND)
    assert history.balance() == Balance(0, 50_000, 0)
    history.withdraw(50_000)


def test_rule_22_a_day_is_exactly_24_hours_whatever_clocks_do() -> None:
    history, contract = approved("2026-03-27 10:00")  # clocks change in Europe on the 29th
    assert history.payout(contract).hold_until == utc("2026-03-31 10:00")


def test_rule_22_the_hold_runs_from_the_processors_time_of_the_charge() -> None:
    history, contract = approved(card="silent")
    history.advance("2026-01-13 12:00")
    history.processor.charged_at = utc("2026-01-12 10:15:03")
    history.processor.does = dict.fromkeys(history.processor.does, "pays")
    history.settle()
    payout = history.payout(contract)
    assert payout.charged_at == utc("2026-01-12 10:15:03")
    assert payout.hold_until == utc("2026-01-16 10:15:03")
    assert history.last(e.PayoutCharged).recorded_at == utc("2026-01-13 12:00")


def test_rule_23_hold_elapsed_and_released_are_two_events() -> None:
    history, contract = approved()
    history.advance(4 * DAY)
    stream = history.payout(contract).id
    last_two = [type(event) for event in history.events(of=stream)][-2:]
    assert last_two == [e.HoldElapsed, e.PayoutReleased]


def test_rule_23_a_cycle_payout_waits_for_its_review_deadline_if_that_is_later() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.processor.charged_at = utc("2026-01-12 08:00")  # by the processor's clock
    history.advance("2026-01-16 08:00")
    assert history.last(e.HoldElapsed).occurred_at == utc("2026-01-16 08:00")
    assert history.payouts(contract) == ["timesheet pending 6000"]
    assert history.payout(contract).available_on == utc("2026-01-16 12:00")
    history.advance("2026-01-16 12:00")
    assert history.payouts(contract) == ["timesheet released 6000"]


def test_rule_23_charged_late_the_hold_is_the_latest() -> None:
    history = History("2026-01-05 09:00", card="declines")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.advance("2026-01-14 18:00")
    history.billing_method("pays")
    assert history.payout(contract).available_on == utc("2026-01-18 18:00")
    history.advance("2026-01-18 17:59:59.999999")
    assert history.payouts(contract) == ["timesheet pending 6000"]
    history.advance(MICROSECOND)
    assert history.payouts(contract) == ["timesheet released 6000"]


def test_rule_23_an_objection_that_ends_after_hold_and_deadline_is_the_latest() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    history.object(history.payout(contract))
    history.advance("2026-02-01 03:04:05")
    history.withdraw_objection(history.payout(contract))
    assert history.last(e.HoldElapsed).occurred_at == utc("2026-01-16 12:00")
    assert history.last(e.PayoutReleased).occurred_at == utc("2026-02-01 03:04:05")


def test_rule_23_available_on_is_null_while_unpaid_or_under_objection() -> None:
    history = History("2026-01-05 09:00", card="declines")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    assert history.payout(contract).available_on is None
    history.billing_method("pays")
    assert history.payout(contract).available_on == utc("2026-01-16 12:00")
    history.object(history.payout(contract))
    assert history.payout(contract).available_on is None
    history.withdraw_objection(history.payout(contract))
    history.advance("2026-01-20 12:00")
    assert history.payout(contract).available_on == history.payout(contract).released_at == utc("2026-01-16 12:00")


def test_rule_23_released_twice_is_released_once() -> None:
    history, _contract = approved()
    (release,) = due_by(history, RELEASE)
    history.advance(4 * DAY)
    for _ in range(3):
        assert history.send(command_of(release, history.now)) == []
    assert history.balance() == Balance(0, 50_000, 0)
    assert len(history.events(e.FundsReleased)) == 1


@pytest.mark.parametrize("early", [MICROSECOND, 4 * DAY])
def test_rule_23_nothing_is_released_before_its_hold_has_elapsed(early: timedelta) -> None:
    history, contract = approved()
    (release,) = due_by(history, RELEASE)
    history.advance(4 * DAY - early)
    assert history.send(command_of(release, history.now)) == []
    assert history.payouts(contract) == ["milestone pending 50000"]


def test_rule_23_the_freelancers_own_stream_is_told_in_the_same_transaction() -> None:
    history, _contract = approved()
    history.advance(4 * DAY)
    (released,) = [one for one in history.log if isinstance(one.event, e.PayoutReleased)]
    told = history.log[released.position]
    assert isinstance(told.event, e.FundsReleased)
    assert told.event.cause_id == released.id
    assert told.event.command_id == released.event.command_id
    assert history.state(history.freelancer).available == {"USD": 50_000}
