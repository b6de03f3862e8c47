"""What the demo prints when the quarter is over. All figures come over HTTP, but for the verdict of `replay verify`."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.demo.market import END, Json, Market, Party
from api.demo.server import DemoError, Server
from ledger.clock import DAY
from replay.values import instant, money

PLAIN_WIDTH = 120
"""Columns where there is no terminal to ask."""
STATEMENT_DAYS = 29
NOTABLE = {
    "contract.offered.v1": "contracts offered",
    "contract.offer_declined.v1": "offers declined",
    "contract.offer_withdrawn.v1": "offers withdrawn",
    "contract.changes_requested.v1": "submissions with changes requested",
    "contract.milestone_approved.v1": "milestones approved",
    "contract.time_corrected.v1": "time entries corrected",
    "contract.time_removed.v1": "time entries removed",
    "contract.bonus_invoiced.v1": "bonuses",
    "contract.payroll_recorded.v1": "payrolls of an Employer of Record",
    "payout.charge_failed.v1": "charges that failed",
    "contract.suspended.v1": "contracts suspended",
    "contract.resumed.v1": "contracts resumed",
    "payout.objection_raised.v1": "objections",
    "payout.reduced.v1": "payouts reduced by the freelancer",
    "payout.reversed.v1": "refunds and chargebacks",
    "payout.reversal_reinstated.v1": "chargebacks won",
    "freelancer.withdrawal_paid.v1": "withdrawals paid",
    "freelancer.withdrawal_failed.v1": "withdrawals failed",
    "adjustment.approved.v1": "adjustments by two operators",
    "contract.completed.v1": "contracts completed",
}
"""What is counted, by the type of its event."""


def console(*, stderr: bool = False) -> Console:
    """The terminal; elsewhere plain lines, wide enough for the tables."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PLAIN_WIDTH)


def show_all(market: Market) -> Json:
    """What happened, one freelancer's statement, why a payout is pending (it is answered), and the trial balance."""
    out, hero = console(), market.freelancers[0]
    _show_counts(out, market)
    _show_statement(out, market, hero)
    pending = _show_pending(out, market, hero)
    _show_trial_balance(out, market)
    return pending


# What happened


def _show_counts(out: Console, market: Market) -> None:
    out.print(f"\n[bold]The quarter up to {END:%A, %d %B %Y, %H:%M} UTC[/]")
    counts = {words: _events(market, topic) for topic, words in NOTABLE.items()}
    silent = sum(1 for event in counts["milestones approved"] if event["data"]["by_silence"])
    for words, events in counts.items():
        if events:
            more = f", {silent} of them by the client's silence" if words == "milestones approved" else ""
            out.print(f"{len(events):>5}  {words}{more}")


def _events(market: Market, topic: str) -> list[Json]:
    return _all_pages(market, f"/v1/events?type={topic}", market.operators.auditor)


def _all_pages(market: Market, path: str, key: str) -> list[Json]:
    rows: list[Json] = []
    cursor = ""
    while True:
        page = market.api.get(f"{path}&limit=100{cursor}", key)
        rows += page["data"]
        if not page["has_more"]:
            return rows
        cursor = f"&cursor={page['next_cursor']}"


# The statement


def _show_statement(out: Console, market: Market, who: Party) -> None:
    since = (END - STATEMENT_DAYS * DAY).replace(hour=0)
    path = f"/v1/freelancers/{who.id}/balance-transactions?from={instant(since)}"
    edges = market.api.get(f"{path}&limit=1", who.key)
    table = Table(title=f"Statement of {who.name} from {since:%Y-%m-%d}", title_justify="left", title_style="bold")
    for heading in ("at", "what"):
        table.add_column(heading, no_wrap=True)
    for heading in ("amount", "pending", "available"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("available on", no_wrap=True)
    _add_edge(table, "opening balance", edges["opening"])
    for line in reversed(_all_pages(market, path, who.key)):
        currency = line["currency"]
        amounts = (money(line[name], currency) for name in ("amount", "pending", "available"))
        due = line["available_on"] if line["type"] == "charge" else None
        table.add_row(_minute(line["occurred_at"]), line["type"].replace("_", " "), *amounts, _minute(due))
    _add_edge(table, "closing balance", edges["closing"])
    out.print()
    out.print(table)


def _add_edge(table: Table, name: str, totals: Mapping[str, Any]) -> None:
    available = {one["currency"]: one["amount"] for one in totals["available"]}
    table.add_section()
    for one in totals["pending"]:
        amounts = (money(one["amount"], one["currency"]), money(available.get(one["currency"], 0), one["currency"]))
        table.add_row("", name, "", *amounts, "", style="bold")
    table.add_section()


def _minute(at: str | None) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}" if at else ""


# Why one payout is pending


def _show_pending(out: Console, market: Market, who: Party) -> Json:
    """Rather one of this freelancer than another's, and one under an objection: there is more to say of it."""
    pending = _all_pages(market, "/v1/payouts?status=pending", market.operators.auditor)
    if not pending:
        raise DemoError("no payout is pending at the end of the quarter: another --seed may have more to show")
    payout = min(pending, key=lambda one: (one["freelancer_id"] != who.id, one["objection"] is None))
    explanation = market.api.get(f"/v1/payouts/{payout['id']}/explain", market.operators.auditor)
    names = _names(market)
    whose = names.get(payout["payee"], "the Employer of Record")
    out.print(
        f"\n[bold]Why {money(payout['amount'], payout['currency'])} of {whose} is still pending[/] ({payout['id']})"
    )
    out.print(escape(explanation["summary"]))
    steps = Table("position", "at", "what happened", "by", "rules")
    for step in explanation["steps"]:
        role, _, party = step["actor"].partition(":")
        what = escape(step["what"])
        by = names.get(party, role)
        steps.add_row(str(step["position"]), _minute(step["occurred_at"]), what, by, _rules(step))
    out.print(steps)
    for one in explanation["awaited"]:
        until = f" until {_minute(one['until'])}" if one["until"] else ""
        out.print(f"Awaited from {escape(one['who'])}{until}: {escape(one['text'])} (rule {_rules(one)})")
    return payout


