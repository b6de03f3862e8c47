"""The sandbox's processor: what a token says is what it does, once for each key."""

from datetime import timedelta

import pytest

from ledger.bootstrap import Ledger
from ledger.processors.protocol import Outcome, Refund, Request
from ledger.processors.simulated import DECLINES_FOR_GOOD, SimulatedProcessor
from ledger.store.clocks import TestClock
from tests.play import DAY, MICROSECOND, utc
from tests.processes import together

MONDAY = utc("2026-01-05 09:00")


@pytest.fixture
def processor(ledger: Ledger) -> SimulatedProcessor:
    assert isinstance(ledger.outside.processor, SimulatedProcessor)
    return ledger.outside.processor


def request(method: str, key: str = "pay_1:1", amount: int = 500) -> Request:
    return Request(key=key, subject=key.partition(":")[0], amount=amount, currency="USD", method=method)


def refund(key: str = "rev_1") -> Refund:
    return Refund(key=key, subject="pay_1", amount=5, currency="USD", charge_reference="ch_pay_1:1")


def pass_time(ledger: Ledger, by: timedelta) -> None:
    assert isinstance(ledger.clock, TestClock)
    ledger.clock.set(ledger.clock.now() + by)


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_card_mastercard", "pm_card_"])
def test_a_card_pays(processor: SimulatedProcessor, method: str) -> None:
    assert processor.charge(request(method)) == Outcome(at=MONDAY, reference="ch_pay_1:1")


@pytest.mark.parametrize("method", ["pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds"])
def test_a_card_that_declines_fails_and_may_be_tried_again(processor: SimulatedProcessor, method: str) -> None:
    assert processor.charge(request(method)) == Outcome(at=MONDAY, failure="card_declined")


@pytest.mark.parametrize("method", [*DECLINES_FOR_GOOD, "", "ba_test", "card"])
def test_a_card_that_is_gone_or_none_at_all_declines_for_good(processor: SimulatedProcessor, method: str) -> None:
    outcome = processor.charge(request(method))
    assert (outcome.reference, outcome.final) == (None, True)


def test_one_key_has_one_answer_for_ever(ledger: Ledger, processor: SimulatedProcessor) -> None:
    first = processor.charge(request("pm_card_visa"))
    pass_time(ledger, 3 * DAY)
    assert processor.charge(request("pm_card_visa")) == first
    assert processor.charge(request("pm_card_chargeDeclined")) == first
    declined = processor.charge(request("pm_card_chargeDeclined", "pay_1:2"))
    assert declined.at == MONDAY + 3 * DAY
    assert processor.charge(request("pm_card_visa", "pay_1:2")) == declined


def test_eight_threads_that_ask_at_once_under_one_key_get_one_answer(
    ledger: Ledger, processor: SimulatedProcessor
) -> None:
    methods = ["pm_card_visa", "pm_card_chargeDeclined"] * 4
    answers = together(*[lambda method=method: processor.charge(request(method)) for method in methods])
    assert len({repr(answer) for answer in answers}) == 1
    (row,) = ledger.database.fetch("SELECT kind, subject, amount, currency FROM simulated_operations")
    assert row == {"kind": "charge", "subject": "pay_1", "amount": 500, "currency": "USD"}


@pytest.mark.parametrize(
    ("method", "settled"),
    [
        ("ba_test", Outcome(at=MONDAY + DAY, reference="tr_wdr_1")),
        ("ba_test_fails", Outcome(at=MONDAY + DAY, failure="account_closed")),
        ("", Outcome(at=MONDAY + DAY, failure="account_closed")),
    ],
)
def test_a_transfer_takes_24_hours(
    ledger: Ledger, processor: SimulatedProcessor, method: str, settled: Outcome
) -> None:
    under_way = Outcome(at=MONDAY, settles_at=MONDAY + DAY)
    assert processor.transfer(request(method, "wdr_1")) == under_way
    pass_time(ledger, DAY - MICROSECOND)
    assert processor.transfer(request(method, "wdr_1")) == under_way
    pass_time(ledger, MICROSECOND)
    assert processor.transfer(request(method, "wdr_1")) == settled
    pass_time(ledger, 9 * DAY)
    assert processor.transfer(request(method, "wdr_1")) == settled


def test_a_refund_is_paid_once(ledger: Ledger, processor: SimulatedProcessor) -> None:
    first = processor.refund(refund())
    assert first == Outcome(at=MONDAY, reference="re_rev_1")
    pass_time(ledger, DAY)
    assert processor.refund(refund()) == first
    assert len(ledger.database.fetch("SELECT * FROM simulated_operations WHERE kind = 'refund'")) == 1


def test_its_books_are_kept_before_it_answers_whatever_becomes_of_the_ledgers(
    ledger: Ledger, processor: SimulatedProcessor
) -> None:
    head = ledger.log.head()
    processor.charge(request("pm_card_visa"))
    assert ledger.log.head() == head
    assert len(ledger.database.fetch("SELECT * FROM simulated_operations")) == 1
