"""A whole ledger in memory, for tests: the real deciders and policies, a clock that is set, a simulated processor.

    history = History("2026-01-05 09:00")               # a client who pays and a freelancer who can be paid
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.advance("2026-01-12 10:00")
    assert history.payouts(contract) == ["milestone pending 50000"]

Commands run as the service runs them: what is due by then on the objects they touch is decided first (charges
excepted), then the command, then wave by wave what follows from it. While the worker is `up`, all that is due at that
instant happens as well.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from ledger import commands as c
from ledger.aggregates import State, evolve
from ledger.aggregates.contract.state import Contract
from ledger.aggregates.freelancer import withdrawal_of
from ledger.aggregates.payout import Payout
from ledger.commands import SYSTEM, Command
from ledger.errors import Refused
from ledger.events import Event
from ledger.ids import derive
from ledger.policies.deadlines import (
    ASK,
    DECIDED,
    ORDER,
    Deadline,
    changes,
    command_of,
)
from ledger.policies.unit import Unit
from ledger.postings import BUCKETS, entries
from tests.people import People, sealed, utc

MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
WEEK = 7 * DAY
TRANSFER_TAKES = DAY
"""A simulated withdrawal is paid, or fails, 24 hours after the processor has taken it."""
STEPS = 2_000
"""More deadlines than are ever due at one instant here."""


@contextmanager
def refused(code: str) -> Iterator[None]:
    """The command inside is refused with this code."""
    with pytest.raises(Refused) as refusal:
        yield
    assert refusal.value.code == code


class Recorded(NamedTuple):
    """An event where it stands in the log."""

    position: int
    stream: str
    version: int
    id: str
    event: Event


class Balance(NamedTuple):
    pending: int
    available: int
    in_transit: int


class Processor:
    """The outside world. What a method does: `pays`, `declines`, `declines finally`, or `silent`: no outcome as yet."""

    def __init__(self) -> None:
        self.does: dict[str, str] = {}
        self.of_payout: dict[str, str] = {}
        """What it says of one payout, whatever the card does."""
        self.asked: list[tuple[str, str]] = []
        """Every question about a charge: the payout and the key it was asked under."""
        self.charged_at: datetime | None = None
        """The processor's own time of what it reports next; None is now."""


