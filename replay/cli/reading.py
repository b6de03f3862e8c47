"""Reading the log: `replay history`, `balance`, `trial-balance` and `explain`."""

from typing import Annotated, Any

import typer

from ledger import ids
from ledger.postings import BUCKETS
from replay import balances, output, tables
from replay.cli.common import (
    AsCsv,
    AsJson,
    AsOf,
    From,
    KnownAt,
    app,
    fail_unknown,
    require_kind,
    require_one_format,
    source,
)
from replay.explain import explain as explain_payout
from replay.history import SUBJECTS, History
from replay.history import history as history_of
from replay.sources import Source
from replay.times import AtTimes
from replay.values import SIDE_COLUMNS, side_cells


@app.command(
    short_help="What happened, and to the money",
    epilog="Example: replay history pay_k2v7q4mzt5xw3n6j2aq4 --csv > payout.csv",
)
def history(
    subject: Annotated[str, typer.Argument(metavar="CONTRACT|PAYOUT|FREELANCER|CLIENT", help="The id of one of them.")],
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What happened, in order, by whom, and what each event did to the money."""
    require_one_format(as_json, as_csv)
    require_kind(subject, *SUBJECTS)
    with source(where) as opened:
        found = history_of(opened, subject, as_of=as_of, known_at=known_at)
    if found is None:
        fail_unknown("history of", subject, as_of, known_at)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        output.write(output.as_csv(HISTORY_COLUMNS, _history_rows(found)))
    else:
        tables.show_history(found)


HISTORY_COLUMNS = (
    *("position", "event_id", "type", "occurred_at", "recorded_at", "actor", "what"),
    *SIDE_COLUMNS,
)


def _history_rows(found: History) -> list[tuple[Any, ...]]:
    """A row for each side of a posting, and one for an event that moved nothing."""
    rows: list[tuple[Any, ...]] = []
    for one in found.events:
        event = (one.position, one.event_id, one.type, one.occurred_at, one.recorded_at, one.actor, one.what)
        sides = [side_cells(entry) for entry in one.entries] or [(None,) * len(SIDE_COLUMNS)]
        rows += [(*event, *side) for side in sides]
    return rows


@app.command(
    short_help="What a balance was",
    epilog="Example: replay balance fre_k2v7q4mzt5xw3n6j2aq4 --as-of 2026-01-09T12:00:00Z",
)
def balance(
    payee: Annotated[
        str, typer.Argument(metavar="FREELANCER|EOR", help="The id of a freelancer, or of an Employer of Record.")
    ],
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What the balance was, or was believed to be, folded from the log."""
    require_one_format(as_json, as_csv)
    require_kind(payee, ids.FREELANCER, ids.EMPLOYER_OF_RECORD)
    with source(where) as opened, output.progress("Folding the log") as further:
        found = balances.balance(opened.log, payee, as_of=as_of, known_at=known_at, on_events=further)
        is_known = found.pending or _is_payee(opened, payee)
    if not is_known:
        fail_unknown("payee", payee)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        output.write(output.as_csv(BALANCE_COLUMNS, _balance_rows(found)))
    else:
        tables.show_balance(found)


BALANCE_COLUMNS = ("payee", "currency", *BUCKETS)


def _balance_rows(found: balances.Balance) -> list[tuple[Any, ...]]:
    """A row for each currency."""
    held = zip(found.pending, found.available, found.in_transit, strict=True)
    return [(found.freelancer_id, one[0].currency, *(money.amount for money in one)) for one in held]


def _is_payee(opened: Source, payee: str) -> bool:
    """A freelancer who registered, or an Employer of Record who was ever paid; another may just have had nothing by then."""
    if ids.kind_of(payee) == ids.FREELANCER:
        return bool(opened.reader.events(party_id=payee, limit=1))
    return bool(balances.balance(opened.log, payee).pending)


@app.command(
    "trial-balance",
    short_help="Every account: debits = credits",
    epilog="Example: replay trial-balance --as-of 2026-01-31T23:59:59Z --csv",
)
def trial_balance(
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Every account, folded from the log: debits = credits, per currency."""
    require_one_format(as_json, as_csv)
    with source(where) as opened, output.progress("Folding the log") as further:
        found = balances.trial_balance(opened.log, as_of=as_of, known_at=known_at, on_events=further)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        header = ("account", "currency", "debits", "credits", "balance")
        rows = [(one.account, one.currency, one.debits, one.credits, one.balance) for one in found.accounts]
        output.write(output.as_csv(header, rows))
    else:
        tables.show_trial_balance(found)


@app.command(short_help="Why is this money here?", epilog="Example: replay explain pay_k2v7q4mzt5xw3n6j2aq4")
def explain(
    payout: Annotated[str, typer.Argument(metavar="PAYOUT", help="The id of a payout.")],
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
) -> None:
    """Why is this money where it is, or was: each event, the rule applied, what is awaited and until when."""
    require_kind(payout, ids.PAYOUT)
    with source(where) as opened:
        times = AtTimes(opened.reader, as_of=as_of, known_at=known_at)
        found = explain_payout(times, payout, as_of or known_at or opened.clock.now())
    if found is None:
        fail_unknown("payout", payout, as_of, known_at)
    if as_json:
        output.write(output.as_json(found))
    else:
        tables.show_explanation(found)
