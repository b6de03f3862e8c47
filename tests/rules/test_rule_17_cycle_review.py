"""Rules 17 to 19: the close of a cycle, the client's objection, and silence."""

from datetime import timedelta

import pytest

from ledger import events as e
from tests.history import DAY, HOUR, MICROSECOND, Balance, History, refused, utc

CLOSE = "2026-01-12 12:00"
FRIDAY_NOON = "2026-01-16 12:00"


def charged(card: str = "pays") -> tuple[History, str, str]:
    """Ten hours at 60.00, closed on Monday 2026-01-12 12:00: the history, the contract, the payout of 600.00."""
    history = History("2026-01-05 09:00", card=card)
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 600)
    history.advance(CLOSE)
    return history, contract, history.payout(contract).id


# Rule 17


def test_rule_17_at_the_close_the_payout_is_due_and_the_client_is_charged_at_once() -> None:
    history, contract, _ = charged()
    due, paid = history.last(e.PayoutDue), history.last(e.PayoutCharged)
    assert due.occurred_at == paid.occurred_at == utc(CLOSE)
    assert history.payouts(contract) == ["timesheet pending 60000"]


def test_rule_17_the_review_deadline_is_friday_noon() -> None:
    history, contract, _ = charged()
    assert history.payout(contract).review_deadline == utc(FRIDAY_NOON)


def test_rule_17_the_review_deadline_does_not_move_with_a_late_charge() -> None:
    history, contract, _ = charged(card="declines")
    history.advance(2 * DAY)
    history.billing_method("pays")
    assert history.payout(contract).review_deadline == utc(FRIDAY_NOON)
    assert history.payout(contract).hold_until == utc("2026-01-18 12:00")


def test_rule_17_a_fixed_rate_has_the_same_review() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("fixed_rate", rate=90_000, cadence="biweekly")
    history.advance("2026-01-19 12:00")
    assert history.payout(contract).review_deadline == utc("2026-01-23 12:00")
    history.object(history.payout(contract))


# Rule 18


def test_rule_18_the_client_may_object_up_to_the_last_microsecond_before_the_deadline() -> None:
    history, contract, payout = charged()
    history.advance("2026-01-16 11:59:59.999999")
    history.object(payout)
    history.advance(30 * DAY)
    assert history.payouts(contract) == ["timesheet pending 60000"]


def test_rule_18_what_is_released_cannot_be_objected_to_by_a_clock_that_is_behind() -> None:
    history, contract, payout = charged()
    history.advance(4 * DAY)
    history.now -= MICROSECOND
    with refused("review_period_ended"):
        history.object(payout)
    assert history.payouts(contract) == ["timesheet released 60000"]


@pytest.mark.parametrize("worker", [True, False], ids=["released", "release not yet recorded"])
@pytest.mark.parametrize("late", [0 * DAY, MICROSECOND, 10 * DAY])
def test_rule_18_at_or_after_the_deadline_it_is_refused(worker: bool, late: timedelta) -> None:
    history, contract, payout = charged()
    history.up = worker
    history.advance(4 * DAY + late)
    with refused("review_period_ended"):
        history.object(payout)
    assert history.payouts(contract) == ["timesheet released 60000"]


@pytest.mark.parametrize("card", ["declines", "silent"])
def test_rule_18_the_client_may_object_whether_or_not_the_charge_has_succeeded(card: str) -> None:
    history, contract, payout = charged(card=card)
    history.object(payout)
    for method in history.processor.does:
        history.processor.does[method] = "pays"
    history.advance(DAY)
    assert history.payouts(contract) == ["timesheet pending 60000"]
    assert history.payout(contract).available_on is None
    history.advance(30 * DAY)
    assert history.payouts(contract) == ["timesheet pending 60000"]


def test_rule_18_an_open_objection_stops_the_release_and_nothing_else() -> None:
    history, contract, payout = charged()
    history.object(payout)
    history.advance("2026-01-16 12:00")
    assert history.last(e.HoldElapsed).occurred_at == utc("2026-01-16 12:00")
    assert history.events(e.PayoutReleased) == []
    assert history.status(contract) == "active"
    history.log_time(contract, 60)
    assert history.balance() == Balance(60_000, 0, 0)


def test_rule_18_there_is_one_open_objection_at_a_time() -> None:
    history, _, payout = charged()
    history.object(payout)
    with refused("objection_already_open"):
        history.object(payout)


def test_rule_18_the_client_may_object_again_after_an_earlier_objection_has_ended() -> None:
    history, contract, payout = charged()
    history.object(payout)
    history.withdraw_objection(payout)
    history.object(payout)
    history.reduce(payout, 50_000)
    history.object(payout)
    history.reduce(payout, 40_000)
    assert history.payouts(contract) == ["timesheet pending 40000"]


def test_rule_18_withdrawn_before_the_deadline_the_money_is_released_at_the_deadline() -> None:
    history, contract, payout = charged()
    history.object(payout)
    history.advance(DAY)
    history.withdraw_objection(payout)
    assert history.payout(contract).available_on == utc(FRIDAY_NOON)
    history.advance("2026-01-16 11:59:59.999999")
    assert history.payouts(contract) == ["timesheet pending 60000"]
    history.advance(MICROSECOND)
    assert history.payouts(contract) == ["timesheet released 60000"]


