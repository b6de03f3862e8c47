"""The texts of the vault that events point to, put back where they belong, or marked with why they are not there.

Tokens of payment methods stand in the vault too. They open accounts, and nobody needs them to read a history: withheld.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, get_args, get_type_hints

from msgspec.structs import asdict

from ledger.events import Event, Sealed, Value, sealed_in

WITHHELD = frozenset({"method"})
"""Fields whose texts are shown to nobody."""


class Absent(Enum):
    """Why a source does not have a text that may well be in the vault. An erased one is simply not there."""

    REDACTED = "redacted"
    UNAVAILABLE = "unavailable"
    WITHHELD = "withheld"


Revealed = Mapping[str, str | Absent]
"""What a source knows of texts, by their vault ids. What is not in it was erased."""
_STAMP = frozenset(Event.__struct_fields__)


@cache
def sealed_fields(cls: type[Event]) -> tuple[str, ...]:
    """The fields of an event class in which a vault reference may stand."""
    return tuple(name for name, annotation in get_type_hints(cls).items() if _mentions(annotation))


def _mentions(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return annotation is Sealed or any(map(_mentions, get_type_hints(annotation).values()))
    return any(_mentions(argument) for argument in get_args(annotation))


def references(event: Event) -> list[Sealed]:
    """Every vault reference of an event, in the order of its fields: `ledger.events.sealed_in`, but quick."""
    return [sealed for name in sealed_fields(type(event)) for sealed in sealed_in(getattr(event, name))]


def details(event: Event, texts: Revealed) -> dict[str, Any]:
    """The event's own fields, without those that every event carries; texts revealed as far as they are in `texts`."""
    return {name: _shown(value, texts, name in WITHHELD) for name, value in asdict(event).items() if name not in _STAMP}


def _shown(value: Any, texts: Revealed, withheld: bool = False) -> Any:
    if isinstance(value, Sealed):
        text = texts.get(value.id)
        if text is not None and withheld:
            text = Absent.WITHHELD
        if isinstance(text, Absent):
            return {"vault_id": value.id, "text": None, "erased": False, text.value: True}
        return {"vault_id": value.id, "text": text, "erased": text is None}
    if isinstance(value, Value):
        return {name: _shown(item, texts, name in WITHHELD) for name, item in asdict(value).items()}
    if isinstance(value, tuple):
        return [_shown(item, texts) for item in value]
    return value


def shown(text: Mapping[str, Any]) -> str:
    """A text of an event's details as people read it: in quotes, or in parentheses why it is not there."""
    marks = ["erased", *(one.value for one in Absent)]
    why = next((mark for mark in marks if text.get(mark)), None)
    return f"({why})" if why else f"“{text['text']}”"
