"""Results as people read them: amounts with their decimals, one table a question."""

from collections.abc import Iterable
from typing import Any

from replay.balances import Balance, TrialBalance
from replay.history import Happening, History
from replay.output import row, show, table
from replay.texts import shown
from replay.values import at_times, money, side


def show_history(found: History) -> None:
    made = table("#", "true at", "recorded at", "by", "what, and what it did to the money", right=["#"])
    for one in found.events:
        row(made, one.position, one.occurred_at, one.recorded_at, one.actor, "\n".join(_told(one)))
    show(f"History of {found.subject}: {len(found.events)} events, read up to position {found.position}", made)


def _told(one: Happening) -> list[str]:
    return [one.what, *_texts(one.details), *map(side, one.entries)]


def _texts(details: dict[str, Any], prefix: str = "") -> list[str]:
    """The texts of an event, each on a line of its own."""
    lines = []
    for name, value in details.items():
        if isinstance(value, list):
            for number, item in enumerate(value, 1):
                lines += _texts(item, f"{prefix}{name} {number} ") if isinstance(item, dict) else []
        elif isinstance(value, dict) and "vault_id" in value:
            lines.append(f"  {prefix}{name}: {shown(value)}")
    return lines


def show_trial_balance(found: TrialBalance) -> None:
    made = table("account", "currency", "debits", "credits", "balance", right=["debits", "credits", "balance"])
    for one in found.accounts:
        sides = (money(amount, one.currency) for amount in (one.debits, one.credits, one.balance))
        row(made, one.account, one.currency, *sides)
    made.add_section()
    for total in found.totals:
        sides = (money(amount, total.currency) for amount in (total.debits, total.credits, 0))
        row(made, "all accounts: debits = credits", total.currency, *sides)
    show(f"Trial balance at position {found.position}{at_times(found.as_of, found.known_at)}", made)


def show_balance(found: Balance) -> None:
    made = table("currency", "pending", "available", "in transit", right=["pending", "available", "in transit"])
    for pending, available, in_transit in zip(found.pending, found.available, found.in_transit, strict=True):
        buckets = (money(one.amount, one.currency) for one in (pending, available, in_transit))
        row(made, pending.currency, *buckets)
    show(f"Balance of {found.freelancer_id} at position {found.position}{at_times(found.as_of, found.known_at)}", made)


def show_explanation(found: dict[str, Any]) -> None:
    currency = found["currency"]
    made = table(
        "#", "true at", "what, and what it moved", "rules", "pending", "released", right=["#", "pending", "released"]
    )
    for step in found["steps"]:
        what = [step["what"], *(_moved(entry) for entry in step["entries"])]
        after = step["payout"]
        amounts = [money(after[name], currency) if after else None for name in ("pending", "released")]
        row(made, step["position"], step["occurred_at"], "\n".join(what), _numbers(step["rules"]), *amounts)
    show(f"Payout {found['payout_id']} is {found['status'].replace('_', ' ')}. {found['summary']}", made)
    waits = table("awaited", "who", "until", "what", "rules")
    for one in found["awaited"]:
        row(waits, one["what"].replace("_", " "), one["who"], one["until"] or "-", one["text"], _numbers(one["rules"]))
    show(waits if found["awaited"] else "Nothing is awaited.\n")
    used = {rule["number"]: rule["text"] for step in (*found["steps"], *found["awaited"]) for rule in step["rules"]}
    show("The rules", *(f"{number:4}  {text}" for number, text in sorted(used.items())))


def _numbers(rules: Iterable[dict[str, Any]]) -> str:
    return ", ".join(str(rule["number"]) for rule in rules)


def _moved(entry: dict[str, Any]) -> str:
    return f"  {entry['direction']:6} {entry['account']}  {money(entry['amount'], entry['currency'])}"
