"""Rule 24: a failed charge, its retries, the suspension and its end."""

import pytest

from ledger import commands as c
from ledger import events as e
from ledger.policies.deadlines import ASK, CHARGE, command_of
from tests.history import DAY, HOUR, MICROSECOND, Balance, History, due_by, refused, utc


def failing(card: str | None = "declines") -> tuple[History, str]:
    """A single payment of 500.00 that was approved on Monday 2026-01-05 09:00 and cannot be charged."""
    history = History("2026-01-05 09:00", card=card)
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    return history, contract


def failures(history: History) -> list[str]:
    return [f"{one.occurred_at:%m-%d %H:%M}" for one in history.events(e.ChargeFailed)]


def let_cards(history: History, do: str) -> None:
    """From now on every card does this; none is new."""
    history.processor.does = dict.fromkeys(history.processor.does, do)


def test_rule_24_a_failed_charge_changes_no_balance() -> None:
    history, contract = failing()
    assert history.payouts(contract) == ["milestone charge_failed 50000"]
    assert history.accounts == {}


def test_rule_24_the_next_attempt_is_24_hours_after_the_latest_failure() -> None:
    history, contract = failing()
    history.advance("2026-01-06 08:59:59.999999")
    assert failures(history) == ["01-05 09:00"]
    history.advance(MICROSECOND)
    assert failures(history) == ["01-05 09:00", "01-06 09:00"]
    let_cards(history, "pays")
    history.advance("2026-01-07 09:00")
    assert history.payout(contract).charged_at == utc("2026-01-07 09:00")


def test_rule_24_an_operators_attempt_is_made_at_once_and_replaces_the_schedule() -> None:
    history, contract = failing()
    history.advance(2 * HOUR)
    history.retry_charge(history.payout(contract))
    assert failures(history) == ["01-05 09:00", "01-05 11:00"]
    history.advance("2026-01-06 10:59:59")
    assert failures(history) == ["01-05 09:00", "01-05 11:00"]
    history.advance("2026-01-06 11:00")
    assert failures(history) == ["01-05 09:00", "01-05 11:00", "01-06 11:00"]


def test_rule_24_a_new_billing_method_makes_an_attempt_at_once_and_replaces_the_schedule() -> None:
    history, _ = failing()
    history.advance(3 * HOUR)
    history.billing_method("declines")
    history.advance("2026-01-06 12:00")
    assert failures(history) == ["01-05 09:00", "01-05 12:00", "01-06 12:00"]


def test_rule_24_a_new_billing_method_attempts_every_payout_that_has_failed() -> None:
    history = History(card="declines")
    contracts = [history.active("single_payment", amount=amount) for amount in (100, 200)]
    for contract in contracts:
        history.submit(contract)
        history.approve(contract)
    history.billing_method("pays")
    assert [history.payouts(one) for one in contracts] == [["milestone pending 100"], ["milestone pending 200"]]


def test_rule_24_a_failure_is_counted_by_the_processors_time() -> None:
    history, _ = failing("silent")
    history.advance(5 * HOUR)
    history.processor.charged_at = utc("2026-01-05 09:00:07")
    let_cards(history, "declines")
    history.settle()
    assert history.last(e.ChargeFailed).next_attempt_at == utc("2026-01-06 09:00:07")


def test_rule_24_with_the_fifth_failure_the_contract_is_suspended() -> None:
    history, contract = failing()
    history.advance("2026-01-09 08:59:59.999999")
    assert (len(failures(history)), history.status(contract)) == (4, "active")
    history.advance(MICROSECOND)
    assert (len(failures(history)), history.status(contract)) == (5, "suspended")
    assert history.last(e.ContractSuspended).occurred_at == utc("2026-01-09 09:00")


def test_rule_24_every_attempt_counts_towards_the_fifth_failure() -> None:
    history, contract = failing()
    history.retry_charge(history.payout(contract))
    history.billing_method("declines")
    history.advance(DAY)
    assert history.status(contract) == "active"
    history.retry_charge(history.payout(contract))
    assert history.status(contract) == "suspended"


def test_rule_24_five_failures_of_different_payouts_do_not_suspend() -> None:
    history = History(card="declines")
    contract = history.active("milestone", milestones=(100, 200))
    for number in (1, 2):
        history.activate(contract, number)
        history.submit(contract, number)
        history.approve(contract, number)
    history.advance(3 * DAY)
    assert len(failures(history)) == 8
    assert history.status(contract) == "active"


def test_rule_24_only_the_contract_of_the_payout_is_suspended() -> None:
    history, contract = failing()
    other = history.active("hourly", hourly_rate=100)
    history.advance(4 * DAY)
    assert (history.status(contract), history.status(other)) == ("suspended", "active")


def test_rule_24_attempts_go_on_while_suspended_and_after_the_tenth_failure_none_is_scheduled() -> None:
    history, contract = failing()
    history.advance(60 * DAY)
    assert len(failures(history)) == 10
    assert failures(history)[-1] == "01-14 09:00"
    assert history.last(e.ChargeFailed).next_attempt_at is None
    assert due_by(history, CHARGE) == []
    assert history.status(contract) == "suspended"


