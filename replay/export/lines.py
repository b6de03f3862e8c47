"""The log as lines of JSON, byte for byte: what another program needs to verify it (docs/chain.md)."""

from collections.abc import Callable, Iterator

import orjson

from replay.sources import EventSource


def lines(log: EventSource, on_events: Callable[[int, int], None] | None = None) -> Iterator[bytes]:
    """A line for each event up to the present head, with its place, the stored bytes as text, and its hash in hex."""
    head = log.head()
    for stored in log.read_all(until=head):
        yield orjson.dumps(
            {
                "position": stored.position,
                "stream": stored.stream,
                "version": stored.version,
                "topic": stored.topic,
                "state": stored.state.decode(),
                "hash": stored.hash.hex(),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        if on_events:
            on_events(1, head)
