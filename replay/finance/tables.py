"""Statements and reconciliations as people read them."""

from rich.table import Table

from replay.finance.processor_movements import Movement
from replay.finance.reconcile import Item, Reconciliation
from replay.finance.settlement_report import Row
from replay.finance.statement import Line, Standing, Statement
from replay.output import row, show, table
from replay.values import at_times, instant, money

SHOWN = 50
"""How many breaks, and how many rows of other business, are shown to people; programs get them all."""


def show_statement(found: Statement) -> None:
    """A table for each currency: opening, lines, closing."""
    where = f"at position {found.position}{at_times(found.as_of, found.known_at)}"
    show(f"Statement of {found.freelancer_id}{_period(found)}, {where}")
    if not found.currencies:
        show("No money has moved by then.")
    for currency in found.currencies:
        amounts = ("change", "pending", "available", "in transit")
        made = table("true at", "what", "of", *amounts, "#", right=(*amounts, "#"))
        _balances(made, "opening", found.opening, currency)
        made.add_section()
        for line in found.lines:
            if line.currency == currency:
                row(made, line.occurred_at, line.type.replace("_", " "), _subject(line), *_amounts(line), line.position)
        made.add_section()
        _balances(made, "closing", found.closing, currency)
        show(made)


def _period(found: Statement) -> str:
    since = f" from {instant(found.opening.at)}" if found.opening.at else ""
    return f"{since} to before {instant(found.closing.at)}" if found.closing.at else since


def _balances(made: Table, what: str, standing: Standing, currency: str) -> None:
    row(made, standing.at, what, None, None, *(money(one, currency) for one in standing.of(currency)), None)


def _subject(line: Line) -> str | None:
    return line.payout_id or line.withdrawal_id or line.adjustment_id


def _amounts(line: Line) -> list[str]:
    return [money(one, line.currency) for one in (line.amount, line.pending, line.available, line.in_transit)]


def show_reconciliation(found: Reconciliation) -> None:
    since = f" from {instant(found.since)}" if found.since else ""
    until = f" to before {instant(found.until)}" if found.until else ""
    outside = f", {found.outside} of them outside" if found.outside else ""
    where = f"position {found.position}{at_times(None, found.known_at)}"
    show(f"The report against the ledger{since}{until}: {found.rows} rows{outside}; {where}")
    amounts = ("rows", "gross", "fee", "movements", "ledger", "difference")
    totals = table("category", "currency", *amounts, right=amounts)
    for one in found.totals:
        gross, fee, ledger, difference = (
            money(amount, one.currency) for amount in (one.gross, one.fee, one.ledger, one.difference)
        )
        row(totals, _words(one.category), one.currency, one.rows, gross, fee, one.movements, ledger, difference)
    show(totals)
    _show_items(
        "rows of other business of the processor's", [item for item in found.items if item.status == "not_ours"]
    )
    _show_items("breaks", list(found.breaks))
    counts = ", ".join(f"{count} {_words(status)}" for status, count in found.counts.items() if count)
    show(f"{'OK' if found.ok else 'BREAKS'}: {counts or 'nothing moved, here or there'}. Nothing was written.")


def _show_items(title: str, items: list[Item]) -> None:
    if not items:
        return
    numbers = ("line", "there", "here", "difference")
    made = table("what", "of", *numbers, "why", right=numbers)
    for item in items[:SHOWN]:
        there, here = item.report, item.ledger
        row(
            made,
            f"{_words(item.status)}: {_words(item.kind)}",
            _names(there, here),
            there.line if there else None,
            money(there.gross, there.currency) if there else None,
            money(here.amount, here.currency) if here else None,
            money(item.difference, _currency(item)) if item.difference is not None else None,
            item.why,
        )
    show(f"{len(items)} {title}", made)
    if len(items) > SHOWN:
        show(f"and {len(items) - SHOWN} more: --csv or --json lists them all")


def _names(there: Row | None, here: Movement | None) -> str:
    """What the ledger calls it, and what the processor does."""
    names = [here.payout_id or here.subject] if here else []
    return "\n".join(dict.fromkeys([*names, *([there.source or there.id] if there else [])]))


def _currency(item: Item) -> str:
    return item.report.currency if item.report else item.ledger.currency if item.ledger else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
