"""Rules 10 to 13: submitting, reviewing, silence and the charge of fixed-price work."""

from datetime import timedelta

import pytest

from ledger import events as e
from ledger.policies.deadlines import LAPSE, command_of
from tests.history import DAY, HOUR, MICROSECOND, WEEK, History, due_by, refused, utc

WINDOWS = pytest.mark.parametrize(("cadence", "days"), [("weekly", 7), ("biweekly", 14)])


def submitted(cadence: str = "weekly", card: str = "pays") -> tuple[History, str]:
    """A single payment of 500.00, submitted on Monday 2026-01-05 10:00."""
    history = History("2026-01-05 10:00", card=card)
    contract = history.active("single_payment", amount=50_000, cadence=cadence)
    history.submit(contract)
    return history, contract


@WINDOWS
def test_rule_10_the_review_deadline_is_a_whole_window_after_the_submission(cadence: str, days: int) -> None:
    history, _ = submitted(cadence)
    assert history.last(e.MilestoneSubmitted).review_deadline == utc("2026-01-05 10:00") + days * DAY


def test_rule_10_only_the_active_milestone_can_be_submitted_and_only_once() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100, 200))
    with refused("milestone_not_active"):
        history.submit(contract, 1)
    history.activate(contract, 1)
    with refused("milestone_not_active"):
        history.submit(contract, 2)
    history.submit(contract, 1)
    with refused("milestone_not_active"):
        history.submit(contract, 1)


@WINDOWS
def test_rule_11_the_client_may_approve_up_to_the_last_microsecond_before_the_deadline(cadence: str, days: int) -> None:
    history, contract = submitted(cadence)
    history.advance(days * DAY - MICROSECOND)
    history.approve(contract)
    approved = history.last(e.MilestoneApproved)
    assert not approved.by_silence
    assert approved.occurred_at == utc("2026-01-05 10:00") + days * DAY - MICROSECOND


@WINDOWS
def test_rule_11_the_client_may_request_changes_up_to_the_last_microsecond(cadence: str, days: int) -> None:
    history, contract = submitted(cadence)
    history.advance(days * DAY - MICROSECOND)
    history.request_changes(contract)
    assert history.milestones(contract) == ["active"]
    history.advance(WEEK)
    assert history.payouts(contract) == []


def test_rule_11_the_next_submission_starts_a_whole_new_review_window() -> None:
    history, contract = submitted()
    history.advance(6 * DAY)
    history.request_changes(contract)
    history.advance("2026-01-20 15:00")
    history.submit(contract)
    assert history.last(e.MilestoneSubmitted).review_deadline == utc("2026-01-27 15:00")
    history.advance("2026-01-27 14:59:59.999999")
    assert history.milestones(contract) == ["submitted"]
    history.advance("2026-01-27 15:00")
    assert history.milestones(contract) == ["approved"]


def test_rule_11_what_was_submitted_before_completion_may_be_resubmitted_after_it() -> None:
    history, contract = submitted()
    history.complete(contract)
    history.request_changes(contract)
    history.advance(20 * DAY)
    history.submit(contract)
    history.approve(contract)
    assert history.payouts(contract) == ["milestone pending 50000"]
    assert history.status(contract) == "completed"


def test_rule_11_changes_requested_before_completion_may_be_resubmitted_after_it() -> None:
    history, contract = submitted()
    history.request_changes(contract)
    history.complete(contract)
    history.submit(contract)
    history.advance(WEEK)
    assert history.milestones(contract) == ["approved"]


def test_rule_11_what_was_never_submitted_cannot_be_submitted_after_completion() -> None:
    history = History()
    contract = history.active("single_payment", amount=50_000)
    history.complete(contract)
    with refused("contract_not_active"):
        history.submit(contract)


def test_rule_11_a_suspended_contract_takes_no_submission_not_even_again() -> None:
    history = History(card="declines")
    contract = history.active("milestone", milestones=(100, 200), cadence="biweekly")
    history.activate(contract, 1)
    history.submit(contract, 1)
    history.approve(contract, 1)
    history.activate(contract, 2)
    history.submit(contract, 2)
    history.advance(4 * DAY)
    history.request_changes(contract, 2)
    with refused("contract_suspended"):
        history.submit(contract, 2)


@WINDOWS
def test_rule_12_at_the_deadline_silence_approves_as_of_the_deadline(cadence: str, days: int) -> None:
    history, contract = submitted(cadence)
    history.advance(days * DAY - MICROSECOND)
    assert history.milestones(contract) == ["submitted"]
    history.advance(MICROSECOND)
    approved = history.last(e.MilestoneApproved)
    assert history.milestones(contract) == ["approved"]
    assert approved.by_silence
    assert approved.occurred_at == approved.recorded_at == utc("2026-01-05 10:00") + days * DAY
    assert approved.actor == "system"


