"""The log's postings as a beancount file, which must come to our balances.

An account is ours under the root that beancount asks for, each part with a capital and `-` for `_`: `fre_x:in_transit` is
`Liabilities:Fre-x:In-transit`. `account_of` turns that back, and each `open` carries our name in its metadata. A `balance` is
checked at the beginning of its date, so the end of a month stands on the first of the next one; it is checked exactly.
"""

from collections.abc import Iterator
from datetime import datetime

from replay.amounts import major
from replay.export.journal import DAY, Closing, Journal, Side, Transaction, journal
from replay.sources import EventSource, Progress

_ROOTS = {"processor": "Assets", "platform": "Equity"}
_OTHERS = "Liabilities"


def name_of(account: str) -> str:
    """Our account as beancount has it."""
    owner = account.partition(":")[0]
    parts = (part[0].upper() + part[1:].replace("_", "-") for part in account.split(":"))
    return ":".join((_ROOTS.get(owner, _OTHERS), *parts))


def account_of(name: str) -> str:
    """A beancount account as ours: the inverse of `name_of`."""
    return ":".join(part[0].lower() + part[1:].replace("-", "_") for part in name.split(":")[1:])


def lines(
    source: EventSource,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Iterator[str]:
    """The file, piece by piece. Beancount orders directives by date itself, so `open` may stand at the end."""
    made = journal(source, as_of=as_of, known_at=known_at, on_events=on_events)
    yield from made.written(_transaction, _closing)
    yield from _opens(made)


def _transaction(one: Transaction) -> str:
    links = "".join(f" ^{link}" for link in one.links)
    tags = "".join(f"  {name}: {_value(name, value)}\n" for name, value in (("event", one.event_id), *one.tags))
    sides = "".join(f"  {name_of(side.account)}  {_amount(side)}\n" for side in one.sides)
    return f"\n{one.date.isoformat()} * {_text(one.line)} {_text(one.what)}{links}\n{tags}{sides}"


def _closing(one: Closing) -> str:
    day = (one.date + DAY).isoformat()
    sides = (
        f"{day} balance {name_of(side.account)}  {major(side.debit, side.currency)} ~ 0 {side.currency}\n"
        for side in one.balances
    )
    return "\n" + "".join(sides)


def _opens(made: Journal) -> Iterator[str]:
    yield "\n"
    for account, first in sorted(made.end.opened.items(), key=lambda item: (item[1], item[0])):
        yield f"{first.isoformat()} open {name_of(account)}\n  account: {_text(account)}\n"
    for currency in made.end.currencies:
        yield f"{min(made.end.opened.values()).isoformat()} commodity {currency}\n"


def _amount(side: Side) -> str:
    return f"{major(side.debit, side.currency)} {side.currency}"


def _value(name: str, value: str) -> str:
    return value if name == "position" else _text(value)


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
