"""A difference as people and spreadsheets read it."""

from typing import Any

from replay.debug.diff import Difference
from replay.output import row, show, table
from replay.values import SIDE_COLUMNS, at_times, money, side, side_cells

ACCOUNT_COLUMNS = ("account", "currency", "before", "after", "difference", "events")
EVENT_COLUMNS = (
    *("side", "position", "event_id", "type", "occurred_at", "recorded_at", "actor", "what"),
    *SIDE_COLUMNS,
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
        rows += [(*event, *side_cells(entry)) for entry in one.entries]
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
    narrowed.append(at_times(found.as_of, found.known_at))
    show(f"From {found.a} to {found.b}{''.join(narrowed)}, read up to position {found.position}")
    show(made if found.accounts else "Nothing differs.\n")
    if with_events and found.events:
        _show_events(found)


def _show_events(found: Difference) -> None:
    made = table("", "#", "true at", "recorded at", "by", "what, and what it moved", right=["#"])
    for differing in found.events:
        one = differing.event
        mark = "+" if differing.side == "added" else "-"
        row(
            made,
            mark,
            one.position,
            one.occurred_at,
            one.recorded_at,
            one.actor,
            "\n".join([one.what, *map(side, one.entries)]),
        )
    show("The events that made the difference: + counts at the second point alone, - at the first alone", made)
