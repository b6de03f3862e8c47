"""Stripe's balance report, made of the fake Stripe's books, is held against the ledger that those webhooks and answers made."""

import io
from datetime import timedelta

from ledger.processors.stripe import reversal_id
from replay.finance.reconcile import Reconciliation, reconcile
from replay.finance.settlement_report import read
from replay.live import open_live
from tests.databases import MONDAY
from tests.processors.conftest import ASK_AGAIN, Hook, World
from tests.processors.fake_books import event
from tests.processors.stories import NOON, STORIES
from tests.replay.balance_report import as_csv, at_stripe

DAY = timedelta(days=1)


def reconciled(world: World) -> Reconciliation:
    with open_live(world.settings) as live:
        return reconcile(live.log, read(io.BytesIO(as_csv(at_stripe(world.books)))))


def test_charges_refunds_disputes_and_withdrawals_agree_but_for_what_is_the_platform_s_loss(
    world: World, hook: Hook
) -> None:
    """Two stories take more than the payout held (rule 26): those rows differ by the rest, and nothing else does."""
    world.work(NOON - MONDAY)
    for steps in STORIES:
        _, payment = world.paid()
        story = world.story(payment, steps)
        story.go_to(len(steps) - 1)
        for sent in story.sent:
            hook.takes(sent)
    world.released()
    world.play.withdraw(10_000)
    world.work()
    assert reconciled(world).counts["under_way"] == 1, "the transfer has left, and has not arrived"
    (transfer,) = world.books.payouts.values()
    hook.takes(event("payout.paid", world.books.arrive(transfer["id"]), account="acct_test"))
    world.work(3 * DAY)
    world.books.banks["acct_closed"] = "account_closed"
    world.play.bank("acct_closed")
    world.play.withdraw(2_000)
    world.work(ASK_AGAIN)
    closed = next(one for one in world.books.payouts.values() if one["account"] == "acct_closed")
    world.books.arrive(closed["id"])
    world.work(3 * DAY)

    found = reconciled(world)

    assert found.rows == len(at_stripe(world.books))
    assert {one.category for one in found.totals} == {
        *("charge", "refund", "chargeback", "chargeback_won", "withdrawal", "withdrawal_failed")
    }
    over = {item.ledger.subject: item.difference for item in found.breaks if item.ledger is not None}
    lost = next(one for one in world.books.disputes.values() if one["status"] == "lost")
    assert over[reversal_id(lost["id"])] == -10_000
    assert {item.status for item in found.breaks} == {"amount_differs"}
    assert found.counts["matched"] + len(found.breaks) == found.rows


def test_a_payment_that_stripe_took_for_an_attempt_given_up_is_found(world: World) -> None:
    _, payment = world.paid()
    assert reconciled(world).ok
    twice = dict(world.books.payments[payment])
    world.books.payments["pi_again"] = {
        **twice,
        "id": "pi_again",
        "latest_charge": {**twice["latest_charge"], "id": "ch_again"},
    }
    (double,) = reconciled(world).breaks
    assert double.status == "duplicated"
    assert double.report is not None
    assert double.report.payment == "pi_again"
