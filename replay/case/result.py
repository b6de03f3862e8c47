"""What the events of a case come to: contract, payouts and accounts; and where that differs from what was recorded."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from ledger.aggregates import State, evolve
from ledger.aggregates.contract import Contract
from ledger.aggregates.payout import Payout
from ledger.errors import LedgerError
from ledger.store.log import Stored
from replay.balances import AccountTotal, trial_balance
from replay.sources import EventSource
from replay.values import plain

DERIVED = ("status", "amount", "available_on")
"""Of a payout: what its fields say, recorded as well because people ask for it."""

UNFOLDABLE = (LedgerError, LookupError, TypeError, AttributeError, ValueError)
"""What folding raises when an event cannot follow on those before it."""


@dataclass(frozen=True)
class Outcome:
    """`accounts`: what the events of the case moved; amounts in minor units."""

    contract: Contract
    payouts: tuple[Payout, ...]
    accounts: tuple[AccountTotal, ...]


def outcome(log: EventSource, contract_id: str) -> Outcome | None:
    """Folded by the present code; None where the contract is not among the events. Raises UNFOLDABLE."""
    states = _states(log.read_all(), contract_id)
    contract = states.pop(contract_id, None)
    if not isinstance(contract, Contract):
        return None
    payouts = tuple(state for state in states.values() if isinstance(state, Payout))
    return Outcome(contract, payouts, trial_balance(log).accounts)


def _states(events: Iterable[Stored], contract_id: str) -> dict[str, State]:
    """Of the contract and its payouts, whose streams are whole."""
    states: dict[str, State] = {}
    for stored in events:
        event = stored.event
        if (
            stored.stream in (contract_id, getattr(event, "payout_id", None))
            and getattr(event, "contract_id", None) == contract_id
        ):
            states[stored.stream] = evolve(stored.stream, states.get(stored.stream), event)
    return states


def recorded(value: Any) -> Any:
    """A result as values that JSON can hold."""
    found = _fields(value)
    if found is not None:
        return {name: recorded(item) for name, item in found.items()}
    if isinstance(value, dict):
        return {key: recorded(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [recorded(item) for item in value]
    return plain(value)


def difference(then: Any, now: Any, where: str = "") -> str | None:
    """The first thing that was recorded and is not so any more, in words; fields that newer code adds are no difference."""
    found = _fields(now)
    if (found is not None or isinstance(now, dict)) and isinstance(then, dict):
        items = found if found is not None else now
        surplus = [] if found is not None else [name for name in items if name not in then]
        for name in (*then, *surplus):
            here = f"{where}.{name}" if where else name
            if name not in items or name not in then:
                return f"{here} is {'no longer' if name in then else 'newly'} there"
            different = difference(then[name], items[name], here)
            if different:
                return different
        return None
    if isinstance(now, tuple | list) and isinstance(then, list):
        for number, (one, other) in enumerate(zip(then, now, strict=False)):
            different = difference(one, other, f"{where}[{_name(one, number)}]")
            if different:
                return different
        return None if len(then) == len(now) else f"{where} had {len(then)} entries and has {len(now)}"
    present = recorded(now)
    if type(then) is type(present) and then == present:
        return None
    return f"{where} was {_shown(then)} and is {_shown(present)}"


def _name(item: Any, number: int) -> Any:
    if isinstance(item, dict) and "account" in item:
        return f"{item['account']} {item.get('currency', '')}".strip()
    return item["id"] if isinstance(item, dict) and "id" in item else number


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fields(value: Any) -> dict[str, Any] | None:
    """The fields of a state; None for what has none."""
    if isinstance(value, msgspec.Struct):
        derived = DERIVED if isinstance(value, Payout) else ()
        return {name: getattr(value, name) for name in (*value.__struct_fields__, *derived)}
    if is_dataclass(value) and not isinstance(value, type | datetime | date):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None
