"""The posting rules are the only place that knows how money moves: they cover every money event and always balance."""

import re
from collections import Counter, defaultdict
from typing import get_type_hints

import pytest
from msgspec.structs import replace

from ledger import events as e
from ledger import postings
from ledger.codec import decode
from ledger.events import EVENTS, Event
from ledger.postings import BUCKETS, PROCESSOR, TOPICS, account_of, entries
from tests.properties.everything import everything, golden

MOVES_NOTHING = {
    e.ContractOffered: "a price is not a payment",
    e.MilestoneAdded: "a price is not a payment",
    e.MilestoneApproved: "what is due is not paid yet",
    e.TimesheetLocked: "what is due is not paid yet",
    e.CycleClosed: "what is due is not paid yet",
    e.BonusGranted: "what is due is not paid yet",
    e.BonusInvoiced: "what is due is not paid yet",
    e.PayrollRecorded: "what is due is not paid yet",
    e.PayoutDue: "what is due is not paid yet",
    e.ChargeRequested: "money the client's method never paid is never pending (rule 7)",
    e.FundsReleased: "the payout's own event of the same transaction moves it",
    e.FundsReversed: "the payout's own event of the same transaction moves it",
    e.FundsReinstated: "the payout's own event of the same transaction moves it",
    e.FundsAdjusted: "the adjustment's own event of the same transaction moves it",
    e.WithdrawalSubmitted: "it is in transit already",
    e.AdjustmentProposed: "it takes effect when another person approves it (rule 27)",
}
"""Events with an amount that move no money, and why."""


def has_amount(cls: type[Event]) -> bool:
    return any(
        word in str(annotation)
        for annotation in get_type_hints(cls).values()
        for word in ("PayoutTerms", "Posting", "MilestoneTerms")
    ) or any(name in cls.__struct_fields__ for name in ("amount", "returned", "from_pending", "to_pending", "rate"))


def test_every_event_with_an_amount_moves_money_or_says_why_not() -> None:
    with_amounts = {cls for cls in EVENTS.values() if has_amount(cls)}
    moving = {EVENTS[topic] for topic in TOPICS}
    assert moving.isdisjoint(MOVES_NOTHING)
    assert with_amounts == moving | MOVES_NOTHING.keys()


@pytest.mark.parametrize("rule", postings.RULES, ids=lambda rule: f"{rule.topic}:{rule.amount}:{rule.line}")
def test_a_rule_reads_only_fields_of_its_event(rule: object) -> None:
    fields = EVENTS[rule.topic].__struct_fields__  # type: ignore[attr-defined]
    named = re.findall(r"{(\w+)}", rule.debit + rule.credit)  # type: ignore[attr-defined]
    assert {*named, rule.amount, "currency"} <= set(fields)  # type: ignore[attr-defined]
    assert rule.when is None or rule.when[0] in fields  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("{payee}:pending", ("payee", ":pending")),
        ("{client_id}", ("client_id", "")),
        ("platform:adjustments", (None, "platform:adjustments")),
    ],
)
def test_a_rules_account_is_a_field_with_a_text_after_it_or_a_text(
    template: str, parts: tuple[str | None, str]
) -> None:
    assert account_of(template) == parts


@pytest.mark.parametrize("template", ["a:{payee}", "{payee}:{client_id}", "", "{payee", "payee}", "{}:pending"])
def test_a_rules_account_of_another_shape_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="is not a field with a text after it, or a text"):
        account_of(template)


@pytest.mark.parametrize("topic", sorted(EVENTS))
def test_debits_equal_credits_in_every_event(topic: str) -> None:
    sums: Counter[str] = Counter()
    found = entries(decode(topic, golden(topic)))
    for entry in found:
        sums[entry.currency] += entry.credit
    assert not any(sums.values())
    assert bool(found) == (topic in TOPICS)


def test_an_account_is_an_owner_and_a_bucket() -> None:
    for recorded in everything().log:
        for entry in entries(recorded.event):
            owner, _, bucket = entry.account.partition(":")
            match owner.partition("_")[0]:
                case "fre" | "eor":
                    assert bucket in BUCKETS
                case "cli":
                    assert bucket == "returned"
                case _:
                    assert entry.account in (PROCESSOR, "platform:adjustments")


def test_every_amount_of_a_money_event_is_moved_once() -> None:
    """A reversal from both buckets, by a refund and by a chargeback: nothing is left out, nothing counted twice."""
    stored = decode("payout.reversed.v1", golden("payout.reversed.v1"))
    for reason, to in (("refund", f"{stored.client_id}:returned"), ("chargeback", PROCESSOR)):
        split = replace(stored, reason=reason, from_pending=30, from_available=12)
        moved: defaultdict[str, int] = defaultdict(int)
        for entry in entries(split):
            moved[entry.account] += entry.credit
        assert moved == {f"{stored.payee}:pending": -30, f"{stored.payee}:available": -12, to: 42}


def test_at_the_end_of_everything_the_processor_holds_what_the_platform_owes() -> None:
    history = everything()
    for currency in {code for _, code in history.accounts}:
        balances = {account: amount for (account, code), amount in history.accounts.items() if code == currency}
        assert sum(balances.values()) == 0
        assert all(amount == 0 for account, amount in balances.items() if account.endswith(":returned"))
