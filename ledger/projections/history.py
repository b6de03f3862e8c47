"""Which events belong to which contract, payout and party: the index that histories are read by."""

from ledger.projections.rows import NOTHING, Needs, Record, Row, Rows, Table

TABLE = Table(
    "history",
    ("position",),
    {
        "position": "bigint",
        "stream": "text",
        "topic": "text",
        "contract_id": "text",
        "payout_id": "text",
        "client_id": "text",
        "freelancer_id": "text",
    },
    append_only=True,
)


class History:
    name = "history"
    tables = (TABLE,)
    topics = None

    def needs(self, records: list[Record]) -> Needs:  # noqa: ARG002 - what every projection is asked
        return NOTHING

    def fold(self, rows: Rows, records: list[Record]) -> None:
        rows.put_all(TABLE.name, [_row(record) for record in records])


def _row(record: Record) -> Row:
    event = record.event
    return {
        "position": record.position,
        "stream": record.stream,
        "topic": record.topic,
        "contract_id": getattr(event, "contract_id", None),
        "payout_id": getattr(event, "payout_id", None),
        "client_id": getattr(event, "client_id", None),
        "freelancer_id": getattr(event, "freelancer_id", None),
    }
