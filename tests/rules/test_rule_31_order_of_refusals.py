"""'Where several apply, the first in this list': pairs of reasons that stand against the same command."""

from tests.history import WEEK, History, refused


def suspended(kind: str, **terms: object) -> tuple[History, str]:
    """A contract whose bonus could not be charged, suspended; the card pays again without having been tried."""
    history = History("2026-01-05 09:00")
    contract = history.active(kind, **terms)
    history.bonus(contract, 1)
    history.advance("2026-01-12 11:00")
    history.billing_method("declines")
    history.advance("2026-01-16 12:00")
    assert history.status(contract) == "suspended"
    return history, contract


def test_the_contracts_status_comes_before_its_kind() -> None:
    history, contract = suspended("fixed_rate", rate=100)
    with refused("contract_suspended"):
        history.log_time(contract, 60)
    with refused("contract_suspended"):
        history.add_milestone(contract, 60)
    history.complete(contract)
    with refused("contract_not_active"):
        history.log_time(contract, 60)
    with refused("contract_not_active"):
        history.add_milestone(contract, 60)


def test_the_contracts_status_comes_before_its_employer_of_record() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=100, outcome="employee")  # accepted: no employer of record yet
    with refused("contract_not_active"):
        history.log_time(contract, 60)
    with refused("contract_not_active"):
        history.bonus(contract, 60)


def test_the_kind_comes_before_the_employer_of_record() -> None:
    history = History()
    fixed = history.active("fixed_rate", rate=100, outcome="employee")
    history.employer_of_record(fixed)
    with refused("not_an_hourly_contract"):
        history.log_time(fixed, 60)
    with refused("not_a_fixed_price_contract"):
        history.add_milestone(fixed, 60)


def test_the_one_milestone_of_a_single_payment_comes_before_the_employer_of_record() -> None:
    history = History()
    contract = history.active("single_payment", amount=100, outcome="employee")
    history.employer_of_record(contract)
    with refused("single_payment_has_one_milestone"):
        history.add_milestone(contract, 60)
    with refused("single_payment_has_one_milestone"):
        history.add_milestone(contract, 60, by="freelancer")


def test_the_employer_of_record_comes_before_whatever_is_wrong_with_time_or_milestones() -> None:
    history = History()
    hourly = history.active("hourly", hourly_rate=100, outcome="employee")
    milestones = history.active("milestone", milestones=(1, 2), outcome="employee")
    for contract in (hourly, milestones):
        history.employer_of_record(contract)
    with refused("time_is_entered_with_eor"):
        history.log_time(hourly, 1441, "2026-02-01")
    with refused("paid_through_eor"):
        history.activate(milestones, 2)
    with refused("paid_through_eor"):
        history.approve(milestones, 1)


def test_a_decided_classification_comes_before_a_missing_recommendation() -> None:
    history = History()
    contract = history.offer("hourly", hourly_rate=100, outcome="employee")
    with refused("already_decided"):
        history.decide_classification(contract, "employee")


def test_an_active_milestone_comes_before_the_order() -> None:
    history = History()
    contract = history.active("milestone", milestones=(1, 2, 3))
    history.activate(contract, 1)
    with refused("milestone_already_active"):
        history.activate(contract, 3)


def test_the_ended_review_comes_before_there_being_nothing_to_review() -> None:
    history = History()
    contract = history.active("single_payment", amount=1)
    history.submit(contract)
    history.advance(WEEK)
    with refused("review_period_ended"):
        history.request_changes(contract)


def test_the_week_comes_before_the_future_and_the_future_before_the_limits() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=100, weekly_limit_minutes=1)
    with refused("week_not_open"):
        history.log_time(contract, 1440, "2026-01-12")
    with refused("time_in_future"):
        history.log_time(contract, 1440, "2026-01-06")
    history.log_time(contract, 1)
    with refused("day_limit_exceeded"):
        history.log_time(contract, 1440)
    with refused("weekly_limit_exceeded"):
        history.log_time(contract, 1439)


def test_the_lock_comes_before_the_limits() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=100, weekly_limit_minutes=60)
    entry = history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    with refused("timesheet_locked"):
        history.correct_time(contract, entry, 1440)


def test_for_objections_the_ended_period_comes_before_the_other_reasons() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    history.object(history.payout(contract))
    history.advance("2026-01-16 12:00")
    with refused("review_period_ended"):
        history.object(history.payout(contract))


def test_nothing_left_comes_before_an_objection_that_is_not_open() -> None:
    history = History("2026-01-05 09:00")
    contract = history.active("hourly", hourly_rate=6000)
    history.log_time(contract, 60)
    history.advance("2026-01-12 12:00")
    history.reverse(history.payout(contract), 6000)
    with refused("objection_not_possible"):
        history.object(history.payout(contract))
    with refused("no_open_objection"):
        history.reduce(history.payout(contract), 1)


def test_a_missing_payout_method_comes_before_missing_funds() -> None:
    history = History(bank=None)
    with refused("payout_method_required"):
        history.withdraw(10**15)
