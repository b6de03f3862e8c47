"""A freelancer's money in both times: balances and statement lines, now, as of an instant, and as they were known at one.

Every query begins at the freelancer's own lines, by the index; a balance as of an instant reads one line for each currency.
"""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import tuple_row

from ledger import postings
from ledger.aggregates.payout import Payout
from ledger.aggregates.payout import evolve as evolve_payout
from ledger.codec import decode
from ledger.ids import PAYOUT, kind_of
from ledger.store.log import LedgerLog

Totals = dict[str, int]
"""Minor units by currency."""
NO_UPPER_BOUND = 2**63 - 1


class BalanceView(NamedTuple):
    position: int
    pending: Totals
    available: Totals
    in_transit: Totals


class Line(NamedTuple):
    """A statement line: what an event changed, and the balances after it."""

    freelancer_id: str
    currency: str
    occurred_at: datetime
    position: int
    recorded_at: datetime
    type: str
    subject: str
    pending_change: int
    available_change: int
    in_transit_change: int
    pending: int
    available: int
    in_transit: int
    available_on: datetime | None


_LAST = (
    # The freelancer's currencies one after another, and of each the last line by then: as many look-ups as there are currencies.
    "WITH RECURSIVE currencies (currency) AS ("
    " (SELECT currency FROM statement_lines WHERE freelancer_id = %(who)s ORDER BY currency LIMIT 1)"
    " UNION ALL SELECT (SELECT l.currency FROM statement_lines l WHERE l.freelancer_id = %(who)s AND l.currency > c.currency"
    " ORDER BY l.currency LIMIT 1) FROM currencies c WHERE c.currency IS NOT NULL)"
    " SELECT p.position, l.* FROM projections p LEFT JOIN (currencies c CROSS JOIN LATERAL ("
    "SELECT currency, pending, available, in_transit FROM statement_lines"
    " WHERE freelancer_id = %(who)s AND currency = c.currency AND occurred_at {} coalesce(%(instant)s::timestamptz, 'infinity')"
    " ORDER BY occurred_at DESC, position DESC LIMIT 1) l) ON true WHERE p.name = 'statements'"
)
_AS_OF, _BEFORE = _LAST.format("<="), _LAST.format("<")
_SUM = (
    "SELECT p.position, l.* FROM projections p LEFT JOIN ("
    "SELECT currency, sum(pending_change) AS pending, sum(available_change) AS available, sum(in_transit_change) AS in_transit"
    " FROM statement_lines WHERE freelancer_id = %(who)s"
    " AND occurred_at {} coalesce(%(instant)s::timestamptz, 'infinity')"
    " AND recorded_at <= coalesce(%(known_at)s::timestamptz, 'infinity')"
    " AND position <= coalesce(%(position)s::bigint, 9223372036854775807) GROUP BY currency"
    ") l ON true WHERE p.name = 'statements'"
)
_SUM_AS_OF, _SUM_BEFORE = _SUM.format("<="), _SUM.format("<")

_CHANGES = (
    "freelancer_id, currency, occurred_at, position, recorded_at, type, subject,"
    " pending_change, available_change, in_transit_change"
)
_AS_KNOWN = (
    # The running balances of the lines that were known then: one that became known later is in none of them.
    f"(SELECT {_CHANGES}, sum(pending_change) OVER w AS pending, sum(available_change) OVER w AS available,"
    " sum(in_transit_change) OVER w AS in_transit FROM statement_lines"
    " WHERE freelancer_id = %(who)s AND recorded_at <= %(known_at)s"
    " WINDOW w AS (PARTITION BY currency ORDER BY occurred_at, position))"
)
_LINES = (
    "SELECT l.freelancer_id, l.currency, l.occurred_at, l.position, l.recorded_at, l.type, l.subject,"
    " l.pending_change, l.available_change, l.in_transit_change, l.pending, l.available, l.in_transit, p.available_on"
    " FROM {} l LEFT JOIN payouts p ON p.id = l.subject"
    " WHERE l.freelancer_id = %(who)s"
    " AND l.occurred_at >= coalesce(%(since)s::timestamptz, '-infinity')"
    " AND l.occurred_at < coalesce(%(until)s::timestamptz, 'infinity')"
    " AND (l.occurred_at, l.position, l.currency) <"
    " (coalesce(%(at)s::timestamptz, 'infinity'), %(position)s, %(currency)s)"
    " ORDER BY l.occurred_at DESC, l.position DESC, l.currency DESC LIMIT %(limit)s"
)


