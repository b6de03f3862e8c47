"""Stripe as the processor: charged, refunded and paid out once, whatever is lost, repeated, late or broken in between."""

from datetime import timedelta
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from ledger.bootstrap import open_ledger
from ledger.events import WithdrawalFailed
from ledger.processors.protocol import OutcomeUnknown, Request
from ledger.processors.stripe import StripeProcessor
from ledger.store.erasure import erase_texts
from tests.conftest import Server
from tests.databases import MONDAY
from tests.processes import together
from tests.processors.conftest import ASK_AGAIN, World
from tests.processors.fake_books import ACTION, PAYS, PROCESSING
from tests.processors.fake_stripe import BROKEN, BROKEN_AFTER, BUSY, LOCKED, LOSE, SECRET_KEY, UNREACHED

FAULTS = [LOSE, UNREACHED, BROKEN, BROKEN_AFTER, BUSY, LOCKED]
DAY, MONTH = timedelta(days=1), timedelta(days=31)
CREATE = "POST /v1/payment_intents"


# Charging


def test_a_charge_is_pending_at_stripes_time(world: World) -> None:
    payout = world.due()
    world.stripe_at = MONDAY + timedelta(seconds=7)
    world.work()
    state = world.payout(payout)
    assert (state.status, state.amount, state.charged_at) == ("pending", 50_000, MONDAY + timedelta(seconds=7))
    assert state.hold_until == MONDAY + timedelta(days=4, seconds=7)
    (payment,) = world.books.payments.values()
    assert (payment["id"], payment["metadata"]) == (state.reference, {"payout_id": payout, "attempt": "1"})
    assert [one.key for one in world.stripe.asked if one.what == CREATE] == [f"{payout}:1"]


def test_a_card_that_belongs_to_a_customer_is_charged_as_theirs(world: World) -> None:
    world.books.customers["pm_card_visa"] = "cus_clara"
    _, payment = world.paid()
    (asked,) = [one for one in world.stripe.asked if one.what == CREATE]
    assert asked.params["customer"] == "cus_clara"
    assert world.books.payments[payment]["status"] == "succeeded"


def test_a_decline_is_a_failure_at_stripes_time_and_its_payment_can_never_be_paid_any_more(world: World) -> None:
    world.books.cards["pm_card_visa"] = "insufficient_funds"
    world.stripe_at = MONDAY + timedelta(seconds=7)
    payout = world.due()
    world.work()
    state = world.payout(payout)
    assert (state.status, state.failures, state.last_failure) == ("charge_failed", 1, "insufficient_funds")
    assert state.next_attempt_at == MONDAY + timedelta(days=1, seconds=7)
    assert [one["status"] for one in world.books.payments.values()] == ["canceled"]


@pytest.mark.parametrize("code", ["stolen_card", "lost_card", "expired_card", "do_not_try_again"])
def test_a_final_decline_is_not_retried_on_schedule(world: World, code: str) -> None:
    world.books.cards["pm_card_visa"] = code
    payout = world.due()
    world.work()
    assert (world.payout(payout).last_failure, world.payout(payout).next_attempt_at) == (code, None)


def test_a_decline_with_the_advice_not_to_try_again_is_final(world: World) -> None:
    world.books.cards["pm_card_visa"], world.books.advice = "generic_decline", "do_not_try_again"
    payout = world.due()
    world.work()
    assert (world.payout(payout).last_failure, world.payout(payout).next_attempt_at) == ("generic_decline", None)


def test_a_charge_that_asks_for_its_client_is_declined_and_tried_again_later(world: World) -> None:
    world.books.cards["pm_card_visa"] = ACTION
    payout = world.due()
    world.work()
    assert world.payout(payout).last_failure == "authentication_required"
    assert world.payout(payout).next_attempt_at is not None
    world.books.cards["pm_card_visa"] = PAYS
    world.work(DAY)
    assert world.payout(payout).status == "pending"
    assert sorted(one["status"] for one in world.books.payments.values()) == ["canceled", "succeeded"]


