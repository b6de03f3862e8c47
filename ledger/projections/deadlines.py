"""What happens by itself next: a row for each deadline that is set, gone once it is cleared (rule 29)."""

from ledger.policies.deadlines import ORDER, changes
from ledger.projections.rows import NOTHING, Needs, Record, Rows, Table

TABLE = Table(
    "deadlines",
    ("stream", "kind", "item"),
    {
        "stream": "text",
        "kind": "text",
        "item": "text",
        "at": "timestamptz",
        "priority": "smallint",
        "cause_id": "text",
        "contract_id": "text",
        "freelancer_id": "text",
    },
)


class Deadlines:
    name = "deadlines"
    tables = (TABLE,)
    topics = None

    def needs(self, records: list[Record]) -> Needs:  # noqa: ARG002 - what every projection is asked
        return NOTHING

    def fold(self, rows: Rows, records: list[Record]) -> None:
        for record in records:
            for kind, item, at in changes(record.event):
                if at is None:
                    rows.delete(TABLE.name, (record.stream, kind, item))
                    continue
                rows.put(
                    TABLE.name,
                    {
                        "stream": record.stream,
                        "kind": kind,
                        "item": item,
                        "at": at,
                        "priority": ORDER[kind],
                        "cause_id": record.id,
                        "contract_id": getattr(record.event, "contract_id", None),
                        "freelancer_id": getattr(record.event, "freelancer_id", None),
                    },
                )
