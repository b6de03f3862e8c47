"""The balance of every account, in every currency: the posting rules, summed."""

from collections import defaultdict

from ledger import postings
from ledger.projections.rows import Key, Needs, Record, Rows, Table

TABLE = Table("balances", ("account", "currency"), {"account": "text", "currency": "text", "balance": "numeric"})


class Balances:
    name = "balances"
    tables = (TABLE,)
    topics = postings.TOPICS

    def needs(self, records: list[Record]) -> Needs:
        keys: set[Key] = {(account, currency) for record in records for account, currency, _, _ in record.entries}
        return Needs({TABLE.name: keys}, {})

    def fold(self, rows: Rows, records: list[Record]) -> None:
        changes: dict[Key, int] = defaultdict(int)
        for record in records:
            for account, currency, credit, _ in record.entries:
                changes[account, currency] += credit
        for key, change in changes.items():
            known = rows.get(TABLE.name, key)
            balance = known["balance"] + change if known else change
            rows.put(TABLE.name, {"account": key[0], "currency": key[1], "balance": balance})
