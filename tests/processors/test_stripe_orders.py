"""Webhooks in every order: the real deciders, the real Stripe library, the fake's books, and neither network nor database.

Over HTTP and on PostgreSQL they come shuffled and repeated, in test_stripe_webhooks.py.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.aggregates.payout import Payout
from ledger.processors.protocol import Request
from ledger.processors.stripe import StripeProcessor
from ledger.processors.stripe_reports import StripeReports
from tests.history import DAY, History
from tests.processors.fake_stripe import SECRET_KEY, FakeStripe, InProcess
from tests.processors.stories import (
    DISPUTED_THEN_REFUNDED_FOR_MORE_THAN_IS_LEFT,
    HOUR,
    LOST,
    NOON,
    REFUNDED_THEN_DISPUTED,
    Step,
    Story,
)


class Told:
    """A ledger whose only charge succeeded at Stripe at NOON while the answer was lost; a day later webhooks come."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.history = History(NOON, card="silent")
        contract = self.history.active("single_payment", amount=50_000)
        self.history.submit(contract)
        self.history.approve(contract)
        self.history.up = False
        self.payout = self.history.payout(contract).id
        self.history.advance(DAY)
        self._stripe_at: datetime | None = NOON
        fake = FakeStripe(lambda: self._stripe_at or self.history.now)
        processor = StripeProcessor(SECRET_KEY, _clock(self.history), http_client=InProcess(fake))
        request = Request(
            key=f"{self.payout}:1", subject=self.payout, amount=50_000, currency="USD", method="pm_card_visa"
        )
        paid = processor.charge(request)
        self.story = Story(fake.books, paid.reference or "", steps, self._set)
        log: Any = SimpleNamespace(load=lambda streams: {one: self.history.states.get(one) for one in streams})
        self._reports = StripeReports(processor, log, _clock(self.history), self.history.send, lambda *_: [])

    def _set(self, at: datetime | None) -> None:
        self._stripe_at = at

    def hear(self, order: Iterable[int]) -> "Told":
        """Stripe goes no further than the latest of the webhooks that have come: the first order is that of a live system."""
        for number in order:
            self.story.go_to(number)
            self._reports.take(self.story.sent[number])
        return self

    def state(self) -> Payout:
        found = self.history.states[self.payout]
        assert isinstance(found, Payout)
        return found

    def everything(self) -> Any:
        """All events, the balances of all accounts and all states: who came first must not be seen in any of it."""
        return [one.event for one in self.history.log], self.history.accounts, self.history.states


def _clock(history: History) -> Any:
    return SimpleNamespace(now=lambda: history.now)


TOLD_SO_FAR = [
    (steps, length)
    for steps in (REFUNDED_THEN_DISPUTED, DISPUTED_THEN_REFUNDED_FOR_MORE_THAN_IS_LEFT, LOST)
    for length in range(1, len(steps) + 1)
]


@pytest.mark.parametrize(("steps", "length"), TOLD_SO_FAR)
def test_webhooks_in_every_order_up_to_six_end_in_the_same_state(steps: tuple[Step, ...], length: int) -> None:
    live = Told(steps[:length]).hear(range(length))
    for order in permutations(range(length)):
        assert Told(steps[:length]).hear(order).everything() == live.everything(), order


def test_a_refund_and_a_chargeback_that_is_won() -> None:
    told = Told(REFUNDED_THEN_DISPUTED).hear((5,))
    state = told.state()
    assert (state.pending, state.charged_at) == (40_000, NOON)
    assert [(one.reason, one.amount, one.at) for one in state.reversals] == [
        ("refund", 10_000, NOON + 3 * HOUR),
        ("chargeback", 40_000, NOON + 5 * HOUR),
    ]
    assert state.reversals[1].reinstated_at == NOON + 6 * HOUR
    assert [one.paid_at for one in state.refunds] == [NOON + 3 * HOUR]
    assert told.history.balance() == (40_000, 0, 0)


def test_what_comes_later_at_stripe_gets_what_is_left() -> None:
    told = Told(DISPUTED_THEN_REFUNDED_FOR_MORE_THAN_IS_LEFT).hear((3,))
    assert [(one.reason, one.amount) for one in told.state().reversals] == [("chargeback", 30_000), ("refund", 20_000)]
    told.hear((5,))
    assert told.history.balance() == (30_000, 0, 0)
