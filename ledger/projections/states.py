"""Contracts and payouts as they are now: the aggregate's own state, folded by its own evolve, with columns to find it by."""

from typing import Any

from ledger.aggregates.contract import Contract
from ledger.aggregates.contract import evolve as evolve_contract
from ledger.aggregates.payout import Payout
from ledger.aggregates.payout import evolve as evolve_payout
from ledger.events import EVENTS, ContractEvent, PayoutEvent
from ledger.projections.rows import Needs, Record, Row, Rows, Table

CONTRACTS = Table(
    "contracts",
    ("id",),
    {
        "id": "text",
        "client_id": "text",
        "freelancer_id": "text",
        "status": "text",
        "created_position": "bigint",
        "state": "json",
    },
    state=Contract,
)
PAYOUTS = Table(
    "payouts",
    ("id",),
    {
        "id": "text",
        "contract_id": "text",
        "client_id": "text",
        "freelancer_id": "text",
        "payee": "text",
        "status": "text",
        "available_on": "timestamptz",
        "created_position": "bigint",
        "state": "json",
    },
    state=Payout,
)


class _States:
    """Folds every stream of one kind; a row is written once a batch, however many of its events are in it."""

    name: str
    tables: tuple[Table, ...]
    topics: frozenset[str] | None

    def _evolve(self, state: Any, event: Any) -> Any:
        raise NotImplementedError

    def _columns(self, state: Any) -> Row:
        raise NotImplementedError

    def needs(self, records: list[Record]) -> Needs:
        known = {(record.stream,) for record in records} - {
            (record.stream,) for record in records if record.version == 1
        }
        return Needs({self.tables[0].name: known}, {})

    def fold(self, rows: Rows, records: list[Record]) -> None:
        table = self.tables[0].name
        states: dict[str, Any] = {}
        created: dict[str, int] = {}
        for record in records:
            stream = record.stream
            if stream not in states:
                known = rows.get(table, (stream,))
                states[stream] = known["state"] if known else None
                created[stream] = known["created_position"] if known else record.position
            states[stream] = self._evolve(states[stream], record.event)
        for stream, state in states.items():
            columns = {"id": stream, **self._columns(state), "created_position": created[stream], "state": state}
            rows.put(table, columns)


class Contracts(_States):
    name = "contracts"
    tables = (CONTRACTS,)
    topics = frozenset(topic for topic, cls in EVENTS.items() if issubclass(cls, ContractEvent))

    def _evolve(self, state: Any, event: Any) -> Any:
        return evolve_contract(state, event)

    def _columns(self, state: Contract) -> Row:
        return {"client_id": state.client_id, "freelancer_id": state.freelancer_id, "status": state.status}


class Payouts(_States):
    name = "payouts"
    tables = (PAYOUTS,)
    topics = frozenset(topic for topic, cls in EVENTS.items() if issubclass(cls, PayoutEvent))

    def _evolve(self, state: Any, event: Any) -> Any:
        return evolve_payout(state, event)

    def _columns(self, state: Payout) -> Row:
        return {
            "contract_id": state.contract_id,
            "client_id": state.client_id,
            "freelancer_id": state.freelancer_id,
            "payee": state.payee,
            "status": state.status,
            "available_on": state.available_on,
        }
