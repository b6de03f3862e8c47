"""Rules 24 and 25: the outside world is asked under one key until it says what became of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from ledger import events as e
from ledger.bootstrap import Ledger
from ledger.processors.protocol import Outcome, OutcomeUnknown, Request
from ledger.settings import Settings
from ledger.worker import ASK_AGAIN_AFTER
from tests.play import BANK_FAILS, DAY, DECLINES, DECLINES_FOR_GOOD, HOUR, MICROSECOND, PAYS, Play, utc
from tests.processes import in_time


class Asked:
    """Stands before a method of the processor and writes down the keys; `answers` may lose or replace an answer."""

    def __init__(self, ledger: Ledger, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert ledger.outside.processor is not None
        self._ask = getattr(ledger.outside.processor, what)
        self.keys: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[Outcome], Outcome] = lambda outcome: outcome
        monkeypatch.setattr(ledger.outside.processor, what, self)

    def __call__(self, request: Any) -> Outcome:
        self.keys.append(request.key)
        self.before()
        return self.after(self._ask(request))


@pytest.fixture
def asked(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(ledger, "charge", monkeypatch)


def unknown(*_: object) -> Outcome:
    raise OutcomeUnknown("the processor does not say")


def timed_out(*_: object) -> Outcome:
    raise TimeoutError("no answer in time")


def broken(*_: object) -> Outcome:
    raise KeyError("something in the processor's library")


def approved(play: Play, amount: int = 100) -> tuple[str, str]:
    """A contract whose milestone was just approved, and its payout."""
    contract = play.active("single_payment", amount=amount)
    play.submit(contract)
    play.approve(contract)
    return contract, play.payout_ids(contract)[0]


@pytest.mark.parametrize("loses", ["the question", "the answer"])
@pytest.mark.parametrize("how", [unknown, timed_out, broken])
def test_an_unknown_outcome_is_asked_again_under_the_same_key_and_is_no_failure(
    ledger: Ledger, asked: Asked, how: Callable[..., Any], loses: str
) -> None:
    play = Play(ledger)
    if loses == "the question":
        asked.before = how
    else:
        asked.after = how
    contract, payout = approved(play)
    for number in range(1, 4):
        assert asked.keys == [f"{payout}:1"] * number
        assert play.payouts(contract) == ["milestone due 100"]
        play.advance(ASK_AGAIN_AFTER)
    asked.before, asked.after = lambda: None, lambda outcome: outcome
    play.advance(ASK_AGAIN_AFTER)
    assert asked.keys == [f"{payout}:1"] * 5
    assert play.payouts(contract) == ["milestone pending 100"]
    topics = play.topics()
    assert topics.count(e.ChargeRequested.TOPIC) == 1
    assert e.ChargeFailed.TOPIC not in topics
    assert play.payout(payout).failures == 0
    charged_at = utc("2026-01-05 09:00") + (4 * ASK_AGAIN_AFTER if loses == "the question" else timedelta(0))
    assert play.payout(payout).charged_at == charged_at, "the processor's time, not that of the answer"
    assert play.payout(payout).hold_until == charged_at + 4 * DAY


def test_an_unknown_outcome_is_left_alone_for_a_while(ledger: Ledger, asked: Asked) -> None:
    play = Play(ledger)
    asked.before = unknown
    approved(play)
    for _ in range(3):
        ledger.worker.drain()
    play.advance(ASK_AGAIN_AFTER - MICROSECOND)
    assert len(asked.keys) == 1
    play.advance(MICROSECOND)
    assert len(asked.keys) == 2


def test_the_line_of_an_unknown_outcome_names_the_event_that_it_follows_from_and_so_its_command(
    ledger: Ledger, asked: Asked
) -> None:
    play = Play(ledger)
    asked.before = unknown
    with capture_logs() as lines:
        _, payout = approved(play)
    (line,) = lines
    (requested,) = [one for one in play.events() if isinstance(one.event, e.ChargeRequested)]
    assert (line["stream"], line["cause_id"]) == (payout, requested.id)
    assert line["command_id"]


def test_while_an_outcome_is_unknown_nobody_makes_another_attempt(ledger: Ledger, asked: Asked) -> None:
    play = Play(ledger)
    asked.before = unknown
    contract, payout = approved(play)
    play.card(PAYS)
    play.advance(3 * DAY)
    assert set(asked.keys) == {f"{payout}:1"}
    assert play.topics().count(e.ChargeRequested.TOPIC) == 1
    assert play.payouts(contract) == ["milestone due 100"]


def test_an_unknown_outcome_holds_up_no_other_charge(ledger: Ledger, asked: Asked) -> None:
    play = Play(ledger)
    asked.before = unknown
    stuck, _ = approved(play)
    asked.before = lambda: None
    other, _ = approved(play)
    assert play.payouts(other) == ["milestone pending 100"]
    assert play.payouts(stuck) == ["milestone due 100"]


def test_a_restarted_worker_asks_again_under_the_same_key(ledger: Ledger, settings: Settings, asked: Asked) -> None:
    play = Play(ledger)
    asked.after = unknown
    contract, payout = approved(play)
    fresh = Ledger(settings, ledger.database)
    fresh.worker.drain()
    (operation,) = ledger.database.fetch("SELECT key FROM simulated_operations")
    assert operation["key"] == f"{payout}:1"
    assert play.payouts(contract) == ["milestone pending 100"]


def test_each_failure_is_followed_by_an_attempt_24_hours_later_under_a_key_of_its_own(
    ledger: Ledger, asked: Asked
) -> None:
    play = Play(ledger, card=DECLINES)
    contract, payout = approved(play)
    play.advance(20 * DAY)
    assert asked.keys == [f"{payout}:{number}" for number in range(1, 11)]
    assert play.payout(payout).next_attempt_at is None
    assert play.contract(contract).status == "suspended"


def test_a_decline_that_the_processor_calls_final_is_not_tried_again(ledger: Ledger, asked: Asked) -> None:
    play = Play(ledger, card=DECLINES_FOR_GOOD)
    contract, _ = approved(play)
    play.advance(20 * DAY)
    assert len(asked.keys) == 1
    play.card(PAYS)
    assert play.payouts(contract) == ["milestone pending 100"]


def test_an_answer_that_comes_after_its_payout_was_charged_changes_nothing(ledger: Ledger, asked: Asked) -> None:
    """Another worker asked meanwhile, and recorded the answer first."""
    play = Play(ledger)
    fresh = Ledger(ledger.settings, ledger.database)
    fresh.outside.processor = None
    calls = 0

    def let_the_other_in(outcome: Outcome) -> Outcome:
        nonlocal calls
        calls += 1
        if calls == 1:
            ledger.views.catch_up()
            answers = ledger.outside.ask(ledger.agenda.due(play.now, 9, kinds=["ask"], without=()), play.now)
            ledger.service.handle_all([answer for answer in answers if answer])
        return outcome

    asked.after = let_the_other_in
    contract, payout = approved(play)
    assert calls == 2
    assert play.topics().count(e.PayoutCharged.TOPIC) == 1
    assert play.payouts(contract) == ["milestone pending 100"]
    assert play.balance() == (100, 0, 0)
    assert play.payout(payout).charged == 100


# Withdrawals and refunds


def with_available(play: Play, amount: int = 1_000) -> None:
    approved(play, amount)
    play.advance(4 * DAY)
    assert play.balance() == (0, amount, 0)


def test_a_withdrawal_is_in_transit_for_a_day_and_then_paid(ledger: Ledger) -> None:
    play = Play(ledger)
    with_available(play)
    play.withdraw(300)
    assert play.balance() == (0, 700, 300)
    play.advance(DAY - MICROSECOND)
    assert play.balance() == (0, 700, 300)
    play.advance(MICROSECOND)
    assert play.balance() == (0, 700, 0)


def test_a_withdrawal_that_fails_comes_back(ledger: Ledger) -> None:
    play = Play(ledger, bank=BANK_FAILS)
    with_available(play)
    play.withdraw(300)
    play.advance(DAY)
    assert play.balance() == (0, 1_000, 0)


def test_a_withdrawal_whose_outcome_is_unknown_stays_in_transit_and_is_asked_again_under_the_same_key(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(ledger)
    with_available(play)
    asked = Asked(ledger, "transfer", monkeypatch)
    asked.after = unknown
    withdrawal = play.withdraw(300)
    play.advance(2 * HOUR)
    assert play.balance() == (0, 700, 300)
    asked.after = lambda outcome: outcome
    play.advance(2 * DAY)
    assert play.balance() == (0, 700, 0)
    assert set(asked.keys) == {withdrawal}
    (operation,) = ledger.database.fetch("SELECT key, amount FROM simulated_operations WHERE kind = 'transfer'")
    assert operation == {"key": withdrawal, "amount": 300}


def test_a_refund_is_sent_once_under_the_key_of_its_reversal(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(ledger)
    _, payout = approved(play, 1_000)
    asked = Asked(ledger, "refund", monkeypatch)
    asked.after = unknown
    reversal = play.reverse(payout, 400)
    play.advance(HOUR)
    asked.after = lambda outcome: outcome
    play.advance(HOUR)
    play.advance(HOUR)
    assert set(asked.keys) == {reversal}
    (operation,) = ledger.database.fetch("SELECT key, amount FROM simulated_operations WHERE kind = 'refund'")
    assert operation == {"key": reversal, "amount": 400}
    assert play.topics().count(e.RefundPaid.TOPIC) == 1
    assert play.balance() == (600, 0, 0)


def test_a_chargeback_sends_nothing_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(ledger)
    _, payout = approved(play, 1_000)
    asked = Asked(ledger, "refund", monkeypatch)
    play.reverse(payout, 400, "chargeback")
    play.advance(HOUR)
    assert asked.keys == []


# The time


class Ticking:
    """A clock that goes on while the worker works, as every real one does."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


