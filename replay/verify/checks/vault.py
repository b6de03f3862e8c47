"""The vault: every text that is still there is the one that its event was written with."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.events import Sealed
from ledger.projections.rows import Record
from ledger.store.vault import digest
from replay.texts import references
from replay.verify.findings import Findings


class TextCheck:
    """Counts references: `intact` ones agree, `erased` ones point to nothing any more."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._changed: set[str] = set()
        self.intact = 0
        self.erased = 0

    def take(self, connection: Connection[Any], records: Sequence[Record]) -> None:
        sealed = [(record, one) for record in records for one in references(record.event)]
        digests = digests_of(connection, {one.id for _, one in sealed})
        for record, one in sealed:
            found = digests.get(one.id)
            if found is None:
                self.erased += 1
            elif found == one.sha256:
                self.intact += 1
            else:
                self._say(record, one)

    def _say(self, record: Record, one: Sealed) -> None:
        if one.id not in self._changed:
            self._changed.add(one.id)
            what = f"the text {one.id} is not the one that the event was written with"
            self._findings.add("text", what, position=record.position, event_id=record.id, account=one.id)


def digests_of(connection: Connection[Any], identifiers: set[str]) -> dict[str, str]:
    """The SHA-256 of each text that is still there, with its salt, as the vault has it now."""
    if not identifiers:
        return {}
    rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
        "SELECT id, salt, text FROM vault WHERE id = ANY(%s)", (sorted(identifiers),)
    )
    return {identifier: digest(salt, text) for identifier, salt, text in rows}
