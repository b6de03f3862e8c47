"""A processor's settlement report, read row by row: Stripe's itemised balance change from activity, as CSV.

Its amounts are decimals in major units, read exactly into minor units; `gross` is what a row moved at the processor, positive
for money that came in. The columns are those of Stripe's report type `balance_change_from_activity.itemized`. Of its optional
columns these say which payment a row is about: `payment_intent_id`, `charge_id`, and what the ledger wrote on Stripe's objects,
`payment_metadata[payout_id]`, `refund_metadata[refund_id]` and `transfer_metadata[withdrawal_id]`.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from replay.amounts import exponent, minor

REQUIRED = (
    "balance_transaction_id",
    "created_utc",
    "currency",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "source_id",
)
PAYMENT_COLUMNS = ("payment_intent_id", "payment_metadata[payout_id]")
TRANSFER_COLUMNS = ("transfer_metadata[withdrawal_id]",)
LINE_BYTES = 1_000_000
"""No line of a report is longer; what is, is no report."""
_DELIMITERS = ",;\t"
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII)


class Unreadable(ValueError):
    """The file is no report, or damaged: where, and what to do."""

    def __init__(self, what: str, *, line: int | None = None, column: str | None = None) -> None:
        where = [f"line {line}"] if line is not None else []
        where += [f"column {column}"] if column is not None else []
        super().__init__(f"{', '.join(where)}: {what}" if where else what)


@dataclass(frozen=True, slots=True)
class Row:
    """A balance transaction of the report. `line` is where it begins in the file; amounts are minor units of `currency`.

    Empty texts are what the report does not say. `payment` is the processor's id of the payment (Stripe's PaymentIntent).
    """

    line: int
    id: str
    created: datetime
    currency: str
    gross: int
    fee: int
    net: int
    category: str
    source: str
    description: str
    payment: str
    charge: str
    payout_id: str
    refund_id: str
    withdrawal_id: str


class Report:
    """A report whose first line has been read; `rows` reads the others one by one."""

    def __init__(self, columns: frozenset[str], rows: Iterator[Row]) -> None:
        self.columns, self.rows = columns, rows

    def tells(self, *columns: str) -> bool:
        """Whether it has one of these columns."""
        return not self.columns.isdisjoint(columns)


def read(file: BinaryIO) -> Report:
    """The report in a file opened for reading bytes. Raises Unreadable, at once or at the row that cannot be read."""
    lines = _lines(file)
    first = next(lines, "")
    if not first.strip():
        raise Unreadable("the report is empty: download it again, as CSV")
    delimiter, columns = _header(first)
    return Report(frozenset(columns), _rows(lines, delimiter, columns))


def _lines(file: BinaryIO) -> Iterator[str]:
    number = 0
    while line := file.readline(LINE_BYTES + 1):
        number += 1
        if number == 1:
            if line[:2] in _MARKS:
                raise Unreadable(f"the report is {_MARKS[line[:2]]}: save it as CSV in UTF-8")
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if len(line) > LINE_BYTES:
            raise Unreadable(f"longer than {LINE_BYTES} bytes: this is no CSV report", line=number)
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(
                f"byte {error.start + 1} is not UTF-8: save the report as CSV in UTF-8", line=number
            ) from None


def _header(first: str) -> tuple[str, list[str]]:
    """The delimiter, and the names of the columns."""
    for delimiter in _DELIMITERS:
        columns = [name.strip() for name in next(csv.reader([first.rstrip("\r\n")], delimiter=delimiter))]
        if REQUIRED[0] in columns:
            break
    else:
        raise Unreadable(
            f"no column {REQUIRED[0]}: give Stripe's itemised report 'Balance change from activity' as CSV", line=1
        )
    if missing := [name for name in REQUIRED if name not in columns]:
        raise Unreadable(f"no column {', '.join(missing)}: download the report with all of its columns", line=1)
    if twice := sorted({name for name in columns if name and columns.count(name) > 1}):
        raise Unreadable(f"the column is there twice: {', '.join(twice)}", line=1)
    return delimiter, columns


def _rows(lines: Iterator[str], delimiter: str, columns: list[str]) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2  # the first line was not the reader's
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Unreadable(f"no row of a CSV ({error})", line=line) from None
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise Unreadable(f"{len(cells)} cells under {len(columns)} columns: is the file whole?", line=line)
        yield _row(line, dict(zip(columns, map(str.strip, cells), strict=True)))


def _row(line: int, cells: Mapping[str, str]) -> Row:
    for column in ("balance_transaction_id", "reporting_category"):
        if not cells[column]:
            raise Unreadable("is empty", line=line, column=column)
    currency = _currency(line, cells["currency"])
    return Row(
        line=line,
        id=cells["balance_transaction_id"],
        created=_created(line, cells["created_utc"]),
        currency=currency,
        gross=_amount(line, cells, "gross", currency),
        fee=_amount(line, cells, "fee", currency),
        net=_amount(line, cells, "net", currency),
        category=cells["reporting_category"],
        source=cells["source_id"],
        description=cells.get("description", ""),
        payment=cells.get("payment_intent_id", ""),
        charge=cells.get("charge_id", ""),
        payout_id=cells.get("payment_metadata[payout_id]", "") or cells.get("refund_metadata[payout_id]", ""),
        refund_id=cells.get("refund_metadata[refund_id]", ""),
        withdrawal_id=cells.get("transfer_metadata[withdrawal_id]", ""),
    )


def _currency(line: int, text: str) -> str:
    currency = text.upper()
    try:
        exponent(currency)
    except ValueError as error:
        raise Unreadable(str(error), line=line, column="currency") from None
    return currency


def _amount(line: int, cells: Mapping[str, str], column: str, currency: str) -> int:
    try:
        return minor(cells[column], currency)
    except ValueError as error:
        raise Unreadable(str(error), line=line, column=column) from None


def _created(line: int, text: str) -> datetime:
    """In UTC, as Stripe writes it: `2026-01-12 09:00:05`."""
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"{text!r} is no time such as 2026-01-12 09:00:05", line=line, column="created_utc") from None
