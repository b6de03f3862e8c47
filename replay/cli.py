"""The command `replay`: reads the log again, for auditors and engineers. It never writes to the ledger.

Exit status: 0 when all is well, 1 for an unknown id or a divergence, 2 for what cannot be asked or read.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import psycopg
import typer
from pydantic import ValidationError

from ledger import ids
from ledger.errors import LedgerError
from ledger.settings import Settings
from replay import balances, output, tables
from replay.explain import explain as explain_payout
from replay.export import lines
from replay.history import SUBJECTS, History
from replay.history import history as history_of
from replay.sources import Live, SourceUnavailable, open_live
from replay.values import entry_json, parse_instant
from replay.verify import verify as verify_all

DIVERGENCE, UNKNOWN, UNUSABLE = 1, 1, 2
NO_SUCH = "there is no {what} {identifier} in this ledger: check the id, and LEDGER_DATABASE_URL or LEDGER_DATA_DIR"

app = typer.Typer(
    name="replay",
    help="Reads the ledger's log again: what happened, what the balances were and why, and whether all of it holds.\n\n"
    "Source: the database of LEDGER_DATABASE_URL, or the embedded one in LEDGER_DATA_DIR. Nothing is ever written to it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _time(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


AsOf = Annotated[
    datetime | None,
    typer.Option(parser=_time, metavar="TIME", help="Only what occurred at or before this RFC 3339 time."),
]
KnownAt = Annotated[
    datetime | None,
    typer.Option(parser=_time, metavar="TIME", help="Only what was recorded at or before this RFC 3339 time."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs; amounts in minor units.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV, for finance; amounts in minor units.")]


def _fail(message: str, status: int) -> NoReturn:
    typer.echo(f"replay: {message}", err=True)
    raise typer.Exit(status)


@contextmanager
def _live() -> Iterator[Live]:
    """The source. What stands against reading it ends the command, and says what to do."""
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = "; ".join(f"LEDGER_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors() if one["loc"])
        _fail(f"a setting makes no sense: {wrong}", UNUSABLE)
    try:
        with open_live(settings) as live:
            yield live
    except SourceUnavailable as error:
        _fail(str(error), UNUSABLE)
    except LedgerError as error:
        _fail(str(error), DIVERGENCE)
    except psycopg.Error as error:
        _fail(f"the database could not be read to the end: {str(error).strip()}", UNUSABLE)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """What a verification keeps until its end is no garbage: looking through it again and again takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _require_kind(identifier: str, *kinds: str) -> None:
    if ids.kind_of(identifier) not in kinds or "_" not in identifier:
        wanted = ", ".join(f"{kind}_…" for kind in kinds)
        raise typer.BadParameter(f"{identifier!r} names nothing that this command knows: give an id like {wanted}")


