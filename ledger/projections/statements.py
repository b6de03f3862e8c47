"""A freelancer's statement: one line an event that moved their money, with running balances in the order (occurred_at, position).

A line that became known late stands where it occurred, and the running balances after it follow.
"""

from ledger import postings
from ledger.projections.rows import Key, Needs, Record, Row, Rows, Table, key_getter

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
CHANGES = tuple((bucket, f"{bucket}_change") for bucket in postings.BUCKETS)
"""The columns of each running balance, and of what a line changes of it."""
SUBJECTS = ("withdrawal_id", "payout_id", "adjustment_id")
"""What a line is about: the first of these that its event names."""
_CHANGE_OF = dict(CHANGES)
_key_of = key_getter(TABLE)


class Statements:
    name = "statements"
    tables = (TABLE,)
    topics = postings.TOPICS

    def needs(self, records: list[Record]) -> Needs:
        earliest: dict[Key, Key] = {}
        for record in records:
            for line in lines_of(record):
                key = _key_of(line)
                group = key[: TABLE.group]
                if group not in earliest or key < earliest[group]:
                    earliest[group] = key
        return Needs({}, {TABLE.name: earliest})

    def fold(self, rows: Rows, records: list[Record]) -> None:
        for record in records:
            for line in lines_of(record):
                _insert(rows, line)


def line_id(position: int, currency: str) -> str:
    """The id of a line: an event has at most one in a currency."""
    return f"btx_{position}_{currency}"


def amount_of(pending_change: int, available_change: int, in_transit_change: int) -> int:
    """What a line says of itself in one number: pending for a charge, available for all that moves what can be withdrawn."""
    return available_change or pending_change or in_transit_change


def _insert(rows: Rows, line: Row) -> None:
    previous, later = rows.insert(TABLE.name, line)
    for bucket, change in CHANGES:
        line[bucket] = previous[bucket] + line[change] if previous else line[change]
    for one in later:
        rows.put(TABLE.name, {**one, **{bucket: one[bucket] + line[change] for bucket, change in CHANGES}})


def lines_of(record: Record) -> list[Row]:
    """The lines of one event, a freelancer and currency each, without running balances."""
    lines: dict[tuple[str, str], Row] = {}
    for account, currency, credit, line in record.entries:
        owner, _, bucket = account.partition(":")
        change = _CHANGE_OF.get(bucket)
        if change and owner.startswith("fre_"):
            row = lines.get((owner, currency))
            if row is None:
                row = lines[owner, currency] = _line(record, owner, currency, line)
            row[change] += credit
    return list(lines.values())


def _line(record: Record, freelancer_id: str, currency: str, line: str) -> Row:
    event = record.event
    named = (getattr(event, name, None) for name in SUBJECTS)
    subject = next(filter(None, named), None)
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
