"""What a payout decides: charges and their failures, the hold, the release, objections, reversals (rules 18 to 26)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.aggregates.client import Client
from ledger.aggregates.payout import Payout, reversal_of
from ledger.commands import Command
from ledger.errors import NotFound, Refused
from ledger.events import Event
from ledger.rules import RULES, Rules

NO_BILLING_METHOD = "no_billing_method"

CYCLE_SOURCES = ("timesheet", "fixed_rate")
"""Payouts with a review window, which can be objected to (rules 17, 18)."""


def reads(state: Payout | None, command: Command) -> tuple[str, ...]:
    """The other streams that the decision reads: a charge reads the client's billing method."""
    if state is not None and isinstance(command, c.RequestCharge | c.RecordCharge):
        return (state.client_id,)
    return ()


def decide(state: Payout | None, command: Command, others: Mapping[str, Any], rules: Rules = RULES) -> list[Event]:
    """The events of a command; nothing for what has happened already, so that twice is once."""
    if isinstance(command, c.OpenPayout):
        return [] if state is not None else [_open(command)]
    if state is None:
        raise NotFound(f"payout {command.stream}")
    match command:
        case c.RequestCharge():
            return _request_charge(state, command, others[state.client_id], rules)
        case c.RecordCharge():
            return _record_charge(state, command, others[state.client_id], rules)
        case c.ReleasePayout():
            return _release(state, command)
        case c.RaiseObjection():
            return [_object(state, command)]
        case c.WithdrawObjection():
            return [_withdraw_objection(state, command)]
        case c.ReducePayout():
            return [_reduce(state, command)]
        case c.ReversePayout():
            return [_reverse(state, command)]
        case c.ReinstateReversal():
            return [_reinstate(state, command)]
        case c.RecordRefund():
            return _record_refund(state, command)
    raise TypeError(f"a payout does not decide {type(command).__name__}")


def _own(state: Payout, command: Command, at: datetime | None = None) -> dict[str, Any]:
    return {
        **command.stamp(at),
        "payout_id": state.id,
        "contract_id": state.contract_id,
        "client_id": state.client_id,
        "freelancer_id": state.freelancer_id,
        "payee": state.payee,
        "currency": state.currency,
    }


def _open(command: c.OpenPayout) -> Event:
    terms = command.terms
    return e.PayoutDue(
        **command.stamp(),
        payout_id=command.payout_id,
        contract_id=command.contract_id,
        client_id=command.client_id,
        freelancer_id=command.freelancer_id,
        payee=terms.payee,
        currency=terms.currency,
        source=terms.source,
        amount=terms.amount,
        review_deadline=terms.review_deadline,
    )


# The charge


def _request_charge(state: Payout, command: c.RequestCharge, client: Client, rules: Rules) -> list[Event]:
    if command.because == "operator" and state.status != "charge_failed":
        raise Refused("charge_not_failed", f"the payout is {state.status}: only a failed charge can be tried again")
    if state.charged_at is not None or state.in_flight is not None:
        return []
    if command.because == "schedule" and (state.next_attempt_at is None or command.now < state.next_attempt_at):
        return []
    number = state.failures + 1
    own = _own(state, command)
    if client.method is None or client.method_sha256 is None:
        return [_failed(own, number, NO_BILLING_METHOD, rules, final=False, method_changed=False)]
    method = e.Sealed(id=client.method, sha256=client.method_sha256)
    key = f"{state.id}:{number}"
    return [e.ChargeRequested(**own, attempt=number, key=key, amount=state.due_amount, method=method)]


def _record_charge(state: Payout, command: c.RecordCharge, client: Client, rules: Rules) -> list[Event]:
    if state.in_flight is None or state.in_flight.number != command.attempt:
        return []
    own = _own(state, command)
    if command.reference is None:
        failure = command.failure or "unknown"
        changed = client.method is not None and client.method != state.in_flight.method
        return [_failed(own, command.attempt, failure, rules, final=command.final, method_changed=changed)]
    hold_until = command.at + rules.hold
    return [
        e.PayoutCharged(
            **own,
            attempt=command.attempt,
            amount=state.in_flight.amount,
            reference=command.reference,
            hold_until=hold_until,
            release_at=_release_at(state, hold_until),
            next_release_at=hold_until,
        )
    ]


def _failed(
    own: dict[str, Any], attempt: int, failure: str, rules: Rules, *, final: bool, method_changed: bool
) -> Event:
    """A failed attempt. A billing method that was set while it was in flight is tried at once."""
    next_attempt_at: datetime | None = None
    if method_changed:
        next_attempt_at = own["recorded_at"]
    elif not final and attempt < rules.scheduled_attempts:
        next_attempt_at = own["occurred_at"] + rules.retry_after
    return e.ChargeFailed(**own, attempt=attempt, failure=failure, final=final, next_attempt_at=next_attempt_at)


# The release


def _release_at(state: Payout, hold_until: datetime, *not_before: datetime) -> datetime | None:
    """The latest of the hold, the review deadline and the end of an objection; null under an open one (rule 23)."""
    if state.objection_open:
        return None
    ended = state.objection.ended_at if state.objection else None
    known = (state.review_deadline, ended, *not_before)
    return max([hold_until, *(instant for instant in known if instant is not None)])


