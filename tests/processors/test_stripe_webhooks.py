"""Stripe's webhooks, over HTTP and signed: in every order, repeated, late, at once, forged, or while Stripe is away."""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import structlog

from api.app import WEBHOOKS_AT_ONCE, create_app
from ledger.bootstrap import open_ledger
from tests.api.world import check_problem, served
from tests.databases import MONDAY
from tests.faults.rounds import rounds
from tests.faults.running import wait_for
from tests.processes import PATIENCE_SECONDS, together
from tests.processors.conftest import ASK_AGAIN, PATH, WEBHOOK_SECRETS, Hook, World, signed
from tests.processors.fake_books import Json, event
from tests.processors.fake_stripe import LOSE, UNREACHED
from tests.processors.stories import HOUR, NOON, REFUNDED_THEN_DISPUTED, STORIES, charge, payment

DAY = timedelta(days=1)
AMOUNT = 50_000
BONUSES = 24
"""On one contract."""
MANY = 60
"""Webhooks at once: the server has forty threads for everybody."""


# In every order: all orders of one story are in test_stripe_orders.py


def charged_and_unheard(world: World, count: int) -> list[tuple[str, str]]:
    """Payouts whose charges succeeded at Stripe at NOON while every answer was lost, with their PaymentIntents."""
    for number in range(count):
        if number % BONUSES == 0:
            contract = world.play.active("single_payment", amount=AMOUNT)
        world.play.bonus(contract, AMOUNT)
        world.stripe.fail_next(LOSE)
    world.work(NOON - MONDAY)  # the close, at which bonuses are invoiced
    world.clock.at = NOON + DAY
    payments = {one["metadata"]["payout_id"]: one["id"] for one in world.books.payments.values()}
    assert len(payments) == count
    return list(payments.items())


def final_states(world: World) -> dict[str, tuple[Any, Any]]:
    """By payout: its state and its statement, but for ids and for when and where they were recorded."""
    world.ledger.views.catch_up()
    lines: dict[str, list[Any]] = {}
    for line in reversed(world.ledger.reader.lines(world.play.freelancer, limit=100_000)):
        changes = (line.pending_change, line.available_change, line.in_transit_change)
        lines.setdefault(line.subject, []).append((line.type, line.occurred_at, changes, line.available_on))
    states = {payout: msgspec.to_builtins(world.payout(payout)) for payout in lines}
    return {payout: (_without_ids(state), lines[payout]) for payout, state in states.items()}


def _without_ids(state: Json) -> Json:
    for name in ("id", "source", "reference", "contract_id"):
        state.pop(name)
    for one in (*state["reversals"], *state["refunds"]):
        one.pop("id")
    return state


def one_state(world: World, payouts: list[str]) -> Json:
    """The state that all of them are in, which must be one; the books agree with it."""
    states = final_states(world)
    first = states[payouts[0]]
    for payout in payouts:
        assert states[payout] == first
    held = sum(world.payout(payout).held for payout in payouts)
    assert world.play.balance() == (held, 0, 0)
    assert world.ledger.log.head() == world.ledger.reader.position()
    state: Json = first[0]
    return state


def test_webhooks_shuffled_and_repeated_end_in_the_same_state(world: World, hook: Hook) -> None:
    """In each round Stripe has gone as far as it must have, or any way beyond."""
    chance = random.Random(20260105)
    payouts = charged_and_unheard(world, rounds(ci=25, soak=2_000))
    told: dict[int, list[str]] = {}
    for round_, (payout, identifier) in enumerate(payouts):
        steps = STORIES[round_ % len(STORIES)]
        told.setdefault(round_ % len(STORIES), []).append(payout)
        story = world.story(identifier, steps)
        deliveries = [*range(len(steps)), *chance.choices(range(len(steps)), k=chance.randrange(4))]
        chance.shuffle(deliveries)
        for number in deliveries:
            story.go_to(max(number, chance.choice((0, chance.randrange(len(steps))))))
            hook.takes(story.sent[number])
    states = final_states(world)
    for alike in told.values():
        for payout in alike:
            assert states[payout] == states[alike[0]]
    assert [states[alike[0]][0]["pending"] for alike in told.values()] == [40_000, 30_000, 0]


