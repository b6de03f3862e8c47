"""From an old version of an event to the next one: so that what was written once loads for ever.

An upcaster takes the decoded JSON object of the old version and answers the topic and the object of the next. They are
chained until the topic is one of `EVENTS`. None has been needed yet: every event is at its first version.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ledger.errors import Corrupt

Payload = dict[str, Any]
Upcaster = Callable[[Payload], tuple[str, Payload]]

UPCASTERS: Mapping[str, Upcaster] = {}


def upcast(topic: str, payload: Payload, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> tuple[str, Payload]:
    """The newest topic and payload of a stored event. Raises Corrupt when the chain comes back to where it was."""
    seen = {topic}
    while topic in upcasters:
        topic, payload = upcasters[topic](payload)
        if topic in seen:
            raise Corrupt(f"the upcasters go in a circle at {topic}")
        seen.add(topic)
    return topic, payload