@pytest.fixture
def ticking(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ticking:
    clock = Ticking(utc("2026-01-05 10:00"))
    for part in (ledger, ledger.outside.processor):
        monkeypatch.setattr(part, "clock" if part is ledger else "_clock", clock)
    monkeypatch.setattr(ledger.worker, "_clock", clock)
    return clock


def test_what_the_processor_did_is_recorded_after_it_was_done(ledger: Ledger, ticking: Ticking) -> None:
    """Rule 28: recorded_at is when it was written, however long the worker had been at it by then."""
    play = Play(ledger, up=False)
    for _ in range(3):
        approved(play)
    in_time(ledger.worker.drain)
    charged = [one.event for one in play.events() if isinstance(one.event, e.PayoutCharged)]
    assert len(charged) == 3
    for event in charged:
        assert event.occurred_at <= event.recorded_at <= ticking.now()


def test_the_clock_of_the_processor_counts_for_the_hold(ledger: Ledger, asked: Asked) -> None:
    play = Play(ledger)
    asked.after = lambda outcome: replace(outcome, at=outcome.at - HOUR)
    _, payout = approved(play)
    assert play.payout(payout).charged_at == utc("2026-01-05 08:00")
    play.advance("2026-01-09 08:00")
    assert play.payout(payout).status == "released"


def test_without_a_processor_charges_wait_and_mail_goes_out(ledger: Ledger, settings: Settings) -> None:
    play = Play(ledger)
    ledger.outside.processor = None
    ledger.outside.kinds = ("notify",)
    contract, _ = approved(play)
    play.advance(HOUR)
    assert play.payouts(contract) == ["milestone due 100"]
    assert play.topics().count(e.NotificationSent.TOPIC) == 1
    fresh = Ledger(settings, ledger.database)
    fresh.worker.drain()
    assert play.payouts(contract) == ["milestone pending 100"]


def test_the_question_names_everything_that_the_processor_needs(ledger: Ledger, asked: Asked) -> None:
    seen: list[Request] = []
    ask = asked._ask
    asked._ask = lambda request: seen.append(request) or ask(request)  # type: ignore[func-returns-value]
    play = Play(ledger)
    _, payout = approved(play, 12_345)
    (request,) = seen
    assert (request.key, request.subject) == (f"{payout}:1", payout)
    assert (request.amount, request.currency, request.method) == (12_345, "USD", PAYS)
