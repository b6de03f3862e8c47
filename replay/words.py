"""What each event says, in a few words for people. Texts of the vault are not in them; `replay.texts` reveals those."""

from collections.abc import Callable
from typing import Any

from ledger import events as e
from ledger.events import Event
from replay.values import instant, money

Sentence = Callable[[Any, str], str]
"""Of an event, in the currency of its contract (empty where that is not known)."""


def sentence(event: Event, currency: str = "") -> str:
    """The event in words. `currency` is its contract's, for the few events that carry an amount without one."""
    known = getattr(event, "currency", None) or currency
    template = _SENTENCES[event.TOPIC]
    if callable(template):
        return template(event, known)
    return template.format(v=event, amount=_amount(getattr(event, "amount", 0), known))


def _amount(amount: int, currency: str) -> str:
    return money(amount, currency) if currency else f"{amount} minor units"


def _offered(event: e.ContractOffered, currency: str) -> str:
    if event.hourly_rate is not None:
        terms = f"{money(event.hourly_rate, currency)} an hour"
    elif event.rate is not None:
        terms = f"{money(event.rate, currency)} a cycle"
    else:
        terms = (
            f"{len(event.milestones)} milestone(s), {money(sum(m.amount for m in event.milestones), currency)} in all"
        )
    return f"{event.cadence} {event.kind} contract offered: {terms}"


def _source(source: e.Source) -> str:
    if source.start is not None and source.end is not None:
        return f"the {source.type} cycle {source.start:%Y-%m-%d} to {source.end:%Y-%m-%d}"
    return f"{source.type} {source.id}"


def _payout(terms: e.PayoutTerms) -> str:
    return f"payout {terms.payout_id} of {money(terms.amount, terms.currency)}"


def _charge_failed(event: e.ChargeFailed, _: str) -> str:
    final = ", finally" if event.final else ""
    if event.next_attempt_at is None:
        return f"charge attempt {event.attempt} failed{final}: {event.failure}; none is scheduled any more"
    return f"charge attempt {event.attempt} failed{final}: {event.failure}; the next is at {instant(event.next_attempt_at)}"


def _release(event: Any, otherwise: str = "") -> str:
    return f"; to be released at {instant(event.release_at)}" if event.release_at is not None else otherwise


def _reversed(event: e.PayoutReversed, currency: str) -> str:
    taken = [
        f"{money(amount, currency)} from {bucket}"
        for bucket, amount in (("pending", event.from_pending), ("available", event.from_available))
        if amount
    ]
    ended = "; the objection has ended" if event.ends_objection else ""
    return f"{event.reason} {event.reversal_id} took back {' and '.join(taken)}{ended}"


def _reinstated(event: e.ReversalReinstated, currency: str) -> str:
    put = [
        f"{money(amount, currency)} to {bucket}"
        for bucket, amount in (("pending", event.to_pending), ("available", event.to_available))
        if amount
    ]
    return f"chargeback {event.reversal_id} was won: {' and '.join(put)}{_release(event) if event.to_pending else ''}"


def _adjustment(event: e.AdjustmentProposed | e.AdjustmentApproved, verb: str) -> str:
    sides = (f"{p.direction} {p.account} {money(p.amount, p.currency)}" for p in event.postings)
    return f"adjustment {verb} by {event.person}: {', '.join(sides)}"


