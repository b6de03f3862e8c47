"""All aggregates behind three functions: what a decision reads, what it decides, what an event makes of a state.

An id's prefix says which aggregate it names. A state is None before the first event.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ledger import ids
from ledger.aggregates import adjustment, client, contract, freelancer, payout, payout_decider
from ledger.aggregates.adjustment import Adjustment
from ledger.aggregates.client import Client
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer
from ledger.aggregates.payout import Payout
from ledger.commands import Command
from ledger.errors import NotFound
from ledger.events import Event
from ledger.rules import RULES, Rules

State = Client | Freelancer | Contract | Payout | Adjustment


class _Aggregate(NamedTuple):
    state: type[Any]
    decide: Any
    evolve: Any
    reads: Any


def _alone(decide: Any) -> Any:
    return lambda state, command, *_: decide(state, command)


def _nothing(*_: object) -> tuple[str, ...]:
    return ()


_AGGREGATES = {
    ids.CLIENT: _Aggregate(Client, _alone(client.decide), client.evolve, _nothing),
    ids.FREELANCER: _Aggregate(Freelancer, _alone(freelancer.decide), freelancer.evolve, _nothing),
    ids.CONTRACT: _Aggregate(Contract, contract.decide, contract.evolve, contract.reads),
    ids.PAYOUT: _Aggregate(Payout, payout_decider.decide, payout.evolve, payout_decider.reads),
    ids.ADJUSTMENT: _Aggregate(Adjustment, _alone(adjustment.decide), adjustment.evolve, _nothing),
}

_PREFIX = 4
_BY_PREFIX = {f"{kind}_": aggregate for kind, aggregate in _AGGREGATES.items()}


def _aggregate(stream: str) -> _Aggregate:
    found = _BY_PREFIX.get(stream[:_PREFIX])
    if found is None:
        raise NotFound(f"object {stream}")
    return found


def state_type(stream: str) -> type[State]:
    """The class of the stream's state."""
    return _aggregate(stream).state


def reads(state: State | None, command: Command) -> tuple[str, ...]:
    """The streams, besides its own, whose states the decision of a command reads."""
    return _aggregate(command.stream).reads(state, command)  # type: ignore[no-any-return]


def decide(
    state: State | None, command: Command, others: Mapping[str, State | None], rules: Rules = RULES
) -> list[Event]:
    """The events of a command, in order. `others` holds what `reads` names. Raises Refused or NotFound."""
    return _aggregate(command.stream).decide(state, command, others, rules)  # type: ignore[no-any-return]


def evolve(stream: str, state: State | None, event: Event) -> State:
    """The state after one more event of the stream. Raises Corrupt when the event cannot follow."""
    return _aggregate(stream).evolve(state, event)  # type: ignore[no-any-return]
