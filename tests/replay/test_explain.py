"""Why money is where it is: for every state of a payout, what has happened, by which rule, and what is awaited until when."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from ledger.events import PayoutCharged
from ledger.ids import derive
from ledger.postings import entries
from ledger.store.reader import EventView
from replay.debug.timeline import timeline
from replay.explain import explain, explanation, payout_of
from replay.live import Live
from replay.rules import SENTENCES
from replay.times import AtTimes
from tests.history import History, utc
from tests.replay.made import source_of_events
from tests.replay.story import at, cycle_payout, payout


def told(history: History, payout_id: str, now: datetime | None = None) -> dict[str, Any]:
    """The explanation of a payout of a history in memory."""
    views = [
        EventView(one.position, one.id, one.stream, one.version, one.event.TOPIC, one.event, entries(one.event))
        for one in history.log
        if payout_id in (one.stream, getattr(one.event, "payout_id", None))
    ]
    state = payout_of(views, payout_id)
    assert state is not None
    return explanation(views, state, now or history.now)


def awaited(found: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(one["what"], one["who"], one["until"]) for one in found["awaited"]]


@pytest.fixture
def history() -> History:
    return History()


def hourly(history: History) -> str:
    """The payout of a week's 10 hours, charged on Monday the 12th at 12:00."""
    contract = history.active("hourly", hourly_rate=6_000)
    history.log_time(contract, 600)
    history.advance("2026-01-12 13:00")
    return history.payout(contract).id


def single(history: History, card: str | None = None) -> str:
    if card:
        history.billing_method(card)
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    return history.payout(contract).id


def test_due_and_not_yet_attempted(live: Live) -> None:
    found = explain(live.reader, payout("Due"), at("2026-03-09 12:30"))
    assert found is not None
    assert found["status"] == "due"
    assert awaited(found) == [("charge_attempt", "ledger", "2026-03-09T12:30:00Z")]
    assert found["awaited"][0]["rules"][0]["number"] == 13
    assert found["awaited"][0]["text"] == "Attempt 1 is made now."


def test_a_charge_in_flight_waits_for_the_processor(live: Live) -> None:
    found = explain(live.reader, payout("Flight"))
    assert found is not None
    assert found["status"] == "due"
    assert awaited(found) == [("charge_outcome", "processor", None)]
    assert f"{payout('Flight')}:1" in found["awaited"][0]["text"]


def test_a_failed_charge_waits_for_the_next_attempt_or_a_new_method(history: History) -> None:
    found = told(history, single(history, "declines"))
    assert found["status"] == "charge_failed"
    assert awaited(found) == [
        ("charge_attempt", "ledger", "2026-01-06T09:00:00Z"),
        ("billing_method", "client", None),
        ("retry", "operator", None),
    ]


def test_after_the_fifth_failure_the_contract_is_suspended_meanwhile(history: History) -> None:
    late = single(history, "declines")
    history.advance("2026-01-09 10:00")
    assert "suspended" in told(history, late)["awaited"][1]["text"]


@pytest.mark.parametrize(
    ("card", "until", "why"),
    [
        ("declines", "2026-01-20 09:00", "as this was failure 10"),
        ("declines finally", "2026-01-05 09:00", "as the processor called the decline final"),
    ],
)
def test_after_the_tenth_failure_or_a_final_decline_only_people_can_help(
    history: History, card: str, until: str, why: str
) -> None:
    stuck = single(history, card)
    history.advance(until)
    found = told(history, stuck)
    assert awaited(found) == [("billing_method", "client", None), ("retry", "operator", None)]
    assert why in found["awaited"][0]["text"]


def test_pending_fixed_price_work_waits_for_the_hold(history: History) -> None:
    found = told(history, single(history))
    assert found["status"] == "pending"
    assert awaited(found) == [("release", "ledger", "2026-01-09T09:00:00Z")]
    assert "when the hold has elapsed" in found["awaited"][0]["text"]
    assert [rule["number"] for rule in found["awaited"][0]["rules"]] == [23, 22]
    assert found["available_on"] == "2026-01-09T09:00:00Z"


def test_a_pending_cycle_may_be_objected_to_until_its_deadline(history: History) -> None:
    cycle = hourly(history)
    both = [("release", "ledger", "2026-01-16T12:00:00Z"), ("objection_window", "client", "2026-01-16T12:00:00Z")]
    assert awaited(told(history, cycle)) == both
    assert awaited(told(history, cycle, utc("2026-01-16 12:00"))) == both[:1]


