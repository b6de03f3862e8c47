"""Stripe behind the processor's protocol: PaymentIntents, Refunds, and Connect transfers paid out to a bank.

Stripe remembers an idempotency key for 24 hours at least, and its search finds an object after a minute at most times.
Each covers what the other does not: what the search does not know yet is so young that its key still answers, and what the key
has forgotten the search has long found. So every question looks first and creates second, both under the ledger's key, and
something is done once, however often and however late it is asked (rule 24).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import stripe

from ledger import ids
from ledger.clock import Clock
from ledger.processors.protocol import Outcome, OutcomeUnknown, Refund, Request
from ledger.processors.stripe_payments import Payments, instant
from ledger.processors.stripe_transfers import Transfers

TIMEOUT_SECONDS = (5.0, 20.0)
"""To connect, and to wait for an answer. Nothing is repeated within a question: the worker asks again."""


class StripeProcessor:
    """One Stripe account. `api_base` replaces Stripe's address, `http_client` the way there; tests have their own."""

    name = "stripe"
    concurrency = 8

    def __init__(
        self, secret_key: str, clock: Clock, api_base: str | None = None, http_client: stripe.HTTPClient | None = None
    ) -> None:
        self.client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": (api_base or stripe.DEFAULT_API_BASE).rstrip("/")},
            http_client=http_client or stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
            max_network_retries=0,
        )
        self.payments = Payments(self.client, clock)
        self._transfers = Transfers(self.client, clock)

    def charge(self, request: Request) -> Outcome:
        """`method` is a PaymentMethod, `pm_…`; the reference is the PaymentIntent."""
        with asking():
            return self.payments.charge(request)

    def transfer(self, request: Request) -> Outcome:
        """`method` is a connected account, `acct_…`; the reference is the payout from it to the bank."""
        with asking():
            return self._transfers.transfer(request)

    def refund(self, request: Refund) -> Outcome:
        """`charge_reference` is the PaymentIntent. A refund that failed stays unknown: an operator has to see to it."""
        with asking():
            refund = self._refund_of(request) or self.client.v1.refunds.create(
                {
                    "payment_intent": request.charge_reference,
                    "amount": request.amount,
                    "metadata": {"payout_id": request.subject, "refund_id": request.key},
                },
                {"idempotency_key": request.key},
            )
        if refund.status != "succeeded":
            raise OutcomeUnknown(f"the refund {refund.id} is {refund.status}")
        return Outcome(at=instant(refund.created), reference=refund.id)

    def _refund_of(self, request: Refund) -> stripe.Refund | None:
        """The refund made for this key; or the one made elsewhere that the key's reversal records: it must not be sent twice."""
        for refund in self.refunds(request.charge_reference):
            if request.key in (refund_id_of(refund), reversal_id(refund.id)):
                return refund
        return None

    def refunds(self, payment_id: str) -> list[stripe.Refund]:
        """All refunds of a PaymentIntent; Stripe's lists, unlike its search, are never behind."""
        page = self.client.v1.refunds.list({"payment_intent": payment_id, "limit": 100})
        return list(page.auto_paging_iter())

    def disputes(self, payment_id: str) -> list[stripe.Dispute]:
        page = self.client.v1.disputes.list({"payment_intent": payment_id, "limit": 100})
        return list(page.auto_paging_iter())


@contextmanager
def asking() -> Iterator[None]:
    """What Stripe does not say is unknown. Messages of its errors stay here: they may repeat a key or a card's details."""
    try:
        yield
    except stripe.StripeError as error:
        said = (type(error).__name__, error.http_status, error.code, error.request_id)
        raise OutcomeUnknown(" ".join(str(part) for part in said if part)) from None


def refund_id_of(refund: stripe.Refund) -> str | None:
    """The ledger's id of a refund that the ledger asked for; None for one made elsewhere, as in Stripe's dashboard."""
    return (refund.metadata.to_dict() if refund.metadata else {}).get("refund_id")


def reversal_id(stripe_id: str) -> str:
    """The ledger's id of a reversal that began at Stripe, with a dispute or with a refund made elsewhere."""
    return ids.derive(ids.REVERSAL, "stripe", stripe_id)
