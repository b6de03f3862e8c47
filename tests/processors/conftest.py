"""A ledger as in production, whose clock the test moves, with a Stripe of its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from pydantic import SecretStr

from ledger.aggregates.payout import Payout
from ledger.bootstrap import Ledger, open_ledger
from ledger.settings import Settings
from tests.api.world import served
from tests.databases import MONDAY
from tests.play import Play
from tests.processes import PATIENCE_SECONDS
from tests.processors.fake_books import Books, Json
from tests.processors.fake_stripe import SECRET_KEY, FakeStripe, running
from tests.processors.stories import Step, Story
from tests.serving import LIMITS

WEBHOOK_SECRETS = ("whsec_of_the_account", "whsec_of_the_connected_accounts")
ASK_AGAIN = timedelta(seconds=31)
"""After this the worker asks again what it was not told."""
PATH = "/v1/processor/stripe"


@dataclass
class SetClock:
    """Stands where it is set."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass
class World:
    """`clock` is the ledger's; Stripe's shows the same, unless `stripe_at` is set."""

    ledger: Ledger
    clock: SetClock
    stripe: FakeStripe
    settings: Settings
    play: Play
    stripe_at: datetime | None = None

    @property
    def books(self) -> Books:
        return self.stripe.books

    def due(self, amount: int = 50_000) -> str:
        """A payout that is due and not charged yet."""
        contract = self.play.active("single_payment", amount=amount)
        self.play.submit(contract)
        self.play.approve(contract)
        return self.play.payout_ids(contract)[0]

    def work(self, later: timedelta = timedelta(0)) -> None:
        """The worker's pass at an instant."""
        self.clock.at += later
        self.ledger.worker.drain()

    def work_until(self, at: datetime, step: timedelta) -> None:
        while self.clock.at < at:
            self.work(step)

    def payout(self, payout: str) -> Payout:
        return self.play.payout(payout)

    def paid(self, amount: int = 50_000) -> tuple[str, str]:
        """A charged payout, and its PaymentIntent."""
        payout = self.due(amount)
        self.work()
        reference = self.payout(payout).reference
        assert reference is not None
        return payout, reference

    def released(self, amount: int = 50_000) -> None:
        """Money that can be withdrawn."""
        self.paid(amount)
        self.work(timedelta(days=5))

    def story(self, payment: str, steps: tuple[Step, ...]) -> Story:
        """To let happen at Stripe what is to happen to a payment."""

        def set_clock(at: datetime | None) -> None:
            self.stripe_at = at

        return Story(self.books, payment, steps, set_clock)

    def ask_and_crash(self) -> None:
        """A worker asks outside, and dies before it has recorded the answers."""
        now = self.clock.now()
        due = self.ledger.agenda.due(now, 100, kinds=self.ledger.outside.kinds, without=())
        assert due
        self.ledger.outside.ask(due, now)


@pytest.fixture
def world(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    clock = SetClock(MONDAY)
    monkeypatch.setattr("ledger.bootstrap.SystemClock", lambda: clock)
    found: list[World] = []
    with running(lambda: found[0].stripe_at or clock.at if found else clock.at) as fake:
        settings = Settings(
            database_url=SecretStr(database_url),
            owner_url=None,
            data_dir=tmp_path,
            sandbox=False,
            smtp_url=None,
            stripe_secret_key=SecretStr(SECRET_KEY),
            stripe_webhook_secret=SecretStr(", ".join(WEBHOOK_SECRETS)),
            stripe_api_base=fake.url,
        )
        with open_ledger(settings) as ledger:
            found.append(World(ledger, clock, fake, settings, Play(ledger, bank="acct_test")))
            yield found[0]


@dataclass
class Hook:
    """Delivers webhooks over HTTP, signed as Stripe signs them."""

    http: httpx.Client

    def post(self, body: str, signature: str | None) -> httpx.Response:
        headers = {"Content-Type": "application/json"} | ({"Stripe-Signature": signature} if signature else {})
        return self.http.post(PATH, content=body.encode(), headers=headers)

    def deliver(self, event: Json, secret: str = WEBHOOK_SECRETS[0]) -> httpx.Response:
        body = json.dumps(event)
        return self.post(body, signed(body, secret))

    def takes(self, event: Json) -> None:
        answer = self.deliver(event)
        assert (answer.status_code, answer.json()) == (200, {"received": True}), answer.text


def signed(body: str, secret: str = WEBHOOK_SECRETS[0], at: int | None = None) -> str:
    header: Any = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return str(header)


@pytest.fixture
def hook(world: World) -> Iterator[Hook]:
    with served(world.ledger) as url, httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, limits=LIMITS) as http:
        yield Hook(http)
