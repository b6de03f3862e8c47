"""What is due: the deadlines projection, read in the order of rule 29."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from ledger.commands import Command, OfferContract
from ledger.ids import CONTRACT, FREELANCER, PAYOUT, kind_of
from ledger.policies.deadlines import DECIDED, Deadline
from ledger.store.database import Database
from ledger.store.views import Views

LAG_TO_CATCH_UP = 100
"""A command waits for the deadlines to be known when the projection is this many events behind, as after a stop."""

_COLUMNS = "kind, stream, item, at, cause_id"
_ORDER = "ORDER BY at, priority, stream, item"


class Agenda:
    def __init__(self, database: Database, views: Views) -> None:
        self._database, self._views = database, views

    def due(
        self, now: datetime, limit: int, *, kinds: Collection[str], without: Collection[tuple[str, str, str]]
    ) -> list[Deadline]:
        """The first `limit` deadlines of these kinds that have come, in their order.

        `without`: deadlines (stream, kind, item) that wait for the outside world to answer.
        """
        rows = self._database.fetch(
            f"SELECT {_COLUMNS} FROM deadlines WHERE at <= %s AND kind = ANY(%s)"
            f" AND stream || ' ' || kind || ' ' || item <> ALL(%s) {_ORDER} LIMIT %s",
            (now, list(kinds), [" ".join(one) for one in without], limit),
        )
        return [Deadline(**row) for row in rows]

    def next_after(self, now: datetime) -> datetime | None:
        """The next instant after `now` at which something is due."""
        rows = self._database.fetch("SELECT min(at) AS at FROM deadlines WHERE at > %s", (now,))
        return rows[0]["at"] if rows else None

    def backlog(self, now: datetime) -> int:
        """How many deadlines have come and wait."""
        return int(self._database.fetch("SELECT count(*) AS n FROM deadlines WHERE at <= %s", (now,))[0]["n"])

    def due_before(self, command: Command) -> list[Deadline]:
        """What must be decided before the command: the due deadlines of all that it touches (rule 29)."""
        if isinstance(command, OfferContract):
            return []
        touched = _TOUCHED.get(kind_of(command.stream))
        if touched is None:
            return []
        if self._lag() > LAG_TO_CATCH_UP:
            self._views.catch_up()
        rows = self._database.fetch(
            f"SELECT {_COLUMNS} FROM deadlines WHERE {touched} AND at <= %(now)s AND kind = ANY(%(kinds)s) {_ORDER}",
            {"stream": command.stream, "now": command.now, "kinds": list(DECIDED)},
        )
        return [Deadline(**row) for row in rows]

    def _lag(self) -> int:
        rows: list[Any] = self._database.fetch(
            "SELECT (SELECT position FROM log_head) - position AS lag FROM projections WHERE name = 'deadlines'"
        )
        return int(rows[0]["lag"]) if rows else 0


_TOUCHED = {
    CONTRACT: "contract_id = %(stream)s",
    PAYOUT: "stream = %(stream)s",
    FREELANCER: "freelancer_id = %(stream)s",
}
