"""What writing and refolding an archive found, as people read it."""

from replay.archive.refold import Refold
from replay.archive.writing import Archived
from replay.output import row, show, table
from replay.values import at_times, money

SHOWN = 20
"""How many differences are shown to people; programs get them all."""


def show_archived(found: Archived) -> None:
    signed = found.checkpoint
    show(
        f"{found.folder}: {found.added} event(s) added in {len(found.files)} file(s); it ends at position {found.position}",
        *(f"  {path}" for path in found.files),
        f"Chain head: {found.hash}",
        f"Signed at position {signed['position']} with key {signed['key']}"
        if signed
        else "Not signed: there is no event yet",
    )


def show_refold(found: Refold) -> None:
    other = "the live balances" if found.against == "live" else "the plain fold of its own events"
    times = at_times(found.as_of, found.known_at)
    show(
        f"{found.archive} refolded by {found.engine} up to position {found.position}{times}: {len(found.accounts)} accounts,"
        f" held against {other}"
    )
    totals = table("currency", "debits", "credits", "debits = credits", right=["debits", "credits"])
    for one in found.totals:
        equal = "yes" if one.debits == one.credits else "NO"
        row(totals, one.currency, money(one.debits, one.currency), money(one.credits, one.currency), equal)
    show(totals)
    if found.ok:
        show("OK: no account differs, to the minor unit.")
        return
    show(f"NOT OK: {len(found.differences)} difference(s), in minor units.")
    numbers = ["refolded", "expected", "difference"]
    made = table("account", "currency", "column", *numbers, right=numbers)
    for each in found.differences[:SHOWN]:
        row(made, each.account, each.currency, each.column, each.refolded, each.expected, each.minor_units)
    show(made)
    if len(found.differences) > SHOWN:
        show(f"{len(found.differences) - SHOWN} more; --json names them all.")