@pytest.mark.parametrize(
    ("token", "amount", "code"),
    [
        ("pm_unknown", 50_000, "resource_missing"),
        ("tok_1", 50_000, "no_payment_method_of_stripe"),
        ("pm_card_visa", 49, "amount_too_small"),
    ],
)
def test_what_stripe_refuses_for_good_is_a_final_failure(world: World, token: str, amount: int, code: str) -> None:
    world.play.card(token)
    payout = world.due(amount)
    world.work()
    assert (world.payout(payout).last_failure, world.payout(payout).next_attempt_at) == (code, None)
    assert not world.books.payments


def test_a_currency_that_stripe_counts_otherwise_is_never_charged(world: World) -> None:
    contract = world.play.active("single_payment", amount=50_000, currency="ISK")
    world.play.submit(contract)
    world.play.approve(contract)
    world.work()
    assert world.payout(world.play.payout_ids(contract)[0]).last_failure == "currency_not_supported"
    assert world.stripe.count(CREATE) == 0


@pytest.mark.parametrize("ends", [PAYS, "insufficient_funds"])
def test_a_charge_that_takes_days_is_asked_about_until_it_ends_and_is_one_charge(world: World, ends: str) -> None:
    world.books.cards["pm_card_visa"] = PROCESSING
    payout = world.due()
    world.work()
    world.work_until(MONDAY + timedelta(hours=30), timedelta(hours=3))
    assert (world.payout(payout).status, world.payout(payout).failures) == ("due", 0)
    (payment,) = world.books.payments
    world.books.finish(payment, ends)
    world.work(timedelta(hours=3))
    assert world.payout(payout).status == ("pending" if ends == PAYS else "charge_failed")
    assert len(world.books.payments) == 1


# Once


@pytest.mark.parametrize("then", [ASK_AGAIN, 2 * ASK_AGAIN, timedelta(hours=23), timedelta(hours=25), MONTH])
def test_rule_24_an_unknown_outcome_is_no_failure_and_each_client_is_charged_once(
    world: World, then: timedelta
) -> None:
    payouts = [world.due() for _ in FAULTS]
    for fault in FAULTS:
        world.stripe.fail_next(fault)
    world.work()
    assert {(world.payout(one).status, world.payout(one).failures) for one in payouts} == {("due", 0)}
    world.work(then)
    world.work_until(MONDAY + timedelta(hours=26), timedelta(hours=1))  # a 500 is remembered for a day
    assert {(world.payout(one).charged, world.payout(one).failures) for one in payouts} == {(50_000, 0)}
    assert [one["status"] for one in world.books.payments.values()] == ["succeeded"] * len(FAULTS)


@pytest.mark.parametrize("what", ["GET /v1/payment_intents/search", "GET /v1/payment_methods", CREATE])
def test_each_question_of_a_charge_may_be_broken_off(world: World, what: str) -> None:
    payout = world.due()
    for fault in (UNREACHED, LOSE, BUSY):
        world.stripe.fail_next(fault, what)
    for _ in range(4):
        world.work(ASK_AGAIN)
    assert world.payout(payout).status == "pending"
    assert world.books.charged() == 50_000


@pytest.mark.parametrize("then", [ASK_AGAIN, timedelta(hours=23)])
@pytest.mark.parametrize(
    ("card", "failure"),
    [(PAYS, None), ("insufficient_funds", "insufficient_funds"), (ACTION, "authentication_required")],
)
def test_a_worker_that_dies_before_it_records_the_answer_leads_to_no_second_charge(
    world: World, card: str, failure: str | None, then: timedelta
) -> None:
    world.books.cards["pm_card_visa"] = card
    payout = world.due()
    world.stripe.fail_next(UNREACHED)
    world.work()  # the charge is requested, and not known at Stripe
    world.ask_and_crash()
    world.clock.at += then
    with open_ledger(world.settings) as another:
        another.worker.drain()
    state = world.payout(payout)
    assert (state.status, state.last_failure) == ("charge_failed" if failure else "pending", failure)
    assert (state.failures, len(world.books.payments)) == (1 if failure else 0, 1)


def test_two_workers_that_ask_at_once_charge_once(world: World) -> None:
    processors = [StripeProcessor(SECRET_KEY, world.clock, world.stripe.url) for _ in range(4)]
    request = Request(key="pay_x:1", subject="pay_x", amount=100, currency="USD", method="pm_card_visa")
    outcomes = together(*(lambda one=one: one.charge(request) for one in processors))
    assert len({outcome.reference for outcome in outcomes}) == 1
    assert world.books.charged() == 100