def test_under_an_objection_the_two_sides_are_awaited(history: History) -> None:
    cycle = hourly(history)
    history.object(cycle)
    found = told(history, cycle)
    assert awaited(found) == [
        ("end_of_objection", "client, freelancer", None),
        ("hold", "ledger", "2026-01-16T12:00:00Z"),
    ]
    assert found["available_on"] is None
    history.advance("2026-01-17 12:00")
    assert awaited(told(history, cycle)) == [("end_of_objection", "client, freelancer", None)]


def test_a_late_charge_waits_for_its_own_hold_and_an_ended_objection_for_its_end(history: History) -> None:
    cycle = hourly(history)
    history.object(cycle)
    history.advance("2026-01-18 12:00")
    history.up = False
    history.withdraw_objection(cycle)
    found = told(history, cycle, utc("2026-01-18 11:00"))
    assert "when the objection ended" in found["awaited"][0]["text"]
    assert "It is released as of 2026-01-18T12:00:00Z" in told(history, cycle)["awaited"][0]["text"]


def test_a_won_chargeback_is_released_when_it_is_won(history: History) -> None:
    cycle = hourly(history)
    reversal = history.reverse(cycle, 60_000, "chargeback")
    found = told(history, cycle)
    assert found["status"] == "reversed"
    assert awaited(found) == [("chargeback_outcome", "operator", None)]
    history.advance("2026-01-18 12:00")
    history.up = False
    history.reinstate(cycle, reversal)
    assert "when the chargeback was won" in told(history, cycle, utc("2026-01-18 11:00"))["awaited"][0]["text"]


def test_released_money_waits_for_nothing(history: History) -> None:
    done = single(history)
    history.advance("2026-01-09 09:00")
    found = told(history, done)
    assert (found["status"], found["awaited"]) == ("released", [])
    assert found["summary"] == "500.00 USD was released to the freelancer at 2026-01-09T09:00:00Z."


def test_a_refund_is_awaited_until_the_processor_has_sent_it(history: History) -> None:
    done = single(history)
    history.up = False
    history.reverse(done, 10_000)
    assert ("refund", "processor", None) in awaited(told(history, done))
    history.worker_returns()
    assert ("refund", "processor", None) not in awaited(told(history, done))


def test_a_payroll_is_released_to_the_employer_of_record(live: Live) -> None:
    desk = derive("con", "Desk")
    found = explain(live.reader, derive("pay", desk, derive("prl", "1")))
    assert found is not None
    assert "released to the Employer of Record" in found["summary"]
    assert {4, 23} <= {rule["number"] for rule in found["steps"][-1]["rules"]}


def test_it_begins_with_what_made_the_payout(live: Live) -> None:
    for name, made_by in ((payout("Logo"), "contract.milestone_approved.v1"), (CODE, "contract.cycle_closed.v1")):
        found = explain(live.reader, name)
        assert found is not None
        assert [step["type"] for step in found["steps"]][:2] == [made_by, "payout.due.v1"]


CODE = cycle_payout("Code", "2026-01-05")


def test_each_step_has_its_rules_what_it_moved_and_what_was_then_where(live: Live) -> None:
    found = explain(live.reader, CODE)
    assert found is not None
    for step in found["steps"]:
        assert step["rules"]
        assert all(SENTENCES[rule["number"]] == rule["text"] for rule in step["rules"])
    reduced = next(step for step in found["steps"] if step["type"] == "payout.reduced.v1")
    assert [(one["direction"], one["amount"]) for one in reduced["entries"]] == [("debit", 8_010), ("credit", 8_010)]
    assert (reduced["payout"]["pending"], reduced["payout"]["returned"]) == (50_000, 8_010)


def test_there_is_no_explanation_of_what_does_not_exist(live: Live) -> None:
    assert explain(live.reader, "pay_x") is None


def test_a_charge_before_the_instant_it_was_due_is_no_payout_yet() -> None:
    """A processor's times have whole seconds: it may have charged at 10:00:00 what was due at 10:00:00.3."""
    history = History("2026-01-05 10:00:00.3")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    payout_id = history.payout(contract).id
    log = [one for one in history.log if payout_id in (one.stream, getattr(one.event, "payout_id", None))]
    early = [
        msgspec.structs.replace(one.event, occurred_at=utc("2026-01-05 10:00:00"))
        if isinstance(one.event, PayoutCharged)
        else one.event
        for one in log
    ]
    source = source_of_events(
        ((one.stream, one.version, event) for one, event in zip(log, early, strict=True)), history.now
    )
    between = AtTimes(source.reader, as_of=utc("2026-01-05 10:00:00"))
    assert explain(between, payout_id) is None
    assert explain(source.reader, payout_id) is not None
    assert timeline(source, payout_id, as_of=utc("2026-01-05 10:00:00")) is not None
