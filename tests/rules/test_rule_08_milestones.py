"""Rules 8 and 9: milestones are ordered, and at most one is active."""

import pytest

from ledger import events as e
from tests.history import History, refused


def test_rule_08_a_single_payment_has_exactly_one_milestone_active_from_the_start() -> None:
    history = History()
    contract = history.offer("single_payment", amount=50_000)
    assert history.milestones(contract) == ["active"]
    history.accept(contract)
    assert history.milestones(contract) == ["active"]
    with refused("single_payment_has_one_milestone"):
        history.add_milestone(contract, 100)
    with refused("single_payment_has_one_milestone"):
        history.add_milestone(contract, 100, by="freelancer")


def test_rule_08_all_milestones_may_be_described_in_the_offer_and_are_planned() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100, 200, 300))
    assert history.milestones(contract) == ["planned", "planned", "planned"]
    assert [one.position for one in history.state(contract).milestones] == [1, 2, 3]
    assert [one.amount for one in history.state(contract).milestones] == [100, 200, 300]


def test_rule_08_the_client_may_add_more_to_an_active_contract() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100,))
    history.add_milestone(contract, 200)
    assert history.milestones(contract) == ["planned", "planned"]


def test_rule_08_a_milestone_contract_may_begin_with_none() -> None:
    history = History()
    contract = history.active("milestone")
    number = history.add_milestone(contract, 200)
    history.activate(contract, number)
    assert history.milestones(contract) == ["active"]


def test_rule_08_a_request_is_part_of_the_contract_only_once_the_client_approves_it() -> None:
    history = History()
    contract = history.active("milestone", milestones=())
    number = history.add_milestone(contract, 200, by="freelancer")
    assert history.milestones(contract) == ["requested"]
    with refused("milestone_out_of_order"):
        history.activate(contract, number)
    with refused("milestone_not_active"):
        history.submit(contract, number)
    history.approve_request(contract, number)
    assert history.milestones(contract) == ["planned"]
    history.activate(contract, number)


def test_rule_08_a_declined_request_is_gone() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100,))
    number = history.add_milestone(contract, 200, by="freelancer")
    history.decline_request(contract, number)
    assert history.milestones(contract) == ["planned"]
    assert history.milestone(contract, number) not in [one.id for one in history.state(contract).milestones]


def test_rule_08_only_a_request_can_be_approved_or_declined_and_only_once() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100,))
    with refused("milestone_not_requested"):
        history.approve_request(contract, 1)
    with refused("milestone_not_requested"):
        history.decline_request(contract, 1)
    number = history.add_milestone(contract, 200, by="freelancer")
    history.approve_request(contract, number)
    with refused("milestone_not_requested"):
        history.decline_request(contract, number)


@pytest.mark.parametrize("kind", ["hourly", "fixed_rate"])
def test_rule_08_other_work_has_no_milestones(kind: str) -> None:
    history = History()
    terms = {"hourly_rate": 6000} if kind == "hourly" else {"rate": 90_000}
    contract = history.active(kind, **terms)
    with refused("not_a_fixed_price_contract"):
        history.add_milestone(contract, 100)
    with refused("not_a_fixed_price_contract"):
        history.add_milestone(contract, 100, by="freelancer")


def test_rule_09_the_client_activates_the_next_planned_milestone_in_order() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100, 200))
    with refused("milestone_out_of_order"):
        history.activate(contract, 2)
    history.activate(contract, 1)
    assert history.milestones(contract) == ["active", "planned"]


@pytest.mark.parametrize("submitted", [False, True], ids=["active", "submitted"])
def test_rule_09_none_is_activated_while_one_is_active_or_submitted(submitted: bool) -> None:
    history = History()
    contract = history.active("milestone", milestones=(100, 200, 300))
    history.activate(contract, 1)
    if submitted:
        history.submit(contract, 1)
    for number in (1, 2, 3):  # an active one stands in the way before the order does
        with refused("milestone_already_active"):
            history.activate(contract, number)


def test_rule_09_once_one_is_approved_the_next_can_be_activated() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100, 200))
    history.activate(contract, 1)
    history.submit(contract, 1)
    history.approve(contract, 1)
    history.activate(contract, 2)
    assert history.milestones(contract) == ["approved", "active"]


def test_rule_09_when_all_are_approved_there_is_none_to_activate() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100,))
    history.activate(contract, 1)
    history.submit(contract, 1)
    history.approve(contract, 1)
    with refused("milestone_out_of_order"):
        history.activate(contract, 1)


def test_rule_09_a_request_does_not_stand_in_the_way_of_the_next_planned_milestone() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100,))
    history.add_milestone(contract, 200, by="freelancer")
    third = history.add_milestone(contract, 300)
    history.activate(contract, 1)
    history.submit(contract, 1)
    history.approve(contract, 1)
    history.activate(contract, third)
    assert history.milestones(contract) == ["approved", "requested", "active"]


def test_rule_09_milestones_that_were_added_are_paid_their_own_amounts_in_order() -> None:
    history = History()
    contract = history.active("milestone", milestones=(100,))
    history.add_milestone(contract, 200)
    for number in (1, 2):
        history.activate(contract, number)
        history.submit(contract, number)
        history.approve(contract, number)
    assert history.payouts(contract) == ["milestone pending 100", "milestone pending 200"]
    assert len(history.events(e.PayoutDue)) == 2
