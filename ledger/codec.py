"""Events to bytes and back.

`encode` writes what pydantic has validated. `decode` trusts it: the same classes, built without validating again, which is
several times faster; a test holds it to agree with pydantic on every golden event. Old versions go through `upcasters`.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from ledger.errors import Corrupt
from ledger.events import EVENTS, Event
from ledger.upcasters import UPCASTERS, Payload, Upcaster, upcast

Convert = Callable[[Any], Any]


def encode(event: Event) -> bytes:
    """The stored bytes of an event: its JSON, fields in the order of their definition."""
    return event.__pydantic_serializer__.to_json(event)


def decode_payload(topic: str, state: bytes, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> tuple[str, Payload]:
    """The newest topic and the JSON object of stored bytes, without building an event: what hot folds read."""
    payload = orjson.loads(state)
    return upcast(topic, payload, upcasters) if topic in upcasters else (topic, payload)


def decode(topic: str, state: bytes, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> Event:
    """The event of stored bytes. Raises Corrupt for a topic or bytes that are not ours."""
    try:
        topic, payload = decode_payload(topic, state, upcasters)
        event: Event = _build(_PLANS[topic], payload)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Corrupt(f"an event of topic {topic!r} cannot be read: {error!r}") from error
    return event


class _Plan(NamedTuple):
    """How to build one class: which fields are not JSON's own types, and what stands for a field that is absent."""

    cls: type[BaseModel]
    names: set[str]
    conversions: tuple[tuple[str, Convert], ...]
    defaults: dict[str, Any]


def _build(plan: _Plan, values: Payload) -> Any:
    if len(values) != len(plan.names) or not plan.names.issuperset(values):
        if not plan.names.issuperset(values):
            raise ValueError(f"unknown fields {sorted(set(values) - plan.names)}")
        values = {**plan.defaults, **values}
        if len(values) != len(plan.names):
            raise ValueError(f"missing fields {sorted(plan.names - set(values))}")
    for name, convert in plan.conversions:
        value = values[name]
        if value is not None:
            values[name] = convert(value)
    built = plan.cls.__new__(plan.cls)
    object.__setattr__(built, "__dict__", values)
    object.__setattr__(built, "__pydantic_fields_set__", plan.names)
    object.__setattr__(built, "__pydantic_extra__", None)
    object.__setattr__(built, "__pydantic_private__", None)
    return built


def _plan(cls: type[BaseModel]) -> _Plan:
    fields = cls.model_fields
    conversions = ((name, _conversion(field.annotation)) for name, field in fields.items())
    return _Plan(
        cls,
        set(fields),
        tuple((name, convert) for name, convert in conversions if convert is not None),
        {name: field.default for name, field in fields.items() if not field.is_required()},
    )


def _conversion(annotation: Any) -> Convert | None:
    """What turns the JSON of a field into its value; None where JSON's own type is it."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in get_args(annotation) if argument is not type(None))
        return _conversion(inner)
    if origin is tuple:
        return _tuple_of(_conversion(get_args(annotation)[0]))
    if hasattr(annotation, "__metadata__"):
        return _conversion(annotation.__origin__)
    if annotation is datetime:
        return datetime.fromisoformat
    if annotation is date:
        return date.fromisoformat
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        plan = _plan(annotation)
        return lambda values: _build(plan, values)
    return None


def _tuple_of(convert: Convert | None) -> Convert:
    return tuple if convert is None else lambda items: tuple(convert(item) for item in items)


_PLANS: dict[str, _Plan] = {topic: _plan(cls) for topic, cls in EVENTS.items()}
