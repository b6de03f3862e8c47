"""Writing results: JSON for programs, CSV for finance, tables for people; progress goes to stderr.

Away from a terminal a table is as wide as `WIDTH`, so that the same result is the same bytes.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from replay.values import plain

UNWRITABLE = 2
"""Exit status: nothing was said that could be heard, so it is not that of a divergence."""
UNBOUNDED = 100_000
NARROWEST = 12
"""Columns of a text that is broken into lines: two of them hold an id without what it is of."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet may run as a formula, in full width as well."""
WIDTH = 160
"""Columns of a table that is not written to a terminal."""


def as_json(value: Any) -> str:
    """Indented, in the order of the fields, and a final newline. Whole numbers of any size stay whole numbers."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"


def as_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """RFC 4180 but for its line ends, which are newlines; numbers as they are, everything else as `cell` writes it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[plain(value) if isinstance(value, int) else cell(value) for value in row] for row in rows])
    return out.getvalue()


def cell(value: Any) -> str:
    """A cell that stays the text it is: control characters as their escapes, and an apostrophe before what would be a formula.

    Who writes a name, a reference or a description may be anybody.
    """
    shown = printable("" if value is None else str(plain(value))).replace("\n", " ")
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def write(text: str) -> None:
    """To the standard output. Where that cannot be written to, the command ends with what stands against it, and status 2."""
    with _writable():
        sys.stdout.write(text)
        sys.stdout.flush()


def write_bytes(pieces: Iterable[bytes]) -> None:
    """To the standard output, as `write` does."""
    with _writable():
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()


@contextmanager
def _writable() -> Iterator[None]:
    """Ends the command where the standard output cannot be written to; silently where nobody reads any further."""
    try:
        yield
    except BrokenPipeError:
        _discard()
    except UnicodeEncodeError as error:
        typer.echo(f"replay: the standard output cannot hold this ({error}): set PYTHONIOENCODING=utf-8", err=True)
    except OSError as error:
        _discard()
        typer.echo(f"replay: the standard output cannot be written to: {error.strerror or error}", err=True)
    else:
        return
    raise typer.Exit(UNWRITABLE) from None


def _discard() -> None:
    """What is left in the buffer: the flush at exit has somewhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(*parts: Table | str) -> None:
    """Writes tables and lines for people."""
    console = Console() if sys.stdout.isatty() else Console(file=io.StringIO(), width=WIDTH, color_system=None)
    for part in parts:
        if isinstance(part, Table):
            terminal, console.width = console.width, _fitted(part, console)
            console.print(part)
            console.width = terminal
        else:
            console.print(Text(printable(part)), soft_wrap=True)
    if isinstance(console.file, io.StringIO):
        lines = console.file.getvalue().splitlines()
        write("".join(f"{line.rstrip()}\n" for line in lines))


def _fitted(made: Table, console: Console) -> int:
    """Makes the widest columns of text narrower until the table fits; answers the width that it then has.

    A number is never cut. Where all texts are at their narrowest, the table is wider than the terminal, which wraps its lines.
    """
    widths = [max(map(cell_len, _lines(column)), default=0) for column in made.columns]
    between = console.measure(made, options=console.options.update(width=UNBOUNDED)).maximum - sum(widths)
    while sum(widths) + between > console.width:
        narrower = [at for at, column in enumerate(made.columns) if not column.no_wrap and widths[at] > NARROWEST]
        if not narrower:
            break
        widths[max(narrower, key=lambda at: widths[at])] -= 1
    for column, width in zip(made.columns, widths, strict=True):
        column.width = width
    return max(sum(widths) + between, console.width)


def _lines(column: Column) -> Iterator[str]:
    for cell in (column.header, *column.cells):
        yield from str(cell).splitlines()


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table with these columns; those in `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numbers = column in right
        made.add_column(column, justify="right" if numbers else "left", no_wrap=numbers, overflow="fold")
    return made


def row(made: Table, *cells: Any) -> None:
    """Adds a row; what a cell holds is text, whatever it looks like."""
    made.add_row(*(Text("" if cell is None else printable(str(plain(cell)))) for cell in cells))


def printable(text: str) -> str:
    """The text without what could move a terminal's cursor: control characters are written as their escapes."""
    if text.isprintable():
        return text
    return "".join(one if one == "\n" or one.isprintable() else one.encode("unicode_escape").decode() for one in text)


@contextmanager
def progress(what: str) -> Iterator[Callable[..., None]]:
    """A bar on stderr, where that is a terminal. Yields what is told of further events, and of how many there are."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)

        def further(events: int, total: int | None = None) -> None:
            bar.update(task, advance=events, total=total)

        yield further