@pytest.mark.parametrize("how", ["operator", "billing method"])
def test_rule_24_after_the_tenth_an_operator_or_a_new_method_still_makes_an_attempt(how: str) -> None:
    history, contract = failing()
    history.advance(60 * DAY)
    if how == "operator":
        history.retry_charge(history.payout(contract))
        assert len(failures(history)) == 11
        history.advance(30 * DAY)
        assert len(failures(history)) == 11, "the eleventh failure schedules nothing either"
        let_cards(history, "pays")
        history.retry_charge(history.payout(contract))
    else:
        history.billing_method("pays")
    assert history.payouts(contract) == ["milestone pending 50000"]
    assert history.status(contract) == "active"


def test_rule_24_the_contract_resumes_when_none_of_its_payouts_is_due_or_failed() -> None:
    history = History(card="declines")
    contract = history.active("milestone", milestones=(100, 200))
    for number in (1, 2):
        history.activate(contract, number)
        history.submit(contract, number)
        history.approve(contract, number)
    history.advance(4 * DAY)
    assert history.status(contract) == "suspended"
    let_cards(history, "pays")
    history.retry_charge(history.payout(contract, 1))
    assert history.payouts(contract) == ["milestone pending 100", "milestone charge_failed 200"]
    assert history.status(contract) == "suspended"
    history.retry_charge(history.payout(contract, 2))
    assert history.status(contract) == "active"
    assert history.last(e.ContractResumed).occurred_at == history.now


def test_rule_24_a_payout_that_is_due_and_not_yet_charged_keeps_the_contract_suspended() -> None:
    history = History(card="declines")
    contract = history.active("milestone", milestones=(100, 200))
    history.activate(contract, 1)
    history.submit(contract, 1)
    history.approve(contract, 1)
    history.activate(contract, 2)
    history.submit(contract, 2)
    history.advance(4 * DAY)
    let_cards(history, "silent")
    history.approve(contract, 2)  # due, its attempt in flight
    for card in history.processor.does:
        history.processor.does[card] = "silent"
    history.billing_method("pays")  # charges the first; the second is still asked about under the old card
    assert history.payouts(contract) == ["milestone pending 100", "milestone due 200"]
    assert history.status(contract) == "suspended"
    let_cards(history, "pays")
    history.settle()
    assert history.status(contract) == "active"


def test_rule_24_it_resumes_as_of_the_last_charge_not_of_the_outcome_that_was_reported_last() -> None:
    history = History("2026-01-05 09:00", card="declines")
    contract = history.active("milestone", milestones=(100, 200))
    for number in (1, 2):
        history.activate(contract, number)
        history.submit(contract, number)
        let_cards(history, "declines" if number == 1 else "silent")
        history.approve(contract, number)
    unknown = history.payout(contract, 2).id
    history.processor.of_payout[unknown] = "silent"
    let_cards(history, "declines")
    history.advance("2026-01-09 09:00")
    assert history.last(e.ContractSuspended).occurred_at == utc("2026-01-09 09:00")
    history.advance("2026-01-10 08:00")
    let_cards(history, "pays")
    history.retry_charge(history.payout(contract, 1))
    assert history.payouts(contract) == ["milestone pending 100", "milestone due 200"]
    history.advance("2026-01-11 08:00")
    history.processor.of_payout[unknown] = "pays"
    history.processor.charged_at = utc("2026-01-05 09:00:01")
    history.settle()
    assert history.last(e.PayoutCharged).occurred_at == utc("2026-01-05 09:00:01")
    assert history.status(contract) == "active"
    assert history.last(e.ContractResumed).occurred_at == utc("2026-01-10 08:00")


def test_rule_24_a_completed_contract_is_never_suspended() -> None:
    history, contract = failing()
    history.complete(contract)
    history.advance(30 * DAY)
    assert len(failures(history)) == 10
    assert history.status(contract) == "completed"
    assert history.events(e.ContractSuspended) == []


def test_rule_24_at_most_one_attempt_of_a_payout_is_in_flight() -> None:
    history, contract = failing("silent")
    history.advance(3 * DAY)
    history.billing_method("pays")
    history.send(
        c.RequestCharge(command_id="cmd_x", actor="system", now=history.now, payout_id=history.payout(contract).id)
    )
    assert len(history.events(e.ChargeRequested)) == 1
    assert history.payouts(contract) == ["milestone due 50000"]


def test_rule_24_the_key_is_made_of_the_payout_and_the_attempts_number() -> None:
    history, contract = failing()
    history.advance(2 * DAY)
    payout = history.payout(contract).id
    assert [one.key for one in history.events(e.ChargeRequested)] == [f"{payout}:1", f"{payout}:2", f"{payout}:3"]


