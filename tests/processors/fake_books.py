"""The books of the fake Stripe: payments, charges, refunds, disputes, transfers, payouts; and the world that acts upon them."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any

Json = dict[str, Any]
PAYS, ACTION, PROCESSING = "pays", "requires_action", "processing"
"""What a card does, beside declining with a code."""


class Refusal(Exception):
    """An error of Stripe's API."""

    def __init__(self, status: int, kind: str, code: str, **more: Any) -> None:
        self.status = status
        self.error = {"type": kind, "code": code, "message": f"it is {code}", **more}
        super().__init__(code)


def refused(code: str) -> Refusal:
    return Refusal(400, "invalid_request_error", code)


def no_more_than(params: Json, *known: str) -> None:
    if unknown := set(params) - {*known, "expand"}:
        raise Refusal(400, "invalid_request_error", "parameter_unknown", param=sorted(unknown)[0])


class Books:
    """`cards` says what a payment method does, `banks` what a connected account does with a payout."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._number = count(1)
        self.cards: dict[str, str] = {"pm_card_visa": PAYS}
        self.customers: dict[str, str] = {}
        self.banks: dict[str, str] = {"acct_test": PAYS}
        self.payments: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.transfers: dict[str, Json] = {}
        self.payouts: dict[str, Json] = {}
        self.advice: str | None = None

    def all(self, kind: str) -> list[Json]:
        return list(getattr(self, kind).values())

    def find(self, things: dict[str, Json], identifier: str) -> Json:
        if identifier not in things:
            raise Refusal(404, "invalid_request_error", "resource_missing")
        return things[identifier]

    def charged(self) -> int:
        """What all clients have paid and not got back, in minor units."""
        paid = [one["latest_charge"] for one in self.payments.values() if one["status"] == "succeeded"]
        return sum(one["amount"] - one["amount_refunded"] for one in paid)

    def _new(self, prefix: str, kind: str, **fields: Any) -> Json:
        number = next(self._number)
        return {"id": f"{prefix}_{number:06}", "object": kind, "created": int(self._now().timestamp()), **fields}

    # Payments

    def method(self, method: str) -> Json:
        if method not in self.cards:
            raise Refusal(404, "invalid_request_error", "resource_missing", param="payment_method")
        return {"id": method, "object": "payment_method", "type": "card", "customer": self.customers.get(method)}

    def pay(self, params: Json) -> Json:
        """Creates and confirms a PaymentIntent, as it is asked for here: never without its owner being away."""
        known = ("amount", "currency", "payment_method", "customer", "confirm", "off_session", "metadata")
        no_more_than(params, *known, "allowed_payment_method_types")
        method = params["payment_method"]
        self.method(method)
        if params.get("customer") != self.customers.get(method):
            raise refused("payment_method_unexpected_state")
        if int(params["amount"]) < 50:
            raise refused("amount_too_small")
        assert params["confirm"] == params["off_session"] == "true"
        payment = self._new(
            "pi",
            "payment_intent",
            amount=int(params["amount"]),
            currency=params["currency"],
            metadata=params["metadata"],
            status="requires_payment_method",
            last_payment_error=None,
            latest_charge=None,
            canceled_at=None,
            cancellation_reason=None,
        )
        self.payments[payment["id"]] = payment
        self._confirm(payment, self.cards[method])
        return payment

    def _confirm(self, payment: Json, card: str) -> None:
        if card == ACTION:
            payment["status"] = "requires_action"
            return
        paid = card in (PAYS, PROCESSING)
        outcome = {"type": "authorized" if paid else "issuer_declined", "reason": None if paid else card}
        payment["latest_charge"] = self._new(
            "ch",
            "charge",
            amount=payment["amount"],
            payment_intent=payment["id"],
            status="succeeded" if paid else "failed",
            amount_refunded=0,
            refunded=False,
            disputed=False,
            failure_code=None if paid else "card_declined",
            outcome={**outcome, "advice_code": None if paid else self.advice},
        )
        if paid:
            payment["status"] = "succeeded" if card == PAYS else "processing"
            return
        error = {"type": "card_error", "code": "card_declined", "decline_code": card, "advice_code": self.advice}
        payment["last_payment_error"] = {**error, "message": "Your card was declined."}
        raise Refusal(402, "card_error", "card_declined", decline_code=card, payment_intent=payment)

    def cancel(self, identifier: str) -> Json:
        payment = self.find(self.payments, identifier)
        if not payment["status"].startswith("requires_"):
            raise refused("payment_intent_unexpected_state")
        now = int(self._now().timestamp())
        payment.update(status="canceled", canceled_at=now, last_payment_error=None)
        return payment

    def finish(self, identifier: str, card: str) -> None:
        """The world: a payment that was processing is paid, or declined with a code."""
        payment = self.payments[identifier]
        payment["status"] = "requires_payment_method"
        with suppress(Refusal):
            self._confirm(payment, card)

    # What happens to a charge afterwards

    def refund(self, identifier: str, amount: int, metadata: Json | None = None, status: str = "succeeded") -> Json:
        """Asked for by the ledger, with its metadata, or by somebody in the dashboard, without."""
        payment = self.find(self.payments, identifier)
        charge = payment["latest_charge"]
        if charge["amount_refunded"] + amount > charge["amount"]:
            raise refused("charge_already_refunded")
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        about = {"amount": amount, "payment_intent": identifier, "charge": charge["id"], "metadata": metadata or {}}
        refund = self._new("re", "refund", **about, status=status)
        self.refunds[refund["id"]] = refund
        return refund

    def dispute(self, identifier: str, amount: int, status: str = "needs_response") -> Json:
        """The world: the client's bank takes money back."""
        charge = self.payments[identifier]["latest_charge"]
        charge["disputed"] = True
        about = {"amount": amount, "payment_intent": identifier, "charge": charge["id"], "metadata": {}}
        dispute = self._new("du", "dispute", **about, status=status, balance_transactions=[])
        if not status.startswith("warning_"):
            dispute["balance_transactions"].append(self._new("txn", "balance_transaction", amount=-amount))
        self.disputes[dispute["id"]] = dispute
        return dispute

    def close(self, identifier: str, status: str) -> Json:
        """The world: a dispute is `won` or `lost`."""
        dispute = self.disputes[identifier]
        dispute["status"] = status
        if status == "won":
            back = self._new("txn", "balance_transaction", amount=dispute["amount"])
            dispute["balance_transactions"].append(back)
        return dispute

    # Withdrawals

    def transfer(self, params: Json) -> Json:
        no_more_than(params, "amount", "currency", "destination", "transfer_group", "metadata")
        if params["destination"] not in self.banks:
            raise refused("resource_missing")
        about = {name: params[name] for name in ("destination", "transfer_group", "metadata", "currency")}
        reversals = {"object": "list", "url": "/v1/reversals", "has_more": False, "data": []}
        amount = int(params["amount"])
        transfer = self._new("tr", "transfer", amount=amount, reversed=False, reversals=reversals, **about)
        self.transfers[transfer["id"]] = transfer
        return transfer

    def take_back(self, identifier: str) -> Json:
        transfer = self.find(self.transfers, identifier)
        if transfer["reversed"]:
            raise refused("transfer_already_reversed")
        transfer["reversed"] = True
        reversal = self._new("trr", "transfer_reversal", amount=transfer["amount"], transfer=identifier)
        transfer["reversals"]["data"].append(reversal)
        return reversal

    def pay_out(self, params: Json, account: str) -> Json:
        no_more_than(params, "amount", "currency", "metadata")
        if self.banks[account] == "payouts_not_allowed":
            raise refused("payouts_not_allowed")
        amount = int(params["amount"])
        if amount > self.held_by(account):
            raise refused("balance_insufficient")
        arrival = (self._now() + timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
        payout = self._new(
            "po",
            "payout",
            account=account,
            amount=amount,
            metadata=params["metadata"],
            status="in_transit",
            failure_code=None,
            arrival_date=int(arrival.timestamp()),
        )
        self.payouts[payout["id"]] = payout
        return payout

    def held_by(self, account: str) -> int:
        """The balance of a connected account."""
        came = [one for one in self.transfers.values() if one["destination"] == account and not one["reversed"]]
        went = [one for one in self.payouts.values() if one["account"] == account and one["status"] != "failed"]
        return sum(int(one["amount"]) for one in came) - sum(int(one["amount"]) for one in went)

    def arrive(self, identifier: str) -> Json:
        """The world: the bank takes a payout, or sends it back with the code that it is known for."""
        payout = self.payouts[identifier]
        does = self.banks[payout["account"]]
        payout.update({"status": "paid"} if does == PAYS else {"status": "failed", "failure_code": does})
        return payout


def event(kind: str, subject: Json, account: str | None = None) -> Json:
    """A webhook's body, with the object as it was: the ledger must not believe it."""
    about = {"account": account} if account else {}
    return {
        "id": f"evt_{kind}",
        "object": "event",
        "type": kind,
        "data": {"object": subject},
        "livemode": False,
        **about,
    }
