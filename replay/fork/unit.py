"""One transaction of a fork of history: what is put in, then wave by wave what follows, as the service does it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ledger import commands as c
from ledger.aggregates import State, evolve, reads
from ledger.commands import Command
from ledger.errors import Corrupt, Invalid, LedgerError, NotFound, Refused
from ledger.policies.unit import NewEvent, Unit
from ledger.rules import Rules
from replay.fork.inputs import Given, Step

NO_EFFECT = "no_effect"
"""The code of what was put in by an edit and led to nothing: it had happened already, or nobody had asked."""

Put = tuple[Step, Command]
"""What is put in: a step and the command that it is now."""


class LeftOut(NamedTuple):
    """What was not carried out, and why."""

    step: Step
    command: Command
    error: LedgerError


class Together:
    """Decides commands together. `is_outside` tells of a stream that a consequence is not followed to."""

    def __init__(self, states: Mapping[str, State], rules: Rules, is_outside: Callable[[Command], bool]) -> None:
        self._states, self._rules, self._is_outside = states, rules, is_outside

    def decide(self, puts: Sequence[Put], given: Sequence[Given]) -> tuple[Unit, list[LeftOut]]:
        """The unit, and what was left out of it: what is refused, and what cannot be followed up."""
        kept, impossible = list(puts), []
        while True:
            unit = Unit(self._rules)
            try:
                left_out = self._run(unit, kept, given)
            except _Impossible as one:
                kept.remove((one.left_out.step, one.left_out.command))
                impossible.append(one.left_out)
            else:
                return unit, [*impossible, *left_out]

    def _run(self, unit: Unit, puts: Sequence[Put], given: Sequence[Given]) -> list[LeftOut]:
        left_out: list[LeftOut] = []
        wave: list[tuple[Put, Command]] = []
        for put in puts:
            before = len(unit.events)
            try:
                wave += [(put, following) for following in self._one(unit, put[1])]
            except (Refused, NotFound) as error:
                left_out.append(LeftOut(*put, error))
                continue
            if put[0].free and len(unit.events) == before:
                nothing = Refused(NO_EFFECT, "it led to nothing: it had happened already, or nobody asked")
                left_out.append(LeftOut(*put, nothing))
        self._follow(unit, wave, list(given))
        return left_out

    def _follow(self, unit: Unit, wave: list[tuple[Put, Command]], given: list[Given]) -> None:
        """What follows, and among it, where they were, the events that are given."""
        start = len(unit.events)
        while wave or given:
            if given and (not wave or given[0].after <= len(unit.events) - start):
                start += self._take(unit, given.pop(0).event)
                continue
            put, command = wave.pop(0)
            if self._is_outside(command):
                continue
            try:
                wave += [(put, further) for further in self._one(unit, command)]
            except LedgerError as error:
                raise _Impossible(LeftOut(*put, error)) from error

    def _one(self, unit: Unit, command: Command) -> list[Command]:
        while missing := unit.missing([command]):
            for stream in missing:
                unit.load(stream, self._states.get(stream))
        if isinstance(command, c.RequestCharge | c.RecordCharge):
            for stream in reads(unit.states[command.stream], command):
                if unit.states[stream] is None:
                    raise NotFound(f"client {stream}")
        try:
            return unit.decide(command)
        except Invalid as error:
            raise Refused("validation_error", str(error)) from error

    def _take(self, unit: Unit, given: NewEvent) -> int:
        """Takes an event as it is, where its stream is now. Answers how many it took."""
        unit.load(given.stream, self._states.get(given.stream))
        try:
            state = evolve(given.stream, unit.states[given.stream], given.event)
        except Corrupt:  # it followed on what an edit has dropped
            return 0
        unit.states[given.stream] = state
        unit.events.append(NewEvent(given.stream, state.version, given.event))
        return 1


class _Impossible(Exception):
    """What follows from a command cannot be decided: the command is left out."""

    def __init__(self, left_out: LeftOut) -> None:
        self.left_out = left_out
        super().__init__(str(left_out.error))
