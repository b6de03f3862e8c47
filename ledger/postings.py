"""The posting rules: which event moves how much from which account to which. The only place that knows how money moves.

Accounts are `OWNER:BUCKET`. What a client has paid is at the processor until it is paid out or back; a payee's money is
pending, then available, then in transit; what goes back to a client waits in `returned` until the processor has sent it.
An account's balance is credits less debits, in minor units: what the platform owes its owner. At the processor it is
therefore negative: that is what the processor holds for the platform.
"""

import re
from typing import NamedTuple

from ledger.events import AdjustmentApproved, Event, Posting

PROCESSOR = "processor"
PLATFORM = "platform:adjustments"
CURRENCY = "currency"
"""The field that every event of a rule names its currency in."""
BUCKETS = ("pending", "available", "in_transit")
_TEMPLATE = re.compile(r"(?:\{(\w+)\})?([^{}]*)")


class Account(NamedTuple):
    """An account of a rule, taken apart: what the named field of the event holds (or nothing), and then `rest`."""

    field: str | None
    rest: str

    def of(self, event: Event) -> str:
        return self.rest if self.field is None else getattr(event, self.field) + self.rest


def account_of(template: str) -> Account:
    """The account that a rule's `debit` or `credit` stands for. Raises ValueError for one of another shape."""
    parts = _TEMPLATE.fullmatch(template)
    if parts is None or not template:
        raise ValueError(f"a posting rule's account {template!r} is not a field with a text after it, or a text")
    return Account(parts[1], parts[2])


class Rule(NamedTuple):
    """`debit` and `credit` are accounts, with fields of the event in braces; `amount` names the field that is moved.

    `when` narrows the rule to events with that value in that field.
    """

    topic: str
    debit: str
    credit: str
    amount: str
    line: str
    when: tuple[str, str] | None = None

    @property
    def accounts(self) -> tuple[Account, Account]:
        """What is debited and what is credited. Raises ValueError."""
        return account_of(self.debit), account_of(self.credit)


RULES = (
    Rule("payout.charged.v1", PROCESSOR, "{payee}:pending", "amount", "charge"),
    Rule("payout.released.v1", "{payee}:pending", "{payee}:available", "amount", "release"),
    Rule("payout.reduced.v1", "{payee}:pending", "{client_id}:returned", "returned", "reduction"),
    Rule(
        "payout.reversed.v1", "{payee}:pending", "{client_id}:returned", "from_pending", "refund", ("reason", "refund")
    ),
    Rule(
        "payout.reversed.v1",
        "{payee}:available",
        "{client_id}:returned",
        "from_available",
        "refund",
        ("reason", "refund"),
    ),
    Rule("payout.reversed.v1", "{payee}:pending", PROCESSOR, "from_pending", "chargeback", ("reason", "chargeback")),
    Rule(
        "payout.reversed.v1", "{payee}:available", PROCESSOR, "from_available", "chargeback", ("reason", "chargeback")
    ),
    Rule("payout.reversal_reinstated.v1", PROCESSOR, "{payee}:pending", "to_pending", "chargeback_won"),
    Rule("payout.reversal_reinstated.v1", PROCESSOR, "{payee}:available", "to_available", "chargeback_won"),
    Rule("payout.refund_paid.v1", "{client_id}:returned", PROCESSOR, "amount", "refund_paid"),
    Rule(
        "freelancer.withdrawal_requested.v1",
        "{freelancer_id}:available",
        "{freelancer_id}:in_transit",
        "amount",
        "withdrawal",
    ),
    Rule("freelancer.withdrawal_paid.v1", "{freelancer_id}:in_transit", PROCESSOR, "amount", "withdrawal_paid"),
    Rule(
        "freelancer.withdrawal_failed.v1",
        "{freelancer_id}:in_transit",
        "{freelancer_id}:available",
        "amount",
        "withdrawal_failed",
    ),
)
"""Every rule but one: an approved adjustment states its postings itself."""

ADJUSTMENT_LINE = "adjustment"

TOPICS = frozenset(rule.topic for rule in RULES) | {AdjustmentApproved.TOPIC}
"""The events that move money."""


_RULES_OF = {topic: tuple((rule, *rule.accounts) for rule in RULES if rule.topic == topic) for topic in TOPICS}


class Entry(NamedTuple):
    """One side of a posting. `credit` is signed minor units: positive for a credit, negative for a debit."""

    account: str
    currency: str
    credit: int
    line: str


def entries(event: Event) -> list[Entry]:
    """The entries of an event; none for one that moves no money. Credits sum to zero for each currency: debits = credits."""
    found: list[Entry] = []
    rules = _RULES_OF.get(event.TOPIC)
    if rules is None:
        return found
    if isinstance(event, AdjustmentApproved):
        return [_adjusted(posting) for posting in event.postings]
    currency = getattr(event, CURRENCY)
    for rule, debit, credit in rules:
        if rule.when is None or getattr(event, rule.when[0]) == rule.when[1]:
            amount = getattr(event, rule.amount)
            if amount:
                found.append(Entry(debit.of(event), currency, -amount, rule.line))
                found.append(Entry(credit.of(event), currency, amount, rule.line))
    return found


def _adjusted(posting: Posting) -> Entry:
    credit = posting.amount if posting.direction == "credit" else -posting.amount
    return Entry(posting.account, posting.currency, credit, ADJUSTMENT_LINE)
