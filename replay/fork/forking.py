"""History forked in memory: what was put into it is put in again, and policies and deadlines make of that what they make.

Nothing here can write: states, events and deadlines are values in memory, and the outside world is not asked. Where history
knows its answer to the same question (the same attempt of the same payout, the same withdrawal), that is the answer again,
after as long as it took; otherwise one is assumed. A deadline that history has as well is decided when history decided it,
however late its worker was; any other at its own instant. Unchanged input makes the same events again, in the same order.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger import commands as c
from ledger.aggregates import State
from ledger.aggregates.contract import Contract
from ledger.aggregates.payout import Payout
from ledger.commands import Command
from ledger.errors import Refused
from ledger.ids import CONTRACT, FREELANCER, PAYOUT, kind_of
from ledger.policies.deadlines import DECIDED, OUTSIDE, Deadline, command_of
from ledger.policies.unit import NewEvent
from ledger.rules import RULES, Rules
from replay.fork.agenda import Agenda
from replay.fork.gaps import Mend
from replay.fork.inputs import Given, Step, Transaction
from replay.fork.outside import Answers, caused
from replay.fork.unit import LeftOut, Put, Together
from replay.sources import Progress


@dataclass(frozen=True)
class Refusal:
    """A command that could not be carried out any more, and was left out. `event_id` is what it led to in history."""

    event_id: str | None
    command: str
    subject: str
    at: datetime
    code: str
    detail: str


@dataclass(frozen=True)
class Forked:
    """What became of it: all events in their order, the states after them, what was left out, which answers were assumed."""

    events: tuple[NewEvent, ...]
    states: dict[str, State]
    refused: tuple[Refusal, ...]
    assumed: frozenset[str]


def fork(
    history: Sequence[Transaction],
    *,
    answers: Answers,
    until: datetime,
    ended: datetime,
    rules: Rules = RULES,
    streams: Collection[str] | None = None,
    mends: Mapping[str, Mend] | None = None,
    on_events: Progress | None = None,
) -> Forked:
    """What the transactions, some of them edited, come to by `until`.

    `ended` is the time of the source. Up to it, what history has left undone stays undone; what happens after it is done in
    time. `streams`: where events may be made, with what they open; None is everywhere. `mends`: what a part of a log lacks
    before an event, by its id.
    """
    forking = _Fork(answers, rules, streams, mends or {})
    for one in history:
        if one.now <= until:
            forking.transaction(one)
            if on_events:
                on_events(len(one.events))
    forking.go_on(min(until, ended))
    if until > ended:
        forking.leave_history(ended)
        forking.go_on(until)
    return Forked(tuple(forking.events), forking.states, tuple(forking.refused), frozenset(answers.assumed))


class _Fork:
    def __init__(
        self, answers: Answers, rules: Rules, streams: Collection[str] | None, mends: Mapping[str, Mend]
    ) -> None:
        self.states: dict[str, State] = {}
        self.events: list[NewEvent] = []
        self.refused: list[Refusal] = []
        self._answers, self._mends = answers, mends
        self._streams = None if streams is None else set(streams)
        self._agenda = Agenda(self._when)
        self._together = Together(self.states, rules, self._is_outside)
        self._now: datetime | None = None

    # Time

    def transaction(self, one: Transaction) -> None:
        """Everything that is due before it and that history does not have; then the transaction."""
        due = [step.key[0] for step in one.steps if step.key is not None and not step.free]
        self.go_on(one.now, due[0] if due else None)
        self._now = max(self._now or one.now, one.now)
        for new in one.events:
            if new.id in self._mends and new.stream in self.states:
                self.states[new.stream] = self._mends[new.id].of(self.states[new.stream])
        for step in one.steps:
            if step.free and step.command is not None:
                self._decide_due(step.command)
        self._carry_out(one)
        for new in one.events:
            self._agenda.history(new)

    def go_on(self, until: datetime, kind: str | None = None) -> None:
        """What is due by then and is not history's, in the order of time and of rule 29: up to a deadline of that kind."""
        while (found := self._agenda.next(until, kind)) is not None:
            when, deadline = found
            self._now = max(self._now or when, when)
            self._handle(deadline)

    def leave_history(self, ended: datetime) -> None:
        """From here on every deadline is decided in time."""
        self._now = max(self._now or ended, ended)
        self._agenda.leave_history()

    def _handle(self, deadline: Deadline) -> None:
        now = self._instant
        key = (deadline.kind, deadline.stream, deadline.item)
        command = self._answer(deadline) if deadline.kind in OUTSIDE else command_of(deadline, now)
        if command is not None:
            self._decide([(Step((), command, key), command)], ())
        self._agenda.stuck(deadline)

    @property
    def _instant(self) -> datetime:
        if self._now is None:
            raise LookupError("nothing has happened yet")
        return self._now

    def _decide_due(self, command: Command) -> None:
        """Everything due by now on what a command touches is decided before it, charges excepted (rule 29)."""
        while due := [one for one in self._agenda.due(self._instant, DECIDED) if self._touches(command.stream, one)]:
            self._handle(due[0])

    def _touches(self, stream: str, deadline: Deadline) -> bool:
        state = self.states.get(deadline.stream)
        match kind_of(stream):
            case kind if kind == PAYOUT:
                return deadline.stream == stream
            case kind if kind == CONTRACT:
                return deadline.stream == stream or (isinstance(state, Payout) and state.contract_id == stream)
            case kind if kind == FREELANCER:
                return isinstance(state, Contract | Payout) and state.freelancer_id == stream
        return False

    # The outside world

    def _when(self, deadline: Deadline) -> datetime | None:
        """When a deadline is handled; None where nobody ever answers."""
        if deadline.kind not in OUTSIDE:
            return deadline.at
        return self._answers.when(deadline, self.states.get(deadline.stream))

    def _answer(self, deadline: Deadline) -> Command | None:
        return self._answers.answer(deadline, self.states[deadline.stream], self._instant)

    # Transactions

    def _carry_out(self, one: Transaction) -> None:
        commands = [(step, command) for step in one.steps if (command := self._command_of(step)) is not None]
        self._decide(commands, one.given)

    def _command_of(self, step: Step) -> Command | None:
        """The command of a step of history; None where the fork does not come to it, or has come to it already."""
        if step.key is None or step.free:
            return step.command
        deadline = self._agenda.shared(step.key)
        if deadline is None:
            return step.command if step.command is not None and not self._agenda.is_known(step.key) else None
        if step.command is None:
            return command_of(deadline, self._instant)
        return caused(step.command, deadline)

    def _decide(self, puts: Sequence[Put], given: Sequence[Given]) -> None:
        """One transaction. What cannot be carried out is left out."""
        if self._streams is not None:
            self._streams.update(command.stream for _, command in puts)
        unit, left_out = self._together.decide(puts, given)
        for one in left_out:
            self._refuse(one)
        for new in unit.events:
            self.states[new.stream] = unit.states[new.stream]  # type: ignore[assignment]  # after an event there is one
            self._agenda.set(new)
        self.events += unit.events

    def _is_outside(self, command: Command) -> bool:
        if self._streams is None:
            return False
        if isinstance(command, c.OpenPayout):
            self._streams.add(command.stream)
        return command.stream not in self._streams

    def _refuse(self, one: LeftOut) -> None:
        code = one.error.code if isinstance(one.error, Refused) else "not_found"
        detail = one.error.detail if isinstance(one.error, Refused) else str(one.error)
        event_id = one.step.events[0].id if one.step.events else None
        name = type(one.command).__name__
        self.refused.append(Refusal(event_id, name, one.command.stream, one.command.at, code, detail))
