"""What happens by itself, and when: which event sets or clears which deadline, and the command that a deadline becomes.

Every instant here was computed when the event was decided; it is only read. A deadline is named by its stream, its kind and an
item (a milestone, a refund, a withdrawal), and remembers the event that set it, which is the cause of what it leads to.
"""

from datetime import datetime
from typing import Any, NamedTuple

from ledger import commands as c
from ledger import events as e
from ledger.commands import SYSTEM, Command
from ledger.events import Event
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
    match event:
        case e.ClosingContractEvent():
            return [Change(CLOSE, "", event.next_close)]
        case e.MilestoneSubmitted():
            return [Change(LAPSE, event.milestone_id, event.review_deadline)]
        case e.MilestoneApproved() | e.ChangesRequested():
            return [Change(LAPSE, event.milestone_id, None)]
        case e.PayoutEvent():
            return _of_payout(event)
        case e.WithdrawalRequested():
            return [Change(TRANSFER, event.withdrawal_id, event.occurred_at)]
        case e.WithdrawalSubmitted():
            return [Change(TRANSFER, event.withdrawal_id, event.settles_at)]
        case e.WithdrawalPaid() | e.WithdrawalFailed():
            return [Change(TRANSFER, event.withdrawal_id, None)]
        case e.ContractOffered():
            return [Change(NOTIFY, "invitation", event.occurred_at)]
        case e.EmployerOfRecordSet():
            return [Change(NOTIFY, "eor_pay_schedule", event.occurred_at)]
        case e.NotificationSent():
            return [Change(NOTIFY, event.kind, None)]
    return []


def _of_payout(event: e.PayoutEvent) -> list[Change]:
    match event:
        case e.PayoutDue():
            return [Change(CHARGE, "", event.occurred_at)]
        case e.ChargeRequested():
            return [Change(CHARGE, "", None), Change(ASK, "", event.occurred_at)]
        case e.ChargeFailed():
            return [Change(ASK, "", None), Change(CHARGE, "", event.next_attempt_at)]
        case e.PayoutCharged():
            return [Change(ASK, "", None), Change(CHARGE, "", None), Change(RELEASE, "", event.next_release_at)]
        case e.HoldElapsed() | e.ObjectionRaised() | e.ObjectionWithdrawn() | e.ReversalReinstated():
            return [Change(RELEASE, "", event.next_release_at)]
        case e.PayoutReleased():
            return [Change(RELEASE, "", None)]
        case e.PayoutReduced():
            return [Change(RELEASE, "", event.next_release_at), Change(REFUND, event.refund_id, event.occurred_at)]
        case e.PayoutReversed():
            release = Change(RELEASE, "", event.next_release_at)
            refund = Change(REFUND, event.reversal_id, event.occurred_at)
            return [release, refund] if event.reason == "refund" else [release]
        case e.RefundPaid():
            return [Change(REFUND, event.refund_id, None)]
    return []


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
