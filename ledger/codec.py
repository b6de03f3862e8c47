"""Events to bytes and back.

`encode` writes what pydantic has validated. `decode` trusts it: msgspec reads fields and types, and the same classes are built
without validating again, which is several times faster; a test holds it to agree with pydantic on every golden event. Old
versions go through `upcasters`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
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
        if topic in upcasters:
            topic, payload = decode_payload(topic, state, upcasters)
            plan = _PLANS[topic]
            event: Event = _build(plan, msgspec.convert(payload, plan.read))
        else:
            plan = _PLANS[topic]
            event = _build(plan, plan.decode(state))
    except (KeyError, ValueError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        raise Corrupt(f"an event of topic {topic!r} cannot be read: {error!r}") from error
    return event


class _Plan(NamedTuple):
    """How to build one class: as what its JSON is read, and what makes a model of a field that holds one."""

    cls: type[BaseModel]
    read: type[msgspec.Struct]
    decode: Convert
    names: set[str]
    models: tuple[tuple[str, Convert], ...]


def _build(plan: _Plan, found: msgspec.Struct) -> Any:
    values = msgspec.structs.asdict(found)
    for name, convert in plan.models:
        value = values[name]
        if value is not None:
            values[name] = convert(value)
    built = _new(plan.cls)
    _set_fields(built, values)
    _set_names(built, plan.names)
    _set_extra(built, None)
    _set_private(built, None)
    return built


_new = object.__new__
_slots = vars(BaseModel)
_set_fields = _slots["__dict__"].__set__
_set_names = _slots["__pydantic_fields_set__"].__set__
_set_extra = _slots["__pydantic_extra__"].__set__
_set_private = _slots["__pydantic_private__"].__set__


@cache
def _plan(cls: type[BaseModel]) -> _Plan:
    fields = cls.model_fields
    read = msgspec.defstruct(
        cls.__name__,
        [
            (name, _read_as(field.annotation), msgspec.NODEFAULT if field.is_required() else field.default)
            for name, field in fields.items()
        ],
        kw_only=True,
        forbid_unknown_fields=True,
    )
    models = ((name, _model_in(field.annotation)) for name, field in fields.items())
    decoder = msgspec.json.Decoder(read).decode
    return _Plan(cls, read, decoder, set(fields), tuple((name, model) for name, model in models if model is not None))


def _read_as(annotation: Any) -> Any:
    """The type that msgspec reads a field as: without pydantic's constraints, and a model as its own fields."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return Union[tuple(_read_as(argument) for argument in get_args(annotation))]  # noqa: UP007 - made at run time
    if origin is tuple:
        return tuple[_read_as(get_args(annotation)[0]), ...]  # type: ignore[misc]  # made at run time
    if origin is Literal:
        return str
    if hasattr(annotation, "__metadata__"):
        return _read_as(annotation.__origin__)
    return _plan(annotation).read if _is_model(annotation) else annotation


def _model_in(annotation: Any) -> Convert | None:
    """What makes models of a field's value; None where it holds none."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in get_args(annotation) if argument is not type(None))
        return _model_in(inner)
    if origin is tuple:
        convert = _model_in(get_args(annotation)[0])
        return None if convert is None else lambda items: tuple([convert(item) for item in items])
    if _is_model(annotation):
        plan = _plan(annotation)
        return lambda found: _build(plan, found)
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


_PLANS: dict[str, _Plan] = {topic: _plan(cls) for topic, cls in EVENTS.items()}
