"""What every command of `replay` shares: the application, its options, opening a source, saying what is wrong."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import psycopg
import typer
from pydantic import ValidationError

from ledger import ids
from ledger.errors import LedgerError, NotFound
from ledger.settings import Settings
from ledger.store.checkpoints import CannotSign, Checkpoint
from replay.case.source import CaseSource
from replay.live import Live, open_live
from replay.opening import open_source
from replay.sources import Source, SourceUnavailable
from replay.values import parse_instant

DIVERGENCE, UNUSABLE = 1, 2
DASH = Path("-")
"""Where a file is asked for: the standard input or output."""

app = typer.Typer(
    name="replay",
    help="Reads the ledger's log again: what happened, what the balances were and why, and whether all of it holds.\n\n"
    "Source: the database of LEDGER_DATABASE_URL, or the embedded one in LEDGER_DATA_DIR; or with --source an archive or "
    "a case file. Nothing is ever written to it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def time_option(text: str) -> datetime:
    """The value of an option that is a time. Raises typer.BadParameter."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


AsOf = Annotated[
    datetime | None,
    typer.Option(parser=time_option, metavar="TIME", help="Only what occurred at or before this RFC 3339 time."),
]
KnownAt = Annotated[
    datetime | None,
    typer.Option(parser=time_option, metavar="TIME", help="Only what was recorded at or before this RFC 3339 time."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs; amounts in minor units.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV, for finance; amounts in minor units.")]
From = Annotated[
    Path | None,
    typer.Option(
        "--source",
        metavar="PATH",
        envvar="REPLAY_SOURCE",
        help="Read an archive (its folder) or a case file instead of the live database.",
    ),
]


def fail(message: str, status: int) -> NoReturn:
    """Says what is wrong and ends the command."""
    typer.echo(f"replay: {message}", err=True)
    raise typer.Exit(status)


def fail_unknown(what: str, identifier: str, *times: datetime | None) -> NoReturn:
    """Says that there is no such thing in what is read, or not by these times, and ends the command."""
    if any(times):
        fail(f"at these times there is no {what} {identifier}: ask for later ones, or check the id", UNUSABLE)
    fail(
        f"there is no {what} {identifier} in what is read: check the id, and --source, LEDGER_DATABASE_URL or LEDGER_DATA_DIR",
        UNUSABLE,
    )


def settings() -> Settings:
    """Of the environment. One that makes no sense ends the command."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"LEDGER_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors() if one["loc"])
        fail(f"a setting makes no sense: {wrong}", UNUSABLE)


@contextmanager
def live() -> Iterator[Live]:
    """The live database, for what only it has. What stands against reading it ends the command, and says what to do."""
    with _reported(), open_live(settings()) as opened:
        yield opened


def signed_head(opened: Live) -> Checkpoint | None:
    """The newest checkpoint, once the log's head is signed. What stands against keeping one ends the command."""
    try:
        return opened.checkpoints.write(opened.log, opened.clock) or opened.checkpoints.last()
    except OSError as error:
        fail(
            f"the log's head cannot be signed ({error}): LEDGER_CHECKPOINT_DIR must name the ledger's checkpoints, and be"
            " writable",
            UNUSABLE,
        )


@contextmanager
def source(path: Path | None) -> Iterator[Source]:
    """The source that was asked for: the live database, or the archive or case file at `path`."""
    with _reported(), open_source(path, settings() if path is None else None) as opened:
        if isinstance(opened, CaseSource):
            contract_id = opened.file.case.contract_id
            typer.echo(f"replay: {path} holds what belongs to {contract_id}, and nothing else", err=True)
        yield opened


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (SourceUnavailable, CannotSign, NotFound) as error:
        fail(str(error), UNUSABLE)
    except LedgerError as error:
        fail(str(error), DIVERGENCE)
    except psycopg.Error as error:
        fail(f"the database could not be read to the end: {str(error).strip()}", UNUSABLE)


@contextmanager
def without_collecting() -> Iterator[None]:
    """What a fold keeps until its end is no garbage: looking through it again and again takes a good part of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def require_kind(identifier: str, *kinds: str) -> None:
    """Refuses an id of something else."""
    if ids.kind_of(identifier) not in kinds or "_" not in identifier:
        wanted = ", ".join(f"{kind}_…" for kind in kinds)
        raise typer.BadParameter(f"{identifier!r} names nothing that this command knows: give an id like {wanted}")


def require_one_format(as_json: bool, as_csv: bool) -> None:
    """Refuses two formats at once."""
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other: give one of them")
