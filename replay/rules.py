"""The rules of the domain by their numbers, in a sentence each, and which of them an event comes from.

The domain page is the specification; these sentences only remind of it, wherever a history is explained.
"""

from collections.abc import Callable
from typing import Any

from ledger import events as e
from ledger import ids
from ledger.events import Event

SENTENCES: dict[int, str] = {
    1: "A contract is offered to an e-mail address, answered by its owner, and active once there is a payout method.",
    2: "Who was met on the platform must have gone through conversion before they are paid off it.",
    3: "A contract needs a classification outcome, decided by the client alone or after a recommendation.",
    4: "An employee is paid through an Employer of Record, under whose account the money stands throughout.",
    5: "Either side completes a contract; what is under way runs on.",
    6: "The freelancer receives what the client was charged for the work, to the minor unit.",
    7: "Money that the client's method never paid is never pending, and the ledger decides no dispute.",
    8: "Milestones are ordered; one that the freelancer requests is part of the contract once the client approves it.",
    9: "The client activates the next planned milestone, in order, when none is active or submitted.",
    10: "A submission is open to review for 7 days (weekly) or 14 days (biweekly).",
    11: "Before the deadline the client approves the work, or requests changes, after which a new review begins.",
    12: "At the review deadline silence is approval, as of the deadline itself.",
    13: "Approval makes a payout due, and the client is charged at once.",
    14: "Time is logged in its own week, and locked on the Monday 12:00 after it.",
    15: "A timesheet is minutes x hourly rate / 60, rounded once; a cycle's payout is the sum of its timesheets.",
    16: "Each billing cycle in which the contract was active makes a payout of the agreed rate, in full.",
    17: "At the close the payout is due and charged at once; it can be objected to for 4 days from then.",
    18: "An open objection stops the release until the client withdraws it or the freelancer reduces the payout.",
    19: "A cycle's payout needs no approval: not objected to, it is released by itself.",
    20: "A bonus is invoiced and charged at the next close after its grant; there is no review window.",
    21: "Once the processor reports success, the amount is pending.",
    22: "Charged money is held for 4 days from the charge.",
    23: "At the latest of the hold, the review deadline and the end of an objection, pending money becomes available.",
    24: "At most one attempt is in flight; a failed one is followed after 24 hours, up to the tenth, or at once on a new"
    " method or an operator's word; the fifth failure suspends the contract until nothing of it is owed.",
    25: "Available money is withdrawn to a payout method; it is in transit until it is paid, or fails and comes back.",
    26: "A refund or chargeback takes back what the payout still holds, first from pending; a won chargeback returns it.",
    27: "Nothing is edited: a correction is an adjustment with a reason, in force once another person approves it.",
    28: "Every event says who, when it is true, when it was written, and what it followed from.",
    29: "What is late is true as of when it was due; only a charge happens when it happens.",
    30: "Amounts are whole minor units of an ISO 4217 currency.",
}

Choice = Callable[[Any], tuple[int, ...]]

_CYCLE_RULE = {"milestone": 13, "timesheet": 15, "fixed_rate": 16, "bonus": 20, "eor_payroll": 4}


def _due(event: e.PayoutDue) -> tuple[int, ...]:
    source = event.source.type
    return (_CYCLE_RULE[source], 17) if event.review_deadline is not None else (_CYCLE_RULE[source],)


def _closed(event: e.CycleClosed) -> tuple[int, ...]:
    if event.payout is None:
        return (15,)
    return (_CYCLE_RULE[event.payout.source.type], 17)


def _charged(event: e.PayoutCharged) -> tuple[int, ...]:
    """An objection may stand before the charge succeeds."""
    return (21, 22, 18) if event.release_at is None else (21, 22, 23)


def refund_rules(refund_id: str) -> tuple[int, ...]:
    """What is sent back to the client comes from a reduction or from a refund."""
    return (18,) if ids.kind_of(refund_id) == ids.REDUCTION else (26,)


def _released(event: e.PayoutReleased) -> tuple[int, ...]:
    return (23,) if event.payee == event.freelancer_id else (23, 4)


RULES_OF: dict[str, tuple[int, ...] | Choice] = {
    "client.registered.v1": (28,),
    "client.billing_method_set.v1": (24,),
    "client.conversion_recorded.v1": (2,),
    "client.erased.v1": (28,),
    "client.payment_overdue.v1": (24,),
    "client.payment_settled.v1": (24,),
    "freelancer.registered.v1": (1,),
    "freelancer.payout_method_set.v1": (1,),
    "freelancer.erased.v1": (28,),
    "freelancer.payout_method_awaited.v1": (1,),
    "freelancer.funds_released.v1": (23, 25),
    "freelancer.funds_reversed.v1": (26, 25),
    "freelancer.funds_reinstated.v1": (26, 25),
    "freelancer.funds_adjusted.v1": (27, 25),
    "freelancer.withdrawal_requested.v1": (25,),
    "freelancer.withdrawal_submitted.v1": (25,),
    "freelancer.withdrawal_paid.v1": (25,),
    "freelancer.withdrawal_failed.v1": (25,),
    "contract.offered.v1": lambda event: (1, 2, 3) if event.sourcing == "marketplace" else (1, 3),
    "contract.offer_accepted.v1": (1,),
    "contract.offer_declined.v1": (1,),
    "contract.offer_withdrawn.v1": (1,),
    "contract.payout_method_confirmed.v1": (1,),
    "contract.questionnaire_answered.v1": (3,),
    "contract.classification_recommended.v1": (3,),
    "contract.classification_decided.v1": (3,),
    "contract.employer_of_record_set.v1": (4,),
    "contract.activated.v1": (1, 3),
    "contract.suspended.v1": (24,),
    "contract.resumed.v1": (24,),
    "contract.completed.v1": (5,),
    "contract.milestone_added.v1": (8,),
    "contract.milestone_request_approved.v1": (8,),
    "contract.milestone_request_declined.v1": (8,),
    "contract.milestone_activated.v1": (9,),
    "contract.milestone_submitted.v1": (10,),
    "contract.changes_requested.v1": (11,),
    "contract.milestone_approved.v1": lambda event: (12, 13) if event.by_silence else (11, 13),
    "contract.time_logged.v1": (14,),
    "contract.time_corrected.v1": (14,),
    "contract.time_removed.v1": (14,),
    "contract.timesheet_locked.v1": (14, 15),
    "contract.cycle_closed.v1": _closed,
    "contract.bonus_granted.v1": (20,),
    "contract.bonus_invoiced.v1": (20,),
    "contract.payroll_recorded.v1": (4,),
    "contract.notification_sent.v1": lambda event: (1,) if event.kind == "invitation" else (4,),
    "payout.due.v1": _due,
    "payout.charge_requested.v1": (24,),
    "payout.charged.v1": _charged,
    "payout.charge_failed.v1": (24, 7),
    "payout.hold_elapsed.v1": (22, 23),
    "payout.released.v1": _released,
    "payout.objection_raised.v1": (18,),
    "payout.objection_withdrawn.v1": (18, 23),
    "payout.reduced.v1": (18, 23),
    "payout.reversed.v1": (26,),
    "payout.reversal_reinstated.v1": (26,),
    "payout.refund_paid.v1": lambda event: refund_rules(event.refund_id),
    "adjustment.proposed.v1": (27,),
    "adjustment.approved.v1": (27,),
}
"""The rules applied at each event; where that depends on the event, a choice."""


def rules_of(event: Event) -> tuple[int, ...]:
    """The numbers of the rules that the event comes from, the foremost first."""
    found = RULES_OF[event.TOPIC]
    return found(event) if callable(found) else found
