"""A state as values under names: what a condition may ask, what a step shows, and what changed between two of them."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from ledger.aggregates import State
from ledger.aggregates.payout import Payout
from replay.debug.condition_values import Names

Fields = Mapping[str, Any]
"""Numbers, texts, times, yes or no, null; parts with names of their own as further fields, several of a kind as a tuple."""


def fields_of(state: State) -> Fields:
    """Everything that a state holds and says of itself. Amounts are minor units; texts are vault ids."""
    fields = dict(_value(state))
    if isinstance(state, Payout):
        fields["attempt"] = attempt(state)
    return fields


def attempt(state: Payout) -> int:
    """The number of the last charge attempt; 0 before the first (rule 24)."""
    if state.in_flight is not None:
        return state.in_flight.number
    return state.failures + (state.charged_at is not None)


def _value(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _value(getattr(value, name)) for name in (*value.__struct_fields__, *_said(type(value)))}
    if isinstance(value, tuple):
        return tuple(_value(item) for item in value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if isinstance(value, dict) else value


@cache
def _said(cls: type) -> tuple[str, ...]:
    """What a state works out from its fields: its status, what it still holds."""
    return tuple(name for name, member in vars(cls).items() if isinstance(member, property))


@cache
def names_of(cls: type[msgspec.Struct]) -> Names:
    """The names of the fields of a kind of state; of what it has several of, only the count can be asked."""
    names: dict[str, Any] = {
        name: _names(hint) for name, hint in get_type_hints(cls).items() if get_origin(hint) is not dict
    }
    names |= dict.fromkeys(_said(cls))
    return names | {"attempt": None} if cls is Payout else names


def _names(hint: Any) -> Names | None:
    if get_origin(hint) is tuple:
        return None
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] or [hint]
    if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], msgspec.Struct):
        return names_of(kinds[0])
    return None


def flat(fields: Fields | None) -> dict[str, Any]:
    """`objection.status`, `milestones.1.amount`: each single value under one name. Empty of what is not there yet."""
    found: dict[str, Any] = {}
    for name, value in (fields or {}).items():
        parts = {str(number): item for number, item in enumerate(value, 1)} if isinstance(value, tuple) else value
        if isinstance(parts, Mapping):
            found |= {f"{name}.{inner}": item for inner, item in flat(parts).items()}
        else:
            found[name] = value
    return found


def changed(before: Fields | None, after: Fields | None) -> tuple[str, ...]:
    """The names of what is not the same in both, in the order of the fields."""
    one, other = flat(before), flat(after)
    return tuple(name for name in one | other if one.get(name) != other.get(name))
