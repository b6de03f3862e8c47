"""The hash chain over the log: each event's hash covers its stored bytes, its place and every event before it.

`leaf = SHA256(0x00 ‖ position ‖ version ‖ lp(stream) ‖ lp(topic) ‖ lp(state))` and `head = SHA256(0x01 ‖ previous ‖ leaf)`, where
numbers are 8 bytes, big-endian, `lp(x)` is the length of x as such a number and then x, and the first previous is 32 zero bytes.
"""

from hashlib import sha256
from struct import Struct

START = bytes(32)
_THREE = Struct(">QQQ").pack


def leaf(position: int, version: int, stream: str, topic: str, state: bytes) -> bytes:
    """An event's own 32 bytes of the chain. Raises struct.error for a version that no event has."""
    stream_bytes, topic_bytes = stream.encode(), topic.encode()
    place = _THREE(position, version, len(stream_bytes))
    topic_length, state_length = len(topic_bytes).to_bytes(8, "big"), len(state).to_bytes(8, "big")
    return sha256(b"".join((b"\x00", place, stream_bytes, topic_length, topic_bytes, state_length, state))).digest()


def link(previous: bytes, position: int, version: int, stream: str, topic: str, state: bytes) -> bytes:
    """The head of the chain after one more event: 32 bytes. Raises struct.error for a version that no event has."""
    return sha256(b"\x01" + previous + leaf(position, version, stream, topic, state)).digest()
