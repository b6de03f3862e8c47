"""The columns of an archive: an event's place and stamp, what the posting rules need of it, and its stored bytes.

Which fields hold amounts and which name accounts is read off the posting rules: a new field in a rule is a new column.
Amounts are int64 minor units; times are UTC, in microseconds. No text of the vault is here, only its id within `state`.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from msgspec.structs import asdict

from ledger import postings
from ledger.events import Event
from ledger.postings import CURRENCY, Rule
from ledger.store.log import Stored


def _names(rules: Sequence[Rule]) -> tuple[str, ...]:
    owners = {side.field for rule in rules for side in rule.accounts if side.field is not None}
    return tuple(sorted({*owners, *(rule.when[0] for rule in rules if rule.when), CURRENCY}))


AMOUNTS = tuple(sorted({rule.amount for rule in postings.RULES}))
"""The fields that a posting rule moves."""
NAMES = _names(postings.RULES)
"""The fields that a posting rule makes accounts of, or looks at."""
SUBJECTS = ("contract_id", "payout_id", "client_id", "freelancer_id")
"""The fields by which a history is found."""
_TEXTS = ("actor", "command_id", "cause_id", *dict.fromkeys((*SUBJECTS, *NAMES)))
_TIME = pa.timestamp("us", tz="UTC")
_POSTING = pa.struct(
    [("account", pa.string()), ("direction", pa.string()), ("amount", pa.int64()), ("currency", pa.string())]
)
STORED = ("position", "stream", "version", "topic", "state", "hash")
"""The columns that are the event as it stands in the log, byte for byte."""

SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("occurred_at", _TIME, nullable=False),
        pa.field("recorded_at", _TIME, nullable=False),
        *(pa.field(name, pa.string()) for name in _TEXTS),
        *(pa.field(name, pa.int64()) for name in AMOUNTS),
        pa.field("postings", pa.list_(_POSTING)),
        pa.field("state", pa.binary(), nullable=False),
        pa.field("hash", pa.binary(), nullable=False),
    ]
)
"""`topic` is the stored one, `type` that of the event as this code reads it (after upcasting): the posting rules go by `type`.
`postings` are those that an adjustment states itself."""


def batch(stored: Sequence[Stored], events: Sequence[Event]) -> pa.RecordBatch:
    """Events of the log as rows of an archive; `events` are the same, decoded."""
    fields = [asdict(event) for event in events]
    columns: dict[str, list[Any]] = {
        "position": [one.position for one in stored],
        "stream": [one.stream for one in stored],
        "version": [one.version for one in stored],
        "topic": [one.topic for one in stored],
        "type": [event.TOPIC for event in events],
        "occurred_at": [event.occurred_at for event in events],
        "recorded_at": [event.recorded_at for event in events],
        "postings": [_postings(one) for one in fields],
        "state": [one.state for one in stored],
        "hash": [one.hash for one in stored],
    }
    for name in _TEXTS:
        columns[name] = [value if isinstance(value := one.get(name), str) else None for one in fields]
    for name in AMOUNTS:
        columns[name] = [one.get(name) for one in fields]
    return pa.record_batch([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def _postings(fields: dict[str, Any]) -> list[dict[str, Any]] | None:
    stated = fields.get("postings")
    return None if stated is None else [asdict(one) for one in stated]
