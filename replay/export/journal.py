"""What plain-text accounting is told of the log: a transaction for each event that moved money, and the balances they make.

hledger and beancount count debits as positive, so their balance of an account is ours with its sign turned: the processor, which
holds money for the platform, stands above zero, and what is owed to a freelancer below. They know dates, not instants: an event
stands on the UTC date of its `occurred_at`, and balances are those at the end of a day.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import asdict

from ledger.errors import LedgerError
from ledger.events import Event
from ledger.postings import Entry
from ledger.store.log import Stored
from replay.balances import movements
from replay.output import printable
from replay.rules import rules_of
from replay.sources import EventSource, Progress
from replay.values import at_times, instant
from replay.words import sentence

DAY = timedelta(days=1)
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_]*(:[a-z0-9][a-z0-9_]*)*", re.ASCII)
_SUBJECTS = ("payout_id", "withdrawal_id", "adjustment_id", "contract_id", "client_id", "freelancer_id")


class Unexportable(LedgerError):
    """An account whose name the other program could not read back."""


class Side(NamedTuple):
    """One side of a posting. `debit` is signed minor units: positive for a debit, negative for a credit."""

    account: str
    currency: str
    debit: int


@dataclass(frozen=True)
class Transaction:
    """An event that moved money. `what` says it in words, `tags` by name; none of them holds a line break."""

    date: date
    line: str
    what: str
    event_id: str
    tags: tuple[tuple[str, str], ...]
    links: tuple[str, ...]
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Closing:
    """What accounts must come to at the end of a day: debits less credits, by account and currency."""

    date: date
    balances: tuple[Side, ...]


@dataclass(frozen=True)
class Journal:
    """The transactions, in the order of the log; `end` holds what was found once they have all been read."""

    position: int
    as_of: datetime | None
    known_at: datetime | None
    transactions: Iterator[Transaction]
    end: "Totals"

    @property
    def title(self) -> str:
        """What it was made of."""
        times = at_times(self.as_of, self.known_at)
        return f"The ledger's postings, exported by replay up to position {self.position}{times}"

    def written(
        self, transaction: Callable[[Transaction], str], closing: Callable[[Closing], str], preface: str = ""
    ) -> Iterator[str]:
        """As a file, piece by piece: what it is, transactions in the order of the log, then what they must come to."""
        yield f"; {self.title}\n; Debits are positive. Dates are UTC.\n{preface}"
        yield from map(transaction, self.transactions)
        yield from map(closing, self.end.closings())


class Totals:
    """Sums by month as the transactions go by."""

    def __init__(self) -> None:
        self.opened: dict[str, date] = {}
        """The first date of each account."""
        self._changes: dict[date, dict[tuple[str, str], int]] = {}
        self._last: date | None = None

    def add(self, transaction: Transaction) -> None:
        month = self._changes.setdefault(transaction.date.replace(day=1), {})
        for account, currency, debit in transaction.sides:
            month[account, currency] = month.get((account, currency), 0) + debit
            self.opened[account] = min(transaction.date, self.opened.get(account, transaction.date))
        self._last = max(transaction.date, self._last or transaction.date)

    @property
    def currencies(self) -> list[str]:
        return sorted({currency for month in self._changes.values() for _, currency in month})

    def closings(self) -> Iterator[Closing]:
        """At the end of each month, what moved in it; on the last date of all, every account."""
        sums: dict[tuple[str, str], int] = {}
        months = sorted(self._changes)
        for month in months[:-1]:
            self._sum_up(sums, month)
            yield Closing(_end_of(month), _sides(sums, self._changes[month]))
        if self._last is not None:
            self._sum_up(sums, months[-1])
            yield Closing(self._last, _sides(sums, sums))

    def _sum_up(self, sums: dict[tuple[str, str], int], month: date) -> None:
        for key, change in self._changes[month].items():
            sums[key] = sums.get(key, 0) + change


def _end_of(month: date) -> date:
    return (month + 31 * DAY).replace(day=1) - DAY


def _sides(sums: dict[tuple[str, str], int], keys: Iterable[tuple[str, str]]) -> tuple[Side, ...]:
    return tuple(Side(account, currency, sums[account, currency]) for account, currency in sorted(keys))


def journal(
    source: EventSource,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Journal:
    """The log's movements as transactions, read as they are asked for. Raises Unexportable, and Corrupt, while they are."""
    position, totals = source.head(), Totals()

    def transactions() -> Iterator[Transaction]:
        for stored, entries in movements(source, position, as_of, known_at, on_events):
            if entries:
                made = _transaction(stored, stored.event, entries)
                totals.add(made)
                yield made

    return Journal(position, as_of, known_at, transactions(), totals)


def _transaction(stored: Stored, event: Event, entries: list[Entry]) -> Transaction:
    for entry in entries:
        if not _ACCOUNT.fullmatch(entry.account):
            raise Unexportable(
                f"the account {entry.account!r} of the event at position {stored.position} cannot be named in a journal:"
                " export jsonl or csv instead"
            )
    fields = asdict(event)
    subjects = [(name, fields[name]) for name in _SUBJECTS if fields.get(name)]
    tags = (
        ("position", str(stored.position)),
        ("time", instant(event.occurred_at)),
        ("recorded", instant(event.recorded_at)),
        ("type", stored.topic),
        ("rules", " ".join(str(number) for number in rules_of(event))),
        ("actor", event.actor),
        *((name.removesuffix("_id"), value) for name, value in subjects),
    )
    return Transaction(
        date=event.occurred_at.date(),
        line=entries[0].line,
        what=printable(sentence(event)).replace("\n", " "),
        event_id=stored.id,
        tags=tuple((name, printable(value).replace("\n", " ")) for name, value in tags if value),
        links=tuple(value for _, value in subjects),
        sides=tuple(Side(entry.account, entry.currency, -entry.credit) for entry in entries),
    )
