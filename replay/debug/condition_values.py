"""What conditions are made of, without their text: names, functions, kinds of values and how two of them compare."""

from collections.abc import Callable, Mapping
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


def compare(one: Any, other: Any, sign: str, is_so: Callable[[Any, Any], bool], at: int) -> bool:
    if sign in ("in", "not in"):
        if not isinstance(other, tuple):
            raise ConditionError(f'after `{sign}` comes a list, as in `status in ("due", "pending")`', at)
        return is_so(one, other)
    if one is None or other is None:
        return is_so(one, other) if sign in ("==", "!=") else False
    if type(one) is not type(other):
        raise ConditionError(f"{kind_of(one)} is compared with {kind_of(other)}", at)
    if sign not in ("==", "!=") and isinstance(one, bool | tuple):
        raise ConditionError(f"{kind_of(one)} is neither more nor less: compare it by == or !=", at)
    return is_so(one, other)
