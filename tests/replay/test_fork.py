"""History forked: with nothing changed it is history again; with something changed it is what would have been lived."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ledger import events as e
from ledger.aggregates import evolve
from ledger.aggregates.payout import Payout
from ledger.events import EVENTS, Event
from ledger.policies.unit import NewEvent
from ledger.postings import entries
from replay.fork.edits import Edits, edited
from replay.fork.forking import Forked, fork
from replay.fork.inputs import transactions
from replay.fork.origins import DUE, FACTS, WISHES
from replay.fork.outside import Answers
from replay.fork.rules import SETTINGS, rules_with
from tests.history import DAY, History
from tests.properties.everything import everything
from tests.replay.lives import END, SCRIPTS, START, Doing, Life, by_stream, events_of, lived
from tests.test_state_machine import Ledgers


def forked(history: History, edits: Edits | None = None, until: timedelta = timedelta(0)) -> Forked:
    edits = edits or Edits()
    found = edited(list(transactions(events_of(history))), edits)
    answers = Answers(found.transactions, charges=edits.charges, never=found.never)
    rules = rules_with(edits.settings)
    return fork(found.transactions, answers=answers, until=history.now + until, ended=history.now, rules=rules)


# Nothing changed


def assert_same(found: Forked, history: History) -> None:
    for mine, theirs in zip(found.events, events_of(history), strict=False):
        assert mine == theirs
    assert len(found.events) == len(history.log)
    assert found.states == history.states
    assert found.refused == ()
    assert found.assumed == frozenset()


def test_every_kind_of_event_comes_again() -> None:
    history = everything()
    assert {type(one.event) for one in history.log} == set(EVENTS.values())
    assert_same(forked(history), history)


class Forks(Ledgers):
    """Whatever people, cards, time and a worker that comes and goes do to a ledger comes again."""

    def teardown(self) -> None:
        if hasattr(self, "real"):
            assert_same(forked(self.real), self.real)


TestForks = Forks.TestCase
TestForks.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


FOLLOWING = {
    *(e.PaymentOverdue, e.PaymentSettled, e.PayoutMethodAwaited, e.PayoutMethodConfirmed, e.PayoutDue),
    *(e.FundsReleased, e.FundsReversed, e.FundsReinstated, e.FundsAdjusted),
    *(e.ContractActivated, e.ContractSuspended, e.ContractResumed),
}
"""Consequences, whatever caused them. An attempt to charge after a new billing method is one as well."""


def test_every_event_is_a_wish_a_fact_due_or_a_consequence() -> None:
    assert set(EVENTS.values()) == WISHES.keys() | FACTS.keys() | DUE.keys() | FOLLOWING
    assert WISHES.keys() & DUE.keys() == {e.MilestoneApproved, e.ChargeRequested}
    assert FACTS.keys() & DUE.keys() == {e.ChargeFailed}
    assert not WISHES.keys() & FACTS.keys()
    assert not FOLLOWING & (WISHES.keys() | FACTS.keys() | DUE.keys())


# Something changed: the same as a life that was lived so


def named(life: Life, doing: Doing) -> str:
    """The event that the doing led to first."""
    return next(one.id for one in life.log if one.event.command_id == f"cmd_{doing[2]}")


def assert_lived(found: Forked, other: Life, refused: Sequence[Doing]) -> None:
    assert by_stream(found.events) == by_stream(events_of(other))
    assert len(found.refused) == len(refused)
    assert not found.assumed - {one.event.key for one in other.log if isinstance(one.event, e.ChargeRequested)}


LIVES = settings(max_examples=80, deadline=None, derandomize=True)


@LIVES
@given(SCRIPTS, st.data())
def test_what_is_dropped_is_as_if_it_had_not_been_done(script: list[Doing], data: st.DataObject) -> None:
    life, done = lived(script)
    assume(done)
    dropped = data.draw(st.sampled_from(done))
    other = Life()
    refused = other.live([doing for doing in done if doing != dropped])
    assert_lived(forked(life, Edits(drop=(named(life, dropped),))), other, refused)


@LIVES
@given(SCRIPTS, st.integers(0, 40 * 24 * 60), st.data())
def test_what_is_put_at_another_time_is_as_if_it_had_been_done_then(
    script: list[Doing], minute: int, data: st.DataObject
) -> None:
    life, done = lived(script)
    movable = [doing for doing in done if doing[1] != "log time"]  # which logs the date of its day
    assume(movable and minute not in {doing[0] for doing in done})
    moved = data.draw(st.sampled_from(movable))
    other = Life()
    refused = other.live([doing for doing in done if doing != moved] + [(minute, *moved[1:])])
    at = START + timedelta(minutes=minute)
    assert_lived(forked(life, Edits(retime={named(life, moved): at})), other, refused)


@LIVES
@given(
    SCRIPTS,
    st.fixed_dictionaries(
        {},
        optional={
            "hold_days": st.integers(0, 9),
            "review_weekly_days": st.integers(0, 20),
            "close_after_hours": st.integers(0, 48),
            "cycle_review_days": st.integers(0, 9),
        },
    ),
)
def test_other_rules_are_as_if_it_had_been_lived_under_them(script: list[Doing], numbers: dict[str, int]) -> None:
    life, done = lived(script)
    other = Life(rules_with(numbers))
    refused = other.live(done)
    assert_lived(forked(life, Edits(settings=numbers)), other, refused)


@pytest.mark.parametrize(
    "numbers",
    [{"retry_after_hours": 12}, {"suspending_failure": 2}, {"scheduled_attempts": 3}, {"retry_after_hours": 36}],
)
def test_a_card_that_declines_declines_under_other_rules_as_well(numbers: dict[str, int]) -> None:
    life, other = Life(card="declines"), Life(rules_with(numbers), card="declines")
    for one in (life, other):
        assert one.live([(0, "submit", "n1"), (60, "approve", "n2")]) == []
    assert_lived(forked(life, Edits(settings=numbers)), other, [])


@LIVES
@given(SCRIPTS, st.integers(0, 90))
def test_after_its_end_history_goes_on_as_it_would(script: list[Doing], days: int) -> None:
    life, _ = lived(script)
    found = forked(life, until=days * DAY)
    life.advance(END + days * DAY)
    mine, theirs = by_stream(found.events), by_stream(events_of(life))
    assert mine.keys() == theirs.keys()
    for stream, events in mine.items():
        assert [(type(one), one.occurred_at) for one in events] == [
            (type(one), one.occurred_at) for one in theirs[stream]
        ]


# Whatever is edited, the books are in order


def assert_in_order(found: Forked) -> None:
    states, accounts = {}, {}
    for new in found.events:
        state = states[new.stream] = evolve(new.stream, states.get(new.stream), new.event)
        assert state.version == new.version
        assert not sum(entry.credit for entry in entries(new.event))
        for entry in entries(new.event):
            key = entry.account, entry.currency
            accounts[key] = accounts.get(key, 0) + entry.credit
            assert not entry.account.endswith((":pending", ":in_transit")) or accounts[key] >= 0
        if isinstance(state, Payout):
            assert_payout(state, new)
    assert states == found.states


def assert_payout(state: Payout, new: NewEvent) -> None:
    assert state.charged == state.pending + state.released + state.returned + state.reversed_before
    if isinstance(new.event, e.PayoutReleased):
        assert state.hold_until is not None
        assert new.event.occurred_at >= state.hold_until
        assert not state.objection_open


MOVES = [None, timedelta(days=-20), timedelta(hours=-1), timedelta(seconds=1), timedelta(days=5)]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("charges", ["succeed", "fail"])
def test_whatever_is_dropped_or_moved_the_books_are_in_order(move: timedelta | None, charges: str) -> None:
    history = everything()
    editable = [step for one in transactions(events_of(history)) for step in one.steps if step.command is not None]
    assert len(editable) > 50
    for step in editable:
        first = step.events[0]
        out = Edits(drop=(first.id,), charges=charges)
        moved = Edits(retime={first.id: first.event.occurred_at + move}, charges=charges) if move else out
        assert_in_order(forked(history, moved, until=30 * DAY))


@pytest.mark.parametrize("name", SETTINGS)
def test_under_any_number_of_a_rule_the_books_are_in_order(name: str) -> None:
    for value in (SETTINGS[name].least, 3, SETTINGS[name].most):
        assert_in_order(forked(everything(), Edits(settings={name: value}), until=30 * DAY))


def test_a_charge_that_history_never_made_succeeds_or_fails_as_it_is_told() -> None:
    history = History()
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.complete(contract)
    for charges, status in (("succeed", "released"), ("fail", "charge_failed")):
        found = forked(history, Edits(charges=charges), until=30 * DAY)  # type: ignore[arg-type]
        (payout,) = (state for state in found.states.values() if isinstance(state, Payout))
        assert payout.status == status
        assert f"{payout.id}:1" in found.assumed


def test_a_charge_before_the_card_was_changed_does_what_the_old_card_did() -> None:
    history = History(card="declines")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    history.advance(DAY + timedelta(hours=1))
    history.billing_method("pays")  # the third attempt
    found = forked(history, Edits(settings={"retry_after_hours": 8}))
    failures = [new.event for new in found.events if isinstance(new.event, e.ChargeFailed)]
    assert [one.occurred_at - failures[0].occurred_at for one in failures] == [n * timedelta(hours=8) for n in range(4)]
    assert found.states[history.payout(contract).id].status == "pending"


def charge_of(found: Forked, key: str) -> Event:
    """What became of an attempt to charge."""
    outcomes = (new.event for new in found.events if isinstance(new.event, e.PayoutCharged | e.ChargeFailed))
    return next(one for one in outcomes if f"{one.payout_id}:{one.attempt}" == key)


@pytest.mark.parametrize("cards", [("declines", "pays"), ("pays", "declines")])
def test_an_attempt_with_another_card_than_in_history_was_never_asked(cards: tuple[str, str]) -> None:
    """History's attempt has the same number and the same instant; what is answered is what the other card did."""
    history = History(card=cards[0])
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    before = history.now
    history.advance(timedelta(hours=2))
    history.approve(contract)
    asked_at = history.now
    history.advance(timedelta(hours=2))
    history.billing_method(cards[1])
    later = history.active("single_payment", amount=70_000)
    history.submit(later)
    history.approve(later)
    card = [one.id for one in history.log if isinstance(one.event, e.BillingMethodSet)][-1]
    found = forked(history, Edits(retime={card: before + timedelta(hours=1)}))
    key = f"{history.payout(contract).id}:1"
    outcome = charge_of(found, key)
    assert isinstance(outcome, e.PayoutCharged if cards[1] == "pays" else e.ChargeFailed)
    assert outcome.occurred_at == asked_at
    assert key in found.assumed
    assert f"{history.payout(later).id}:1" not in found.assumed


def test_the_answer_to_another_card_does_not_wait_for_that_of_history() -> None:
    """Which came hours after it was asked for; nothing is known of the other card, so it answers at once."""
    history = History(card="silent")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    before = history.now
    history.advance(timedelta(hours=2))
    history.approve(contract)
    asked_at = history.now
    history.advance(timedelta(hours=5))
    history.processor.of_payout[history.payout(contract).id] = "declines"
    history.settle()
    history.billing_method("pays")
    card = [one.id for one in history.log if isinstance(one.event, e.BillingMethodSet)][-1]
    found = forked(history, Edits(retime={card: before + timedelta(hours=1)}))
    assert charge_of(found, f"{history.payout(contract).id}:1").occurred_at == asked_at


def test_the_event_classes_are_named_once() -> None:
    assert all(issubclass(cls, Event) for cls in (*WISHES, *FACTS, *DUE, *FOLLOWING))