def test_rule_18_withdrawn_after_the_deadline_the_money_is_released_at_once() -> None:
    history, contract, payout = charged()
    history.object(payout)
    history.advance("2026-02-01 03:00")
    history.withdraw_objection(payout)
    assert history.last(e.PayoutReleased).occurred_at == utc("2026-02-01 03:00")
    assert history.payouts(contract) == ["timesheet released 60000"]


def test_rule_18_withdrawn_before_the_charge_it_is_released_as_if_nobody_had_objected() -> None:
    history, contract, payout = charged(card="declines")
    history.object(payout)
    history.withdraw_objection(payout)
    history.advance(HOUR)
    history.billing_method("pays")
    assert history.payout(contract).available_on == utc("2026-01-16 13:00")


def test_rule_18_withdrawn_while_charging_takes_longer_than_the_hold_it_still_counts() -> None:
    history, contract, payout = charged(card="declines finally")
    history.object(payout)
    history.advance("2026-01-20 09:00")
    history.withdraw_objection(payout)
    history.processor.charged_at = utc("2026-01-15 09:00")  # its hold ends before the objection did
    history.billing_method("pays")
    assert history.payout(contract).hold_until == utc("2026-01-19 09:00")
    assert history.last(e.PayoutReleased).occurred_at == utc("2026-01-20 09:00")


def test_rule_18_the_freelancer_reduces_and_the_difference_goes_back_to_the_client() -> None:
    history, contract, payout = charged()
    history.object(payout)
    history.reduce(payout, 45_000)
    reduced, refund = history.last(e.PayoutReduced), history.last(e.RefundPaid)
    assert (reduced.amount, reduced.returned, refund.amount) == (45_000, 15_000, 15_000)
    assert refund.refund_id == reduced.refund_id
    assert history.payouts(contract) == ["timesheet pending 45000"]
    assert history.accounts[f"{history.client}:returned", "USD"] == 0
    history.advance(FRIDAY_NOON)
    assert history.balance() == Balance(0, 45_000, 0)


def test_rule_18_reduced_after_the_deadline_the_rest_is_released_at_once() -> None:
    history, contract, payout = charged()
    history.object(payout)
    history.advance("2026-01-17 09:00")
    history.reduce(payout, 45_000)
    assert history.payouts(contract) == ["timesheet released 45000"]
    assert history.last(e.PayoutReleased).occurred_at == utc("2026-01-17 09:00")


def test_rule_18_a_payout_reduced_to_zero_is_reversed() -> None:
    history, contract, payout = charged()
    history.object(payout)
    history.reduce(payout, 0)
    assert history.payouts(contract) == ["timesheet reversed 0"]
    assert history.payout(contract).objection.status == "settled"
    assert history.balance() == Balance(0, 0, 0)
    history.advance(30 * DAY)
    assert history.events(e.PayoutReleased) == []


def test_rule_18_there_is_nothing_to_object_to_in_a_payout_with_nothing_left() -> None:
    history, _, payout = charged()
    history.object(payout)
    history.reduce(payout, 0)
    with refused("objection_not_possible"):
        history.object(payout)
    history.advance(FRIDAY_NOON)
    with refused("review_period_ended"):  # the ended period comes before the other reasons
        history.object(payout)


@pytest.mark.parametrize("amount", [60_000, 60_001])
def test_rule_18_a_reduction_must_be_below_the_present_amount(amount: int) -> None:
    history, _, payout = charged()
    history.object(payout)
    with refused("payout_not_reducible"):
        history.reduce(payout, amount)
    history.reduce(payout, 59_999)


def test_rule_18_the_present_amount_is_less_what_was_reversed() -> None:
    history, _, payout = charged()
    history.object(payout)
    history.reverse(payout, 10_000)
    with refused("payout_not_reducible"):
        history.reduce(payout, 50_000)
    history.reduce(payout, 49_999)
    assert history.last(e.PayoutReduced).returned == 1


def test_rule_18_a_payout_that_is_not_charged_cannot_be_reduced() -> None:
    history, _, payout = charged(card="declines")
    with refused("no_open_objection"):  # comes before payout_not_reducible
        history.reduce(payout, 100)
    history.object(payout)
    with refused("payout_not_reducible"):
        history.reduce(payout, 100)
    history.billing_method("pays")
    history.reduce(payout, 100)


def test_rule_18_without_an_open_objection_there_is_nothing_to_withdraw_or_settle() -> None:
    history, _, payout = charged()
    for _ in range(2):
        with refused("no_open_objection"):
            history.withdraw_objection(payout)
        with refused("no_open_objection"):
            history.reduce(payout, 100)
        history.object(payout)
        history.withdraw_objection(payout)


def test_rule_18_only_a_payout_of_a_billing_cycle_can_be_objected_to() -> None:
    history = History("2026-01-12 09:00")
    single = history.active("single_payment", amount=50_000)
    history.bonus(single, 100)
    history.submit(single)
    history.approve(single)
    history.advance("2026-01-19 12:00")
    assert history.payouts(single) == ["milestone released 50000", "bonus pending 100"]
    for payout in history.all_payouts(single):
        with refused("objection_not_possible"):
            history.object(payout)


# Rule 19


def test_rule_19_not_objected_to_the_payout_is_released_by_itself() -> None:
    history, contract, _ = charged()
    history.advance("2026-01-16 11:59:59.999999")
    assert history.balance() == Balance(60_000, 0, 0)
    history.advance(FRIDAY_NOON)
    assert history.payouts(contract) == ["timesheet released 60000"]
    assert history.balance() == Balance(0, 60_000, 0)
    assert history.last(e.PayoutReleased).actor == "system"
