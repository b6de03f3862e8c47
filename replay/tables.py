"""Results as people read them: amounts with their decimals, one table a question."""

from collections.abc import Iterable, Sequence
from typing import Any

from ledger.postings import Entry
from replay.balances import Balance, TrialBalance
from replay.findings import Finding, Report
from replay.history import Happening, History
from replay.output import row, show, table
from replay.values import instant, money

SHOWN = 20
"""How many findings are shown to people; programs get them all."""


def show_history(found: History) -> None:
    made = table("#", "true at", "recorded at", "by", "what, and what it did to the money", right=["#"])
    for one in found.events:
        row(made, one.position, one.occurred_at, one.recorded_at, one.actor, "\n".join(_told(one)))
    show(f"History of {found.subject}: {len(found.events)} events, read up to position {found.position}", made)


def _told(one: Happening) -> list[str]:
    return [one.what, *_texts(one.details), *(_side(entry) for entry in one.entries)]


def _side(entry: Entry) -> str:
    direction = "credit" if entry.credit >= 0 else "debit "
    return f"  {direction} {entry.account}  {money(abs(entry.credit), entry.currency)}"


def _texts(details: dict[str, Any], prefix: str = "") -> list[str]:
    """The texts of an event, each on a line of its own."""
    lines = []
    for name, value in details.items():
        if isinstance(value, list):
            for number, item in enumerate(value, 1):
                lines += _texts(item, f"{prefix}{name} {number} ") if isinstance(item, dict) else []
        elif isinstance(value, dict) and "vault_id" in value:
            text = "(withheld)" if value.get("withheld") else "(erased)" if value["erased"] else f"“{value['text']}”"
            lines.append(f"  {prefix}{name}: {text}")
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
    show(f"Trial balance at position {found.position}{_times(found)}", made)


def show_balance(found: Balance) -> None:
    made = table("currency", "pending", "available", "in transit", right=["pending", "available", "in transit"])
    for pending, available, in_transit in zip(found.pending, found.available, found.in_transit, strict=True):
        buckets = (money(one.amount, one.currency) for one in (pending, available, in_transit))
        row(made, pending.currency, *buckets)
    show(f"Balance of {found.freelancer_id} at position {found.position}{_times(found)}", made)


def _times(found: TrialBalance | Balance) -> str:
    as_of = f", as of {instant(found.as_of)}" if found.as_of else ""
    return f"{as_of}, as known at {instant(found.known_at)}" if found.known_at else as_of


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


def show_report(report: Report) -> None:
    show(
        f"The log: {report.events} events on {report.streams} streams, up to position {report.position}",
        f"Chain head: {report.head_hash}, {report.checkpoints} signed checkpoint(s) agree",
        f"Texts: {report.texts_intact} intact, {report.texts_erased} erased",
        f"Books: {report.accounts} accounts, {report.payouts} payouts, {report.freelancers} freelancers",
    )
    totals = table("currency", "debits", "credits", right=["debits", "credits"])
    for one in report.totals:
        row(totals, one.currency, money(one.debits, one.currency), money(one.credits, one.currency))
    counts = table("projection refolded", "up to position", "rows", right=["up to position", "rows"])
    for projection in report.projections:
        row(counts, projection.name, projection.position, projection.rows)
    show(totals, counts)
    if report.ok:
        show("OK: the log is intact, every invariant holds, and every projection is what the log gives.")
    else:
        _show_findings(report.finding_count, report.findings)
        if report.tampering is not None:
            show(f"What was done: {report.tampering.what}.")


def _show_findings(count: int, findings: Sequence[Finding]) -> None:
    show(f"NOT OK: {count} divergence(s). The first:", *(f"  {line}" for line in _described(findings[0])))
    if count > 1:
        made = table("#", "event", "check", "about", "what", "minor units", right=["#", "minor units"])
        for one in findings[1:SHOWN]:
            about = " ".join(filter(None, (one.projection, one.key or one.account, one.column)))
            row(made, one.position, one.event_id, one.check, about, one.what, one.minor_units)
        show(made)
    if count > SHOWN:
        show(f"{count - SHOWN} more; --json names the first {len(findings)}.")


def _described(one: Finding) -> list[str]:
    where = "" if one.position is None else f" at position {one.position}"
    event = f", event {one.event_id}" if one.event_id else ""
    lines = [f"{one.check}{where}{event}: {one.what}"]
    if one.projection:
        lines.append(" ".join(filter(None, (f"projection {one.projection}", one.key, one.column))))
    if one.column:
        lines.append(f"live: {one.live}    refolded: {one.refolded}")
    elif one.live or one.refolded:
        lines.append(f"live: {one.live}" if one.live else f"refolded: {one.refolded}")
    if one.account:
        lines.append(f"account: {one.account}")
    if one.minor_units is not None:
        lines.append(f"difference: {one.minor_units} minor units")
    return lines
