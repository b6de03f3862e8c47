"""A freelancer's statement: one line an event that moved their money, with running balances in the order (occurred_at, position).

A line that became known late stands where it occurred, and the running balances after it follow.
"""

from typing import Any

from ledger import postings
from ledger.projections.rows import Key, Needs, Record, Row, Rows, Table

TABLE = Table(
    "statement_lines",
    ("freelancer_id", "currency", "occurred_at", "position"),
    {
        "freelancer_id": "text",
        "currency": "text",
        "occurred_at": "timestamptz",
        "position": "bigint",
        "recorded_at": "timestamptz",
        "type": "text",
        "subject": "text",
        "pending_change": "bigint",
        "available_change": "bigint",
        "in_transit_change": "bigint",
        "pending": "numeric",
        "available": "numeric",
        "in_transit": "numeric",
    },
    group=2,
)
BUCKETS = postings.BUCKETS


class Statements:
    name = "statements"
    tables = (TABLE,)
    topics = postings.TOPICS

    def needs(self, records: list[Record]) -> Needs:
        earliest: dict[Key, Key] = {}
        for record in records:
            for line in lines_of(record):
                key = TABLE.key_of(line)
                group = key[: TABLE.group]
                earliest[group] = min(key, earliest.get(group, key))
        return Needs({}, {TABLE.name: earliest})

    def fold(self, rows: Rows, records: list[Record]) -> None:
        for record in records:
            for line in lines_of(record):
                _insert(rows, line)


def _insert(rows: Rows, line: Row) -> None:
    key = TABLE.key_of(line)
    previous = rows.before(TABLE.name, key)
    for bucket in BUCKETS:
        line[bucket] = (previous[bucket] if previous else 0) + line[f"{bucket}_change"]
    rows.put(TABLE.name, line)
    for later in list(rows.after(TABLE.name, key)):
        moved = {bucket: later[bucket] + line[f"{bucket}_change"] for bucket in BUCKETS}
        rows.put(TABLE.name, {**later, **moved})


def lines_of(record: Record) -> list[Row]:
    """The lines of one event, a freelancer and currency each, without running balances."""
    lines: dict[tuple[str, str], Row] = {}
    for account, currency, credit, line in record.entries:
        owner, _, bucket = account.partition(":")
        if owner.startswith("fre_") and bucket in BUCKETS:
            row = lines.get((owner, currency)) or _line(record, owner, currency, line)
            row[f"{bucket}_change"] += credit
            lines[owner, currency] = row
    return list(lines.values())


def _line(record: Record, freelancer_id: str, currency: str, line: str) -> Row:
    event: Any = record.event
    subject = vars(event).get("withdrawal_id") or vars(event).get("payout_id") or vars(event).get("adjustment_id")
    return {
        "freelancer_id": freelancer_id,
        "currency": currency,
        "occurred_at": event.occurred_at,
        "position": record.position,
        "recorded_at": event.recorded_at,
        "type": line,
        "subject": subject,
        "pending_change": 0,
        "available_change": 0,
        "in_transit_change": 0,
    }