class History(People):
    def __init__(
        self, start: str | datetime = "2026-01-05 09:00", *, card: str | None = "pays", bank: str | None = "pays"
    ) -> None:
        self.now = utc(start)
        self.up = True
        """Whether a worker runs. While it does not, only what a command needs is decided."""
        self.processor = Processor()
        self.states: dict[str, State] = {}
        self.log: list[Recorded] = []
        self.deadlines: dict[tuple[str, str, str], tuple[int, Deadline]] = {}
        self.accounts: dict[tuple[str, str], int] = {}
        self._contracts_of: dict[str, list[str]] = {}
        self._payouts_of: dict[str, list[str]] = {}
        self._milestones: dict[str, list[str]] = {}
        self._minted: Counter[str] = Counter()
        self.client = self.register_client("Clara")
        self.freelancer = self.register_freelancer("Fred")
        if card is not None:
            self.billing_method(card)
        if bank is not None:
            self.payout_method(bank)

    # Time

    def advance(self, to: str | datetime | timedelta) -> None:
        """Moves the clock, stopping at every instant at which something is due while the worker is up."""
        target = self.now + to if isinstance(to, timedelta) else utc(to)
        assert target >= self.now, "time does not go back"
        while self.up and (due := self._earliest(target)) is not None:
            self.now = max(self.now, due)
            self.settle()
        self.now = target
        if self.up:
            self.settle()

    def settle(self) -> None:
        """What the worker does: everything that is due by now, in its order."""
        asked: set[tuple[str, str, str]] = set()
        for _ in range(STEPS):
            due = [
                (deadline.at, ORDER[deadline.kind], number, key)
                for key, (number, deadline) in self.deadlines.items()
                if deadline.at <= self.now and key not in asked
            ]
            if not due:
                return
            key = min(due)[-1]
            deadline = self.deadlines[key][1]
            for command in self._commands_at(deadline):
                self._handle(command)
            if self.deadlines.get(key, (0, None))[1] == deadline:
                assert deadline.kind == ASK, f"{deadline} is still due after it was handled"
                asked.add(key)  # no outcome as yet: it is asked again another time
        raise AssertionError("what is due never comes to an end")

    def worker_returns(self) -> None:
        self.up = True
        self.settle()

    def _earliest(self, target: datetime) -> datetime | None:
        instants = (deadline.at for _, deadline in self.deadlines.values())
        return min((at for at in instants if self.now < at <= target), default=None)

    def _commands_at(self, deadline: Deadline) -> list[Command]:
        origin: dict[str, Any] = {
            "command_id": derive("cmd", deadline.stream, deadline.kind, deadline.item, self.now.isoformat()),
            "actor": SYSTEM,
            "now": self.now,
            "cause_id": deadline.cause_id,
        }
        match deadline.kind:
            case "ask":
                return self._ask(origin, deadline.stream)
            case "transfer":
                return [self._transfer(origin, deadline)]
            case "refund":
                refund = {"refund_id": deadline.item, "reference": f"re_{deadline.item}"}
                return [c.RecordRefund(**origin, payout_id=deadline.stream, **refund)]
            case "notify":
                about = {"kind": deadline.item, "about": deadline.cause_id}
                return [c.NoteNotification(**origin, contract_id=deadline.stream, **about)]
        return [command_of(deadline, self.now)]

    def _ask(self, origin: dict[str, Any], payout_id: str) -> list[Command]:
        attempt = self.state(payout_id).in_flight
        self.processor.asked.append((payout_id, attempt.key))
        origin |= {"effective_at": self.processor.charged_at, "payout_id": payout_id, "attempt": attempt.number}
        match self.processor.of_payout.get(payout_id, self.processor.does[attempt.method]):
            case "silent":
                return []
            case "pays":
                return [c.RecordCharge(**origin, reference=f"ch_{attempt.key}")]
            case outcome:
                return [c.RecordCharge(**origin, failure="card_declined", final=outcome == "declines finally")]

    def _transfer(self, origin: dict[str, Any], deadline: Deadline) -> Command:
        withdrawal = withdrawal_of(self.state(deadline.stream), deadline.item)
        origin |= {"freelancer_id": deadline.stream, "withdrawal_id": deadline.item}
        if not withdrawal.submitted:
            return c.RecordTransfer(**origin, outcome="submitted", settles_at=self.now + TRANSFER_TAKES)
        if self.processor.does[withdrawal.method] == "pays":
            return c.RecordTransfer(**origin, effective_at=deadline.at, outcome="paid")
        return c.RecordTransfer(**origin, effective_at=deadline.at, outcome="failed", failure="account_closed")

    # Commands

    def run(self, kind: Callable[..., Command], actor: str, /, **fields: Any) -> list[Recorded]:
        """Sends a command as the service does, and answers the events that it led to at once."""
        command = kind(command_id=self._mint("cmd"), actor=actor, now=self.now, **fields)
        return self.send(command)

    def send(self, command: Command) -> list[Recorded]:
        self._decide_what_is_due(command)
        events = self._handle(command)
        if self.up:
            self.settle()
        return events

    def _decide_what_is_due(self, command: Command) -> None:
        """Rule 29: everything due by now on the objects that the command touches, charges excepted."""
        streams = self._touched(command.stream)
        for _ in range(STEPS):
            due = [
                (deadline.at, ORDER[deadline.kind], number, deadline)
                for number, deadline in self.deadlines.values()
                if deadline.kind in DECIDED and deadline.at <= self.now and deadline.stream in streams
            ]
            if not due:
                return
            self._handle(command_of(min(due)[-1], self.now))
        raise AssertionError("what is due never comes to an end")

    def _touched(self, stream: str) -> set[str]:
        state = self.states.get(stream)
        match state:
            case Payout():
                return self._touched(state.contract_id)
            case Contract():
                return {stream, *self._payouts_of.get(stream, ())}
        contracts = self._contracts_of.get(stream, ())
        return {stream}.union(*(self._touched(contract) for contract in contracts))

    def _handle(self, command: Command) -> list[Recorded]:
        """One transaction: the command, then wave by wave what follows from it; a refusal writes nothing."""
        unit = Unit()
        wave = [command]
        while wave:
            while missing := unit.missing(wave):
                for stream in missing:
                    unit.load(stream, self.states.get(stream))
            wave = [following for one in wave for following in unit.decide(one)]
        return [self._record(new.stream, new.version, new.id, new.event) for new in unit.events]

    def _record(self, stream: str, version: int, identifier: str, event: Event) -> Recorded:
        new = stream not in self.states
        state = self.states[stream] = evolve(stream, self.states.get(stream), event)
        assert state.version == version, "versions have no gaps"
        recorded = Recorded(len(self.log) + 1, stream, version, identifier, event)
        self.log.append(recorded)
        for kind, item, at in changes(event):
            self.deadlines.pop((kind, stream, item), None)
            if at is not None:
                deadline = Deadline(kind, stream, item, at, identifier)
                self.deadlines[kind, stream, item] = recorded.position, deadline
        for entry in entries(event):
            account = entry.account, entry.currency
            self.accounts[account] = self.accounts.get(account, 0) + entry.credit
        if new and isinstance(state, Contract):
            for party in (state.client_id, state.freelancer_id):
                self._contracts_of.setdefault(party, []).append(stream)
        if new and isinstance(state, Payout):
            self._payouts_of.setdefault(state.contract_id, []).append(stream)
        return recorded

    def _mint(self, prefix: str) -> str:
        self._minted[prefix] += 1
        return f"{prefix}_{self._minted[prefix]:06}"

    # Reading

    def state(self, stream: str) -> Any:
        return self.states[stream]

    def status(self, contract: str) -> str:
        return self.state(contract).status

    def milestones(self, contract: str) -> list[str]:
        """Their statuses, in order."""
        return [one.status for one in sorted(self.state(contract).milestones, key=lambda one: one.position)]

    def milestone(self, contract: str, number: int = 1) -> str:
        """The id of the contract's milestone that was described as its `number`th, from 1."""
        return self._milestones[contract][number - 1]

    def all_payouts(self, contract: str) -> list[Payout]:
        return [self.state(payout) for payout in self._payouts_of.get(contract, ())]

    def payouts(self, contract: str) -> list[str]:
        """Each as `milestone pending 50000`, oldest first."""
        return [f"{one.source.type} {one.status} {one.amount}" for one in self.all_payouts(contract)]

    def payout(self, contract: str, number: int = 1) -> Payout:
        """The contract's `number`th payout, from 1, as it is now."""
        return self.all_payouts(contract)[number - 1]

    def balance(self, owner: str | None = None, currency: str = "USD") -> Balance:
        """By the posting rules, over all events; the freelancer's where nobody else is named."""
        who = owner or self.freelancer
        return Balance(*(self.accounts.get((f"{who}:{bucket}", currency), 0) for bucket in BUCKETS))

    def events(self, *kinds: type[Event], of: str | None = None) -> list[Any]:
        """The events of these kinds (all, where none is named), on one stream or on all."""
        return [
            one.event for one in self.log if (not kinds or isinstance(one.event, kinds)) and of in (None, one.stream)
        ]

    def last(self, kind: type[Event]) -> Any:
        return self.events(kind)[-1]


def due_by(history: History, kind: str) -> list[Deadline]:
    """The deadlines of a kind that are set, earliest first."""
    found = (deadline for _, deadline in history.deadlines.values() if deadline.kind == kind)
    return sorted(found, key=lambda deadline: deadline.at)


__all__ = ["DAY", "HOUR", "MICROSECOND", "WEEK", "Balance", "History", "Recorded", "due_by", "refused", "sealed", "utc"]
