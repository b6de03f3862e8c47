"""What Stripe reports by itself, by webhook: each is taken for a knock at the door, never for the news.

A webhook names a payment or a withdrawal. The ledger then asks Stripe how that stands now, and records what it has not recorded
yet, in the order in which it happened at Stripe. So it does not matter in which order webhooks come, how often, how late, or
that one never came: the first to come brings everything, and the others find nothing to do (rules 21, 24, 25, 26).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import stripe
import structlog

from ledger import commands as c
from ledger import ids
from ledger.aggregates.payout import Payout
from ledger.clock import Clock
from ledger.commands import Command
from ledger.errors import Refused
from ledger.policies.deadlines import TRANSFER, Deadline
from ledger.processors.protocol import Outcome, OutcomeUnknown
from ledger.processors.stripe import StripeProcessor, asking, refund_id_of, reversal_id
from ledger.processors.stripe_payments import charge_of, instant, metadata
from ledger.store.log import LedgerLog

ACTOR = "processor:stripe"
TOLERANCE_SECONDS = 300
"""How old a signature may be. It is made when a webhook is sent, so one that is sent a month late has a fresh one."""
MAX_STEPS = 200
"""Reversals, refunds and victories of one payment that are recorded for one webhook."""
FRESH_KINDS = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.succeeded",
)
"""Reports of an attempt to charge; of its beginning, when nothing else has happened to it."""
LATER_KINDS = ("charge.refunded", "charge.updated", "charge.refund.", "charge.dispute.", "refund.")
"""How reports begin of what happens to a charge afterwards."""
WITHDRAWAL_KINDS = ("payout.paid", "payout.failed", "payout.canceled", "transfer.reversed")
UNTAKEN = ("warning_needs_response", "warning_under_review", "warning_closed", "prevented")
"""Disputes that have taken no money: inquiries, and those prevented."""
SENDING, SENT = ("pending", "requires_action", "succeeded"), "succeeded"
"""Refunds that have left the platform's balance, and those that have reached the client."""

log = structlog.get_logger("ledger.stripe")


class Fact(NamedTuple):
    """Something that happened to a charge at Stripe. `id` is of the dispute or the refund, `amount` minor units."""

    at: datetime
    id: str
    kind: Literal["chargeback", "won", "refund", "sent"]
    amount: int
    refund_id: str | None = None
    """The ledger's id of the refund that was sent."""