def test_webhooks_that_come_at_once_have_one_effect(world: World, hook: Hook) -> None:
    ((payout, identifier),) = charged_and_unheard(world, 1)
    story = world.story(identifier, REFUNDED_THEN_DISPUTED)
    story.go_to(5)
    answers = together(*(lambda one=one: hook.deliver(one).status_code for one in story.sent * 2))
    assert set(answers) <= {200, 503}, "what meets another at the same object is to be sent again"
    for one in story.sent:
        hook.takes(one)
    assert one_state(world, [payout])["pending"] == 40_000
    assert len(world.payout(payout).reversals) == 2


def test_webhooks_a_month_late_take_from_what_was_released(world: World, hook: Hook) -> None:
    world.work(NOON - MONDAY)
    payout, identifier = world.paid()
    story = world.story(identifier, REFUNDED_THEN_DISPUTED)
    story.go_to(5)
    world.work(timedelta(days=31))
    assert world.play.balance() == (0, AMOUNT, 0)
    for one in reversed(story.sent):
        hook.takes(one)
    world.work()
    assert world.play.balance() == (0, 40_000, 0)
    state = world.payout(payout)
    assert [(one.from_pending, one.from_available) for one in state.reversals] == [(0, 10_000), (0, 40_000)]
    assert {one.at for one in state.reversals} == {state.released_at}, "not before the money was there"
    assert len(world.books.refunds) == 1


def test_after_all_webhooks_the_worker_asks_for_nothing_more(world: World, hook: Hook) -> None:
    ((payout, identifier),) = charged_and_unheard(world, 1)
    story = world.story(identifier, REFUNDED_THEN_DISPUTED)
    story.go_to(5)
    hook.takes(story.sent[3])
    before = final_states(world)
    world.work(HOUR)
    assert final_states(world) == before
    assert (len(world.books.payments), len(world.books.refunds)) == (1, 1)
    assert world.payout(payout).status == "pending"


# One by one


def test_a_failure_is_recorded_once_whether_stripe_or_the_worker_is_first(world: World, hook: Hook) -> None:
    world.books.cards["pm_card_visa"] = "insufficient_funds"
    payout = world.due()
    world.stripe.fail_next(LOSE)
    world.work()
    (identifier,) = world.books.payments
    failed = event("payment_intent.payment_failed", payment(world.books, identifier))
    hook.takes(failed)
    hook.takes(failed)
    world.work(ASK_AGAIN)
    state = world.payout(payout)
    assert (state.status, state.failures, state.last_failure) == ("charge_failed", 1, "insufficient_funds")
    assert payment(world.books, identifier)["status"] == "canceled"
    world.books.cards["pm_card_visa"] = "pays"
    world.work(DAY)
    hook.takes(failed)
    assert (world.payout(payout).status, world.payout(payout).failures) == ("pending", 1)


def test_a_dispute_that_takes_more_than_the_payout_holds_takes_what_it_holds_and_says_so(
    world: World, hook: Hook
) -> None:
    payout, identifier = world.paid()
    dispute = world.books.dispute(identifier, 70_000)
    with structlog.testing.capture_logs() as logs:
        hook.takes(event("charge.dispute.created", dispute))
    assert (world.payout(payout).status, world.payout(payout).reversals[0].amount) == ("reversed", AMOUNT)
    (warning,) = [one for one in logs if one["log_level"] == "warning"]
    assert (warning["amount"], warning["uncovered"], warning["stripe"]) == (70_000, 20_000, dispute["id"])


def test_an_inquiry_takes_nothing_until_it_becomes_a_chargeback(world: World, hook: Hook) -> None:
    payout, identifier = world.paid()
    dispute = world.books.dispute(identifier, 20_000, status="warning_needs_response")
    hook.takes(event("charge.dispute.created", dispute))
    assert world.payout(payout).reversals == ()
    dispute["status"] = "needs_response"
    hook.takes(event("charge.dispute.funds_withdrawn", dispute))
    assert world.payout(payout).held == 30_000


