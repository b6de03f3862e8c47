"""Balances and the trial balance, folded from the log by the posting rules; no projection is asked.

Two times narrow them: `as_of` T counts what occurred at or before T, `known_at` T what was recorded at or before T.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ledger import postings
from ledger.errors import Corrupt
from ledger.postings import Entry
from ledger.store.log import Stored
from ledger.upcasters import UPCASTERS
from replay.sources import EventSource, Progress
from replay.times import counts


@dataclass(frozen=True)
class AccountTotal:
    """What went through an account, in minor units. `balance` is credits less debits: what the platform owes its owner."""

    account: str
    currency: str
    debits: int
    credits: int
    balance: int


@dataclass(frozen=True)
class CurrencyTotal:
    """All accounts of a currency together, in minor units: debits = credits."""

    currency: str
    debits: int
    credits: int


@dataclass(frozen=True)
class TrialBalance:
    """By currency, then account. `position`: how far the log was read."""

    object: Literal["trial_balance"]
    position: int
    as_of: datetime | None
    known_at: datetime | None
    accounts: tuple[AccountTotal, ...]
    totals: tuple[CurrencyTotal, ...]


@dataclass(frozen=True)
class Money:
    """Minor units."""

    amount: int
    currency: str


@dataclass(frozen=True)
class Balance:
    """Of one payee. A currency appears once there has been money in it."""

    object: Literal["balance"]
    freelancer_id: str
    position: int
    as_of: datetime | None
    known_at: datetime | None
    pending: tuple[Money, ...]
    available: tuple[Money, ...]
    in_transit: tuple[Money, ...]


def trial_balance(
    source: EventSource,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> TrialBalance:
    """Every account that was ever posted to by then. Raises Corrupt at the first event whose debits are not its credits."""
    position = source.head()
    sums: dict[tuple[str, str], list[int]] = {}
    for stored, entries in movements(source, position, as_of, known_at, on_events):
        _require_balanced(stored, entries)
        for account, currency, credit, _ in entries:
            both = sums.setdefault((currency, account), [0, 0])
            both[credit > 0] += abs(credit)
    accounts = tuple(
        AccountTotal(account, currency, debits, credits, credits - debits)
        for (currency, account), (debits, credits) in sorted(sums.items())
    )
    found = totals(accounts)
    for one in found:
        if one.debits != one.credits:
            raise Corrupt(
                f"debits of {one.debits} {one.currency} against credits of {one.credits}: run `replay verify`"
            )
    return TrialBalance("trial_balance", position, as_of, known_at, accounts, found)


def totals(accounts: Iterable[AccountTotal]) -> tuple[CurrencyTotal, ...]:
    """The accounts summed up, by currency. Nothing is required of the sums."""
    sums: dict[str, list[int]] = {}
    for one in accounts:
        both = sums.setdefault(one.currency, [0, 0])
        both[0] += one.debits
        both[1] += one.credits
    return tuple(CurrencyTotal(currency, *both) for currency, both in sorted(sums.items()))


def balance(
    source: EventSource,
    payee: str,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Balance:
    """What a freelancer (or an Employer of Record) had pending, available and in transit."""
    position = source.head()
    accounts = {f"{payee}:{bucket}": bucket for bucket in postings.BUCKETS}
    found: dict[str, dict[str, int]] = {}
    for stored, entries in movements(source, position, as_of, known_at, on_events):
        _require_balanced(stored, entries)
        for account, currency, credit, _ in entries:
            if account in accounts:
                held = found.setdefault(currency, dict.fromkeys(postings.BUCKETS, 0))
                held[accounts[account]] += credit
    buckets = (
        tuple(Money(found[currency][bucket], currency) for currency in sorted(found)) for bucket in postings.BUCKETS
    )
    return Balance("balance", payee, position, as_of, known_at, *buckets)


def movements(
    source: EventSource, until: int, as_of: datetime | None, known_at: datetime | None, on_events: Progress | None
) -> Iterator[tuple[Stored, list[Entry]]]:
    """The events that moved money and count at these times, each with its entries, in the order of the log."""
    for stored in source.read_all(until=until):
        if on_events:
            on_events(1)
        if may_move(stored):
            event = stored.event
            if counts(event, as_of, known_at):
                yield stored, postings.entries(event)


def may_move(stored: Stored) -> bool:
    """Whether the event may move money, as far as is seen without decoding it: what an old one is now shows only then."""
    return stored.topic in postings.TOPICS or stored.topic in UPCASTERS


def _require_balanced(stored: Stored, entries: list[Entry]) -> None:
    sums: dict[str, int] = {}
    for entry in entries:
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.credit
    for currency, difference in sums.items():
        if difference:
            raise Corrupt(
                f"event {stored.id} at position {stored.position} credits {difference} {currency} more than it debits:"
                " run `replay verify`"
            )
