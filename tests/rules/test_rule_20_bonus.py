"""Rule 20: a bonus is invoiced at the next close of the contract's billing cycle after the grant."""

import pytest

from ledger import events as e
from tests.history import DAY, MICROSECOND, WEEK, History, refused, utc


def fixed_price(cadence: str = "weekly") -> tuple[History, str]:
    """A single-payment contract that became active on Monday 2026-01-05 09:00: it has cycles too."""
    history = History("2026-01-05 09:00")
    return history, history.active("single_payment", amount=50_000, cadence=cadence)


@pytest.mark.parametrize(
    ("cadence", "granted", "invoiced"),
    [
        ("weekly", "2026-01-05 09:00", "2026-01-12 12:00"),
        ("weekly", "2026-01-05 12:00", "2026-01-12 12:00"),  # no cycle of this contract closes at this noon
        ("weekly", "2026-01-12 00:00", "2026-01-12 12:00"),  # after the cycle's end, before its close
        ("weekly", "2026-01-12 11:59:59.999999", "2026-01-12 12:00"),
        ("weekly", "2026-01-12 12:00", "2026-01-19 12:00"),  # at the close itself: the next one
        ("biweekly", "2026-01-07 09:00", "2026-01-19 12:00"),
        ("biweekly", "2026-01-12 12:00", "2026-01-19 12:00"),
        ("biweekly", "2026-01-19 11:59:59.999999", "2026-01-19 12:00"),
        ("biweekly", "2026-01-19 12:00", "2026-02-02 12:00"),
    ],
)
def test_rule_20_it_is_invoiced_at_the_next_close_after_the_grant(cadence: str, granted: str, invoiced: str) -> None:
    history, contract = fixed_price(cadence)
    history.advance(granted)
    history.bonus(contract, 700)
    assert history.last(e.BonusGranted).invoice_at == utc(invoiced)
    history.advance(utc(invoiced) - MICROSECOND)
    assert history.payouts(contract) == []
    history.advance(invoiced)
    assert history.payouts(contract) == ["bonus pending 700"]
    assert history.last(e.PayoutCharged).occurred_at == utc(invoiced)


def test_rule_20_it_is_held_like_any_payout_and_there_is_no_review_window() -> None:
    history, contract = fixed_price()
    history.bonus(contract, 700)
    history.advance("2026-01-12 12:00")
    payout = history.payout(contract)
    assert payout.review_deadline is None
    assert payout.hold_until == utc("2026-01-16 12:00")
    with refused("objection_not_possible"):
        history.object(payout)
    history.advance("2026-01-16 12:00")
    assert history.payouts(contract) == ["bonus released 700"]


def test_rule_20_the_cycles_own_payout_comes_first_then_bonuses_in_the_order_of_their_grant() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    for amount in (30, 10, 20):
        history.bonus(contract, amount)
    history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    expected = ["timesheet pending 6000", "bonus pending 30", "bonus pending 10", "bonus pending 20"]
    assert history.payouts(contract) == expected
    assert [one.amount for one in history.events(e.PayoutCharged)] == [6000, 30, 10, 20]


def test_rule_20_each_grant_is_a_payout_of_its_own_even_of_the_same_amount() -> None:
    history, contract = fixed_price()
    history.bonus(contract, 700)
    history.bonus(contract, 700)
    history.advance("2026-01-12 12:00")
    assert history.payouts(contract) == ["bonus pending 700"] * 2


def test_rule_20_on_a_biweekly_hourly_contract_it_waits_for_the_cycle_not_for_the_week() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000, cadence="biweekly")
    history.log_time(contract, 60)
    history.bonus(contract, 700)
    history.advance("2026-01-12 12:00")
    assert history.payouts(contract) == []
    history.advance("2026-01-19 12:00")
    assert history.payouts(contract) == ["timesheet pending 6000", "bonus pending 700"]


def test_rule_20_granted_before_a_suspension_it_is_invoiced_at_its_close_all_the_same() -> None:
    history, contract = fixed_price()
    history.billing_method("declines")
    history.submit(contract)
    history.approve(contract)
    history.bonus(contract, 700)
    history.advance("2026-01-09 09:00")
    assert history.status(contract) == "suspended"
    with refused("contract_suspended"):
        history.bonus(contract, 10)
    history.advance("2026-01-12 12:00")
    assert history.payouts(contract) == ["milestone charge_failed 50000", "bonus charge_failed 700"]


def test_rule_20_a_completed_contract_keeps_its_cycles() -> None:
    history, contract = fixed_price("biweekly")
    history.complete(contract)
    history.advance("2026-06-01 11:00")  # 21 weeks on: a Monday in the middle of a cycle
    history.bonus(contract, 700)
    assert history.last(e.BonusGranted).invoice_at == utc("2026-06-08 12:00")
    history.advance(WEEK + DAY)
    assert history.payouts(contract) == ["bonus pending 700"]


def test_rule_20_a_late_worker_invoices_as_of_the_close_and_charges_when_it_comes() -> None:
    history, contract = fixed_price()
    history.bonus(contract, 700)
    history.up = False
    history.advance("2026-01-13 15:00")
    history.worker_returns()
    assert history.last(e.PayoutDue).occurred_at == utc("2026-01-12 12:00")
    assert history.last(e.PayoutCharged).occurred_at == utc("2026-01-13 15:00")
    assert history.payout(contract).hold_until == utc("2026-01-17 15:00")
