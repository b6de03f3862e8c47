"""Rule 26: a refund or a chargeback takes charged money back."""

import pytest

from ledger import events as e
from ledger.aggregates.payout import Payout
from ledger.aggregates.payout_decider import decide
from ledger.commands import ReversePayout
from ledger.errors import NotFound
from tests.history import DAY, HOUR, Balance, History, refused, utc


def charged(amount: int = 50_000) -> tuple[History, str, str]:
    """Charged on Monday 2026-01-05 09:00, to be released on Friday: the history, the contract, the payout."""
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=amount)
    history.submit(contract)
    history.approve(contract)
    return history, contract, history.payout(contract).id


def cycle(*, objected: bool) -> tuple[History, str, str]:
    """An hourly payout of 600.00, charged on Monday 2026-01-12 12:00."""
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 600)
    history.advance("2026-01-12 12:00")
    payout = history.payout(contract).id
    if objected:
        history.object(payout)
    return history, contract, payout


REASONS = pytest.mark.parametrize("reason", ["refund", "chargeback"])


@REASONS
def test_rule_26_from_pending_while_it_is_pending(reason: str) -> None:
    history, contract, payout = charged()
    history.reverse(payout, 10_000, reason)
    assert history.balance() == Balance(40_000, 0, 0)
    assert history.payouts(contract) == ["milestone pending 40000"]
    history.advance(4 * DAY)
    assert history.balance() == Balance(0, 40_000, 0)


@REASONS
def test_rule_26_afterwards_from_available_which_may_become_negative(reason: str) -> None:
    history, contract, payout = charged()
    history.advance(4 * DAY)
    history.withdraw(30_000)
    history.reverse(payout, 45_000, reason)
    assert history.balance() == Balance(0, -25_000, 30_000)
    assert history.payouts(contract) == ["milestone released 5000"]
    with refused("insufficient_funds"):
        history.withdraw(1)


def test_rule_26_a_refund_goes_back_through_the_processor_and_a_chargeback_has_gone_already() -> None:
    history, _, payout = charged()
    history.reverse(payout, 10_000, "chargeback")
    assert history.events(e.RefundPaid) == []
    history.reverse(payout, 5000, "refund")
    assert [one.amount for one in history.events(e.RefundPaid)] == [5000]
    assert history.accounts["processor", "USD"] == -35_000


def test_rule_26_never_more_than_the_payout_still_holds() -> None:
    history, contract, payout = charged()
    with refused("reversal_too_large"):
        history.reverse(payout, 50_001)
    history.reverse(payout, 10_000)
    with refused("reversal_too_large"):
        history.reverse(payout, 40_001)
    history.advance(4 * DAY)
    with refused("reversal_too_large"):
        history.reverse(payout, 40_001)
    history.reverse(payout, 40_000)
    with refused("reversal_too_large"):
        history.reverse(payout, 1)
    assert history.payouts(contract) == ["milestone reversed 0"]


def test_rule_26_nothing_can_be_taken_back_of_what_was_never_charged() -> None:
    history = History(card="declines")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    with refused("reversal_too_large"):
        history.reverse(history.payout(contract), 1)


def test_rule_26_money_of_other_payouts_is_not_held_by_this_one() -> None:
    history, _, _ = charged(50_000)
    other = history.active("single_payment", amount=100)
    history.submit(other)
    history.approve(other)
    with refused("reversal_too_large"):
        history.reverse(history.payout(other), 101)


def test_rule_26_wholly_reversed_while_pending_it_is_never_released() -> None:
    history, contract, payout = charged()
    history.reverse(payout, 50_000)
    assert history.payouts(contract) == ["milestone reversed 0"]
    history.advance(30 * DAY)
    assert history.events(e.PayoutReleased) == []
    assert history.payout(contract).available_on is None
    assert history.balance() == Balance(0, 0, 0)


def test_rule_26_under_an_objection_it_is_taken_from_pending_and_the_objection_stands() -> None:
    history, contract, payout = cycle(objected=True)
    history.reverse(payout, 20_000)
    assert history.payouts(contract) == ["timesheet pending 40000"]
    assert history.payout(contract).objection.status == "open"
    history.advance(30 * DAY)
    assert history.balance() == Balance(40_000, 0, 0)
    history.withdraw_objection(payout)
    assert history.balance() == Balance(0, 40_000, 0)


@REASONS
def test_rule_26_with_nothing_left_the_objection_has_ended(reason: str) -> None:
    history, contract, payout = cycle(objected=True)
    history.advance(HOUR)
    history.reverse(payout, 60_000, reason)
    objection = history.payout(contract).objection
    assert (objection.status, objection.ended_at) == ("settled", utc("2026-01-12 13:00"))
    assert history.payouts(contract) == ["timesheet reversed 0"]
    with refused("no_open_objection"):
        history.withdraw_objection(payout)
    with refused("objection_not_possible"):
        history.object(payout)


def test_rule_26_a_chargeback_won_while_pending_brings_the_money_back_to_pending() -> None:
    history, contract, payout = charged()
    reversal = history.reverse(payout, 20_000, "chargeback")
    history.advance(DAY)
    history.reinstate(payout, reversal)
    assert history.balance() == Balance(50_000, 0, 0)
    history.advance("2026-01-09 09:00")
    assert history.payouts(contract) == ["milestone released 50000"]