def test_a_refund_of_the_ledgers_own_is_sent_and_reverses_nothing_more(world: World, hook: Hook) -> None:
    payout, identifier = world.paid()
    world.play.reverse(payout, 20_000)
    world.stripe.fail_next(LOSE, "POST /v1/refunds")
    world.work()
    assert world.payout(payout).refunds[0].paid_at is None
    hook.takes(event("charge.refunded", charge(world.books, identifier)))
    state = world.payout(payout)
    assert (len(state.reversals), state.held) == (1, 30_000)
    assert state.refunds[0].paid_at is not None
    world.work(ASK_AGAIN)
    assert len(world.books.refunds) == 1


def test_a_refund_in_the_dashboard_is_reversed_when_it_leaves_and_paid_when_it_arrives(
    world: World, hook: Hook
) -> None:
    payout, identifier = world.paid()
    refund = world.books.refund(identifier, 20_000, status="pending")
    hook.takes(event("refund.created", refund))
    world.work()
    assert (world.payout(payout).held, world.payout(payout).refunds[0].paid_at) == (30_000, None)
    assert len(world.books.refunds) == 1, "the ledger sends no second one"
    refund["status"] = "succeeded"
    hook.takes(event("refund.updated", refund))
    assert world.payout(payout).refunds[0].paid_at is not None


def test_a_success_of_an_attempt_that_was_given_up_is_said_and_found_by_the_next(world: World, hook: Hook) -> None:
    world.books.cards["pm_card_visa"] = "insufficient_funds"
    payout = world.due()
    world.work()
    (identifier,) = world.books.payments
    world.books.finish(identifier, "pays")  # which Stripe rules out
    with structlog.testing.capture_logs() as logs:
        hook.takes(event("payment_intent.succeeded", payment(world.books, identifier)))
    assert [one["payment"] for one in logs if one["log_level"] == "error"] == [identifier]
    world.work(DAY)
    assert (world.payout(payout).reference, len(world.books.payments)) == (identifier, 1)


def test_a_withdrawal_is_paid_when_stripe_reports_it(world: World, hook: Hook) -> None:
    world.released()
    world.play.withdraw(30_000)
    world.work()
    (payout,) = world.books.payouts.values()
    world.books.arrive(payout["id"])
    paid = event("payout.paid", payout, account="acct_test")
    for _ in range(2):
        assert hook.deliver(paid, WEBHOOK_SECRETS[1]).status_code == 200
    world.work()
    assert world.play.balance() == (0, 20_000, 0)
    assert hook.deliver(paid, WEBHOOK_SECRETS[1]).status_code == 200


def test_a_withdrawal_comes_back_when_stripe_reports_its_failure(world: World, hook: Hook) -> None:
    world.books.banks["acct_test"] = "account_closed"
    world.released()
    world.play.withdraw(30_000)
    world.stripe.fail_next(LOSE, "POST /v1/payouts")
    world.work()
    (payout,) = world.books.payouts.values()
    world.books.arrive(payout["id"])
    world.stripe.fail_next(UNREACHED, "POST /v1/transfers/")
    failed = event("payout.failed", payout, account="acct_test")
    assert hook.deliver(failed).status_code == 503, "the money is not back yet"
    hook.takes(failed)
    hook.takes(failed)
    world.work()
    assert world.play.balance() == (0, AMOUNT, 0)
    assert world.books.held_by("acct_test") == 0


# What is not taken


def test_while_stripe_is_away_a_webhook_is_to_be_sent_again(world: World, hook: Hook) -> None:
    ((payout, identifier),) = charged_and_unheard(world, 1)
    succeeded = event("payment_intent.succeeded", payment(world.books, identifier))
    world.stripe.fail_next(UNREACHED, "GET /v1/payment_intents")
    answer = hook.deliver(succeeded)
    assert (answer.status_code, check_problem(answer)["code"]) == (503, "processor_unavailable")
    assert "retry-after" in answer.headers
    assert world.payout(payout).status == "due"
    hook.takes(succeeded)
    assert world.payout(payout).status == "pending"


