"""A payout's state, and what each of its events makes of it (rules 17 to 26)."""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from ledger import events as e
from ledger.aggregates.steps import Changes, Steps, follow
from ledger.errors import Corrupt, NotFound
from ledger.events import Event

Status = Literal["due", "charge_failed", "pending", "released", "reversed"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A charge in flight."""

    number: int
    key: str
    amount: int
    method: str
    requested_at: datetime


class Objection(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["open", "withdrawn", "settled"]
    reason: str
    at: datetime
    ended_at: datetime | None = None


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    reason: e.ReversalReason
    amount: int
    from_pending: int
    from_available: int
    at: datetime
    reinstated_at: datetime | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money that the processor sends back to the client: of a reduction or of a reversal by refund."""

    id: str
    amount: int
    paid_at: datetime | None = None


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts are minor units of `currency`."""

    id: str
    version: int
    contract_id: str
    client_id: str
    freelancer_id: str
    payee: str
    currency: str
    source: e.Source
    due_at: datetime
    due_amount: int
    review_deadline: datetime | None
    # the charge
    failures: int = 0
    last_failure: str | None = None
    in_flight: Attempt | None = None
    next_attempt_at: datetime | None
    reference: str | None = None
    charged_at: datetime | None = None
    charged: int = 0
    # the money
    pending: int = 0
    released: int = 0
    """What was ever released; it never falls."""
    returned: int = 0
    """By reductions."""
    reversed_before: int = 0
    """Taken from pending and not won back."""
    reversed_after: int = 0
    """Taken from available and not won back."""
    # the release
    hold_until: datetime | None = None
    hold_elapsed: bool = False
    release_at: datetime | None = None
    next_release_at: datetime | None = None
    released_at: datetime | None = None
    objection: Objection | None = None
    reversals: tuple[Reversal, ...] = ()
    refunds: tuple[Refund, ...] = ()

    @property
    def held(self) -> int:
        """What the payout still holds: charged, less reductions and reversals."""
        return self.pending + self.released - self.reversed_after

    @property
    def status(self) -> Status:
        if self.charged_at is None:
            return "charge_failed" if self.failures else "due"
        if self.pending:
            return "pending"
        return "released" if self.held else "reversed"

    @property
    def amount(self) -> int:
        """Charged, or to be charged, less reductions and reversals."""
        return self.due_amount if self.charged_at is None else self.held

    @property
    def available_on(self) -> datetime | None:
        """When the money is released, as far as it is known (rule 23)."""
        return self.release_at if self.status == "pending" else self.released_at

    @property
    def objection_open(self) -> bool:
        return self.objection is not None and self.objection.status == "open"

    @property
    def for_freelancer(self) -> bool:
        """False for a payroll, which is its Employer of Record's (rule 4)."""
        return self.payee == self.freelancer_id


def reversal_of(state: Payout, reversal_id: str) -> Reversal:
    """Raises NotFound."""
    for reversal in state.reversals:
        if reversal.id == reversal_id:
            return reversal
    raise NotFound(f"reversal {reversal_id} of payout {state.id}")


def evolve(state: Payout | None, event: Event) -> Payout:
    return _due(event) if isinstance(event, e.PayoutDue) else follow(state, event, _STEPS, "payout")


def _due(event: e.PayoutDue) -> Payout:
    return Payout(
        id=event.payout_id,
        version=1,
        contract_id=event.contract_id,
        client_id=event.client_id,
        freelancer_id=event.freelancer_id,
        payee=event.payee,
        currency=event.currency,
        source=event.source,
        due_at=event.occurred_at,
        due_amount=event.amount,
        review_deadline=event.review_deadline,
        next_attempt_at=event.occurred_at,
    )


def _charge_requested(_: Payout, event: e.ChargeRequested) -> Changes:
    attempt = Attempt(
        number=event.attempt,
        key=event.key,
        amount=event.amount,
        method=event.method.id,
        requested_at=event.occurred_at,
    )
    return {"in_flight": attempt, "next_attempt_at": None}


def _charged(_: Payout, event: e.PayoutCharged) -> Changes:
    return {
        "in_flight": None,
        "next_attempt_at": None,
        "reference": event.reference,
        "charged_at": event.occurred_at,
        "charged": event.amount,
        "pending": event.amount,
        "hold_until": event.hold_until,
        "release_at": event.release_at,
        "next_release_at": event.next_release_at,
    }


def _charge_failed(_: Payout, event: e.ChargeFailed) -> Changes:
    return {
        "in_flight": None,
        "failures": event.attempt,
        "last_failure": event.failure,
        "next_attempt_at": event.next_attempt_at,
    }


def _hold_elapsed(_: Payout, event: e.HoldElapsed) -> Changes:
    return {"hold_elapsed": True, "next_release_at": event.next_release_at}


def _released(state: Payout, event: e.PayoutReleased) -> Changes:
    return {
        "pending": state.pending - event.amount,
        "released": state.released + event.amount,
        "released_at": state.released_at or event.occurred_at,
        "next_release_at": None,
    }


def _objected(_: Payout, event: e.ObjectionRaised) -> Changes:
    objection = Objection(status="open", reason=event.reason.id, at=event.occurred_at)
    return {"objection": objection, "release_at": None, "next_release_at": event.next_release_at}


def _objection_withdrawn(state: Payout, event: e.ObjectionWithdrawn) -> Changes:
    return {**_release_times(event), **_end_objection(state, "withdrawn", event.occurred_at)}


def _reduced(state: Payout, event: e.PayoutReduced) -> Changes:
    return {
        **_release_times(event),
        **_end_objection(state, "settled", event.occurred_at),
        "pending": event.amount,
        "returned": state.returned + event.returned,
        "refunds": (*state.refunds, Refund(id=event.refund_id, amount=event.returned)),
    }


def _release_times(event: e.ObjectionWithdrawn | e.PayoutReduced | e.PayoutReversed | e.ReversalReinstated) -> Changes:
    return {"release_at": event.release_at, "next_release_at": event.next_release_at}


def _end_objection(state: Payout, status: Literal["withdrawn", "settled"], at: datetime) -> Changes:
    if state.objection is None:
        raise Corrupt(f"an objection to {state.id} ended that never began")
    return {"objection": replace(state.objection, status=status, ended_at=at)}


def _refund_paid(state: Payout, event: e.RefundPaid) -> Changes:
    refunds = (replace(one, paid_at=event.occurred_at) if one.id == event.refund_id else one for one in state.refunds)
    return {"refunds": tuple(refunds)}


def _reinstated(state: Payout, event: e.ReversalReinstated) -> Changes:
    reversals = (
        replace(one, reinstated_at=event.occurred_at) if one.id == event.reversal_id else one for one in state.reversals
    )
    return {
        **_release_times(event),
        "pending": state.pending + event.to_pending,
        "reversed_before": state.reversed_before - event.to_pending,
        "reversed_after": state.reversed_after - event.to_available,
        "reversals": tuple(reversals),
    }


def _reversed(state: Payout, event: e.PayoutReversed) -> Changes:
    amount = event.from_pending + event.from_available
    reversal = Reversal(
        id=event.reversal_id,
        reason=event.reason,
        amount=amount,
        from_pending=event.from_pending,
        from_available=event.from_available,
        at=event.occurred_at,
    )
    refund = (Refund(id=event.reversal_id, amount=amount),) if event.reason == "refund" else ()
    return {
        **_release_times(event),
        **(_end_objection(state, "settled", event.occurred_at) if event.ends_objection else {}),
        "pending": state.pending - event.from_pending,
        "reversed_before": state.reversed_before + event.from_pending,
        "reversed_after": state.reversed_after + event.from_available,
        "reversals": (*state.reversals, reversal),
        "refunds": (*state.refunds, *refund),
    }


_STEPS: Steps = {
    e.ChargeRequested: _charge_requested,
    e.PayoutCharged: _charged,
    e.ChargeFailed: _charge_failed,
    e.HoldElapsed: _hold_elapsed,
    e.PayoutReleased: _released,
    e.ObjectionRaised: _objected,
    e.ObjectionWithdrawn: _objection_withdrawn,
    e.PayoutReduced: _reduced,
    e.PayoutReversed: _reversed,
    e.ReversalReinstated: _reinstated,
    e.RefundPaid: _refund_paid,
}
