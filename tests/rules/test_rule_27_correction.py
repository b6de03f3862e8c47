"""Rule 27: nothing is edited; an operator's adjustment is approved by another person."""

import pytest

from ledger import events as e
from ledger.errors import Invalid
from ledger.postings import PLATFORM
from tests.history import DAY, Balance, History, refused, utc


def credit(history: History, amount: int, **how: object) -> str:
    """An adjustment that gives the freelancer this much of the platform's own money."""
    available = f"{history.freelancer}:available"
    return history.propose_adjustment((PLATFORM, "debit", amount), (available, "credit", amount), **how)  # type: ignore[arg-type]


def test_rule_27_it_names_a_reason_the_event_it_corrects_and_balanced_postings() -> None:
    history = History()
    corrected = history.log[-1].id
    credit(history, 500)
    proposed = history.last(e.AdjustmentProposed)
    assert proposed.corrects_event_id == corrected
    assert proposed.reason.id.startswith("vlt_")
    assert sum(one.amount if one.direction == "credit" else -one.amount for one in proposed.postings) == 0


@pytest.mark.parametrize(
    ("postings", "why"),
    [
        ([], "postings"),
        ([("platform:adjustments", "debit", 500)], "debits must equal credits in USD"),
        ([("platform:adjustments", "debit", 500), ("processor", "credit", 499)], "debits must equal credits in USD"),
        ([("platform:adjustments", "debit", 500), ("cat", "credit", 500)], "cat must be fre_…:available"),
        (
            [("platform:adjustments", "debit", 500), ("fre_x:pending", "credit", 500)],
            "pending money belongs to payouts",
        ),
        ([("platform:adjustments", "debit", 500), ("fre_x:in_transit", "credit", 500)], "fre_x:in_transit must be"),
        ([("platform:adjustments", "debit", 500), ("cli_x:available", "credit", 500)], "cli_x:available must be"),
    ],
    ids=str,
)
def test_rule_27_postings_balance_and_are_on_accounts_that_can_be_corrected(
    postings: list[tuple[str, str, int]], why: str
) -> None:
    history = History()
    before = list(history.log)
    with pytest.raises(Invalid, match=why):
        history.propose_adjustment(*postings)
    assert history.log == before


def test_rule_27_what_balances_in_each_currency_may_move_several() -> None:
    history = History()
    sides = (("processor", "debit", 500), ("platform:adjustments", "credit", 300), ("eor_x:available", "credit", 200))
    history.propose_adjustment(*sides)
    assert len(history.last(e.AdjustmentProposed).postings) == 3


def test_rule_27_the_stated_instant_is_not_in_the_future() -> None:
    history = History("2026-01-20 09:00")
    credit(history, 500, stated_at="2026-01-20 09:00")
    with pytest.raises(Invalid, match="is in the future"):
        credit(history, 500, stated_at="2026-01-20 09:01")


def test_rule_27_it_takes_effect_when_a_different_person_approves_it() -> None:
    history = History()
    adjustment = credit(history, 500, by="per_ann")
    history.advance(DAY)
    assert history.balance() == Balance(0, 0, 0)
    history.approve_adjustment(adjustment, by="per_bob")
    assert history.balance() == Balance(0, 500, 0)
    assert history.last(e.AdjustmentApproved).occurred_at == history.now
    history.withdraw(500)


def test_rule_27_whoever_proposed_it_cannot_approve_it() -> None:
    history = History()
    adjustment = credit(history, 500, by="per_ann")
    with refused("second_operator_required"):
        history.approve_adjustment(adjustment, by="per_ann")
    assert history.balance() == Balance(0, 0, 0)


def test_rule_27_it_is_approved_once_and_that_is_said_before_who_may() -> None:
    history = History()
    adjustment = credit(history, 500, by="per_ann")
    history.approve_adjustment(adjustment, by="per_bob")
    with refused("already_decided"):
        history.approve_adjustment(adjustment, by="per_eve")
    with refused("already_decided"):
        history.approve_adjustment(adjustment, by="per_ann")
    assert history.balance() == Balance(0, 500, 0)


def test_rule_27_it_may_be_true_as_of_an_earlier_stated_instant() -> None:
    history = History("2026-01-20 09:00")
    adjustment = credit(history, 500, stated_at="2026-01-10 00:00")
    history.advance(DAY)
    history.approve_adjustment(adjustment)
    approved, told = history.last(e.AdjustmentApproved), history.last(e.FundsAdjusted)
    assert approved.occurred_at == told.occurred_at == utc("2026-01-10 00:00")
    assert approved.recorded_at == told.recorded_at == utc("2026-01-21 09:00")


def test_rule_27_a_debit_may_make_available_negative() -> None:
    history = History()
    available = f"{history.freelancer}:available"
    adjustment = history.propose_adjustment((available, "debit", 300), (PLATFORM, "credit", 300))
    history.approve_adjustment(adjustment)
    assert history.balance() == Balance(0, -300, 0)
    assert history.state(history.freelancer).available == {"USD": -300}


def test_rule_27_what_it_corrects_stays_as_it_was_written() -> None:
    history = History()
    before = list(history.log)
    history.approve_adjustment(credit(history, 500))
    assert history.log[: len(before)] == before


def test_rule_27_events_cannot_be_edited() -> None:
    history = History()
    with pytest.raises(AttributeError):
        history.log[0].event.actor = "somebody else"
