"""What conditions are made of, without their text: names, functions, kinds of values and how two of them compare."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Names = Mapping[str, Any]
"""The names that exist: None for a value, further names for what has fields."""
Arities = Mapping[str, tuple[int, int]]
"""The functions that exist, with how many arguments they take at least and at most."""


class ConditionError(ValueError):
    """What of a condition cannot be read or compared, and at which character, from 1 (0: somewhere in it)."""

    def __init__(self, what: str, at: int = 0) -> None:
        self.what, self.at = what, at
        super().__init__(f"at character {at} of the condition: {what}" if at else f"in the condition: {what}")


@dataclass(frozen=True)
class Scope:
    """What the names and functions of a vocabulary come to at one point of the log."""

    values: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Vocabulary:
    """The names and functions that a condition may use."""

    names: Names
    functions: Arities


_KINDS = {bool: "yes or no", int: "a number", str: "a text", datetime: "a time", tuple: "a list"}


def kind_of(value: Any) -> str:
    return _KINDS[type(value)]


@dataclass(frozen=True)
class Sign:
    """What stands between two values, and at which character the second begins.

    `with_null`: whether one of them is the word `null`, which asks whether there is something.
    """

    text: str
    is_so: Callable[[Any, Any], bool]
    at: int
    with_null: bool


def compare(one: Any, other: Any, sign: Sign) -> bool | None:
    """True, false, or None where one of them is not there. Raises ConditionError for what does not compare."""
    if sign.text in ("in", "not in"):
        if not isinstance(other, tuple):
            raise ConditionError(f'after `{sign.text}` comes a list, as in `status in ("due", "pending")`', sign.at)
        return None if one is None and None not in other else sign.is_so(one, other)
    if one is None or other is None:
        return sign.is_so(one, other) if sign.with_null and sign.text in ("==", "!=") else None
    if type(one) is not type(other):
        raise ConditionError(f"{kind_of(one)} is compared with {kind_of(other)}", sign.at)
    if sign.text not in ("==", "!=") and isinstance(one, bool | tuple):
        raise ConditionError(f"{kind_of(one)} is neither more nor less: compare it by == or !=", sign.at)
    return sign.is_so(one, other)


def both(parts: Iterable[bool | None]) -> bool | None:
    """`and`: false where a part is, up to which they are looked at; else None where a part is."""
    known = True
    for part in parts:
        if part is False:
            return False
        known = known and part is not None
    return True if known else None


def opposite(part: bool | None) -> bool | None:
    """`not`."""
    return None if part is None else not part
