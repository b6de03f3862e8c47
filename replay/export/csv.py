"""The log's postings as a spreadsheet opens them: a row for each side of a posting, debits and credits in columns of their own.

UTF-8 with a byte order mark: Excel reads a CSV without one in the code page of the machine. RFC 4180 otherwise, CRLF included.
Amounts are decimals in major units, and whole minor units beside them; none is ever negative. Every amount of a single posting
has at most 15 digits but the very largest, 10^15, so that a spreadsheet's numbers hold it exactly.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import asdict

from ledger.postings import Entry
from ledger.store.log import Stored
from replay.amounts import major
from replay.balances import movements
from replay.output import printable
from replay.rules import rules_of
from replay.sources import EventSource, Progress
from replay.values import plain
from replay.words import sentence

BYTE_ORDER_MARK = "\ufeff"
COLUMNS = (
    *("position", "event_id", "date", "occurred_at", "recorded_at", "type", "line", "rules", "actor", "what"),
    *("payout_id", "withdrawal_id", "adjustment_id", "contract_id", "client_id", "freelancer_id"),
    *("account", "currency", "debit", "credit", "debit_minor_units", "credit_minor_units"),
)
_SUBJECTS = COLUMNS[10:16]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet may run as a formula, in full width as well."""


def text(value: Any) -> str:
    """A cell that stays the text it is: control characters as their escapes, and an apostrophe before what would be a formula.

    Who writes a name, a reference or a description may be anybody.
    """
    shown = printable("" if value is None else str(plain(value))).replace("\n", " ")
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def record(cells: Sequence[Any]) -> str:
    """A line of the file."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def lines(
    source: EventSource,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Iterator[str]:
    """The file, line by line, in the order of the log; the first has the byte order mark and the names of the columns."""
    yield BYTE_ORDER_MARK + record(COLUMNS)
    for stored, entries in movements(source, source.head(), as_of, known_at, on_events):
        yield from _rows(stored, entries)


def _rows(stored: Stored, entries: list[Entry]) -> Iterator[str]:
    event = stored.event
    fields = asdict(event)
    shared = (
        stored.position,
        text(stored.id),
        event.occurred_at.date().isoformat(),
        text(event.occurred_at),
        text(event.recorded_at),
        text(stored.topic),
    )
    rules = "; ".join(map(str, rules_of(event)))
    who = (text(rules), text(event.actor), text(sentence(event)), *(text(fields.get(name)) for name in _SUBJECTS))
    for account, currency, credit, line in entries:
        amounts = (major(abs(credit), currency), abs(credit))
        debit, credited = (("", ""), amounts) if credit > 0 else (amounts, ("", ""))
        sides = (debit[0], credited[0], debit[1], credited[1])
        yield record((*shared, text(line), *who, text(account), text(currency), *sides))