def test_rule_24_an_unknown_outcome_is_asked_again_under_the_same_key_and_is_no_failure() -> None:
    history, contract = failing("silent")
    for _ in range(20):
        history.advance(DAY)
    payout = history.payout(contract)
    assert {key for _, key in history.processor.asked} == {f"{payout.id}:1"}
    assert len(history.processor.asked) > 1
    assert (payout.failures, history.status(contract)) == (0, "active")
    assert len(due_by(history, ASK)) == 1


def test_rule_24_a_method_set_while_an_attempt_is_in_flight_is_tried_once_that_has_failed() -> None:
    history, contract = failing("silent")
    history.advance(HOUR)
    old = history.state(history.client).method
    history.billing_method("pays")
    assert history.payouts(contract) == ["milestone due 50000"]
    history.advance(HOUR)
    history.processor.does[old] = "declines finally"
    history.settle()
    assert failures(history) == ["01-05 11:00"]
    assert history.payouts(contract) == ["milestone pending 50000"]
    assert history.payout(contract).charged_at == utc("2026-01-05 11:00")


def test_rule_24_a_method_set_while_an_attempt_is_in_flight_is_not_needed_if_that_succeeds() -> None:
    history, contract = failing("silent")
    old = history.state(history.client).method
    history.billing_method("pays")
    history.processor.does[old] = "pays"
    history.settle()
    assert history.last(e.PayoutCharged).attempt == 1
    assert len(history.events(e.ChargeRequested)) == 1
    assert history.payouts(contract) == ["milestone pending 50000"]


def test_rule_24_a_method_that_was_erased_while_an_attempt_is_in_flight_is_not_another_method() -> None:
    history, contract = failing("silent")
    history.erase(history.client)
    let_cards(history, "declines")
    history.settle()
    assert failures(history) == ["01-05 09:00"], "nothing new can be tried at once"
    history.advance(DAY)
    assert history.payout(contract).last_failure == "no_billing_method"


def test_rule_24_a_final_decline_is_not_retried_on_schedule() -> None:
    history, contract = failing("declines finally")
    history.advance(30 * DAY)
    assert failures(history) == ["01-05 09:00"]
    let_cards(history, "pays")
    history.retry_charge(history.payout(contract))
    assert history.payouts(contract) == ["milestone pending 50000"]


def test_rule_24_no_method_on_file_is_a_failure() -> None:
    history, contract = failing(None)
    failed = history.last(e.ChargeFailed)
    assert (failed.failure, failed.next_attempt_at) == ("no_billing_method", utc("2026-01-06 09:00"))
    assert history.events(e.ChargeRequested) == []
    history.advance(4 * DAY)
    assert history.status(contract) == "suspended"
    history.billing_method("pays")
    assert history.payouts(contract) == ["milestone pending 50000"]
    assert history.status(contract) == "active"


def test_rule_24_no_method_on_file_for_ten_attempts_schedules_none_any_more() -> None:
    history, contract = failing(None)
    history.advance(60 * DAY)
    assert history.payout(contract).failures == 10
    assert due_by(history, CHARGE) == []


def test_rule_24_a_payout_that_has_been_charged_is_overdue_no_more() -> None:
    history, contract = failing()
    history.billing_method("pays")
    assert history.last(e.BillingMethodSet).overdue == (history.payout(contract).id,)
    history.billing_method("pays")
    assert history.last(e.BillingMethodSet).overdue == ()


def test_rule_24_only_a_failed_charge_can_be_tried_again_by_an_operator() -> None:
    history, contract = failing("silent")
    with refused("charge_not_failed"):
        history.retry_charge(history.payout(contract))
    let_cards(history, "pays")
    history.settle()
    with refused("charge_not_failed"):
        history.retry_charge(history.payout(contract))
    history.advance(4 * DAY)
    with refused("charge_not_failed"):
        history.retry_charge(history.payout(contract))


def test_rule_24_any_delay_in_charging_delays_the_release_by_the_same_amount() -> None:
    history, contract = failing()
    history.advance("2026-01-07 16:30")
    history.billing_method("pays")
    history.advance("2026-01-11 16:29:59.999999")
    assert history.balance() == Balance(50_000, 0, 0)
    history.advance(MICROSECOND)
    assert history.payouts(contract) == ["milestone released 50000"]


def test_rule_24_an_attempt_asked_for_twice_is_made_once() -> None:
    history, _ = failing()
    (retry,) = due_by(history, CHARGE)
    history.advance(DAY)
    assert len(failures(history)) == 2
    assert history.send(command_of(retry, history.now)) == []
    assert len(failures(history)) == 2


def test_rule_24_the_outcome_of_an_attempt_reported_twice_counts_once() -> None:
    history, contract = failing("silent")
    payout = history.payout(contract).id
    report = {"command_id": "cmd_r", "actor": "system", "now": history.now, "payout_id": payout, "attempt": 1}
    history.send(c.RecordCharge(**report, failure="card_declined"))
    assert history.send(c.RecordCharge(**report, failure="card_declined")) == []
    assert history.send(c.RecordCharge(**report, reference="ch_late")) == []
    assert history.payout(contract).failures == 1