def test_a_cancelling_that_is_lost_is_done_again_before_the_failure_is_recorded(world: World) -> None:
    world.books.cards["pm_card_visa"] = "insufficient_funds"
    payout = world.due()
    world.stripe.fail_next(UNREACHED, "POST /v1/payment_intents/")
    world.work()
    assert (world.payout(payout).status, world.payout(payout).failures) == ("due", 0)
    world.work(ASK_AGAIN)
    assert (world.payout(payout).failures, world.payout(payout).last_failure) == (1, "insufficient_funds")
    assert [one["status"] for one in world.books.payments.values()] == ["canceled"]


def test_a_payment_that_is_paid_before_it_could_be_cancelled_is_paid(world: World) -> None:
    world.books.cards["pm_card_visa"] = "insufficient_funds"
    payout = world.due()
    world.stripe.fail_next(UNREACHED, "POST /v1/payment_intents/")
    world.work()
    (payment,) = world.books.payments
    world.books.finish(payment, PAYS)
    world.work(ASK_AGAIN)
    assert (world.payout(payout).status, world.payout(payout).reference) == ("pending", payment)


def test_an_attempt_that_was_given_up_and_paid_all_the_same_is_found_and_not_charged_again(world: World) -> None:
    world.books.cards["pm_card_visa"] = "insufficient_funds"
    payout = world.due()
    world.work()
    (payment,) = world.books.payments
    world.books.finish(payment, PAYS)  # which Stripe rules out for a cancelled one
    world.work(DAY)
    assert (world.payout(payout).status, world.payout(payout).reference) == ("pending", payment)
    assert len(world.books.payments) == 1


# Refunds


@pytest.mark.parametrize("then", [ASK_AGAIN, MONTH])
def test_each_refund_is_sent_once(world: World, then: timedelta) -> None:
    paid = [world.paid() for _ in (None, *FAULTS)]
    for fault in FAULTS:
        world.stripe.fail_next(fault, "POST /v1/refunds")
    for payout, _ in paid:
        world.play.reverse(payout, 20_000)
    world.work()
    world.work(then)
    world.work_until(MONDAY + timedelta(hours=26), timedelta(hours=1))
    refunds = [(one["payment_intent"], one["amount"]) for one in world.books.refunds.values()]
    assert sorted(refunds) == sorted((payment, 20_000) for _, payment in paid)
    for payout, _ in paid:
        assert [one.paid_at is not None for one in world.payout(payout).refunds] == [True]


def test_a_refund_that_failed_is_not_recorded_as_sent(world: World) -> None:
    payout, _ = world.paid()
    world.play.reverse(payout, 20_000)
    world.stripe.fail_next(LOSE, "POST /v1/refunds")
    world.work()
    (refund,) = world.books.refunds.values()
    refund["status"] = "failed"
    world.work(ASK_AGAIN)
    assert [one.paid_at for one in world.payout(payout).refunds] == [None]
    assert len(world.books.refunds) == 1


# Withdrawals


def test_a_withdrawal_is_paid_when_the_bank_has_it(world: World) -> None:
    world.released()
    world.play.withdraw(30_000)
    world.work()
    assert world.play.balance() == (0, 20_000, 30_000)
    (payout,) = world.books.payouts
    world.work(timedelta(days=1, hours=20))
    assert world.play.balance() == (0, 20_000, 30_000), "in transit while Stripe says so"
    world.books.arrive(payout)
    world.work(ASK_AGAIN)
    assert world.play.balance() == (0, 20_000, 0)
    assert (len(world.books.transfers), len(world.books.payouts)) == (1, 1)


@pytest.mark.parametrize("bank", ["account_closed", "payouts_not_allowed"])
def test_a_withdrawal_that_fails_comes_back_from_the_connected_account(world: World, bank: str) -> None:
    world.released()
    world.books.banks["acct_test"] = bank
    world.play.withdraw(30_000)
    world.work()
    for payout in world.books.payouts:
        world.books.arrive(payout)
    world.stripe.fail_next(LOSE, "POST /v1/transfers/")
    world.work(3 * DAY)
    world.work(ASK_AGAIN)
    assert world.play.balance() == (0, 50_000, 0)
    assert world.play.topics().count("freelancer.withdrawal_failed.v1") == 1
    assert [one["reversed"] for one in world.books.transfers.values()] == [True]


