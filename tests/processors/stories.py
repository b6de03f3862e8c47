"""What may happen to one payment at Stripe, step by step, and the webhook that each step sends."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.databases import MONDAY
from tests.processors.fake_books import Books, Json, event

HOUR = timedelta(hours=1)
NOON = MONDAY + timedelta(days=7, hours=3)
"""The close of the first cycle, at which the stories' payments are made."""


class Step(NamedTuple):
    """What happens at Stripe, and the webhook that it sends then."""

    kind: str
    happens: Callable[[Books, str], Json]


def payment(books: Books, identifier: str) -> Json:
    return books.payments[identifier]


def charge(books: Books, identifier: str) -> Json:
    found: Json = books.payments[identifier]["latest_charge"]
    return found


def refunded(amount: int) -> Callable[[Books, str], Json]:
    return lambda books, identifier: books.refund(identifier, amount)


def disputed(amount: int) -> Callable[[Books, str], Json]:
    return lambda books, identifier: books.dispute(identifier, amount)


def closed(status: str) -> Callable[[Books, str], Json]:
    def happens(books: Books, identifier: str) -> Json:
        return books.close(dispute_of(books, identifier)["id"], status)

    return happens


def dispute_of(books: Books, identifier: str) -> Json:
    return next(one for one in books.disputes.values() if one["payment_intent"] == identifier)


PAID = (Step("payment_intent.succeeded", payment), Step("charge.succeeded", charge))
REFUNDED_THEN_DISPUTED = (
    *PAID,
    Step("refund.created", refunded(10_000)),
    Step("charge.refunded", charge),
    Step("charge.dispute.created", disputed(40_000)),
    Step("charge.dispute.closed", closed("won")),
)
DISPUTED_THEN_REFUNDED_FOR_MORE_THAN_IS_LEFT = (
    *PAID,
    Step("charge.dispute.created", disputed(30_000)),
    Step("charge.refunded", refunded(40_000)),
    Step("charge.dispute.funds_withdrawn", dispute_of),
    Step("charge.dispute.closed", closed("won")),
)
LOST = (*PAID, Step("charge.dispute.created", disputed(60_000)), Step("charge.dispute.closed", closed("lost")))
STORIES = (REFUNDED_THEN_DISPUTED, DISPUTED_THEN_REFUNDED_FOR_MORE_THAN_IS_LEFT, LOST)


class Story:
    """One payment's story, an hour to a step from NOON on; `sent` are its webhooks. `set_clock` sets Stripe's clock."""

    def __init__(
        self, books: Books, identifier: str, steps: tuple[Step, ...], set_clock: Callable[[datetime | None], None]
    ) -> None:
        self._books, self._identifier, self._steps, self._set_clock = books, identifier, steps, set_clock
        self.sent: list[Json] = []

    def go_to(self, step: int) -> None:
        """Lets everything happen up to a step, each at its own time."""
        while len(self.sent) <= step:
            kind, happens = self._steps[len(self.sent)]
            self._set_clock(NOON + (1 + len(self.sent)) * HOUR)
            subject = happens(self._books, self._identifier)
            self.sent.append(event(kind, json.loads(json.dumps(subject))))
        self._set_clock(None)
