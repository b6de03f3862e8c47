"""Charging at Stripe: one PaymentIntent for each attempt, confirmed while its client is away.

An attempt is reported as failed only once its PaymentIntent is cancelled: a cancelled one can never be paid. So no client is
charged for an attempt that the ledger has given up (rule 24).
"""

from datetime import UTC, datetime
from typing import NoReturn

import stripe

from ledger.clock import Clock
from ledger.processors.protocol import Outcome, OutcomeUnknown, Request

FINAL = frozenset(
    (
        "authorization_revoked",
        "card_not_supported",
        "currency_not_supported",
        "do_not_try_again",
        "expired_card",
        "incorrect_number",
        "invalid_account",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "invalid_number",
        "lost_card",
        "merchant_blacklist",
        "new_account_information_available",
        "not_permitted",
        "pickup_card",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "security_violation",
        "stolen_card",
        "stop_payment_order",
        "transaction_not_allowed",
    )
)
"""Declines after which the same card will never pay. Beyond these, Stripe's advice `do_not_try_again` says so."""
REFUSED = ("amount_too_large", "amount_too_small", "payment_method_", "resource_missing")
"""How codes begin that refuse the method or the amount, before anything is charged. Any other refusal is no decline: our own
key or request is wrong, and the charge waits until that is mended."""
OTHER_MINOR_UNITS = ("ISK", "MGA", "UGX")
"""Currencies that Stripe counts in another minor unit than ISO 4217: a charge would be wrong a hundredfold."""
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture")
"""Not paid, and not under way: somebody would have to do something first."""


class Payments:
    def __init__(self, client: stripe.StripeClient, clock: Clock) -> None:
        self._client, self._clock = client, clock

    def charge(self, request: Request) -> Outcome:
        """Raises OutcomeUnknown or StripeError when it is not known what became of it."""
        payment = self._found(request) or self._created(request)
        return payment if isinstance(payment, Outcome) else self.settle(payment)

    def retrieve(self, payment_id: str) -> stripe.PaymentIntent:
        """As it is now, with its latest charge."""
        return self._client.v1.payment_intents.retrieve(payment_id, {"expand": ["latest_charge"]})

    def settle(self, payment: stripe.PaymentIntent) -> Outcome:
        """What has become of a PaymentIntent; one that nobody is paying is cancelled, and failed then."""
        if charge_of(payment) is None or payment.status != "succeeded":
            payment = self.retrieve(payment.id)  # a repeated answer is as old as the first
        if payment.status not in OPEN:
            return self._outcome(payment, payment)
        return self._outcome(self._cancelled(payment), payment)

    def _found(self, request: Request) -> stripe.PaymentIntent | None:
        """This attempt's PaymentIntent, if there is one; or an earlier attempt's that was paid after all and not given back."""
        query = f"metadata['payout_id']:'{request.subject}'"
        found = self._client.v1.payment_intents.search({"query": query, "limit": 100, "expand": ["data.latest_charge"]})
        number = request.key.rpartition(":")[2]
        own = [one for one in found.data if metadata(one).get("attempt") == number]
        late = [one for one in found.data if one.status == "succeeded" and not _given_back(one)]
        paid = [one for one in own if one.status == "succeeded"]
        return next(iter(paid or late or own), None)

    def _created(self, request: Request) -> stripe.PaymentIntent | Outcome:
        """A new PaymentIntent, or the one that the key made before; an outcome where there can be none."""
        if request.currency in OTHER_MINOR_UNITS:
            return self._refused("currency_not_supported")
        if not request.method.startswith("pm_"):
            return self._refused("no_payment_method_of_stripe")
        try:
            method = self._client.v1.payment_methods.retrieve(request.method)
            return self._client.v1.payment_intents.create(_params(request, method), {"idempotency_key": request.key})
        except stripe.CardError as error:
            if error.error is None or error.error.payment_intent is None:
                raise
            return error.error.payment_intent
        except stripe.InvalidRequestError as error:
            if error.code is None or not error.code.startswith(REFUSED):
                raise
            return self._refused(error.code)

    def _refused(self, code: str) -> Outcome:
        """There is no PaymentIntent, and with this method never will be."""
        return Outcome(at=self._clock.now(), failure=code, final=True)

    def _cancelled(self, payment: stripe.PaymentIntent) -> stripe.PaymentIntent:
        try:
            return self._client.v1.payment_intents.cancel(payment.id, {"expand": ["latest_charge"]})
        except stripe.InvalidRequestError as error:
            if error.code != "payment_intent_unexpected_state":
                raise
        return self.retrieve(payment.id)  # it was paid, or cancelled, meanwhile

    def _outcome(self, payment: stripe.PaymentIntent, before: stripe.PaymentIntent) -> Outcome:
        """`before` is the PaymentIntent before it was cancelled: that may have cleared why."""
        charge = charge_of(payment)
        at = instant(charge.created if charge else payment.created)
        if payment.status == "succeeded":
            return Outcome(at=at, reference=payment.id)
        if payment.status != "canceled":
            _unknown(payment)
        code, advice = _declined(before)
        return Outcome(at=at, failure=code, final=code in FINAL or advice == "do_not_try_again")


def _unknown(payment: stripe.PaymentIntent) -> NoReturn:
    raise OutcomeUnknown(f"the payment {payment.id} is {payment.status}")


def _params(request: Request, method: stripe.PaymentMethod) -> stripe.params.PaymentIntentCreateParams:
    """The same for every question under one key, or Stripe refuses the second."""
    params: stripe.params.PaymentIntentCreateParams = {
        "amount": request.amount,
        "currency": request.currency.lower(),
        "payment_method": request.method,
        "allowed_payment_method_types": ["card"],
        "confirm": True,
        "off_session": True,
        "metadata": {"payout_id": request.subject, "attempt": request.key.rpartition(":")[2]},
        "expand": ["latest_charge"],
    }
    if method.customer is not None:
        params["customer"] = method.customer if isinstance(method.customer, str) else method.customer.id
    return params


def metadata(payment: stripe.PaymentIntent) -> dict[str, str]:
    """What the ledger wrote on it: `payout_id` and `attempt`. Empty on one that is not the ledger's."""
    return payment.metadata.to_dict() if payment.metadata else {}


def charge_of(payment: stripe.PaymentIntent) -> stripe.Charge | None:
    """The latest charge, where it was expanded."""
    return payment.latest_charge if isinstance(payment.latest_charge, stripe.Charge) else None


def _given_back(payment: stripe.PaymentIntent) -> bool:
    charge = charge_of(payment)
    return charge is not None and bool(charge.amount_refunded or charge.disputed)


def _declined(payment: stripe.PaymentIntent) -> tuple[str, str | None]:
    """The code of a decline, and Stripe's advice: from the error, or where that was cleared from the charge."""
    error, charge = payment.last_payment_error, charge_of(payment)
    if error is not None:
        return error.decline_code or error.code or "card_declined", error.advice_code
    if charge is None:
        return "authentication_required", None  # nothing was tried: the bank wanted to see its customer first
    outcome = charge.outcome
    if outcome is not None and outcome.type == "issuer_declined" and outcome.reason:
        return outcome.reason, outcome.advice_code
    return charge.failure_code or "card_declined", outcome.advice_code if outcome else None


def instant(seconds: int) -> datetime:
    """Stripe's time, which has whole seconds."""
    return datetime.fromtimestamp(seconds, UTC)