@pytest.mark.parametrize("what", ["POST /v1/transfers", "POST /v1/payouts"])
@pytest.mark.parametrize("then", [ASK_AGAIN, MONTH])
def test_each_withdrawal_is_sent_once(world: World, what: str, then: timedelta) -> None:
    world.released()
    for fault in FAULTS:
        world.stripe.fail_next(fault, what)
    for _ in FAULTS:
        world.play.withdraw(5_000)
    world.work()
    asked = world.clock.at
    world.work(then)
    world.work_until(asked + timedelta(hours=26), timedelta(hours=1))
    for payout in world.books.payouts:
        world.books.arrive(payout)
    world.work(3 * DAY)
    assert world.play.balance() == (0, 50_000 - 5_000 * len(FAULTS), 0)
    assert [one["amount"] for one in world.books.transfers.values()] == [5_000] * len(FAULTS)
    assert [one["amount"] for one in world.books.payouts.values()] == [5_000] * len(FAULTS)
    assert world.books.held_by("acct_test") == 0


def test_a_destination_that_stripe_does_not_know_fails(world: World) -> None:
    world.released()
    world.play.bank("acct_unknown")
    world.play.withdraw(30_000)
    world.work()
    assert world.play.balance() == (0, 50_000, 0)


def failures(world: World) -> list[str]:
    """Why withdrawals failed."""
    events = [stored.event for stored in world.ledger.log.read_all()]
    return [event.failure for event in events if isinstance(event, WithdrawalFailed)]


def test_what_is_no_account_of_stripe_is_not_asked_for(world: World) -> None:
    world.released()
    world.play.bank("ba_test")
    world.play.withdraw(30_000)
    world.work()
    assert world.play.balance() == (0, 50_000, 0)
    assert failures(world) == ["no_account_of_stripe"]


def test_a_withdrawal_whose_freelancer_is_erased_before_stripe_is_asked_comes_back(
    world: World, server: Server
) -> None:
    world.released()
    world.play.withdraw(30_000)
    erase_texts(server.admin_url_of(world.ledger.database.url), world.play.freelancer)
    world.work()
    assert world.play.balance() == (0, 50_000, 0)
    assert failures(world) == ["no_account_of_stripe"]


# What is kept to ourselves


def test_no_secret_of_ours_and_no_word_of_stripe_is_in_an_error_or_a_log(world: World) -> None:
    wrong = StripeProcessor("sk_test_wrong_and_secret", world.clock, world.stripe.url)
    request = Request(key="pay_x:1", subject="pay_x", amount=100, currency="USD", method="pm_card_visa")
    with pytest.raises(OutcomeUnknown) as unknown:
        wrong.charge(request)
    assert str(unknown.value) == "AuthenticationError 401 req_fake"
    assert unknown.value.__suppress_context__
    assert isinstance(world.settings.stripe_secret_key, SecretStr)
    with structlog.testing.capture_logs() as logs:
        world.stripe.fail_next(BROKEN)
        world.due()
        world.work()
    assert logs
    assert "sk_test" not in repr(logs)
    assert "whsec" not in repr(world.settings)


def test_a_withdrawal_whose_arrival_stripe_puts_off_is_asked_about_when_it_is_to_arrive_then(world: World) -> None:
    world.released()
    world.play.withdraw(30_000)
    world.work()
    (payout,) = world.books.payouts.values()
    later = payout["arrival_date"] + 3 * 86_400
    payout["arrival_date"] = later
    world.clock.at = withdrawal_of(world).settles_at
    world.work()
    assert withdrawal_of(world).settles_at.timestamp() == later
    asked = len(world.stripe.asked)
    world.work_until(withdrawal_of(world).settles_at - timedelta(hours=7), timedelta(hours=6))
    assert len(world.stripe.asked) == asked, "until then Stripe is left alone"
    world.books.arrive(payout["id"])
    world.clock.at = withdrawal_of(world).settles_at
    world.work()
    assert world.play.balance() == (0, 20_000, 0)
    assert world.play.topics().count("freelancer.withdrawal_submitted.v1") == 2


def withdrawal_of(world: World) -> Any:
    state = world.ledger.log.load([world.play.freelancer])[world.play.freelancer]
    return state.withdrawals[-1]
