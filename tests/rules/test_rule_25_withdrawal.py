"""Rule 25: the freelancer transfers available money out."""

import pytest

from ledger import commands as c
from ledger import events as e
from tests.history import DAY, MICROSECOND, Balance, History, refused, utc


def earned(amount: int = 50_000, bank: str = "pays", **terms: object) -> History:
    """The freelancer has this much available since Friday 2026-01-09 09:00."""
    history = History("2026-01-05 09:00", bank=bank)
    contract = history.active("single_payment", amount=amount, **terms)
    history.submit(contract)
    history.approve(contract)
    history.advance("2026-01-09 09:00")
    return history


def test_rule_25_a_withdrawal_needs_a_payout_method_before_it_needs_funds() -> None:
    history = History(bank=None)
    with refused("payout_method_required"):
        history.withdraw(1)
    history.payout_method()
    with refused("insufficient_funds"):
        history.withdraw(1)


def test_rule_25_it_never_exceeds_what_is_available() -> None:
    history = earned(50_000)
    with refused("insufficient_funds"):
        history.withdraw(50_001)
    history.withdraw(50_000)
    with refused("insufficient_funds"):
        history.withdraw(1)


def test_rule_25_pending_money_is_not_available() -> None:
    history = earned(50_000)
    contract = history.active("single_payment", amount=7000)
    history.submit(contract)
    history.approve(contract)
    assert history.balance() == Balance(7000, 50_000, 0)
    with refused("insufficient_funds"):
        history.withdraw(50_001)


def test_rule_25_what_is_available_is_counted_in_each_currency_apart() -> None:
    history = earned(50_000, currency="EUR")
    with refused("insufficient_funds"):
        history.withdraw(1, "USD")
    history.withdraw(50_000, "EUR")
    assert history.balance(currency="EUR") == Balance(0, 0, 50_000)


def test_rule_25_the_amount_leaves_available_at_once_and_is_in_transit_then_paid() -> None:
    history = earned(50_000)
    history.withdraw(30_000)
    assert history.balance() == Balance(0, 20_000, 30_000)
    history.advance(DAY - MICROSECOND)
    assert history.balance() == Balance(0, 20_000, 30_000)
    history.advance(MICROSECOND)
    assert history.balance() == Balance(0, 20_000, 0)
    assert history.withdrawals() == ["paid 30000"]
    assert history.last(e.WithdrawalPaid).occurred_at == utc("2026-01-10 09:00")


def test_rule_25_a_failed_transfer_comes_back() -> None:
    history = earned(50_000, bank="fails")
    history.withdraw(30_000)
    assert history.balance() == Balance(0, 20_000, 30_000)
    history.advance(DAY)
    assert history.balance() == Balance(0, 50_000, 0)
    assert history.withdrawals() == ["failed 30000"]
    history.withdraw(50_000)


def test_rule_25_a_transfer_goes_to_the_method_of_its_request() -> None:
    history = earned(50_000, bank="fails")
    history.withdraw(10_000)
    history.payout_method("pays")
    history.withdraw(20_000)
    history.advance(DAY)
    assert history.withdrawals() == ["failed 10000", "paid 20000"]
    assert history.balance() == Balance(0, 30_000, 0)


@pytest.mark.parametrize("outcome", ["paid", "failed"])
def test_rule_25_the_end_of_a_transfer_reported_twice_counts_once(outcome: str) -> None:
    history = earned(50_000)
    withdrawal = history.withdraw(30_000)
    report = {"command_id": "cmd_r", "actor": "system", "now": history.now, "freelancer_id": history.freelancer}
    history.send(c.RecordTransfer(**report, withdrawal_id=withdrawal.id, outcome=outcome))
    balance = history.balance()
    for again in ("paid", "failed", "submitted"):
        assert history.send(c.RecordTransfer(**report, withdrawal_id=withdrawal.id, outcome=again)) == []
    assert history.balance() == balance


@pytest.mark.parametrize("worker", [True, False], ids=["release recorded", "release not yet recorded"])
def test_rule_25_what_was_released_by_then_can_be_withdrawn_whether_the_worker_came_or_not(worker: bool) -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    history.up = worker
    history.advance("2026-01-09 08:59:59.999999")
    with refused("insufficient_funds"):
        history.withdraw(50_000)
    history.advance(MICROSECOND)
    history.withdraw(50_000)
    assert history.last(e.FundsReleased).occurred_at == utc("2026-01-09 09:00")


def test_rule_25_the_freelancers_own_stream_decides_and_knows_what_the_postings_say() -> None:
    history = earned(50_000)
    history.withdraw(20_000)
    history.advance(DAY)
    assert history.state(history.freelancer).available == {"USD": history.balance().available}