def _next_release_at(state: Payout, release_at: datetime | None) -> datetime | None:
    """The next step of the release by itself: first the hold elapses, then the money is released."""
    return release_at if state.hold_elapsed else state.hold_until


def _release(state: Payout, command: c.ReleasePayout) -> list[Event]:
    if state.next_release_at is None or command.now < state.next_release_at or state.hold_until is None:
        return []
    events: list[Event] = []
    if not state.hold_elapsed:
        events.append(e.HoldElapsed(**_own(state, command, state.hold_until), next_release_at=state.release_at))
    if state.release_at is not None and command.at >= state.release_at and state.pending:
        events.append(e.PayoutReleased(**_own(state, command, state.release_at), amount=state.pending))
    return events


# Objections


def _object(state: Payout, command: c.RaiseObjection) -> Event:
    deadline = state.review_deadline
    # what is released was released at its deadline, by another clock: this one may be a little behind
    if deadline is not None and (command.now >= deadline or state.released):
        detail = (
            f"an objection was possible until {deadline:%Y-%m-%dT%H:%M:%SZ}: settle it with the freelancer directly"
        )
        raise Refused("review_period_ended", detail)
    if state.source.type not in CYCLE_SOURCES or not state.amount:
        raise Refused(
            "objection_not_possible", "only a payout of a billing cycle that still holds money can be objected to"
        )
    if state.objection_open:
        raise Refused(
            "objection_already_open", "the payout is under an objection already: withdraw it or wait for a reduction"
        )
    holds = state.charged_at is not None and not state.hold_elapsed
    next_release_at = state.hold_until if holds else None
    return e.ObjectionRaised(**_own(state, command), reason=command.reason, next_release_at=next_release_at)


def _require_open_objection(state: Payout) -> None:
    if not state.objection_open:
        raise Refused("no_open_objection", "the payout is not under an objection")


def _withdraw_objection(state: Payout, command: c.WithdrawObjection) -> Event:
    _require_open_objection(state)
    release_at = _after_objection(state, command)
    return e.ObjectionWithdrawn(
        **_own(state, command), release_at=release_at, next_release_at=_next_release_at(state, release_at)
    )


def _after_objection(state: Payout, command: Command) -> datetime | None:
    """When the money is released once the open objection has ended now; null while it is not charged."""
    if state.hold_until is None:
        return None
    known = (state.hold_until, state.review_deadline, command.at)
    return max(instant for instant in known if instant is not None)


def _reduce(state: Payout, command: c.ReducePayout) -> Event:
    _require_open_objection(state)
    if state.charged_at is None:
        raise Refused("payout_not_reducible", "the payout has not been charged yet: reduce it once it is pending")
    if command.amount >= state.held:
        detail = f"the new amount must be below the present {state.held} minor units of {state.currency}, not {command.amount}"
        raise Refused("payout_not_reducible", detail)
    release_at = _after_objection(state, command) if command.amount else None
    return e.PayoutReduced(
        **_own(state, command),
        refund_id=command.refund_id,
        amount=command.amount,
        returned=state.held - command.amount,
        release_at=release_at,
        next_release_at=_next_release_at(state, release_at) if command.amount else None,
    )


# Reversals


def _reverse(state: Payout, command: c.ReversePayout) -> Event:
    if command.amount > state.held:
        detail = f"the payout still holds {state.held} minor units of {state.currency}: no more can be taken back"
        raise Refused("reversal_too_large", detail)
    from_pending = min(state.pending, command.amount)
    stays_pending = state.pending > from_pending
    return e.PayoutReversed(
        **_own(state, command),
        reversal_id=command.reversal_id,
        reason=command.reason,
        from_pending=from_pending,
        from_available=command.amount - from_pending,
        ends_objection=state.objection_open and command.amount == state.held,
        release_at=state.release_at if stays_pending else None,
        next_release_at=state.next_release_at if stays_pending else None,
    )


def _reinstate(state: Payout, command: c.ReinstateReversal) -> Event:
    reversal = reversal_of(state, command.reversal_id)
    if reversal.reason != "chargeback":
        raise Refused("reversal_not_reinstatable", "a refund was given back for good: only a chargeback can be won")
    if reversal.reinstated_at is not None:
        raise Refused("reversal_not_reinstatable", "this chargeback has been won already")
    release_at, next_release_at = state.release_at, state.next_release_at
    if reversal.from_pending and state.hold_until is not None:
        release_at = _release_at(state, state.hold_until, command.at)
        next_release_at = _next_release_at(state, release_at)
    return e.ReversalReinstated(
        **_own(state, command),
        reversal_id=reversal.id,
        to_pending=reversal.from_pending,
        to_available=reversal.from_available,
        release_at=release_at,
        next_release_at=next_release_at,
    )


def _record_refund(state: Payout, command: c.RecordRefund) -> list[Event]:
    for refund in state.refunds:
        if refund.id == command.refund_id and refund.paid_at is None:
            own = _own(state, command)
            return [e.RefundPaid(**own, refund_id=refund.id, amount=refund.amount, reference=command.reference)]
    return []
