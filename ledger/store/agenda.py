"""What is due: the deadlines projection, read in the order of rule 29."""

from collections.abc import Collection
from datetime import datetime

from ledger.commands import Command, OfferContract
from ledger.ids import CONTRACT, FREELANCER, PAYOUT, kind_of
from ledger.policies.deadlines import DECIDED, ORDER, Deadline, changes
from ledger.store.database import Database
from ledger.store.views import Views

LAG_TO_CATCH_UP = 100
"""How many events a command reads itself that the projection has not seen; behind more of them it is brought up first."""

_COLUMNS = "kind, stream, item, at, cause_id, freelancer_id"
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
        """What must be decided before the command: the due deadlines of all that it touches (rule 29).

        What the projection has not seen yet is read from the log, so that no worker need have run.
        """
        column = _TOUCHED.get(kind_of(command.stream))
        if column is None or isinstance(command, OfferContract):
            return []
        position, due = self._projected(column, command)
        for stored in self._views.log.read_all(after=position):
            event = stored.event
            if (stored.stream if column == "stream" else getattr(event, column, None)) == command.stream:
                for kind, item, at in changes(event):
                    due.pop((stored.stream, kind, item), None)
                    if at is not None and at <= command.now and kind in DECIDED:
                        whose = getattr(event, "freelancer_id", None)
                        due[stored.stream, kind, item] = Deadline(kind, stored.stream, item, at, stored.id, whose)
        return sorted(due.values(), key=lambda one: (one.at, ORDER[one.kind], one.stream, one.item))

    def _projected(self, column: str, command: Command) -> tuple[int, dict[tuple[str, str, str], Deadline]]:
        """The projection's position, at most LAG_TO_CATCH_UP before the head, and what it knows to be due."""
        query = (
            f"SELECT p.position, h.position - p.position AS lag, {_COLUMNS} FROM projections p CROSS JOIN log_head h"
            f" LEFT JOIN deadlines d ON {column} = %(stream)s AND at <= %(now)s AND kind = ANY(%(kinds)s)"
            " WHERE p.name = 'deadlines'"
        )
        values = {"stream": command.stream, "now": command.now, "kinds": list(DECIDED)}
        rows = self._database.fetch(query, values)
        if rows and rows[0]["lag"] > LAG_TO_CATCH_UP:
            self._views.catch_up()
            rows = self._database.fetch(query, values)
        found = [Deadline(*(row[name] for name in Deadline._fields)) for row in rows if row["kind"]]
        return (rows[0]["position"] if rows else 0), {(one.stream, one.kind, one.item): one for one in found}


_TOUCHED = {CONTRACT: "contract_id", PAYOUT: "stream", FREELANCER: "freelancer_id"}
"""The column of the deadlines, and the field of their events, that names what a command on such a stream touches."""
