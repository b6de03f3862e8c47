"""Rule 29 with no worker at all: before a command is decided, everything due by then on the objects it touches is decided.

Nothing projects here but what the command itself needs.
"""

from datetime import timedelta

import pytest

from ledger import events as e
from ledger.bootstrap import Ledger
from ledger.policies.deadlines import CHARGE
from tests.history import refused
from tests.play import DAY, HOUR, MICROSECOND, WEEK, Play, utc


def with_a_pending_payout(ledger: Ledger, amount: int = 50_000) -> tuple[Play, str]:
    """Approved and charged on Monday 2026-01-05 09:00 while the worker ran, which then stopped: released on Friday 09:00."""
    play = Play(ledger)
    contract = play.active("single_payment", amount=amount)
    play.submit(contract)
    play.approve(contract)
    assert play.payouts(contract) == [f"single_payment pending {amount}".replace("single_payment", "milestone")]
    play.up = False
    return play, contract


def test_a_withdrawal_right_after_the_release_time_finds_the_money(ledger: Ledger) -> None:
    play, contract = with_a_pending_payout(ledger)
    play.advance("2026-01-09 09:00")
    play.withdraw(50_000)
    assert play.payouts(contract) == ["milestone released 50000"]
    released = next(one.event for one in play.events() if isinstance(one.event, e.PayoutReleased))
    assert released.occurred_at == utc("2026-01-09 09:00")


def test_a_withdrawal_right_before_the_release_time_does_not(ledger: Ledger) -> None:
    play, contract = with_a_pending_payout(ledger)
    play.advance(utc("2026-01-09 09:00") - MICROSECOND)
    with refused("insufficient_funds"):
        play.withdraw(1)
    assert play.payouts(contract) == ["milestone pending 50000"]


def test_a_withdrawal_finds_what_was_released_at_several_instants(ledger: Ledger) -> None:
    play = Play(ledger)
    for number in range(3):
        contract = play.active("single_payment", amount=10_000)
        play.submit(contract)
        play.approve(contract)
        play.advance(HOUR)
        assert play.now.hour == 10 + number
    play.up = False
    play.advance("2026-01-09 11:00")
    play.withdraw(30_000)
    released = [one.event.occurred_at for one in play.events() if isinstance(one.event, e.PayoutReleased)]
    assert released == [utc(f"2026-01-09 {hour}:00") for hour in ("09", "10", "11")]


def test_a_withdrawal_finds_money_whose_hold_elapsed_before_the_end_of_its_review(ledger: Ledger) -> None:
    """The hold and the release are two steps at two instants; both are due. Nothing has projected the first by the second."""
    play = Play(ledger)
    contract = play.active("hourly", hourly_rate=6_000)
    play.log_time(contract, 60)
    play.advance("2026-01-12 13:00")
    (payout,) = play.payout_ids(contract)
    play.object(payout)
    play.advance("2026-01-12 14:00")
    play.withdraw_objection(payout)
    play.up = False
    play.object(payout)
    play.advance("2026-01-16 11:00")
    play.withdraw_objection(payout)
    play.advance("2026-01-16 12:00")
    play.withdraw(6_000)
    assert play.payouts(contract) == ["timesheet released 6000"]


@pytest.mark.parametrize("ran_until", ["the submission", "the offer", "never"])
def test_an_approval_after_the_deadline_is_refused_and_the_lapse_is_recorded(ledger: Ledger, ran_until: str) -> None:
    play = Play(ledger, up=ran_until != "never")
    contract = play.active("single_payment", amount=50_000)
    if ran_until == "the offer":
        play.up = False
    play.submit(contract)
    play.up = False
    play.advance(WEEK)
    with refused("review_period_ended"):
        play.approve(contract)
    (approved,) = [one.event for one in play.events() if isinstance(one.event, e.MilestoneApproved)]
    assert approved.by_silence
    assert approved.occurred_at == utc("2026-01-12 09:00")
    assert play.payouts(contract) == ["milestone due 50000"]


