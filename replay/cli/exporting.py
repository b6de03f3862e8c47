"""The log or its postings, for other programs: `replay export`."""

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from replay import output
from replay.case.source import CaseSource
from replay.cli.common import DASH, UNUSABLE, AsOf, From, KnownAt, app, fail, live, signed_head, source
from replay.export import beancount as export_beancount
from replay.export import csv as export_csv
from replay.export import hledger as export_hledger
from replay.export import lines as export
from replay.sources import EventSource, Source


class Format(StrEnum):
    """What an export may be written as."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    CSV = "csv"
    HLEDGER = "hledger"
    BEANCOUNT = "beancount"


POSTINGS: dict[Format, Callable[..., Iterator[str]]] = {
    Format.CSV: export_csv.lines,
    Format.HLEDGER: export_hledger.lines,
    Format.BEANCOUNT: export_beancount.lines,
}
"""Exports of what moved, as text; the others hold the whole log."""


@app.command(
    "export",
    short_help="The log, for another program",
    epilog="Example: replay export --format hledger --as-of 2026-01-31T23:59:59Z january.journal",
)
def export_log(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            allow_dash=True,
            help="The file to write, a folder for parquet; it must not be there. `-` is the standard output.",
        ),
    ],
    format_: Annotated[Format, typer.Option("--format", help="What to write it as.")] = Format.JSONL,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
) -> None:
    """The log, or its postings, for another program.

    jsonl: the whole log (of a case: what is in it) as lines of JSON, byte for byte, for a verifier of your own; of the live
    ledger the chain's head is signed as well.
    parquet: the whole log in typed columns, by month. csv: a row for each side of a posting, for a spreadsheet. hledger,
    beancount: the postings as plain-text accounting, with the balances they must come to.
    """
    if format_ not in POSTINGS and (as_of or known_at):
        raise typer.BadParameter(
            f"{format_} holds the whole log, which can be verified: --as-of and --known-at are for {', '.join(POSTINGS)}"
        )
    if format_ is Format.PARQUET and file == DASH:
        raise typer.BadParameter("parquet is written to a folder: name one that is not there yet")
    if file != DASH and (file.exists() or file.is_symlink()):
        fail(f"{file} is there already: name another file", UNUSABLE)
    if format_ is Format.JSONL:
        _export_jsonl(file, where)
    elif format_ is Format.PARQUET:
        _export_parquet(file, where)
    else:
        with source(where) as opened, output.progress("Exporting") as further:
            _write(file, _encoded(POSTINGS[format_], opened.log, as_of, known_at, further))


def _export_parquet(file: Path, where: Path | None) -> None:
    # Reading and writing Parquet takes a quarter of a second to load, which others need not wait for.
    from replay.archive.writing import archive

    with source(where) as opened, output.progress("Exporting") as further:
        if isinstance(opened, CaseSource):
            fail("a case holds a part of the log, an archive all of it: export a case in another format", UNUSABLE)
        archive(opened.log, file, on_events=further)


def _export_jsonl(file: Path, where: Path | None) -> None:
    def write(opened: Source) -> None:
        with output.progress("Exporting") as further:
            _write(file, export.lines(opened.log, further))

    if where is not None:
        with source(where) as opened:
            write(opened)
    else:
        with live() as ledger:
            write(ledger)
            signed_head(ledger)


def _encoded(
    lines: Callable[..., Iterator[str]],
    log: EventSource,
    as_of: datetime | None,
    known_at: datetime | None,
    on_events: Callable[..., None],
) -> Iterator[bytes]:
    for piece in lines(log, as_of=as_of, known_at=known_at, on_events=on_events):
        yield piece.encode()


def _write(file: Path, pieces: Iterable[bytes]) -> None:
    """The pieces, at once or not at all: a file that an interruption has left half written never has this name."""
    try:
        if file == DASH:
            output.write_bytes(pieces)
        else:
            _to_file(file, pieces)
    except FileExistsError:
        fail(f"{file} is there already: name another file", UNUSABLE)
    except OSError as error:
        fail(f"the export cannot be written to {file}: {error.strerror or error}", UNUSABLE)


def _to_file(file: Path, pieces: Iterable[bytes]) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as target:
            _copy(pieces, target)
        _name(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def _name(partial: Path, file: Path) -> None:
    """A link, unlike a rename, replaces nothing that came to be there meanwhile; not every file system has them."""
    try:
        os.link(partial, file)
    except FileExistsError:
        raise
    except OSError:
        if file.exists():
            raise FileExistsError(file) from None
        partial.rename(file)


def _copy(pieces: Iterable[bytes], target: BinaryIO) -> None:
    target.writelines(pieces)
    target.flush()
    os.fsync(target.fileno())