def test_while_stripe_is_silent_webhooks_wait_by_themselves_and_everybody_else_is_answered(
    world: World, hook: Hook
) -> None:
    """More of them than the server has threads; a webhook whose turn does not come is to be sent again."""
    ((payout, identifier),) = charged_and_unheard(world, 1)
    succeeded = event("payment_intent.succeeded", payment(world.books, identifier))
    world.stripe.answering.clear()
    with ThreadPoolExecutor(MANY) as pool:
        try:
            delivered = [pool.submit(hook.deliver, succeeded) for _ in range(MANY)]
            wait_for(lambda: world.stripe.waiting >= WEBHOOKS_AT_ONCE, "webhooks wait for Stripe")
            for _ in range(5):
                assert hook.http.get("/v1/contracts").status_code == 401
                assert hook.http.get("/v1/health").status_code == 200
            assert not any(one.done() and one.result().status_code == 200 for one in delivered)
            assert world.stripe.waiting == WEBHOOKS_AT_ONCE, "the others wait for them, and not for Stripe"
        finally:
            world.stripe.answering.set()
        answers = [one.result(PATIENCE_SECONDS) for one in delivered]
    assert {one.status_code for one in answers} <= {200, 503}
    assert all("retry-after" in one.headers for one in answers if one.status_code == 503)
    hook.takes(succeeded)
    assert world.payout(payout).status == "pending"


def test_a_signature_that_is_wrong_missing_or_old_is_refused(world: World, hook: Hook) -> None:
    _, identifier = world.paid()
    body = json.dumps(event("charge.dispute.created", world.books.dispute(identifier, 1_000)))
    now, head = int(time.time()), world.ledger.log.head()
    for signature in (
        None,
        "",
        "t=1,v1=abc",
        f"t={now},v1=",
        "v1=abc",
        signed(body, "whsec_another"),
        signed(body + " "),
        signed(body, at=now - 301),
    ):
        answer = hook.post(body, signature)
        assert (answer.status_code, check_problem(answer)["code"]) == (400, "signature_invalid"), signature
    headers = {b"Stripe-Signature": f"t={now},v1=é".encode()}
    assert hook.http.post(PATH, content=body.encode(), headers=headers).status_code == 400
    assert world.ledger.log.head() == head
    assert hook.post(body, signed(body, at=now - 200)).status_code == 200


def test_what_is_no_event_is_refused_and_what_is_none_of_ours_is_acknowledged(world: World, hook: Hook) -> None:
    for body in ("[]", "{", "7", '{"object": "v2.core.event"}', "\ud83d".encode("utf-8", "replace").decode()):
        answer = hook.post(body, signed(body))
        assert (answer.status_code, check_problem(answer)["code"]) == (400, "not_an_event"), body
    _, identifier = world.paid()
    another = {"id": "pi_other", "object": "payment_intent", "metadata": {}}
    world.books.payments["pi_other"] = {**payment(world.books, identifier), **another}
    head = world.ledger.log.head()
    hook.takes(event("customer.created", {"id": "cus_1"}))
    hook.takes(event("payment_intent.succeeded", another))
    hook.takes(event("charge.refunded", {"id": "ch_1", "payment_intent": None}))
    hook.takes(event("payout.paid", {"id": "po_1", "metadata": {"withdrawal_id": "wdr_of_nobody"}}))
    hook.takes(event("payout.paid", {"id": "po_1", "metadata": None}))
    hook.takes({"object": "event", "type": "charge.succeeded", "data": None})
    assert world.ledger.log.head() == head


def test_without_a_secret_there_is_no_such_path(world: World) -> None:
    for missing in ("stripe_webhook_secret", "stripe_secret_key"):
        settings = world.settings.model_copy(update={missing: None})
        with open_ledger(settings) as ledger, served(ledger) as url:
            answer = Hook(httpx.Client(base_url=url, timeout=PATIENCE_SECONDS)).post("{}", signed("{}"))
        assert (answer.status_code, check_problem(answer)["code"]) == (404, "not_found")


def test_the_sandbox_never_asks_stripe(world: World) -> None:
    settings = world.settings.model_copy(update={"sandbox": True, "clock_start": MONDAY})
    with open_ledger(settings) as ledger:
        assert ledger.outside.processor is not None
        assert ledger.outside.processor.name == "simulated"
        assert "/v1/processor/stripe" in create_app(ledger).openapi()["paths"]
