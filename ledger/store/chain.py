"""The hash chain over the log: each event's hash covers its stored bytes, its place and every event before it.

`leaf = SHA256(0x00 ‖ position ‖ version ‖ lp(stream) ‖ lp(topic) ‖ lp(state))` and `head = SHA256(0x01 ‖ previous ‖ leaf)`, where
numbers are 8 bytes, big-endian, `lp(x)` is the length of x as such a number and then x, and the first previous is 32 zero bytes.
"""

from hashlib import sha256

START = bytes(32)


def link(previous: bytes, position: int, version: int, stream: str, topic: str, state: bytes) -> bytes:
    """The head of the chain after one more event: 32 bytes."""
    stream_bytes, topic_bytes = stream.encode(), topic.encode()
    leaf = sha256(
        b"".join(
            (
                b"\x00",
                position.to_bytes(8, "big"),
                version.to_bytes(8, "big"),
                len(stream_bytes).to_bytes(8, "big"),
                stream_bytes,
                len(topic_bytes).to_bytes(8, "big"),
                topic_bytes,
                len(state).to_bytes(8, "big"),
                state,
            )
        )
    ).digest()
    return sha256(b"\x01" + previous + leaf).digest()
