"""Given events, when a command, then events: what a test written from a case file runs on (`replay case --as-test`).

    case = Given()
    case.given(e.ClientRegistered(...))
    case.when(c.OfferContract(...))
    case.then(e.ContractOffered(...))
    assert case.payouts(CONTRACT) == ["milestone released 50000"]

The real deciders and policies, in memory; nothing happens by itself. Streams may be excerpts, as a case holds the parties' ones.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ledger.aggregates import State, evolve
from ledger.aggregates.contract import Contract
from ledger.aggregates.payout import Payout
from ledger.codec import encode
from ledger.commands import Command
from ledger.events import Event, stream_of
from ledger.ids import CLIENT, FREELANCER, kind_of
from ledger.policies.unit import Unit
from ledger.postings import entries
from replay.values import parse_instant


def utc(instant: str) -> datetime:
    """`2026-01-05T09:00:00Z`."""
    return parse_instant(instant)


class Given:
    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self._accounts: dict[tuple[str, str], int] = {}
        self._led_to: tuple[Event, ...] | None = None

    def given(self, *events: Event) -> None:
        """These have happened. Raises Corrupt where one cannot follow on what was given before."""
        for event in events:
            stream = stream_of(event)
            self.states[stream] = evolve(stream, self.states.get(stream), event)
            for entry in entries(event):
                account = entry.account, entry.currency
                self._accounts[account] = self._accounts.get(account, 0) + entry.credit

    def when(self, command: Command) -> None:
        """Decides a command and all that follows from it; of parties that were not given, nothing follows. Raises Refused."""
        self._led_to = self.decided(command)
        self.given(*self._led_to)

    def then(self, *events: Event) -> None:
        """It led to exactly these, in this order. Raises AssertionError, naming the first difference."""
        if self._led_to is None:
            raise AssertionError("no command was decided: say `when` before `then`")
        _require_same(events, self._led_to)
        self._led_to = None

    def decided(self, command: Command) -> tuple[Event, ...]:
        """What a command would lead to now."""
        unit, wave = Unit(), [command]
        while wave:
            following: list[Command] = []
            for one in wave:
                while missing := unit.missing([one]):
                    for stream in missing:
                        unit.load(stream, self.states.get(stream))
                following += unit.decide(one)
            wave = [one for one in following if self._is_here(one.stream)]
        return tuple(new.event for new in unit.events)

    def _is_here(self, stream: str) -> bool:
        return stream in self.states or kind_of(stream) not in (CLIENT, FREELANCER)

    # Reading

    def status(self, contract: str) -> str:
        state = self.states[contract]
        return state.status if isinstance(state, Contract) else ""

    def payouts(self, contract: str) -> list[str]:
        """Each as `milestone pending 50000`, oldest first."""
        found = (state for state in self.states.values() if isinstance(state, Payout) and state.contract_id == contract)
        return [f"{one.source.type} {one.status} {one.amount}" for one in found]

    def accounts(self) -> dict[tuple[str, str], int]:
        """Credits less debits of each account and currency, in minor units, of all that has happened here."""
        return dict(sorted(self._accounts.items()))


def _require_same(expected: Sequence[Event], happened: Sequence[Event]) -> None:
    names = [[type(event).__name__ for event in events] for events in (expected, happened)]
    if names[0] != names[1]:
        raise AssertionError(f"it led to {', '.join(names[1]) or 'nothing'}, not to {', '.join(names[0]) or 'nothing'}")
    for one, other in zip(expected, happened, strict=True):
        fields = [msgspec.json.decode(encode(event)) for event in (one, other)]
        for name, value in fields[0].items():
            if fields[1][name] != value:
                raise AssertionError(f"{type(one).__name__}.{name} is {fields[1][name]!r}, not {value!r}")