def test_rule_12_silence_approves_as_of_the_deadline_however_late_the_worker() -> None:
    history, contract = submitted()
    history.up = False
    history.advance("2026-03-01 04:05:06")
    assert history.milestones(contract) == ["submitted"]
    history.worker_returns()
    approved, due = history.last(e.MilestoneApproved), history.last(e.PayoutDue)
    assert approved.occurred_at == due.occurred_at == utc("2026-01-12 10:00")
    assert approved.recorded_at == due.recorded_at == utc("2026-03-01 04:05:06")


@pytest.mark.parametrize("worker", [True, False], ids=["lapse recorded", "lapse not recorded"])
@pytest.mark.parametrize("late", [0 * DAY, MICROSECOND, 30 * DAY], ids=["at the deadline", "just after", "long after"])
@pytest.mark.parametrize("answer", ["approve", "request_changes"])
def test_rule_12_an_answer_at_or_after_the_deadline_is_refused(worker: bool, late: timedelta, answer: str) -> None:
    history, contract = submitted()
    history.up = worker
    history.advance(WEEK + late)
    with refused("review_period_ended"):
        getattr(history, answer)(contract)
    assert history.milestones(contract) == ["approved"]
    assert history.last(e.MilestoneApproved).by_silence


def test_rule_12_with_nothing_submitted_there_is_nothing_to_review() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100, 200))
    history.activate(contract, 1)
    for number in (1, 2):
        with refused("nothing_to_review"):
            history.approve(contract, number)
        with refused("nothing_to_review"):
            history.request_changes(contract, number)


def test_rule_12_with_the_last_submission_decided_by_the_client_there_is_nothing_to_review() -> None:
    history, contract = submitted()
    history.request_changes(contract)
    history.advance(WEEK)  # past the deadline of the submission that was decided
    with refused("nothing_to_review"):
        history.approve(contract)
    with refused("nothing_to_review"):
        history.request_changes(contract)
    history.submit(contract)
    history.approve(contract)
    history.advance(WEEK)
    with refused("nothing_to_review"):
        history.approve(contract)
    with refused("nothing_to_review"):
        history.request_changes(contract)


def test_rule_12_the_code_tells_of_the_last_submission_not_of_an_earlier_one() -> None:
    history, contract = submitted()
    history.request_changes(contract)
    history.submit(contract)
    history.advance(WEEK)
    with refused("review_period_ended"):
        history.approve(contract)


def test_rule_12_a_deadline_that_was_overtaken_by_the_client_approves_nothing() -> None:
    history, contract = submitted()
    (lapse,) = due_by(history, LAPSE)
    history.request_changes(contract)
    history.advance(WEEK)
    assert history.send(command_of(lapse, history.now)) == []
    history.submit(contract)
    assert history.send(command_of(lapse, history.now)) == []
    assert history.milestones(contract) == ["submitted"]


def test_rule_12_a_lapse_before_its_deadline_does_nothing() -> None:
    history, contract = submitted()
    (lapse,) = due_by(history, LAPSE)
    history.advance(WEEK - MICROSECOND)
    assert history.send(command_of(lapse, history.now)) == []
    assert history.milestones(contract) == ["submitted"]


def test_rule_12_a_review_lapses_on_a_suspended_contract_too() -> None:
    history = History(card="declines")
    contract = history.active("milestone", milestones=(100, 200))
    history.activate(contract, 1)
    history.submit(contract, 1)
    history.approve(contract, 1)
    history.activate(contract, 2)
    history.submit(contract, 2)
    history.advance(6 * DAY)
    assert history.status(contract) == "suspended"
    history.advance(DAY)
    assert history.milestones(contract) == ["approved", "approved"]


def test_rule_13_approval_makes_a_payout_due_and_the_client_is_charged_at_once() -> None:
    history, contract = submitted()
    history.advance(HOUR)
    history.approve(contract)
    due, asked, charged = (history.last(kind) for kind in (e.PayoutDue, e.ChargeRequested, e.PayoutCharged))
    assert due.occurred_at == asked.occurred_at == charged.occurred_at == history.now
    assert due.amount == asked.amount == charged.amount == 50_000
    assert due.source.id == history.milestone(contract)
    assert due.review_deadline is None


def test_rule_13_one_approval_makes_one_payout_whatever_is_retried() -> None:
    history, _contract = submitted(card="declines")
    (lapse,) = due_by(history, LAPSE)
    history.advance(WEEK)
    for _ in range(3):
        assert history.send(command_of(lapse, history.now)) == []
    history.advance(20 * DAY)
    assert len(history.events(e.PayoutDue)) == 1
