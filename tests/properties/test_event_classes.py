"""The set of events is closed: none is missing from the table, none has a field that a person could write freely in."""

import inspect
import re
from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from msgspec.structs import replace

from ledger import events as e
from ledger.codec import decode
from ledger.errors import Invalid
from ledger.events import EVENTS, Event, Sealed, Value, require_valid
from tests.properties.everything import everything, golden

IDS = re.compile(r"^(\w+_)?id$")
"""Fields that name a thing: ids are ours, never a person's words."""

CODES = {
    "actor": "a role and an id",
    "payee": "an id",
    "account": "an owner's id and a bucket",
    "about": "an event's id",
    "key": "a payout's id and a number",
    "currency": "an ISO 4217 code",
    "reference": "the processor's id",
    "failure": "the processor's code",
    "sha256": "a hash",
    "overdue": "payouts' ids",
    "contracts": "contracts' ids",
    "person": "an id",
}
"""Fields that hold a string which is no id, and what it is. A new one belongs here only if nobody writes it freely."""


def event_classes() -> list[type[Event]]:
    """All of them by definition: what the module defines, and not by the table."""
    defined = [cls for _, cls in inspect.getmembers(e, inspect.isclass) if issubclass(cls, Event)]
    return [cls for cls in defined if not cls.__subclasses__()]


def strings(cls: type[Value]) -> Iterator[str]:
    """The names of the fields, here and in what is inside, that can hold any string."""
    for name, hint in own_hints(cls).items():
        for annotation in _inside(hint):
            if annotation is str:
                yield name
            elif isinstance(annotation, type) and issubclass(annotation, Value):
                yield from strings(annotation)
            else:
                assert annotation in (int, bool, NoneType) or annotation.__name__ in ("datetime", "date"), (cls, name)


def own_hints(cls: type[Value]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {name: hints[name] for name in cls.__struct_fields__}


def _inside(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        return
    elif get_args(annotation):
        for argument in get_args(annotation):
            if argument is not Ellipsis:
                yield from _inside(argument)
    else:
        yield annotation


def test_no_event_is_missing_from_the_table() -> None:
    assert set(EVENTS.values()) == set(event_classes())


def test_every_event_has_a_topic_of_its_own_that_names_its_version() -> None:
    topics = [cls.TOPIC for cls in event_classes()]
    assert len(set(topics)) == len(topics)
    assert all(
        re.fullmatch(r"(client|freelancer|contract|payout|adjustment)\.[a-z_]+\.v[1-9]\d*", topic) for topic in topics
    )


def test_the_history_of_everything_holds_every_event() -> None:
    assert {recorded.event.TOPIC for recorded in everything().log} == set(EVENTS)


@pytest.mark.parametrize("cls", event_classes(), ids=lambda cls: cls.TOPIC)
def test_an_event_holds_no_free_text(cls: type[Event]) -> None:
    free = [name for name in strings(cls) if not IDS.match(name) and name not in CODES]
    assert free == [], "texts stand in the vault: use Sealed"


@pytest.mark.parametrize("cls", event_classes(), ids=lambda cls: cls.TOPIC)
def test_an_event_is_frozen_closed_and_strict(cls: type[Event]) -> None:
    assert cls.__struct_config__.frozen
    assert cls.__struct_config__.forbid_unknown_fields
    event = decode(cls.TOPIC, golden(cls.TOPIC))
    with pytest.raises(AttributeError):
        event.command_id = "cmd_other"  # type: ignore[misc]
    for wrong in (1, True, None, b"cmd_other"):
        with pytest.raises(Invalid, match="command_id"):
            require_valid(replace(event, command_id=wrong))


def test_what_is_sealed_is_an_id_and_a_hash_and_nothing_else() -> None:
    assert set(Sealed.__struct_fields__) == {"id", "sha256"}
    for recorded in everything().log:
        for one in e.sealed_in(recorded.event):
            assert re.fullmatch(r"vlt_[a-z2-7]{20}", one.id)
            assert re.fullmatch(r"[0-9a-f]{64}", one.sha256)