class StripeReports:
    """`handle` carries out a command; `ask` is how the worker asks a processor and puts the answer into a command."""

    def __init__(
        self,
        processor: StripeProcessor,
        ledger_log: LedgerLog,
        clock: Clock,
        handle: Callable[[Command], object],
        ask: Callable[[Sequence[Deadline], datetime], list[Command | None]],
    ) -> None:
        self._processor, self._log, self._clock, self._handle, self._ask = processor, ledger_log, clock, handle, ask

    def take(self, report: Mapping[str, Any]) -> None:
        """Records what is new about the object that a verified webhook names; any other kind is none of the ledger's business.

        Raises OutcomeUnknown when Stripe does not say how it stands, so that it sends the webhook again.
        """
        kind, subject = str(report.get("type")), _subject(report)
        if kind in FRESH_KINDS or kind.startswith(LATER_KINDS):
            payment_id = subject.get("id") if kind.startswith("payment_intent.") else subject.get("payment_intent")
            if isinstance(payment_id, str) and payment_id:
                with asking():
                    self._take_payment(payment_id, fresh=kind in FRESH_KINDS)
        elif kind in WITHDRAWAL_KINDS:
            withdrawal_id = _written_on(subject).get("withdrawal_id")
            if isinstance(withdrawal_id, str):
                self._take_withdrawal(withdrawal_id, kind)

    # Payments

    def _take_payment(self, payment_id: str, *, fresh: bool) -> None:
        payment = self._processor.payments.retrieve(payment_id)
        written = metadata(payment)
        payout = self._payout(written.get("payout_id", ""))
        if payout is None or not written.get("attempt", "").isdecimal():
            log.info("a payment at Stripe is not this ledger's", payment=payment_id)
            return
        payout = self._charged(payout, payment, int(written["attempt"]))
        if payout.reference == payment.id:
            self._bring_up_to_date(payout, self._facts(payment, fresh=fresh))

    def _payout(self, payout_id: str) -> Payout | None:
        state = self._log.load([payout_id])[payout_id] if ids.kind_of(payout_id) == ids.PAYOUT else None
        return state if isinstance(state, Payout) else None

    def _charged(self, payout: Payout, payment: stripe.PaymentIntent, attempt: int) -> Payout:
        """The payout once the outcome of the attempt is recorded, if the ledger is waiting for it (rules 21, 24)."""
        if payout.in_flight is not None and payout.in_flight.number == attempt:
            if payment.status in ("succeeded", "canceled") or payment.last_payment_error is not None:
                outcome = self._processor.payments.settle(payment)
                self._handle(_record_charge(payout, payment.id, attempt, outcome, self._clock.now()))
                return self._payout(payout.id) or payout
        elif payment.status == "succeeded" and payout.reference != payment.id:
            about = {"payout": payout.id, "payment": payment.id, "recorded": payout.reference}
            log.error(
                "Stripe took money for an attempt that was given up; the next attempt finds it, or refund it", **about
            )
        return payout

    def _facts(self, payment: stripe.PaymentIntent, *, fresh: bool) -> list[Fact]:
        """What happened to the charge since, in the order in which it did: all of it, or nothing where there is nothing."""
        charge = charge_of(payment)
        if fresh and charge is not None and not charge.amount_refunded and not charge.disputed:
            return []
        refunds, disputes = self._processor.refunds(payment.id), self._processor.disputes(payment.id)
        return sorted((*_refunded(refunds), *_disputed(disputes, self._clock.now())))

    def _bring_up_to_date(self, payout: Payout, facts: Sequence[Fact]) -> None:
        """Records, again and again, the earliest fact that is not recorded and can be.

        One that comes later at Stripe is never in the list before an earlier one, so this ends in the same state whether
        it is called after each fact or once after all.
        """
        for _ in range(MAX_STEPS):
            command = next_command(payout, facts, self._clock.now())
            if command is None:
                _warn_of_rest(payout, facts)
                return
            try:
                self._handle(command)
            except Refused as refusal:  # somebody else took from the payout at this moment
                raise OutcomeUnknown(f"{payout.id} changed meanwhile: {refusal.code}") from None
            payout = self._payout(payout.id) or payout
        raise OutcomeUnknown(f"{payout.id} is not up to date after {MAX_STEPS} steps")

    # Withdrawals

    def _take_withdrawal(self, withdrawal_id: str, kind: str) -> None:
        """Asks about a withdrawal under way now, as the worker would later (rule 25)."""
        rows = self._log.database.fetch(
            "SELECT kind, stream, item, at, cause_id FROM deadlines WHERE kind = %s AND item = %s",
            (TRANSFER, withdrawal_id),
        )
        if not rows:
            report = log.info if kind == "payout.paid" else log.warning
            report("Stripe reports on a withdrawal that is not under way", withdrawal=withdrawal_id, report=kind)
            return
        (command,) = self._ask([Deadline(**rows[0])], self._clock.now())
        if command is None:
            raise OutcomeUnknown(f"the withdrawal {withdrawal_id} is still under way")
        self._handle(command)


def verify(body: bytes, signature: str | None, secrets: Iterable[str]) -> bool:
    """Whether one of the endpoint's secrets signed the raw body, and not long ago. By Stripe's own library."""
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, TypeError, ValueError):
            continue
        return True
    return False


