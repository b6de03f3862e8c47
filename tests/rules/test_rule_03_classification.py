"""Rule 3: classification. Rule 4: an employee is paid through a third-party Employer of Record."""

from datetime import date

import pytest

from ledger import events as e
from tests.history import DAY, Balance, History, refused


def asked(history: History) -> str:
    """An accepted contract whose client asked the platform to classify the freelancer."""
    return history.active("hourly", hourly_rate=6000, classification_by="service", outcome=None)


def employed(history: History, kind: str = "hourly", **terms: object) -> tuple[str, str]:
    """An active contract of an employee, and its Employer of Record."""
    contract = history.active(kind, **{"hourly_rate": 6000, **terms}, outcome="employee")
    return contract, history.employer_of_record(contract)


def test_rule_03_by_default_the_client_has_decided_for_an_independent_contractor() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000)
    state = history.state(contract)
    assert (state.classification_by, state.outcome) == ("client_decision", "independent_contractor")
    assert state.status == "active"


def test_rule_03_the_service_goes_from_answers_to_recommendation_to_the_clients_decision() -> None:
    history = History()
    contract = asked(history)
    assert history.status(contract) == "accepted"
    history.answer_questionnaire(contract)
    history.recommend(contract, "employee")
    assert history.status(contract) == "accepted"
    history.decide_classification(contract, "independent_contractor")  # the client decides, not the recommendation
    assert history.status(contract) == "active"
    assert history.state(contract).outcome == "independent_contractor"


def test_rule_03_a_recommendation_needs_the_answers_and_a_decision_the_recommendation() -> None:
    history = History()
    contract = asked(history)
    with refused("classification_required"):
        history.recommend(contract, "employee")
    history.answer_questionnaire(contract)
    with refused("classification_required"):
        history.decide_classification(contract, "employee")


def test_rule_03_a_contract_without_an_outcome_stays_accepted() -> None:
    history = History()
    contract = asked(history)
    history.advance(100 * DAY)
    assert history.status(contract) == "accepted"
    with refused("contract_not_active"):
        history.log_time(contract, 60)


def test_rule_03_an_employees_contract_stays_accepted_until_there_is_an_employer_of_record() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000, outcome="employee")
    assert history.status(contract) == "accepted"
    history.employer_of_record(contract)
    assert history.status(contract) == "active"


def test_rule_03_all_that_is_needed_may_come_in_any_order() -> None:
    history = History(bank=None)
    contract = history.offer("hourly", hourly_rate=6000, outcome="employee")
    history.employer_of_record(contract)
    history.accept(contract)
    assert history.status(contract) == "accepted"
    history.payout_method()
    assert history.status(contract) == "active"


def test_rule_03_classified_before_it_is_accepted_it_is_active_once_accepted() -> None:
    history = History()
    contract = history.offer("hourly", hourly_rate=6000, classification_by="service", outcome=None)
    history.answer_questionnaire(contract)
    history.recommend(contract, "independent_contractor")
    history.decide_classification(contract, "independent_contractor")
    assert history.status(contract) == "invited"
    history.accept(contract)
    assert history.status(contract) == "active"


def test_rule_03_once_it_is_decided_the_outcome_stands() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000)
    with refused("already_decided"):
        history.answer_questionnaire(contract)
    with refused("already_decided"):
        history.recommend(contract, "employee")
    with refused("already_decided"):
        history.decide_classification(contract, "employee")


@pytest.mark.parametrize("answer", ["decline", "withdraw_offer"])
def test_rule_03_an_offer_that_was_declined_or_withdrawn_is_not_classified(answer: str) -> None:
    history = History()
    contract = history.offer("hourly", hourly_rate=6000, classification_by="service", outcome=None)
    getattr(history, answer)(contract)
    with refused("contract_not_active"):
        history.answer_questionnaire(contract)
    with refused("contract_not_active"):
        history.recommend(contract, "employee")
    with refused("contract_not_active"):
        history.decide_classification(contract, "employee")
    with refused("contract_not_active"):
        history.employer_of_record(contract)


def test_rule_04_a_contractor_gets_no_employer_of_record() -> None:
    history = History()
    with refused("already_decided"):
        history.employer_of_record(history.active("hourly", hourly_rate=6000))
    with refused("classification_required"):
        history.employer_of_record(asked(history))


def test_rule_04_an_employees_time_is_entered_with_the_employer_of_record() -> None:
    history = History()
    contract, _ = employed(history)
    with refused("time_is_entered_with_eor"):
        history.log_time(contract, 60)


def test_rule_04_an_employees_milestones_submissions_and_bonuses_are_refused() -> None:
    history = History()
    contract, _ = employed(history, "milestone", hourly_rate=None, milestones=(100, 200))
    for refusal in (
        lambda: history.activate(contract),
        lambda: history.submit(contract),
        lambda: history.approve(contract),
        lambda: history.request_changes(contract),
        lambda: history.add_milestone(contract, 300),
        lambda: history.add_milestone(contract, 300, by="freelancer"),
        lambda: history.bonus(contract, 100),
    ):
        with refused("paid_through_eor"):
            refusal()
    history.complete(contract)
    with refused("paid_through_eor"):
        history.bonus(contract, 100)


