"""The log's postings as a journal for hledger, which must come to our balances.

Accounts keep their names; `=` assertions, which hledger checks whenever it reads the file, say what each account must stand at.
"""

from collections.abc import Iterator
from datetime import datetime

from replay.amounts import exponent, major
from replay.export.journal import Closing, Journal, Side, Transaction, journal
from replay.sources import EventSource, Progress

_INDENT = "    "
_ASSETS, _EQUITY = "processor", "platform"


def lines(
    source: EventSource,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Iterator[str]:
    """The journal, piece by piece: transactions in the order of the log, then what they must come to, then the declarations."""
    made = journal(source, as_of=as_of, known_at=known_at, on_events=on_events)
    yield from made.written(_transaction, _closing, "decimal-mark .\n")
    yield from _declarations(made)


def _transaction(one: Transaction) -> str:
    """`| ` would split the description into payee and note, and `;` would end it."""
    what = one.what.replace(";", ",").replace("|", "/")
    tags = "".join(f"{_INDENT}; {name}: {value.replace(',', ' ')}\n" for name, value in one.tags)
    sides = "".join(f"{_INDENT}{side.account}  {_amount(side)}\n" for side in one.sides)
    return f"\n{one.date.isoformat()} * ({one.event_id}) {one.line} | {what}\n{tags}{sides}"


def _closing(one: Closing) -> str:
    sides = "".join(
        f"{_INDENT}{side.account}  {_amount(side._replace(debit=0))} = {_amount(side)}\n" for side in one.balances
    )
    return f"\n{one.date.isoformat()} * balances at the end of the day\n{sides}"


def _amount(side: Side) -> str:
    return f"{major(side.debit, side.currency)} {side.currency}"


def _declarations(made: Journal) -> Iterator[str]:
    """What `hledger check --strict` asks for. The type of an account comes from that of its owner."""
    yield "\n"
    for currency in made.end.currencies:
        decimals = exponent(currency)
        yield f"commodity 1000.{'0' * decimals} {currency}\n"
    owners = {account.partition(":")[0] for account in made.end.opened}
    for account in sorted(owners | set(made.end.opened)):
        kind = "" if ":" in account else f"  ; type: {_kind(account)}"
        yield f"account {account}{kind}\n"


def _kind(owner: str) -> str:
    return {_ASSETS: "Asset", _EQUITY: "Equity"}.get(owner, "Liability")
