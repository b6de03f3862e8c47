"""A difference as people and spreadsheets read it."""

from typing import Any

from replay.debug.diff import Difference
from replay.output import row, show, table
from replay.values import instant, money

ACCOUNT_COLUMNS = ("account", "currency", "before", "after", "difference", "events")
EVENT_COLUMNS = (
    *("side", "position", "event_id", "type", "occurred_at", "recorded_at", "actor", "what"),
    *("line", "account", "currency", "debit", "credit"),
)


def account_rows(found: Difference) -> list[tuple[Any, ...]]:
    return [(one.account, one.currency, one.before, one.after, one.difference, one.events) for one in found.accounts]


def event_rows(found: Difference) -> list[tuple[Any, ...]]:
    """A row for each side of a posting of a differing event."""
    rows: list[tuple[Any, ...]] = []
    for differing in found.events:
        one = differing.event
        event = (
            differing.side,
            one.position,
            one.event_id,
            one.type,
            one.occurred_at,
            one.recorded_at,
            one.actor,
            one.what,
        )
        for entry in one.entries:
            sides = (None, entry.credit) if entry.credit >= 0 else (-entry.credit, None)
            rows.append((*event, entry.line, entry.account, entry.currency, *sides))
    return rows


def show_difference(found: Difference, with_events: bool) -> None:
    made = table(
        *("account", "currency", "before", "after", "difference", "events"),
        right=["before", "after", "difference", "events"],
    )
    for one in found.accounts:
        sides = (money(amount, one.currency) for amount in (one.before, one.after, one.difference))
        row(made, one.account, one.currency, *sides, one.events)
    narrowed = [f", only {found.subject}"] if found.subject else []
    narrowed += [f", only {found.account}"] if found.account else []
    narrowed += [f", as of {instant(found.as_of)}"] if found.as_of else []
    narrowed += [f", as known at {instant(found.known_at)}"] if found.known_at else []
    show(f"From {found.a} to {found.b}{''.join(narrowed)}, read up to position {found.position}")
    show(made if found.accounts else "Nothing differs.\n")
    if with_events and found.events:
        _show_events(found)


def _show_events(found: Difference) -> None:
    made = table("", "#", "true at", "recorded at", "by", "what, and what it moved", right=["#"])
    for differing in found.events:
        one = differing.event
        sides = [
            f"  {'credit' if e.credit >= 0 else 'debit '} {e.account}  {money(abs(e.credit), e.currency)}"
            for e in one.entries
        ]
        mark = "+" if differing.side == "added" else "-"
        row(made, mark, one.position, one.occurred_at, one.recorded_at, one.actor, "\n".join([one.what, *sides]))
    show("The events that made the difference: + counts at the second point alone, - at the first alone", made)
