"""What was done to a log that is not intact: read from the rows around the first place at which it breaks."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ledger.store import chain
from ledger.store.log import Stored

Kind = Literal["edited", "deleted", "inserted", "swapped", "tail_cut", "rehashed"]


@dataclass(frozen=True)
class Tampering:
    """`position` is the first bad one. Of a log that was wholly hashed anew, the first that is known to be bad."""

    kind: Kind
    position: int
    what: str


def at_break(position: int, before: bytes, rows: Iterator[Stored]) -> Tampering:
    """`before` is the chain's head up to the break; `rows` are those from `position` on, as they stand."""
    first = next(rows, None)
    if first is None or first.position != position:
        return Tampering("deleted", position, f"the event at position {position} was deleted")
    second = next(rows, None)
    if second is not None:
        if _link(before, position, second) == second.hash:
            return _inserted_or_swapped(position, first, second)
        if _link(first.hash, second.position + 1, second) == second.hash:
            what = f"the event at position {position} was deleted, and those after it were moved up"
            return Tampering("deleted", position, what)
    for other in (second, *rows) if second is not None else ():
        if _link(before, position, other) in (first.hash, other.hash):
            return _swapped(position, other.position)
    what = f"the event at position {position} was edited, or the one before it together with its hash"
    return Tampering("edited", position, what)


def _inserted_or_swapped(position: int, first: Stored, second: Stored) -> Tampering:
    """The second row belongs in the first one's place. Does the first belong in the second's?"""
    if _link(second.hash, second.position, first) == first.hash:
        return _swapped(position, second.position)
    what = f"an event was inserted at position {position}, and those after it were moved down"
    return Tampering("inserted", position, what)


def _swapped(position: int, other: int) -> Tampering:
    return Tampering("swapped", position, f"the events at positions {position} and {other} were swapped")


def _link(previous: bytes, position: int, row: Stored) -> bytes:
    """The head that a row would give in another place; empty where no row can stand."""
    try:
        return chain.link(previous, position, row.version, row.stream, row.topic, row.state)
    except struct.error:
        return b""


def beyond_head(head: int) -> Tampering:
    return Tampering(
        "inserted", head + 1, f"events were appended after position {head} that the head row does not know"
    )


def tail_cut(last: int) -> Tampering:
    return Tampering("tail_cut", last + 1, f"the log was cut off after position {last}")


def rehashed(agreed: int, disagreed: int) -> Tampering:
    what = f"the log was hashed anew: something after position {agreed}, and at or before {disagreed}, is not what was signed"
    return Tampering("rehashed", agreed + 1, what)