def _rules(row: Json) -> str:
    return ", ".join(str(rule["number"]) for rule in row["rules"])


def _names(market: Market) -> dict[str, str]:
    """By the party's id."""
    return {party.id: party.name for party in (*market.clients.values(), *market.freelancers.values())}


# The trial balance


def _show_trial_balance(out: Console, market: Market) -> None:
    answer = market.api.get("/v1/audit/trial-balance", market.operators.auditor)
    names = _names(market)
    table = Table(title="Trial balance", title_justify="left", title_style="bold")
    table.add_column("account")
    table.add_column("debit", justify="right")
    table.add_column("credit", justify="right")
    for total in answer["totals"]:
        currency = total["currency"]
        mine = [one for one in answer["accounts"] if one["currency"] == currency and one["balance"]]
        for name, one in sorted(((_account(one["account"], names), one) for one in mine), key=itemgetter(0)):
            table.add_row(name, *_sides(one, currency))
        table.add_section()
        equal = "debits = credits" if total["debit"] == total["credit"] else "debits differ from credits!"
        table.add_row(f"{currency}: {equal}", *_sides(total, currency), style="bold")
        table.add_section()
    out.print()
    out.print(table)
    nothing = sum(1 for one in answer["accounts"] if not one["balance"])
    out.print(f"{nothing} accounts stand at zero. Balanced: {'yes' if answer['balanced'] else 'NO'}.")


def _account(account: str, names: Mapping[str, str]) -> str:
    owner, _, bucket = account.partition(":")
    if owner.startswith("eor_"):
        return f"Employer of Record: {bucket}"
    return f"{names.get(owner, owner)}: {bucket.replace('_', ' ')}" if bucket else owner


def _sides(row: Mapping[str, Any], currency: str) -> tuple[str, str]:
    debit, credit = row["debit"], row["credit"]
    nothing = money(0, currency) if debit == credit else ""
    return (money(debit, currency) if debit else nothing, money(credit, currency) if credit else nothing)


# The verdict, and what comes after it


def show_verdict(server: Server) -> bool:
    """What `replay verify` says of the same database; whether everything is in order."""
    out, verdict = console(), server.run("replay.cli", "verify")
    out.print("\n[bold]replay verify[/]")
    out.print(escape(verdict.stdout.strip() or verdict.stderr.strip()))
    if verdict.returncode:
        out.print(f"[bold red]NOT in order: it ended with status {verdict.returncode}[/]")
    return verdict.returncode == 0


def show_pace(market: Market, contracts: int, seconds: float, in_all: float) -> None:
    events, calls = market.api.position, market.api.calls
    console().print(
        f"\n{contracts} contracts, {events:,} events and {calls:,} requests in {seconds:.1f} s: "
        f"{events / seconds:,.0f} events a second. From the start to the verdict: {in_all:.1f} s."
    )


def show_addresses(server: Server, market: Market, pending: Json) -> None:
    """Where to look next, with keys that open it; and what to do for the pending payout to be released."""
    out, hero, client, address = console(), market.freelancers[0], market.clients[0], server.address
    out.print(f"\n[bold]It goes on serving; its clock stands at {instant(END)}. Ctrl-C ends it.[/]")
    for path, what in (("/docs", "every call, to try out"), ("/v1/health", "is it ready"), ("/metrics", "Prometheus")):
        out.print(f"  {address}{path}  {what}")
    keys = (
        ("operator", market.operators.first), ("auditor", market.operators.auditor),
        (f"client {client.name}", client.key), (f"freelancer {hero.name}", hero.key),
    )  # fmt: skip
    for who, key in keys:
        out.print(f"  {who + ':':<26} {key}", soft_wrap=True)
    replay = Path(sys.executable).with_name("replay")
    out.print(
        f"\nThe same, read from the log: LEDGER_DATA_DIR={server.data_dir} {replay} history {pending['id']}",
        soft_wrap=True,
    )
    payer = next(party for party in market.clients.values() if party.id == pending["client_id"])
    explain = _curl(market.operators.auditor, f"{address}/v1/payouts/{pending['id']}/explain")
    withdraw = _curl(payer.key, f"{address}/v1/payouts/{pending['id']}/objections/withdraw", {})
    advance = _curl(market.operators.first, f"{address}/v1/test-clock/advance", {"to": instant(END + 4 * DAY)})
    out.print("\nWhy is it pending? The client withdraws the objection, the clock moves to Friday: where is it now?")
    for command in (explain, *([withdraw] if pending["objection"] else []), advance, explain):
        out.print(escape(command), soft_wrap=True)


def _curl(key: str, address: str, body: Json | None = None) -> str:
    """A command line to copy: a POST where there is a body."""
    sent = "" if body is None else f" -H 'Content-Type: application/json' -d '{json.dumps(body)}'"
    return f"curl -s -H 'Authorization: Bearer {key}'{sent} {address}"