class Funds:
    """Reads balances and statements. `as_of`: what occurred at or before; `known_at`: what was recorded at or before."""

    def __init__(self, log: LedgerLog) -> None:
        self._log, self._database = log, log.database

    def balance(
        self,
        freelancer_id: str,
        *,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        at_position: int | None = None,
    ) -> BalanceView:
        """Now, or as of an instant, or as known at one, or at a log position.

        A currency appears once the freelancer has had money in it.
        """
        if as_of is None and known_at is None and at_position is None:
            return self._balance_now(freelancer_id)
        query = _AS_OF if known_at is None and at_position is None else _SUM_AS_OF
        found = self._totals(query, who=freelancer_id, instant=as_of, known_at=known_at, position=at_position)
        return found if at_position is None else found._replace(position=min(found.position, at_position))

    def before(self, freelancer_id: str, instant: datetime | None, known_at: datetime | None = None) -> BalanceView:
        """The balances just before an instant; after everything, or everything known by then, when that is None."""
        query = _BEFORE if known_at is None else _SUM_BEFORE
        return self._totals(query, who=freelancer_id, instant=instant, known_at=known_at, position=None)

    def _totals(self, query: str, **values: Any) -> BalanceView:
        found = self._database.fetch(query, values)
        rows = sorted((row for row in found if row["currency"] is not None), key=lambda row: str(row["currency"]))
        buckets = [{row["currency"]: int(row[bucket]) for row in rows} for bucket in postings.BUCKETS]
        return BalanceView(found[0]["position"] if found else 0, *buckets)

    def _balance_now(self, freelancer_id: str) -> BalanceView:
        accounts = {f"{freelancer_id}:{bucket}": bucket for bucket in postings.BUCKETS}
        rows = self._database.fetch(
            "SELECT p.position, b.account, b.currency, b.balance FROM projections p"
            " LEFT JOIN balances b ON b.account = ANY(%s) WHERE p.name = 'balances'",
            (list(accounts),),
        )
        found = [row for row in rows if row["account"] is not None]
        currencies = sorted({row["currency"] for row in found})
        totals = {bucket: dict.fromkeys(currencies, 0) for bucket in postings.BUCKETS}
        for row in found:
            totals[accounts[row["account"]]][row["currency"]] = int(row["balance"])
        return BalanceView(
            rows[0]["position"] if rows else 0, totals["pending"], totals["available"], totals["in_transit"]
        )

    def lines(
        self,
        freelancer_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        known_at: datetime | None = None,
        before: tuple[datetime, int, str] | None = None,
        limit: int,
    ) -> list[Line]:
        """Statement lines, newest first: from `since`, before `until`, and before a line's (occurred_at, position, currency).

        With `known_at`, the statement as it would have been written then.
        """
        at, position, currency = before or (None, NO_UPPER_BOUND, "")
        rows = self._database.fetch(
            _LINES.format("statement_lines" if known_at is None else _AS_KNOWN),
            {
                "who": freelancer_id, "since": since, "until": until, "known_at": known_at,
                "at": at, "position": position, "currency": currency, "limit": limit,
            },
        )  # fmt: skip
        for row in rows:
            row.update({bucket: int(row[bucket]) for bucket in postings.BUCKETS})
        lines = [Line(**row) for row in rows]
        if known_at is None:
            return lines
        known = self._available_on({one.subject for one in lines if kind_of(one.subject) == PAYOUT}, known_at)
        return [one._replace(available_on=known.get(one.subject)) for one in lines]

    def _available_on(self, payouts: set[str], known_at: datetime) -> dict[str, datetime | None]:
        """When each payout was to be available, by what had been recorded then."""
        states: dict[str, Payout | None] = dict.fromkeys(payouts)
        with self._database.connection() as connection:
            events = connection.cursor(row_factory=tuple_row, binary=True).execute(
                "SELECT originator_id, topic, state FROM events WHERE originator_id = ANY(%s)"
                " ORDER BY originator_id, originator_version",
                (list(payouts),),
            )
            for payout, topic, state in events.fetchall():
                event = decode(topic, state)
                if event.recorded_at <= known_at:
                    states[payout] = evolve_payout(states[payout], event)
        return {payout: state.available_on for payout, state in states.items() if state is not None}