def next_command(payout: Payout, facts: Sequence[Fact], now: datetime) -> Command | None:
    """The command that records the first fact of the list that is not recorded and can be; None when there is none.

    Never more is taken than the payout still holds; what holds nothing is not taken from until it does again (rule 26).
    """
    reversals = {reversal.id: reversal for reversal in payout.reversals}
    unsent = {refund.id for refund in payout.refunds if refund.paid_at is None}
    for fact in facts:
        reversal = reversal_id(fact.id)
        stamp = _stamp(payout, fact, now)
        match fact.kind:
            case "chargeback" | "refund" if reversal not in reversals and payout.held:
                amount = min(fact.amount, payout.held)
                reason: Literal["refund", "chargeback"] = fact.kind
                return c.ReversePayout(**stamp, reversal_id=reversal, amount=amount, reason=reason)
            case "won" if reversal in reversals and reversals[reversal].reinstated_at is None:
                return c.ReinstateReversal(**stamp, reversal_id=reversal)
            case "sent" if (fact.refund_id or reversal) in unsent:
                return c.RecordRefund(**stamp, refund_id=fact.refund_id or reversal, reference=fact.id)
    return None


def _stamp(payout: Payout, fact: Fact, now: datetime) -> dict[str, Any]:
    """True at Stripe's time, but not before the money was where it is taken from."""
    moved = [payout.charged_at, payout.released_at, *(one.at for one in payout.reversals)]
    moved += [one.reinstated_at for one in payout.reversals]
    if payout.released and not payout.pending:
        moved.append(payout.release_at)
    if payout.returned and payout.objection is not None:
        moved.append(payout.objection.ended_at)
    return {
        "command_id": ids.derive(ids.COMMAND, "stripe", fact.id, fact.kind),
        "actor": ACTOR,
        "now": now,
        "effective_at": max([fact.at, *(one for one in moved if one is not None)]),
        "payout_id": payout.id,
    }


def _record_charge(payout: Payout, payment_id: str, attempt: int, outcome: Outcome, now: datetime) -> Command:
    return c.RecordCharge(
        command_id=ids.derive(ids.COMMAND, "stripe", payment_id, str(attempt)),
        actor=ACTOR,
        now=now,
        effective_at=outcome.at,
        payout_id=payout.id,
        attempt=attempt,
        reference=outcome.reference,
        failure=outcome.failure,
        final=outcome.final,
    )


def _refunded(refunds: Iterable[stripe.Refund]) -> Iterable[Fact]:
    """The ledger's own refunds are reversals already: of them it only learns that they were sent."""
    for refund in refunds:
        at, own = instant(refund.created), refund_id_of(refund)
        if own is None and refund.status in SENDING:
            yield Fact(at, refund.id, "refund", refund.amount)
        if refund.status == SENT:
            yield Fact(at, refund.id, "sent", refund.amount, own)


def _disputed(disputes: Iterable[stripe.Dispute], now: datetime) -> Iterable[Fact]:
    """A dispute that is won was opened before, whether the ledger has heard of that or not."""
    for dispute in disputes:
        if dispute.status in UNTAKEN:
            continue
        yield Fact(instant(dispute.created), dispute.id, "chargeback", dispute.amount)
        if dispute.status == "won":
            given_back = [one.created for one in dispute.balance_transactions if one.amount > 0]
            yield Fact(instant(max(given_back)) if given_back else now, dispute.id, "won", dispute.amount)


def _warn_of_rest(payout: Payout, facts: Sequence[Fact]) -> None:
    """What Stripe took beyond what the payout held is the platform's loss: it is in no account, and said here."""
    taken = {reversal.id: reversal.amount for reversal in payout.reversals}
    won = {fact.id for fact in facts if fact.kind == "won"}
    for fact in facts:
        rest = fact.amount - taken.get(reversal_id(fact.id), 0)
        if fact.kind in ("chargeback", "refund") and rest and fact.id not in won:
            about = {"payout": payout.id, "stripe": fact.id, "kind": fact.kind, "currency": payout.currency}
            log.warning("Stripe took back more than the payout still held", **about, amount=fact.amount, uncovered=rest)


def _subject(report: Mapping[str, Any]) -> Mapping[str, Any]:
    data = report.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    return subject if isinstance(subject, dict) else {}


def _written_on(subject: Mapping[str, Any]) -> Mapping[str, Any]:
    written = subject.get("metadata")
    return written if isinstance(written, dict) else {}