_SENTENCES: dict[str, str | Sentence] = {
    "client.registered.v1": "client registered",
    "client.billing_method_set.v1": lambda v, _: (
        f"billing method set; {len(v.overdue)} overdue charge(s) tried at once"
    ),
    "client.conversion_recorded.v1": "conversion {v.conversion_id} of {v.freelancer_id} recorded",
    "client.erased.v1": "the client's texts were erased",
    "client.payment_overdue.v1": "payment of {v.payout_id} is overdue",
    "client.payment_settled.v1": "overdue payment of {v.payout_id} is settled",
    "freelancer.registered.v1": "freelancer registered",
    "freelancer.payout_method_set.v1": "payout method set",
    "freelancer.erased.v1": "the freelancer's texts were erased",
    "freelancer.payout_method_awaited.v1": "contract {v.contract_id} waits for a payout method",
    "freelancer.funds_released.v1": "{amount} can be withdrawn",
    "freelancer.funds_reversed.v1": "{amount} less can be withdrawn ({v.reversal_id})",
    "freelancer.funds_reinstated.v1": "{amount} can be withdrawn again ({v.reversal_id})",
    "freelancer.funds_adjusted.v1": "{v.direction} of {amount} by adjustment {v.adjustment_id}",
    "freelancer.withdrawal_requested.v1": "withdrawal {v.withdrawal_id} of {amount} requested",
    "freelancer.withdrawal_submitted.v1": lambda v, _: (
        f"withdrawal {v.withdrawal_id} is under way; its outcome is asked for at {instant(v.settles_at)}"
    ),
    "freelancer.withdrawal_paid.v1": "withdrawal {v.withdrawal_id} of {amount} paid",
    "freelancer.withdrawal_failed.v1": "withdrawal {v.withdrawal_id} of {amount} failed and came back: {v.failure}",
    "contract.offered.v1": _offered,
    "contract.offer_accepted.v1": lambda v, _: (
        "offer accepted" if v.payout_method_on_file else "offer accepted; no payout method yet"
    ),
    "contract.offer_declined.v1": "offer declined",
    "contract.offer_withdrawn.v1": "offer withdrawn",
    "contract.payout_method_confirmed.v1": "the freelancer has a payout method now",
    "contract.questionnaire_answered.v1": "classification questionnaire answered",
    "contract.classification_recommended.v1": "classification recommended: {v.outcome}",
    "contract.classification_decided.v1": "classification decided: {v.outcome}",
    "contract.employer_of_record_set.v1": "Employer of Record {v.eor_id} set, paying {v.pay_schedule}",
    "contract.activated.v1": "contract active; billing cycles are counted from {v.anchor:%Y-%m-%d}",
    "contract.suspended.v1": "contract suspended: the charge of {v.payout_id} keeps failing",
    "contract.resumed.v1": "contract resumed: nothing of it is owed any more",
    "contract.completed.v1": "contract completed",
    "contract.milestone_added.v1": lambda v, c: (
        f"milestone {v.milestone_id} of {_amount(v.amount, c)} {'requested' if v.requested else 'added'}"
    ),
    "contract.milestone_request_approved.v1": "request for milestone {v.milestone_id} approved",
    "contract.milestone_request_declined.v1": "request for milestone {v.milestone_id} declined",
    "contract.milestone_activated.v1": "milestone {v.milestone_id} activated",
    "contract.milestone_submitted.v1": lambda v, _: (
        f"milestone {v.milestone_id} submitted; to be reviewed before {instant(v.review_deadline)}"
    ),
    "contract.changes_requested.v1": "changes to milestone {v.milestone_id} requested",
    "contract.milestone_approved.v1": lambda v, _: (
        f"milestone {v.milestone_id} approved{' by silence' if v.by_silence else ''}: {_payout(v.payout)}"
    ),
    "contract.time_logged.v1": "{v.minutes} minutes logged for {v.date}",
    "contract.time_corrected.v1": "time entry {v.entry_id} corrected to {v.minutes} minutes",
    "contract.time_removed.v1": "time entry {v.entry_id} removed",
    "contract.timesheet_locked.v1": "timesheet of the week of {v.week:%Y-%m-%d} locked: {v.minutes} minutes, {amount}",
    "contract.cycle_closed.v1": lambda v, _: (
        f"billing cycle {v.start:%Y-%m-%d} to {v.end:%Y-%m-%d} closed: {_payout(v.payout) if v.payout else 'no payout'}"
    ),
    "contract.bonus_granted.v1": lambda v, c: (
        f"bonus {v.bonus_id} of {_amount(v.amount, c)} granted, to be invoiced at {instant(v.invoice_at)}"
    ),
    "contract.bonus_invoiced.v1": lambda v, _: f"bonus {v.bonus_id} invoiced: {_payout(v.payout)}",
    "contract.payroll_recorded.v1": lambda v, _: (
        f"payroll {v.payroll_id} of {v.period_start} to {v.period_end} recorded: {_payout(v.payout)}"
    ),
    "contract.notification_sent.v1": "e-mail sent: {v.kind}",
    "payout.due.v1": lambda v, c: f"{money(v.amount, c)} due for {_source(v.source)}",
    "payout.charge_requested.v1": "charge attempt {v.attempt} of {amount} in flight",
    "payout.charged.v1": lambda v, c: (
        f"{money(v.amount, c)} charged at attempt {v.attempt}; held until {instant(v.hold_until)}"
        f"{_release(v, '; an open objection stops the release')}"
    ),
    "payout.charge_failed.v1": _charge_failed,
    "payout.hold_elapsed.v1": "the hold has elapsed",
    "payout.released.v1": "{amount} released",
    "payout.objection_raised.v1": "the client objected: the release is stopped",
    "payout.objection_withdrawn.v1": lambda v, _: f"the client withdrew the objection{_release(v)}",
    "payout.reduced.v1": lambda v, c: (
        f"the freelancer reduced the payout to {money(v.amount, c)};"
        f" {money(v.returned, c)} goes back to the client{_release(v)}"
    ),
    "payout.reversed.v1": _reversed,
    "payout.reversal_reinstated.v1": _reinstated,
    "payout.refund_paid.v1": "{amount} sent back to the client ({v.refund_id})",
    "adjustment.proposed.v1": lambda v, _: _adjustment(v, "proposed"),
    "adjustment.approved.v1": lambda v, _: _adjustment(v, "approved"),
}
"""A sentence with fields of the event `v` and its `amount`, or where it depends on more, what makes one."""

TOPICS = frozenset(_SENTENCES)
"""What can be said in words: every event."""
