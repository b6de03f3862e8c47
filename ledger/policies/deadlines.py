"""What happens by itself, and when: which event sets or clears which deadline, and the command that a deadline becomes.

Every instant here was computed when the event was decided; it is only read. A deadline is named by its stream, its kind and an
item (a milestone, a refund, a withdrawal), and remembers the event that set it, which is the cause of what it leads to.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from ledger import commands as c
from ledger import events as e
from ledger.commands import SYSTEM, Command
from ledger.events import EVENTS, Event
from ledger.ids import COMMAND, derive

CLOSE, LAPSE, CHARGE, ASK, RELEASE, TRANSFER, REFUND, NOTIFY = (
    "close",
    "lapse",
    "charge",
    "ask",
    "release",
    "transfer",
    "refund",
    "notify",
)
ORDER = {CLOSE: 0, LAPSE: 1, CHARGE: 2, ASK: 3, RELEASE: 4, TRANSFER: 5, REFUND: 6, NOTIFY: 7}
"""What is due at one instant happens in this order (rule 29)."""

DECIDED = (CLOSE, LAPSE, RELEASE)
"""Deadlines that the ledger decides by itself; before a command, what is due of these is decided first (rule 29)."""
OWN = (*DECIDED, CHARGE)
"""Deadlines at which the ledger itself decides; a charge among them waits for the worker, as it happens when it happens."""
OUTSIDE = (ASK, TRANSFER, REFUND, NOTIFY)
"""Deadlines at which somebody outside is asked."""


class Change(NamedTuple):
    """A deadline set to `at`, or cleared where that is None."""

    kind: str
    item: str
    at: datetime | None


class Deadline(NamedTuple):
    kind: str
    stream: str
    item: str
    at: datetime
    cause_id: str
    freelancer_id: str | None = None


def changes(event: Event) -> list[Change]:
    """What an event sets and clears on its own stream."""
    found = _CHANGES.get(type(event))
    return [] if found is None else found(event)


def _close(event: e.ClosingContractEvent) -> list[Change]:
    return [Change(CLOSE, "", event.next_close)]


def _no_lapse(event: e.MilestoneApproved | e.ChangesRequested) -> list[Change]:
    return [Change(LAPSE, event.milestone_id, None)]


def _release(event: e.HoldElapsed | e.ObjectionRaised | e.ObjectionWithdrawn | e.ReversalReinstated) -> list[Change]:
    return [Change(RELEASE, "", event.next_release_at)]


def _no_release(_: e.PayoutReleased) -> list[Change]:
    return [Change(RELEASE, "", None)]


def _reversed(event: e.PayoutReversed) -> list[Change]:
    refund = [Change(REFUND, event.reversal_id, event.occurred_at)] if event.reason == "refund" else []
    return [Change(RELEASE, "", event.next_release_at), *refund]


def _no_transfer(event: e.WithdrawalPaid | e.WithdrawalFailed) -> list[Change]:
    return [Change(TRANSFER, event.withdrawal_id, None)]


_CHANGES: dict[type[Event], Callable[[Any], list[Change]]] = {
    **{cls: _close for cls in EVENTS.values() if issubclass(cls, e.ClosingContractEvent)},
    e.ContractOffered: lambda event: [Change(NOTIFY, "invitation", event.occurred_at)],
    e.EmployerOfRecordSet: lambda event: [Change(NOTIFY, "eor_pay_schedule", event.occurred_at)],
    e.NotificationSent: lambda event: [Change(NOTIFY, event.kind, None)],
    e.MilestoneSubmitted: lambda event: [Change(LAPSE, event.milestone_id, event.review_deadline)],
    e.MilestoneApproved: _no_lapse,
    e.ChangesRequested: _no_lapse,
    e.PayoutDue: lambda event: [Change(CHARGE, "", event.occurred_at)],
    e.ChargeRequested: lambda event: [Change(CHARGE, "", None), Change(ASK, "", event.occurred_at)],
    e.ChargeFailed: lambda event: [Change(ASK, "", None), Change(CHARGE, "", event.next_attempt_at)],
    e.PayoutCharged: lambda event: [Change(ASK, "", None), Change(CHARGE, "", None), *_release(event)],
    e.HoldElapsed: _release,
    e.ObjectionRaised: _release,
    e.ObjectionWithdrawn: _release,
    e.ReversalReinstated: _release,
    e.PayoutReleased: _no_release,
    e.PayoutReduced: lambda event: [*_release(event), Change(REFUND, event.refund_id, event.occurred_at)],
    e.PayoutReversed: _reversed,
    e.RefundPaid: lambda event: [Change(REFUND, event.refund_id, None)],
    e.WithdrawalRequested: lambda event: [Change(TRANSFER, event.withdrawal_id, event.occurred_at)],
    e.WithdrawalSubmitted: lambda event: [Change(TRANSFER, event.withdrawal_id, event.settles_at)],
    e.WithdrawalPaid: _no_transfer,
    e.WithdrawalFailed: _no_transfer,
}
"""By the class of the event. One that is not here sets and clears nothing."""


def command_of(deadline: Deadline, now: datetime) -> Command:
    """The command that a person could have sent at the deadline. It is true as of the deadline; a charge happens now."""
    origin: dict[str, Any] = {
        "command_id": derive(COMMAND, deadline.stream, deadline.kind, deadline.item, deadline.at.isoformat()),
        "actor": SYSTEM,
        "now": now,
        "cause_id": deadline.cause_id,
    }
    match deadline.kind:
        case "close":
            return c.CloseContract(**origin, effective_at=deadline.at, contract_id=deadline.stream)
        case "lapse":
            milestone: dict[str, Any] = {"contract_id": deadline.stream, "milestone_id": deadline.item}
            return c.LapseReview(**origin, effective_at=deadline.at, **milestone)
        case "charge":
            return c.RequestCharge(**origin, payout_id=deadline.stream)
        case "release":
            return c.ReleasePayout(**origin, effective_at=deadline.at, payout_id=deadline.stream)
    raise ValueError(f"a deadline of kind {deadline.kind} is not decided but asked about outside")
