"""Events to bytes and back.

What was decided has been validated (`events.require_valid`). Reading trusts that: it looks at fields and types, among them
Literals, and leaves constraints alone, so that what was once written loads for ever. Old versions go through `upcasters`.
"""

from collections.abc import Mapping

import msgspec

from ledger.errors import Corrupt
from ledger.events import EVENTS, Event
from ledger.upcasters import UPCASTERS, Upcaster, upcast

_encode = msgspec.json.Encoder().encode
_DECODE = {topic: msgspec.json.Decoder(cls).decode for topic, cls in EVENTS.items()}


def encode(event: Event) -> bytes:
    """The stored bytes of an event: its JSON, fields in the order of their definition."""
    return _encode(event)


def decode(topic: str, state: bytes, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> Event:
    """The event of stored bytes. Raises Corrupt for a topic or bytes that are not ours."""
    try:
        if topic in upcasters:
            newest, payload = upcast(topic, msgspec.json.decode(state), upcasters)
            return msgspec.convert(payload, EVENTS[newest])
        return _DECODE[topic](state)
    except (KeyError, ValueError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        raise Corrupt(f"an event of topic {topic!r} cannot be read: {error!r}") from error
