"""What a rebuild found, as people read it."""

from typing import Any

from replay.output import row, show, table
from replay.rebuild import Rebuild
from replay.values import money

SHOWN = 20
"""How many accounts, and how many other rows, are shown to people; programs get more."""


def show_changes(found: Rebuild) -> None:
    """The projections, what changes in minor units for each account, and the first other rows."""
    numbers = ("up to position", "rows", "added", "removed", "different")
    made = table("projection", *numbers, "stopped by", right=numbers)
    for one in found.projections:
        row(made, one.name, one.position, one.rows, one.added, one.removed, one.different, one.error)
    begun = f", gone on with from position {found.resumed_from}" if found.resumed_from else ""
    show(f"Folded anew beside the live tables{begun}", made)
    _show_accounts(found)
    _show_rows(found)


def _show_accounts(found: Rebuild) -> None:
    if not found.accounts:
        return
    amounts = ("live", "rebuilt", "difference")
    made = table("account", *amounts, "minor units", right=(*amounts, "minor units"))
    for one in found.accounts[:SHOWN]:
        values = (one.live, one.rebuilt, one.difference)
        row(
            made,
            one.account,
            *("?" if value is None else money(value, one.currency) for value in values),
            one.difference,
        )
    count = len(found.accounts)
    show(f"{count} balance(s) that the swap changes", made, *_more(count, count))


def _show_rows(found: Rebuild) -> None:
    if not found.rows:
        return
    made = table("projection", "row", "what", "live", "rebuilt")
    for one in found.rows[:SHOWN]:
        live = "\n".join(f"{change.column}: {_told(change.live)}" for change in one.columns if one.what != "added")
        rebuilt = "\n".join(
            f"{change.column}: {_told(change.rebuilt)}" for change in one.columns if one.what != "removed"
        )
        row(made, one.projection, " ".join(str(part) for part in one.key.values()), one.what, live, rebuilt)
    count = found.difference_count - len(found.accounts)
    show(f"{count} other row(s) that the swap changes", made, *_more(count, len(found.rows)))


def _told(value: Any) -> str:
    return "-" if value is None else str(value)


def _more(count: int, named: int) -> list[str]:
    return [f"{count - SHOWN} more; --json names {named} of {count}."] if count > SHOWN else []


def show_verdict(found: Rebuild) -> None:
    """What became of it."""
    stopped = ", ".join(one.name for one in found.projections if one.error)
    if found.swapped:
        said = f"SWAPPED: {found.difference_count} difference(s) are gone, the live tables are what the log gives."
    elif found.dry_run:
        what = f"An event cannot be folded into {stopped}" if stopped else f"{found.difference_count} difference(s)"
        said = f"{what}. A dry run: nothing was swapped, nothing is left behind."
    else:
        said = f"NOT SWAPPED: an event cannot be folded into {stopped}. What was folded up to it is kept."
    show(said)
