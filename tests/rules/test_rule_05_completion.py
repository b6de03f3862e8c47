"""Rule 5: completion. Rule 6: no fee. Rule 7: what was never paid is never pending; the ledger decides between nobody."""

import pytest

from ledger import events as e
from tests.history import DAY, WEEK, Balance, History, refused


@pytest.mark.parametrize("side", ["client", "freelancer"])
def test_rule_05_either_side_completes_an_active_contract(side: str) -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000)
    history.complete(contract, by=side)
    assert history.status(contract) == "completed"
    assert history.last(e.ContractCompleted).actor.startswith(side)


def test_rule_05_a_suspended_contract_can_be_completed_and_stays_so_when_it_is_paid() -> None:
    history = History(card="declines")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    history.advance(4 * DAY)
    assert history.status(contract) == "suspended"
    history.complete(contract, by="freelancer")
    history.billing_method("pays")
    assert history.status(contract) == "completed"
    assert history.payouts(contract) == ["milestone pending 50000"]


def test_rule_05_a_completed_contract_cannot_be_completed_again() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000)
    history.complete(contract)
    with refused("contract_not_active"):
        history.complete(contract, by="freelancer")


def test_rule_05_reviews_and_payouts_under_way_run_on() -> None:
    history = History()
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.complete(contract)
    history.advance(WEEK)
    assert history.payouts(contract) == ["milestone pending 50000"]
    history.advance(4 * DAY)
    assert history.payouts(contract) == ["milestone released 50000"]


def test_rule_05_time_logged_is_billed_at_its_close() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000, cadence="biweekly")
    history.log_time(contract, 60)
    history.complete(contract)
    history.advance("2026-01-19 11:59:59.999999")
    assert history.payouts(contract) == []
    history.advance("2026-01-19 12:00")
    assert history.payouts(contract) == ["timesheet pending 6000"]


def test_rule_05_bonuses_may_still_be_granted() -> None:
    history = History()
    contract = history.active("single_payment", amount=50_000)
    history.complete(contract)
    history.advance(50 * DAY)
    history.bonus(contract, 700)
    history.advance(WEEK)
    assert history.payouts(contract) == ["bonus pending 700"]


def test_rule_05_it_takes_no_new_work() -> None:
    history = History()
    hourly = history.active("hourly", hourly_rate=6000)
    milestones = history.active("milestone", milestones=(1000, 2000))
    history.activate(milestones)
    for contract in (hourly, milestones):
        history.complete(contract)
    for work in (
        lambda: history.log_time(hourly, 60),
        lambda: history.submit(milestones, 1),
        lambda: history.activate(milestones, 2),
        lambda: history.add_milestone(milestones, 3000),
    ):
        with refused("contract_not_active"):
            work()


@pytest.mark.parametrize("amount", [1, 99, 101, 12_345_678_901, 10**15])
def test_rule_06_the_freelancer_receives_what_the_client_was_charged_to_the_minor_unit(amount: int) -> None:
    history = History()
    contract = history.active("single_payment", amount=amount)
    history.submit(contract)
    history.approve(contract)
    assert history.last(e.PayoutCharged).amount == amount
    history.advance(4 * DAY)
    assert history.balance() == Balance(0, amount, 0)


def test_rule_07_money_that_was_never_paid_is_never_pending() -> None:
    history = History(card="declines")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    history.advance(60 * DAY)
    assert history.balance() == Balance(0, 0, 0)
    assert history.accounts == {}


def test_rule_07_an_open_objection_is_never_decided_by_the_ledger() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.advance("2026-01-12 13:00")
    history.object(history.payout(contract))
    history.advance(1000 * DAY)
    assert history.payouts(contract) == ["timesheet pending 6000"]


def test_rule_05_after_completion_only_what_the_client_sent_back_is_submitted_again() -> None:
    history = History()
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.complete(contract)
    with refused("contract_not_active"):  # it is with the client: there is nothing to submit again
        history.submit(contract)
    history.request_changes(contract)
    history.submit(contract)
    history.approve(contract)
    with refused("contract_not_active"):
        history.submit(contract)