def _require_one_format(as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other: give one of them")


@app.command(
    short_help="What happened, and to the money",
    epilog="Example: replay history pay_k2v7q4mzt5xw3n6j2aq4 --csv > payout.csv",
)
def history(
    subject: Annotated[str, typer.Argument(metavar="CONTRACT|PAYOUT|FREELANCER", help="The id of one of them.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What happened, in order, by whom, and what each event did to the money."""
    _require_one_format(as_json, as_csv)
    _require_kind(subject, *SUBJECTS)
    with _live() as live:
        found = history_of(live.reader, live.vault, subject)
    if found is None:
        _fail(NO_SUCH.format(what="history of", identifier=subject), UNKNOWN)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        output.write(output.as_csv(HISTORY_COLUMNS, _history_rows(found)))
    else:
        tables.show_history(found)


HISTORY_COLUMNS = (
    *("position", "event_id", "type", "occurred_at", "recorded_at", "actor", "what"),
    *("line", "account", "currency", "debit", "credit"),
)


def _history_rows(found: History) -> list[tuple[Any, ...]]:
    """A row for each side of a posting, and one for an event that moved nothing."""
    rows: list[tuple[Any, ...]] = []
    for one in found.events:
        event = (one.position, one.event_id, one.type, one.occurred_at, one.recorded_at, one.actor, one.what)
        if not one.entries:
            rows.append((*event, None, None, None, None, None))
        for side in map(entry_json, one.entries):
            amounts = [side["amount"] if side["direction"] == name else None for name in ("debit", "credit")]
            rows.append((*event, side["line"], side["account"], side["currency"], *amounts))
    return rows


@app.command(
    short_help="What a balance was",
    epilog="Example: replay balance fre_k2v7q4mzt5xw3n6j2aq4 --as-of 2026-01-09T12:00:00Z",
)
def balance(
    freelancer: Annotated[str, typer.Argument(metavar="FREELANCER", help="The id of a freelancer.")],
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
) -> None:
    """What the balance was, or was believed to be, folded from the log."""
    _require_kind(freelancer, ids.FREELANCER, ids.EMPLOYER_OF_RECORD)
    with _live() as live, output.progress("Folding the log") as further:
        found = balances.balance(live.log, freelancer, as_of=as_of, known_at=known_at, on_events=further)
        is_known = found.pending or _is_payee(live, freelancer)
    if not is_known:
        _fail(NO_SUCH.format(what="payee", identifier=freelancer), UNKNOWN)
    if as_json:
        output.write(output.as_json(found))
    else:
        tables.show_balance(found)


def _is_payee(live: Live, payee: str) -> bool:
    """A freelancer who registered, or an Employer of Record who was ever paid; another may just have had nothing by then."""
    if ids.kind_of(payee) == ids.FREELANCER:
        return live.reader.freelancer(payee) is not None
    return bool(balances.balance(live.log, payee).pending)


@app.command(
    "trial-balance",
    short_help="Every account: debits = credits",
    epilog="Example: replay trial-balance --as-of 2026-01-31T23:59:59Z --csv",
)
def trial_balance(as_of: AsOf = None, known_at: KnownAt = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Every account, folded from the log: debits = credits, per currency."""
    _require_one_format(as_json, as_csv)
    with _live() as live, output.progress("Folding the log") as further:
        found = balances.trial_balance(live.log, as_of=as_of, known_at=known_at, on_events=further)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        header = ("account", "currency", "debits", "credits", "balance")
        rows = [(one.account, one.currency, one.debits, one.credits, one.balance) for one in found.accounts]
        output.write(output.as_csv(header, rows))
    else:
        tables.show_trial_balance(found)


@app.command(short_help="Is all of it intact?", epilog="Example: replay verify --json > verification.json")
def verify(as_json: AsJson = False) -> None:
    """Is the log intact, and does it still give what the projections say? Exit status 1 on a divergence."""
    with _live() as live, output.progress("Verifying") as further, _without_collecting():
        report = verify_all(live.database, checkpoints=live.checkpoints, on_events=further)
    if as_json:
        output.write(output.as_json(report))
    else:
        tables.show_report(report)
    if not report.ok:
        raise typer.Exit(DIVERGENCE)


@app.command(short_help="The log, for another program", epilog="Example: replay export log.jsonl")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there.")],
) -> None:
    """The whole log as lines of JSON, byte for byte, for a verifier of your own; the chain's head is signed as well."""
    with _live() as live, output.progress("Exporting") as further:
        try:
            with file.open("xb") as target:
                target.writelines(lines(live.log, further))
            live.checkpoints.write(live.log, live.clock)
        except FileExistsError:
            _fail(f"{file} is there already: name another file", UNUSABLE)
        except OSError as error:
            _fail(f"the export cannot be written: {error}", UNUSABLE)


@app.command(short_help="Why is this money here?", epilog="Example: replay explain pay_k2v7q4mzt5xw3n6j2aq4")
def explain(
    payout: Annotated[str, typer.Argument(metavar="PAYOUT", help="The id of a payout.")], as_json: AsJson = False
) -> None:
    """Why is this money where it is: each event, the rule applied, what is awaited and until when."""
    _require_kind(payout, ids.PAYOUT)
    with _live() as live:
        found = explain_payout(live.reader, payout, live.clock.now())
    if found is None:
        _fail(NO_SUCH.format(what="payout", identifier=payout), UNKNOWN)
    if as_json:
        output.write(output.as_json(found))
    else:
        tables.show_explanation(found)