def test_a_milestone_can_be_activated_once_the_one_before_it_has_lapsed(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("milestone", milestones=(10_000, 20_000))
    play.activate(contract, 1)
    play.submit(contract, 1)
    play.advance(WEEK)
    play.activate(contract, 2)
    assert [one.status for one in play.contract(contract).milestones] == ["approved", "active"]


def test_closes_that_were_missed_are_made_up_one_after_another(ledger: Ledger) -> None:
    """A fixed rate sets its next close at each close: three were due."""
    play = Play(ledger, up=False)
    contract = play.active("fixed_rate", rate=70_000)
    play.advance("2026-01-26 12:00")
    play.bonus(contract, 500)
    closed = [one.event for one in play.events() if isinstance(one.event, e.CycleClosed)]
    assert [event.occurred_at for event in closed] == [utc(f"2026-01-{day} 12:00") for day in (12, 19, 26)]
    assert play.payouts(contract) == ["fixed_rate due 70000"] * 3
    granted = play.events()[-1].event
    assert isinstance(granted, e.BonusGranted)
    assert granted.invoice_at == utc("2026-02-02 12:00")


def test_completion_after_the_close_leaves_the_cycle_billed(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("hourly", hourly_rate=6_000)
    entry = play.log_time(contract, 90)
    play.advance("2026-01-12 12:00")
    with refused("timesheet_locked"):
        play.correct_time(contract, entry, 30)
    assert play.payouts(contract) == ["timesheet due 9000"]


def test_an_objection_at_the_release_comes_too_late_and_the_release_is_recorded(ledger: Ledger) -> None:
    play = Play(ledger)
    contract = play.active("hourly", hourly_rate=6_000)
    play.log_time(contract, 60)
    play.advance("2026-01-12 12:00")
    (payout,) = play.payout_ids(contract)
    play.up = False
    play.advance("2026-01-16 12:00")
    with refused("review_period_ended"):
        play.object(payout)
    assert play.payouts(contract) == ["timesheet released 6000"]


def test_a_reversal_after_the_release_time_takes_from_what_is_available(ledger: Ledger) -> None:
    play, contract = with_a_pending_payout(ledger)
    play.advance(4 * DAY)
    (payout,) = play.payout_ids(contract)
    play.reverse(payout, 20_000)
    reversed_ = play.events()[-2].event
    assert isinstance(reversed_, e.PayoutReversed)
    assert (reversed_.from_pending, reversed_.from_available) == (0, 20_000)


def test_charges_are_excepted(ledger: Ledger) -> None:
    """A charge happens when it happens, and no command makes it happen."""
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=50_000)
    play.submit(contract)
    play.approve(contract)
    play.advance(timedelta(days=30))
    with refused("insufficient_funds"):
        play.withdraw(1)
    assert play.payouts(contract) == ["milestone due 50000"]
    assert ledger.database.fetch("SELECT * FROM simulated_operations") == []
    ledger.views.catch_up()
    waiting = ledger.database.fetch("SELECT kind FROM deadlines WHERE at <= %s", (play.now,))
    assert CHARGE in {row["kind"] for row in waiting}


def test_what_is_due_on_objects_that_a_command_does_not_touch_is_left_alone(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    touched, other = (play.active("single_payment", amount=50_000) for _ in range(2))
    play.submit(touched)
    play.submit(other)
    play.advance(WEEK)
    with refused("review_period_ended"):
        play.request_changes(touched)
    assert [play.contract(one).milestones[0].status for one in (touched, other)] == ["approved", "submitted"]


def test_with_a_long_tail_that_nothing_has_projected_the_same_is_decided(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=50_000)
    play.submit(contract)
    for number in range(150):
        play.register_client(f"client {number}", card=None)
    play.advance(WEEK)
    with refused("review_period_ended"):
        play.approve(contract)
    assert play.payouts(contract) == ["milestone due 50000"]
