"""Withdrawals at Stripe: a transfer to the freelancer's connected account, and a payout from there to their bank (rule 25).

Both carry the withdrawal's id; Stripe's lists, which are never behind, find them again after their keys are forgotten. A payout
that fails is reported only once the transfer is taken back: then the money is really here again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import stripe

from ledger.clock import Clock
from ledger.processors.protocol import Outcome, OutcomeUnknown, Request
from ledger.processors.stripe_payments import instant

Made = TypeVar("Made", stripe.Transfer, stripe.Payout)
REFUSED = (
    "account_closed",
    "account_invalid",
    "bank_account_",
    "external_account_",
    "insufficient_capabilities_for_transfer",
    "invalid_currency",
    "no_account",
    "payouts_not_allowed",
    "resource_missing",
    "transfers_not_allowed",
)
"""How codes begin that refuse the destination. Any other refusal is ours to mend: the platform's balance, its key."""


class Transfers:
    def __init__(self, client: stripe.StripeClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._told: dict[str, datetime] = {}
        """Withdrawals under way, and the arrival that the ledger has been told: it is told again when Stripe puts it off."""

    def transfer(self, request: Request) -> Outcome:
        """Raises OutcomeUnknown or StripeError when it is not known what became of it."""
        made = self._transfer_of(request.key)
        if made is None and not request.method.startswith("acct_"):  # that of an erased freelancer is empty
            return Outcome(at=self._clock.now(), failure="no_account_of_stripe")
        transfer = made or _refusable(lambda: self._transferred(request))
        if isinstance(transfer, str):
            return Outcome(at=self._clock.now(), failure=transfer)
        known = self._payout_of(request.key, transfer)
        if known is None and transfer.reversed:
            return self._back(transfer, request.key, "transfer_reversed")
        payout = known or _refusable(lambda: self._paid_out(request, transfer))
        if isinstance(payout, str):
            return self._back(transfer, request.key, payout)
        if payout.status in ("failed", "canceled"):
            return self._back(transfer, request.key, payout.failure_code or payout.status)
        return self._arriving(request.key, payout)

    def _transfer_of(self, key: str) -> stripe.Transfer | None:
        found = self._client.v1.transfers.list({"transfer_group": key, "limit": 1}).data
        return found[0] if found else None

    def _transferred(self, request: Request) -> stripe.Transfer:
        params: stripe.params.TransferCreateParams = {
            "amount": request.amount,
            "currency": request.currency.lower(),
            "destination": request.method,
            "transfer_group": request.key,
            "metadata": {"withdrawal_id": request.key},
        }
        return self._client.v1.transfers.create(params, {"idempotency_key": request.key})

    def _payout_of(self, key: str, transfer: stripe.Transfer) -> stripe.Payout | None:
        since: stripe.params.PayoutListParams = {"created": {"gte": transfer.created}, "limit": 100}
        page = self._client.v1.payouts.list(since, {"stripe_account": _account(transfer)})
        for payout in page.auto_paging_iter():
            if (payout.metadata.to_dict() if payout.metadata else {}).get("withdrawal_id") == key:
                return payout
        return None

    def _paid_out(self, request: Request, transfer: stripe.Transfer) -> stripe.Payout:
        params: stripe.params.PayoutCreateParams = {
            "amount": request.amount,
            "currency": request.currency.lower(),
            "metadata": {"withdrawal_id": request.key},
        }
        options: stripe.RequestOptions = {
            "idempotency_key": f"{request.key}:payout",
            "stripe_account": _account(transfer),
        }
        return self._client.v1.payouts.create(params, options)

    def _back(self, transfer: stripe.Transfer, key: str, failure: str) -> Outcome:
        """The transfer is taken back from the connected account; failed at the time when it was."""
        reversals = transfer.reversals.data
        if not transfer.reversed:
            made = self._client.v1.transfers.reversals.create(transfer.id, {}, {"idempotency_key": f"{key}:back"})
            reversals = [made]
        self._told.pop(key, None)
        return Outcome(at=instant(max(one.created for one in reversals)), failure=failure)

    def _arriving(self, key: str, payout: stripe.Payout) -> Outcome:
        """Stripe says no time of arrival but the expected day; one that has arrived has not arrived in the future."""
        now, created, expected = self._clock.now(), instant(payout.created), instant(payout.arrival_date)
        if payout.status == "paid":
            self._told.pop(key, None)
            return Outcome(at=max(created, min(expected, now)), reference=payout.id)
        if expected <= now or self._told.get(key) == expected:
            raise OutcomeUnknown(f"the payout {payout.id} is {payout.status}")
        self._told[key] = expected
        return Outcome(at=created, settles_at=expected)


def _refusable(make: Callable[[], Made]) -> Made | str:
    """What was made, or the code with which the destination was refused."""
    try:
        return make()
    except stripe.InvalidRequestError as error:
        if error.code is None or not error.code.startswith(REFUSED):
            raise
        return error.code


def _account(transfer: stripe.Transfer) -> str:
    """The connected account that it went to."""
    destination = transfer.destination
    if destination is None:
        raise OutcomeUnknown(f"the transfer {transfer.id} names no destination")
    return destination if isinstance(destination, str) else destination.id
