"""Writing results: JSON for programs, CSV for finance, tables for people; progress goes to stderr.

Away from a terminal a table is as wide as `WIDTH`, so that the same result is the same bytes.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from replay.values import plain

WIDTH = 160
"""Columns of a table that is not written to a terminal."""


def as_json(value: Any) -> str:
    """Indented, in the order of the fields, and a final newline. Whole numbers of any size stay whole numbers."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"


def as_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """RFC 4180 but for its line ends, which are newlines."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if value is None else plain(value) for value in row] for row in rows])
    return out.getvalue()


def write(text: str) -> None:
    sys.stdout.write(text)


def show(*parts: Table | str) -> None:
    """Writes tables and lines for people."""
    console = Console() if sys.stdout.isatty() else Console(file=io.StringIO(), width=WIDTH, color_system=None)
    for part in parts:
        console.print(part if isinstance(part, Table) else Text(printable(part)), soft_wrap=isinstance(part, str))
    if isinstance(console.file, io.StringIO):
        lines = console.file.getvalue().splitlines()
        write("".join(f"{line.rstrip()}\n" for line in lines))


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