def test_rule_04_an_employees_cycles_bill_nothing() -> None:
    history = History()
    contract, _ = employed(history, "fixed_rate", hourly_rate=None, rate=90_000)
    history.advance("2026-03-02 12:00")
    assert history.payouts(contract) == []
    assert history.events(e.CycleClosed) == []


def test_rule_04_a_payroll_is_charged_and_held_like_any_payout_under_the_employers_account() -> None:
    history = History()
    contract, employer = employed(history)
    history.payroll(contract, 300_000)
    payout = history.payout(contract)
    assert (payout.source.type, payout.payee) == ("eor_payroll", employer)
    assert history.balance(employer) == Balance(300_000, 0, 0)
    history.advance("2026-01-09 08:59:59.999999")
    assert history.payouts(contract) == ["eor_payroll pending 300000"]
    history.advance("2026-01-09 09:00")
    assert history.payouts(contract) == ["eor_payroll released 300000"]
    assert history.balance(employer) == Balance(0, 300_000, 0)


def test_rule_04_a_payroll_never_touches_the_freelancers_balances() -> None:
    history = History()
    contract, employer = employed(history)
    history.payroll(contract, 300_000)
    first = history.reverse(history.payout(contract), 100_000, "chargeback")
    history.advance(4 * DAY)
    second = history.reverse(history.payout(contract), 50_000, "chargeback")
    history.reinstate(history.payout(contract), first)
    history.reinstate(history.payout(contract), second)
    history.advance(DAY)
    assert history.balance(employer) == Balance(0, 300_000, 0)
    assert history.balance(history.freelancer) == Balance(0, 0, 0)
    assert history.state(history.freelancer).available == {}
    assert not [account for account, _ in history.accounts if account.startswith(history.freelancer)]
    assert history.events(e.FundsEvent) == []
    with refused("insufficient_funds"):
        history.withdraw(1)


def test_rule_04_a_payroll_cannot_be_objected_to() -> None:
    history = History()
    contract, _ = employed(history)
    history.payroll(contract, 300_000)
    with refused("objection_not_possible"):
        history.object(history.payout(contract))


def test_rule_04_a_failing_payroll_suspends_like_any_payout_and_payrolls_still_run() -> None:
    history = History(card="declines")
    contract, _ = employed(history)
    history.payroll(contract, 300_000)
    history.advance(4 * DAY)
    assert history.status(contract) == "suspended"
    history.payroll(contract, 200_000)
    history.billing_method("pays")
    assert history.payouts(contract) == ["eor_payroll pending 300000", "eor_payroll pending 200000"]
    assert history.status(contract) == "active"


def test_rule_04_a_contractors_contract_takes_no_payroll() -> None:
    history = History()
    with refused("eor_not_assigned"):
        history.payroll(history.active("hourly", hourly_rate=6000), 300_000)
    with refused("contract_not_active"):
        history.payroll(history.active("hourly", hourly_rate=6000, outcome="employee"), 300_000)


def test_rule_04_the_freelancer_is_notified_of_the_pay_schedule_when_it_is_set_and_when_it_changes() -> None:
    history = History()
    contract, _ = employed(history)
    history.employer_of_record(contract, pay_schedule="semimonthly")
    told = [sent for sent in history.events(e.NotificationSent, of=contract) if sent.kind == "eor_pay_schedule"]
    set_at = [one.id for one in history.log if isinstance(one.event, e.EmployerOfRecordSet)]
    assert [sent.about for sent in told] == set_at
    assert len(set_at) == 2


def test_rule_04_setting_what_is_set_already_changes_nothing_and_tells_nobody() -> None:
    history = History()
    contract, _ = employed(history)
    before = list(history.log)
    history.employer_of_record(contract)
    assert history.log == before


def test_rule_04_what_a_payroll_pays_for_is_its_period() -> None:
    history = History()
    contract, _ = employed(history)
    history.payroll(contract, 300_000)
    run = history.last(e.PayrollRecorded)
    assert (run.period_start, run.period_end) == (date(2026, 1, 1), date(2026, 1, 31))
    assert history.payout(contract).source.id == run.payroll_id


def test_rule_04_a_payout_stands_under_the_account_of_the_employer_it_was_run_by() -> None:
    history = History()
    contract, first = employed(history)
    history.payroll(contract, 1000)
    second = history.employer_of_record(contract, name="Other Payrolls")
    history.payroll(contract, 2000)
    history.advance(4 * DAY)
    assert (history.balance(first), history.balance(second)) == (Balance(0, 1000, 0), Balance(0, 2000, 0))