def test_rule_26_a_chargeback_won_after_the_rest_was_released_goes_on_to_available() -> None:
    history, contract, payout = charged()
    reversal = history.reverse(payout, 20_000, "chargeback")
    history.advance("2026-01-20 10:00")
    assert history.balance() == Balance(0, 30_000, 0)
    history.reinstate(payout, reversal)
    assert history.last(e.ReversalReinstated).to_pending == 20_000
    assert history.balance() == Balance(0, 50_000, 0)
    assert [one.occurred_at for one in history.events(e.PayoutReleased)] == [
        utc("2026-01-09 09:00"),
        utc("2026-01-20 10:00"),
    ]
    assert history.payout(contract).released == 50_000
    assert history.payout(contract).released_at == utc("2026-01-09 09:00"), "when it was first released"
    assert len(history.events(e.HoldElapsed)) == 1


def test_rule_26_a_chargeback_of_everything_that_is_won_before_the_hold_ends_waits_for_it() -> None:
    history, contract, payout = charged()
    reversal = history.reverse(payout, 50_000, "chargeback")
    history.advance(DAY)
    history.reinstate(payout, reversal)
    assert history.payouts(contract) == ["milestone pending 50000"]
    history.advance("2026-01-09 08:59:59.999999")
    assert history.balance() == Balance(50_000, 0, 0)
    history.advance("2026-01-09 09:00")
    assert history.balance() == Balance(0, 50_000, 0)


def test_rule_26_a_chargeback_of_everything_that_is_won_after_the_hold_is_released_when_it_is_won() -> None:
    history, contract, payout = charged()
    reversal = history.reverse(payout, 50_000, "chargeback")
    history.advance("2026-02-01 10:00")
    history.reinstate(payout, reversal)
    assert history.payouts(contract) == ["milestone released 50000"]
    assert history.last(e.HoldElapsed).occurred_at == utc("2026-01-09 09:00")
    assert history.last(e.PayoutReleased).occurred_at == utc("2026-02-01 10:00")


def test_rule_26_a_chargeback_taken_from_available_comes_back_to_available() -> None:
    history, contract, payout = charged()
    history.advance(4 * DAY)
    reversal = history.reverse(payout, 50_000, "chargeback")
    assert history.payouts(contract) == ["milestone reversed 0"]
    history.reinstate(payout, reversal)
    assert history.last(e.ReversalReinstated).to_available == 50_000
    assert history.balance() == Balance(0, 50_000, 0)
    assert history.payouts(contract) == ["milestone released 50000"]
    assert len(history.events(e.PayoutReleased)) == 1, "nothing is released twice"


def test_rule_26_a_chargeback_won_under_an_objection_stays_under_it() -> None:
    history, contract, payout = cycle(objected=True)
    reversal = history.reverse(payout, 20_000, "chargeback")
    history.advance("2026-01-20 10:00")
    history.reinstate(payout, reversal)
    history.advance(30 * DAY)
    assert history.payouts(contract) == ["timesheet pending 60000"]
    history.withdraw_objection(payout)
    assert history.balance() == Balance(0, 60_000, 0)


def test_rule_26_an_objection_to_what_was_charged_back_does_not_come_back_with_the_money() -> None:
    history, contract, payout = cycle(objected=True)
    reversal = history.reverse(payout, 60_000, "chargeback")
    history.reinstate(payout, reversal)
    assert history.payout(contract).objection.status == "settled"
    history.object(payout)  # but the client may object again
    history.advance(30 * DAY)
    assert history.payouts(contract) == ["timesheet pending 60000"]


def test_rule_26_a_chargeback_won_after_a_reduction_to_zero_brings_its_own_money_back() -> None:
    history, contract, payout = cycle(objected=True)
    reversal = history.reverse(payout, 20_000, "chargeback")
    history.reduce(payout, 0)
    assert history.payouts(contract) == ["timesheet reversed 0"]
    history.reinstate(payout, reversal)
    history.advance("2026-01-16 12:00")
    assert history.payouts(contract) == ["timesheet released 20000"]


def test_rule_26_only_a_chargeback_can_be_won_and_only_once() -> None:
    history, _, payout = charged()
    refund, chargeback = history.reverse(payout, 100, "refund"), history.reverse(payout, 200, "chargeback")
    with refused("reversal_not_reinstatable"):
        history.reinstate(payout, refund)
    history.reinstate(payout, chargeback)
    with refused("reversal_not_reinstatable"):
        history.reinstate(payout, chargeback)
    with pytest.raises(NotFound):
        history.reinstate(payout, "rev_unknown")


def test_rule_26_of_money_in_both_places_pending_is_taken_first() -> None:
    """Released 400.00 of 500.00; the charged back 100.00 is just won and pending again."""
    history, contract, payout = charged()
    reversal = history.reverse(payout, 10_000, "chargeback")
    history.advance(10 * DAY)
    history.up = False
    history.reinstate(payout, reversal)
    state: Payout = history.payout(contract)
    assert (state.pending, state.released) == (10_000, 40_000)
    command = ReversePayout(
        command_id="cmd_s", actor="operator:per_ann", now=history.now, payout_id=payout,
        reversal_id="rev_s", amount=25_000, reason="refund",
    )  # fmt: skip
    (split,) = decide(state, command, {})
    assert isinstance(split, e.PayoutReversed)
    assert (split.from_pending, split.from_available) == (10_000, 15_000)
    assert (split.release_at, split.next_release_at) == (None, None)


def test_rule_26_the_freelancers_stream_follows_every_reversal_from_available() -> None:
    history, _, payout = charged()
    history.advance(4 * DAY)
    first = history.reverse(payout, 10_000, "chargeback")
    history.reverse(payout, 20_000, "refund")
    history.reinstate(payout, first)
    assert history.state(history.freelancer).available == {"USD": 30_000}
    assert history.balance() == Balance(0, 30_000, 0)
