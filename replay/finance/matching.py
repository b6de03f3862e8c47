"""Which row of a settlement report is which movement of the ledger.

By what the ledger wrote on the processor's object (a payout, refund or withdrawal id), by the processor's own id where the ledger
has it, and by the ids that the ledger derives from the processor's. What is left is paired within its payment, the same amount
first: a chargeback that an operator recorded by hand has an id that the processor never saw.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ledger.processors.stripe import reversal_id
from replay.finance.processor_movements import Kind, Movement
from replay.finance.settlement_report import PAYMENT_COLUMNS, TRANSFER_COLUMNS, Report, Row, Unreadable

CATEGORIES: Mapping[str, Kind] = {
    "charge": "charge",
    "refund": "refund",
    "dispute": "chargeback",
    "dispute_reversal": "chargeback_won",
    "transfer": "withdrawal",
    "transfer_reversal": "withdrawal_failed",
}
"""The processor's reporting categories that the ledger keeps."""
_OF_TRANSFERS = ("withdrawal", "withdrawal_failed")


class Judged(NamedTuple):
    """A row, the movement it shows, and for a repetition the row that showed it first."""

    row: Row
    movement: Movement | None
    first: Row | None


class Matching:
    """The movements of the ledger, and the rows that were found to show them."""

    def __init__(self, movements: Iterable[Movement]) -> None:
        self._movements = list(movements)
        self._by_subject: dict[tuple[str, str], int] = {}
        self._by_reference: dict[tuple[str, str], int] = {}
        self._of_payout: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._payout_of: dict[str, str] = {}
        """The payout of a charge, by the processor's id of the payment."""
        self._payouts: set[str] = set()
        self._row_of: dict[int, Row] = {}
        self._seen: dict[str, Row] = {}
        """By the id of the balance transaction, which a report has once."""
        self._judged: list[Judged] = []
        for number, one in enumerate(self._movements):
            self._by_subject.setdefault((one.kind, one.subject), number)
            if one.reference:
                self._by_reference[one.kind, one.reference] = number
            if one.payout_id:
                self._of_payout[one.kind, one.payout_id].append(number)
                self._payouts.add(one.payout_id)
                if one.kind == "charge" and one.reference:
                    self._payout_of[one.reference] = one.payout_id

    @property
    def rows(self) -> int:
        """How many the report had."""
        return len(self._judged)

    def take(self, report: Report) -> None:
        """Reads the report to its end. Raises Unreadable, also where nothing in it says which payment a row is about."""
        rest: list[int] = []
        for row in report.rows:
            kind = CATEGORIES.get(row.category)
            first = self._seen.setdefault(row.id, row)
            number = self._find(kind, row) if kind is not None and first is row else None
            if number is not None:
                self._judged.append(self._shown(row, number))
                continue
            if kind is not None and first is row:
                _require_told(report, kind, row)
                rest.append(len(self._judged))
            self._judged.append(Judged(row, None, None if first is row else first))
        self._pair_by_payment(rest)

    def judged(self) -> Iterator[Judged]:
        """Every row, in the order of the report."""
        return iter(self._judged)

    def all_rows(self) -> Iterator[Row]:
        return (one.row for one in self._judged)

    def without_row(self) -> Iterator[Movement]:
        """The movements that no row shows, in the order of the log."""
        return (one for number, one in enumerate(self._movements) if number not in self._row_of)

    def must_be_there(self, movement: Movement) -> bool:
        """Whether the processor must show it: a withdrawal that failed has left and come back, or it never left."""
        if movement.state != "failed":
            return movement.state == "moved"
        numbers = (self._by_subject.get((kind, movement.subject)) for kind in _OF_TRANSFERS)
        return any(number in self._row_of for number in numbers)

    def is_ours(self, row: Row) -> bool:
        """Whether a row names something of the ledger's, whatever its category."""
        return (
            bool(row.refund_id or row.withdrawal_id)
            or row.payout_id in self._payouts
            or any(name in self._payout_of for name in (row.payment, row.charge, row.source))
        )

    def _shown(self, row: Row, number: int) -> Judged:
        first = self._row_of.setdefault(number, row)
        return Judged(row, self._movements[number], None if first is row else first)

    def _find(self, kind: Kind, row: Row) -> int | None:
        """The movement that the row names; not one of which the ledger knows that the processor calls it otherwise."""
        subjects, references = _names(kind, row)
        for reference in filter(None, references):
            if (number := self._by_reference.get((kind, reference))) is not None:
                return number
        for number in self._named(kind, subjects):
            if not (references[0] and self._movements[number].reference):
                return number
        return None

    def _named(self, kind: Kind, subjects: Iterable[str]) -> Iterator[int]:
        found = (self._by_subject.get((kind, subject)) for subject in subjects if subject)
        return (number for number in found if number is not None)

    def _pair_by_payment(self, rest: Iterable[int]) -> None:
        """The rows at these places, with what is left of their payments: the same amount first, then what has no other name."""
        left = [place for place in rest if not self._pair(place, same_amount=True)]
        for place in left:
            if not self._pair(place, same_amount=False):
                self._repeat(place)

    def _pair(self, place: int, *, same_amount: bool) -> bool:
        row = self._judged[place].row
        payout = row.payout_id or self._payout_of.get(row.payment) or self._payout_of.get(row.charge, "")
        for number in self._of_payout.get((CATEGORIES[row.category], payout), ()):
            one = self._movements[number]
            same = (one.amount, one.currency) == (row.gross, row.currency)
            if number not in self._row_of and one.reference is None and (same or not same_amount):
                self._judged[place] = self._shown(row, number)
                return True
        return False

    def _repeat(self, place: int) -> None:
        """A second payment or refund under a name that another row has shown: the processor did it twice."""
        row = self._judged[place].row
        kind = CATEGORIES[row.category]
        for number in self._named(kind, _names(kind, row)[0]):
            if number in self._row_of:
                self._judged[place] = self._shown(row, number)


def _names(kind: Kind, row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids by which a row may name a movement: the ledger's; and the processor's, first the one that the ledger keeps."""
    match kind:
        case "charge":
            return (row.payout_id,), (row.payment, row.charge, row.source)
        case "refund":
            return (row.refund_id, reversal_id(row.source)), (row.source,)
        case "chargeback" | "chargeback_won":
            return (reversal_id(row.source),), ("",)
        case _:
            return (row.withdrawal_id,), ("",)


def _require_told(report: Report, kind: Kind, row: Row) -> None:
    """Raises Unreadable where the report lacks the columns by which the row could have been found."""
    columns = TRANSFER_COLUMNS if kind in _OF_TRANSFERS else PAYMENT_COLUMNS
    if not report.tells(*columns):
        raise Unreadable(
            f"nothing says which payment this {row.category} is about: download the report with the column"
            f" {' or '.join(columns)}",
            line=row.line,
        )
