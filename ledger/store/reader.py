"""Reading the projections: contracts, payouts, earnings, histories, and what `funds` reads. Nothing here writes."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from psycopg.rows import tuple_row

from ledger import postings
from ledger.aggregates.adjustment import Adjustment
from ledger.aggregates.client import Client
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer
from ledger.aggregates.payout import Payout
from ledger.events import Event
from ledger.postings import Entry
from ledger.store.funds import NO_UPPER_BOUND, Funds, Totals
from ledger.store.log import Stored


class ProjectionHealth(NamedTuple):
    """`error` names the event that stopped the projection; it goes no further than that."""

    name: str
    position: int
    lag: int
    error: str | None


class Earnings(NamedTuple):
    """What was released less what was reversed after release; months are those of the release, as `2026-01`."""

    total: Totals
    by_contract: dict[str, Totals]
    by_month: dict[str, Totals]


class EventView(NamedTuple):
    position: int
    id: str
    stream: str
    version: int
    topic: str
    event: Event
    entries: list[Entry]


def _by_month(payout: Payout, releases: Sequence[tuple[datetime, int]]) -> Iterator[tuple[str, int]]:
    """What was earned by the months of the releases. What was reversed after release, was taken from the latest first.

    The statement may not be as far as the payout: what it does not know yet counts where the first release does.
    """
    left = payout.released - payout.reversed_after
    for released_at, amount in releases:
        part = min(amount, left)
        left -= part
        yield f"{released_at.astimezone(UTC):%Y-%m}", part
    if left or not releases:
        yield f"{payout.released_at:%Y-%m}", left


class Reader(Funds):
    """Everything that is projected. Balances and statements are `Funds`."""

    # How far

    def head(self) -> int:
        """The last position of the log."""
        return self._log.head()

    def position(self, *projections: str) -> int:
        """The position that these projections have all reached; all of them when none is named."""
        rows = self._database.fetch("SELECT name, position FROM projections")
        return min((row["position"] for row in rows if not projections or row["name"] in projections), default=0)

    def health(self) -> list[ProjectionHealth]:
        head = self.head()
        rows = self._database.fetch("SELECT name, position, error FROM projections ORDER BY name")
        return [
            ProjectionHealth(row["name"], row["position"], max(head - row["position"], 0), row["error"]) for row in rows
        ]

    # Objects

    def client(self, client_id: str) -> Client | None:
        state = self._log.load([client_id])[client_id]
        return state if isinstance(state, Client) else None

    def freelancer(self, freelancer_id: str) -> Freelancer | None:
        state = self._log.load([freelancer_id])[freelancer_id]
        return state if isinstance(state, Freelancer) else None

    def adjustment(self, adjustment_id: str) -> Adjustment | None:
        state = self._log.load([adjustment_id])[adjustment_id]
        return state if isinstance(state, Adjustment) else None

    def contract(self, contract_id: str) -> Contract | None:
        rows = self._database.fetch("SELECT state::text AS state FROM contracts WHERE id = %s", (contract_id,))
        return msgspec.json.decode(rows[0]["state"], type=Contract) if rows else None

    def payout(self, payout_id: str) -> Payout | None:
        rows = self._database.fetch("SELECT state::text AS state FROM payouts WHERE id = %s", (payout_id,))
        return msgspec.json.decode(rows[0]["state"], type=Payout) if rows else None

    def contracts(
        self,
        *,
        client_id: str | None = None,
        freelancer_id: str | None = None,
        status: str | None = None,
        archived: bool | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[tuple[int, Contract]]:
        """Newest first, each with its cursor. Archived are the completed ones (rule 5)."""
        where: list[tuple[str, Any]] = [
            ("client_id = %s", client_id),
            ("freelancer_id = %s", freelancer_id),
            ("status = %s", status),
            ("(status = 'completed') = %s", archived),
            ("created_position < %s", before),
        ]
        rows = self._list("contracts", where, limit)
        return [(row["created_position"], msgspec.json.decode(row["state"], type=Contract)) for row in rows]

    def payouts(
        self,
        *,
        client_id: str | None = None,
        freelancer_id: str | None = None,
        contract_id: str | None = None,
        status: str | None = None,
        available_from: datetime | None = None,
        available_before: datetime | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[tuple[int, Payout]]:
        """Newest first, each with its cursor; `available_on` from and including the one, before the other."""
        where: list[tuple[str, Any]] = [
            ("client_id = %s", client_id),
            ("freelancer_id = %s", freelancer_id),
            ("contract_id = %s", contract_id),
            ("status = %s", status),
            ("available_on >= %s", available_from),
            ("available_on < %s", available_before),
            ("created_position < %s", before),
        ]
        rows = self._list("payouts", where, limit)
        return [(row["created_position"], msgspec.json.decode(row["state"], type=Payout)) for row in rows]

    def _list(self, table: str, where: Iterable[tuple[str, Any]], limit: int) -> list[dict[str, Any]]:
        given = [(condition, value) for condition, value in where if value is not None]
        conditions = " AND ".join(condition for condition, _ in given) or "true"
        return self._database.fetch(
            f"SELECT created_position, state::text AS state FROM {table} WHERE {conditions}"
            " ORDER BY created_position DESC LIMIT %s",
            (*(value for _, value in given), limit),
        )

    def earnings(self, freelancer_id: str) -> Earnings:
        """What was released to the freelancer, not to an Employer of Record, less what was reversed after release."""
        rows = self._database.fetch(
            "SELECT state::text AS state FROM payouts WHERE freelancer_id = %s AND payee = freelancer_id"
            " ORDER BY created_position",
            (freelancer_id,),
        )
        releases = self._releases(freelancer_id)
        earnings = Earnings({}, {}, {})
        for row in rows:
            payout = msgspec.json.decode(row["state"], type=Payout)
            if payout.released_at is None:
                continue
            for month, earned in _by_month(payout, releases.get(payout.id, [])):
                for totals in (
                    earnings.total,
                    earnings.by_contract.setdefault(payout.contract_id, {}),
                    earnings.by_month.setdefault(month, {}),
                ):
                    totals[payout.currency] = totals.get(payout.currency, 0) + earned
        return earnings

    def _releases(self, freelancer_id: str) -> dict[str, list[tuple[datetime, int]]]:
        """When how much of each payout was released, oldest first: after a chargeback that was won, the rest is later."""
        rows = self._database.fetch(
            "SELECT subject, occurred_at, available_change FROM statement_lines"
            " WHERE freelancer_id = %s AND type = 'release' ORDER BY occurred_at, position",
            (freelancer_id,),
        )
        found: dict[str, list[tuple[datetime, int]]] = {}
        for row in rows:
            found.setdefault(row["subject"], []).append((row["occurred_at"], row["available_change"]))
        return found

    # Histories

    def events(
        self,
        *,
        after: int = 0,
        topic: str | None = None,
        contract_id: str | None = None,
        payout_id: str | None = None,
        party_id: str | None = None,
        limit: int,
    ) -> list[EventView]:
        """Events after a position, oldest first; of a party, those that name it as client or freelancer."""
        where: list[tuple[str, Any]] = [
            ("h.topic = %s", topic),
            ("h.contract_id = %s", contract_id),
            ("h.payout_id = %s", payout_id),
        ]
        given = [(condition, value) for condition, value in where if value is not None]
        parameters: list[Any] = [after, *(value for _, value in given)]
        conditions = ["h.position > %s", *(condition for condition, _ in given)]
        if party_id is not None:
            conditions.append("(h.client_id = %s OR h.freelancer_id = %s)")
            parameters += [party_id, party_id]
        return self._events(" AND ".join(conditions), parameters, limit)

    def _events(self, conditions: str, parameters: Sequence[Any], limit: int) -> list[EventView]:
        with self._database.connection() as connection:
            rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
                "SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state, e.hash"
                f" FROM history h JOIN events e ON e.notification_id = h.position WHERE {conditions}"
                " ORDER BY h.position LIMIT %s".encode(),
                (*parameters, limit),
            )
            return [view_of(Stored(*row)) for row in rows]

    def history(self, *, contract_id: str | None = None, payout_id: str | None = None) -> list[EventView]:
        """Everything that happened to a contract, its payouts included, or to one payout, in order."""
        return self.events(contract_id=contract_id, payout_id=payout_id, limit=NO_UPPER_BOUND)

    def trial_balance(self) -> tuple[int, list[tuple[str, str, int]]]:
        """The position, and (account, currency, credits less debits) of every account, now."""
        rows = self._database.fetch(
            "SELECT p.position, b.account, b.currency, b.balance FROM projections p LEFT JOIN balances b ON true"
            " WHERE p.name = 'balances' ORDER BY b.currency, b.account"
        )
        found = [(row["account"], row["currency"], int(row["balance"])) for row in rows if row["account"] is not None]
        return (rows[0]["position"] if rows else 0), found


def view_of(stored: Stored) -> EventView:
    """A stored event, with what it did to the money."""
    event = stored.event
    entries = postings.entries(event)
    return EventView(stored.position, stored.id, stored.stream, stored.version, event.TOPIC, event, entries)
