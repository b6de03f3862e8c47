"""Identifiers: an opaque word behind a prefix that says what it names.

Ids are derived, never drawn here: from the command that made the thing, or from what it stands for (a payout derives
from the approval, cycle or bonus that made it), so that doing it twice names it once.
"""

import re
from base64 import b32encode
from hashlib import sha256

CLIENT, FREELANCER, CONTRACT, MILESTONE, PAYOUT = "cli", "fre", "con", "mil", "pay"
TIME_ENTRY, BONUS, PAYROLL, REVERSAL, WITHDRAWAL = "tim", "bon", "prl", "rev", "wdr"
ADJUSTMENT, CONVERSION, EMPLOYER_OF_RECORD, REDUCTION = "adj", "cnv", "eor", "red"
COMMAND, EVENT, VAULT, API_KEY, PERSON, REQUEST = "cmd", "evt", "vlt", "key", "per", "req"

_LENGTH = 20
_ENOUGH = 15
"""Bytes that hold more than 100 bits and that base 32 needs no padding for."""
_EVENT_ID = re.compile(rf"{EVENT}_([a-z]{{3}}_[a-z0-9]+)_([1-9][0-9]{{0,9}})")


def derive(prefix: str, *parts: str) -> str:
    """`prefix_` and 20 characters that only these parts give: 100 bits of SHA-256 over the length-prefixed parts."""
    joined = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return of(prefix, sha256(joined).digest())


def of(prefix: str, data: bytes) -> str:
    """`prefix_` and the first 100 bits of `data`, which a caller draws for what no id can be derived from."""
    return f"{prefix}_{encode(data)}"


def encode(data: bytes) -> str:
    """The first 100 bits of `data` in lower-case base 32."""
    return b32encode(data[:_ENOUGH])[:_LENGTH].decode().lower()


def kind_of(identifier: str) -> str:
    """The prefix of an id: `con` of `con_…`."""
    return identifier.partition("_")[0]


def event_id(stream: str, version: int) -> str:
    """The id of an event: where it stands says which it is."""
    return f"{EVENT}_{stream}_{version}"


def place_of(identifier: str) -> tuple[str, int]:
    """The stream and the version that an event's id names. Raises ValueError for what is no event's id."""
    named = _EVENT_ID.fullmatch(identifier)
    if named is None:
        raise ValueError(f"{identifier!r} is no id of an event: one is {EVENT}_, a stream's id, _ and a version")
    return named[1], int(named[2])
