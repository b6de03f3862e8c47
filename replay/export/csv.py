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
from replay.output import cell
from replay.rules import rules_of
from replay.sources import EventSource, Progress
from replay.words import sentence

BYTE_ORDER_MARK = "\ufeff"
COLUMNS = (
    *("position", "event_id", "date", "occurred_at", "recorded_at", "type", "line", "rules", "actor", "what"),
    *("payout_id", "withdrawal_id", "adjustment_id", "contract_id", "client_id", "freelancer_id"),
    *("account", "currency", "debit", "credit", "debit_minor_units", "credit_minor_units"),
)
_SUBJECTS = COLUMNS[10:16]


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
        cell(stored.id),
        event.occurred_at.date().isoformat(),
        cell(event.occurred_at),
        cell(event.recorded_at),
        cell(stored.topic),
    )
    rules = "; ".join(map(str, rules_of(event)))
    who = (cell(rules), cell(event.actor), cell(sentence(event)), *(cell(fields.get(name)) for name in _SUBJECTS))
    for account, currency, credit, line in entries:
        amounts = (major(abs(credit), currency), abs(credit))
        debit, credited = (("", ""), amounts) if credit > 0 else (amounts, ("", ""))
        sides = (debit[0], credited[0], debit[1], credited[1])
        yield record((*shared, cell(line), *who, cell(account), cell(currency), *sides))
