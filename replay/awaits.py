"""What a payout waits for now, who can end the wait, and until when. Pure: read from its state, computed from nothing newer."""

from dataclasses import dataclass
from datetime import datetime

from ledger.aggregates.payout import Payout
from ledger.aggregates.payout_decider import CYCLE_SOURCES
from ledger.rules import RULES
from replay.rules import refund_rules
from replay.values import instant, money

_FIRST_CHARGE = {"milestone": (13,), "timesheet": (17,), "fixed_rate": (17,), "bonus": (20,), "eor_payroll": (4,)}
"""The rule by which the client is charged at once."""


@dataclass(frozen=True)
class Awaited:
    """`who` can bring it about; `until` is when it happens by itself, or can happen at the latest; null: nobody knows."""

    what: str
    who: str
    until: datetime | None
    text: str
    rules: tuple[int, ...]


def awaited(state: Payout, now: datetime | None = None) -> tuple[Awaited, ...]:
    """The foremost first; empty where nothing is awaited. `now` tells what lies ahead from what is only to be recorded."""
    match state.status:
        case "due" | "charge_failed":
            return _uncharged(state, now)
        case "pending":
            return (*_pending(state, now), *_from_outside(state))
    return _from_outside(state)


def summary(state: Payout) -> str:
    """Where the money is, in a sentence."""
    held = money(state.amount, state.currency)
    match state.status:
        case "due":
            return f"{held} is due and not charged yet, so no money has moved."
        case "charge_failed":
            failures = f"{state.failures} time(s), last with {state.last_failure}"
            return f"{held} is due; the charge has failed {failures}, so no money has moved."
        case "pending":
            return f"{held} is charged and pending{': an open objection stops its release' if state.objection_open else ''}."
        case "released":
            whose = "the freelancer" if state.for_freelancer else "the Employer of Record"
            when = f" at {instant(state.released_at)}" if state.released_at is not None else ""
            taken = (
                f", less {money(state.reversed_after, state.currency)} reversed since" if state.reversed_after else ""
            )
            return f"{held} was released to {whose}{when}{taken}."
    return "Nothing is left of it: all that was charged has gone back to the client."


def _past(instant_: datetime | None, now: datetime | None) -> bool:
    return instant_ is not None and now is not None and instant_ <= now


def _uncharged(state: Payout, now: datetime | None) -> tuple[Awaited, ...]:
    number = state.failures + 1
    if state.in_flight is not None:
        text = f"The processor is asked about attempt {number} under its key {state.in_flight.key} until it answers."
        return (Awaited("charge_outcome", "processor", None, text, (24,)),)
    found: list[Awaited] = []
    if state.next_attempt_at is not None:
        when = "now" if _past(state.next_attempt_at, now) else f"at {instant(state.next_attempt_at)}"
        rules = (24,) if state.failures else _FIRST_CHARGE[state.source.type]
        found.append(
            Awaited("charge_attempt", "ledger", state.next_attempt_at, f"Attempt {number} is made {when}.", rules)
        )
    if state.failures:
        found += _retries(state)
    return tuple(found)


def _retries(state: Payout) -> list[Awaited]:
    why = ""
    if state.next_attempt_at is None:
        tenth = state.failures >= RULES.scheduled_attempts
        reason = f"this was failure {state.failures}" if tenth else "the processor called the decline final"
        why = f"No attempt is scheduled, as {reason}. "
    held = " The contract is suspended meanwhile." if state.failures >= RULES.suspending_failure else ""
    return [
        Awaited("billing_method", "client", None, f"{why}A new billing method is tried at once.{held}", (24,)),
        Awaited("retry", "operator", None, "An operator may have it tried at once.", (24,)),
    ]


def _pending(state: Payout, now: datetime | None) -> list[Awaited]:
    if state.objection_open:
        text = (
            "The client withdraws the objection, or the freelancer reduces the payout; until then nothing is released."
        )
        found = [Awaited("end_of_objection", "client, freelancer", None, text, (18, 23))]
        if not state.hold_elapsed:
            found.append(Awaited("hold", "ledger", state.hold_until, "The hold runs meanwhile.", (22,)))
        return found
    found = [Awaited("release", "ledger", state.release_at, _release_text(state, now), (23, *_binding(state)[1]))]
    objectable = state.source.type in CYCLE_SOURCES and not _past(state.review_deadline, now)
    if objectable and state.review_deadline is not None:
        text = f"Before {instant(state.review_deadline)} the client may object, which would stop the release."
        found.append(Awaited("objection_window", "client", state.review_deadline, text, (18, 19)))
    return found


def _release_text(state: Payout, now: datetime | None) -> str:
    at = instant(state.release_at) if state.release_at is not None else "an unknown time"
    if _past(state.release_at, now):
        return f"It is released as of {at}, as soon as that is recorded."
    return f"It is released at {at}, {_binding(state)[0]}."


def _binding(state: Payout) -> tuple[str, tuple[int, ...]]:
    """Which of the things that a release waits for comes last, and its rule."""
    if state.release_at == state.hold_until:
        return "when the hold has elapsed", (22,)
    if state.release_at == state.review_deadline:
        return "when the review period has ended", (17,)
    if state.objection is not None and state.release_at == state.objection.ended_at:
        return "when the objection ended", (18,)
    return "when the chargeback was won", (26,)


def _from_outside(state: Payout) -> tuple[Awaited, ...]:
    found = [
        Awaited(
            "refund",
            "processor",
            None,
            f"The processor sends {money(refund.amount, state.currency)} back to the client ({refund.id}).",
            refund_rules(refund.id),
        )
        for refund in state.refunds
        if refund.paid_at is None
    ]
    for reversal in state.reversals:
        if reversal.reason == "chargeback" and reversal.reinstated_at is None:
            text = f"If chargeback {reversal.id} is won, {money(reversal.amount, state.currency)} comes back."
            found.append(Awaited("chargeback_outcome", "operator", None, text, (26,)))
    return tuple(found)
