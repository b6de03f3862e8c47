"""How values are written for people and for programs: amounts, instants, entries. Pure, the same everywhere."""

import re
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Any

from ledger.money import CURRENCIES
from ledger.postings import Entry
from replay.amounts import major

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def money(amount: int, currency: str) -> str:
    """`-1,234.50 USD` for -123450 minor units; with as many decimals as the currency has, and none for what is no money."""
    number = major(amount, currency, thousands=",") if currency in CURRENCIES else f"{amount:,}"
    return f"{number} {currency}"


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with Z; fractions of a second only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def at_times(as_of: datetime | None, known_at: datetime | None) -> str:
    """What an answer was narrowed to, to be read after what it is an answer about; empty where it was not."""
    occurred = f", as of {instant(as_of)}" if as_of else ""
    return f"{occurred}, as known at {instant(known_at)}" if known_at else occurred


def parse_instant(text: str) -> datetime:
    """An RFC 3339 time with its zone, in UTC. Raises ValueError, saying what to write."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} is not an RFC 3339 time with its zone: write it as 2026-01-09T12:00:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is no instant of the calendar ({error}): write it as 2026-01-09T12:00:00Z"
        ) from error


def entry_json(entry: Entry) -> dict[str, Any]:
    """One side of a posting: `amount` in minor units, above zero, and its direction."""
    direction = "credit" if entry.credit >= 0 else "debit"
    return {
        "account": entry.account,
        "direction": direction,
        "amount": abs(entry.credit),
        "currency": entry.currency,
        "line": entry.line,
    }


def side(entry: Entry) -> str:
    """One side of a posting on a line of its own, set in: `  credit fre_…:pending  500.00 USD`."""
    direction = "credit" if entry.credit >= 0 else "debit "
    return f"  {direction} {entry.account}  {money(abs(entry.credit), entry.currency)}"


SIDE_COLUMNS = ("line", "account", "currency", "debit", "credit")


def side_cells(entry: Entry) -> tuple[Any, ...]:
    """One side of a posting under `SIDE_COLUMNS`, in minor units."""
    sides = (None, entry.credit) if entry.credit >= 0 else (-entry.credit, None)
    return (entry.line, entry.account, entry.currency, *sides)


def word(value: Any) -> str:
    """Any value in a table: yes or no, `-` for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(plain(value))


def plain(value: Any) -> Any:
    """What JSON can hold: instants and dates as text, dataclasses and entries as objects, in the order of their fields."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Entry):
        return entry_json(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
