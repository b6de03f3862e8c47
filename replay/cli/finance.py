"""What finance asks of the log: `replay statement` and `replay reconcile`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from ledger import ids
from replay import output
from replay.cli.common import (
    DASH,
    DIVERGENCE,
    UNUSABLE,
    AsCsv,
    AsJson,
    AsOf,
    From,
    KnownAt,
    app,
    fail,
    fail_unknown,
    require_kind,
    require_one_format,
    source,
    time_option,
)
from replay.finance import tables as finance_tables
from replay.finance.reconcile import Item
from replay.finance.reconcile import reconcile as reconcile_report
from replay.finance.settlement_report import Unreadable, read
from replay.finance.statement import Standing, Statement
from replay.finance.statement import statement as statement_of

Since = Annotated[
    datetime | None,
    typer.Option(
        "--from", parser=time_option, metavar="TIME", help="From this RFC 3339 time on; else from the beginning."
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option("--to", parser=time_option, metavar="TIME", help="Before this RFC 3339 time; else to the end."),
]


def _require_order(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and until < since:
        raise typer.BadParameter("--to is before --from: exchange them")


@app.command(
    short_help="Opening, lines, closing",
    epilog="Example: replay statement fre_k2v7q4mzt5xw3n6j2aq4 --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z",
)
def statement(
    freelancer: Annotated[str, typer.Argument(metavar="FREELANCER", help="The id of a freelancer.")],
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """A freelancer's statement, folded from the log: opening, lines with running balances, closing, per currency."""
    require_one_format(as_json, as_csv)
    require_kind(freelancer, ids.FREELANCER)
    _require_order(since, until)
    times: dict[str, Any] = {"since": since, "until": until, "as_of": as_of, "known_at": known_at}
    with source(where) as opened, output.progress("Folding the log") as further:
        found = statement_of(opened.log, freelancer, **times, on_events=further)
        is_known = found.currencies or opened.reader.events(party_id=freelancer, limit=1)
    if not is_known:
        fail_unknown("freelancer", freelancer)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        output.write(output.as_csv(STATEMENT_COLUMNS, list(_statement_rows(found))))
    else:
        finance_tables.show_statement(found)


STATEMENT_COLUMNS = (
    *("row", "currency", "occurred_at", "recorded_at", "position", "type"),
    *("payout_id", "withdrawal_id", "adjustment_id", "amount"),
    *("pending_change", "available_change", "in_transit_change", "pending", "available", "in_transit"),
)


def _statement_rows(found: Statement) -> Iterator[tuple[Any, ...]]:
    """For each currency the opening, the lines, the closing."""
    for currency in found.currencies:
        yield _standing_row("opening", currency, found.opening)
        for line in found.lines:
            if line.currency == currency:
                yield ("line", *(getattr(line, name) for name in STATEMENT_COLUMNS[1:]))
        yield _standing_row("closing", currency, found.closing)


def _standing_row(what: str, currency: str, standing: Standing) -> tuple[Any, ...]:
    return (what, currency, standing.at, *(None,) * 10, *standing.of(currency))


@app.command(
    short_help="A processor's report against the log",
    epilog="Example: replay reconcile january.csv --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z",
)
def reconcile(
    report: Annotated[
        Path,
        typer.Argument(
            metavar="REPORT.csv",
            allow_dash=True,
            help="Stripe's itemised 'Balance change from activity'; `-` reads it.",
        ),
    ],
    since: Since = None,
    until: Until = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    dry_run: Annotated[  # noqa: ARG001 - said aloud in a cron table, and true without it
        bool, typer.Option("--dry-run", help="Always so: a reconciliation records nothing.", show_default=False)
    ] = True,
) -> None:
    """Matches a processor's settlement report to the charges, refunds, chargebacks and withdrawals of the log.

    Itemised in both directions: matched, missing here, missing there, amount differs, currency differs, duplicated. It is
    always a dry run: nothing is recorded, here or there. Without --from and --to the report is held against the whole log;
    with them, a report that reaches some days further finds what stands across their edge.
    Exit status: 0 all matched, 1 breaks, 2 a report that cannot be read.
    """
    require_one_format(as_json, as_csv)
    _require_order(since, until)
    times: dict[str, Any] = {"since": since, "until": until, "known_at": known_at}
    with _report(report) as file, source(where) as opened, output.progress("Folding the log") as further:
        found = reconcile_report(opened.log, read(file), **times, on_events=further)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        output.write(output.as_csv(RECONCILIATION_COLUMNS, [_item_row(item) for item in found.items]))
    else:
        finance_tables.show_reconciliation(found)
    if not found.ok:
        raise typer.Exit(DIVERGENCE)


@contextmanager
def _report(path: Path) -> Iterator[BinaryIO]:
    """The report's bytes. One that cannot be read ends the command."""
    try:
        if path == DASH:
            yield sys.stdin.buffer
        else:
            with path.open("rb") as file:
                yield file
    except Unreadable as error:
        fail(f"{path}: {error}", UNUSABLE)
    except OSError as error:
        fail(f"the report cannot be read: {error}", UNUSABLE)


RECONCILIATION_COLUMNS = (
    *("status", "category", "difference", "why"),
    *("line", "balance_transaction_id", "created", "source_id", "there", "there_currency", "fee", "description"),
    *("position", "event_id", "occurred_at", "subject", "payout_id", "here", "here_currency"),
)


def _item_row(item: Item) -> tuple[Any, ...]:
    there, here = item.report, item.ledger
    in_report: tuple[Any, ...] = (None,) * 8
    if there is not None:
        named = (there.source, there.gross, there.currency, there.fee, there.description)
        in_report = (there.line, there.id, there.created, *named)
    in_ledger: tuple[Any, ...] = (None,) * 7
    if here is not None:
        named_here = (here.subject, here.payout_id, here.amount, here.currency)
        in_ledger = (here.position, here.event_id, here.occurred_at, *named_here)
    return (item.status, item.kind, item.difference, item.why, *in_report, *in_ledger)
