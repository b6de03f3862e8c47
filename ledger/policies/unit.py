"""One unit of work, in memory: commands in, events and new states out, with everything that follows from them. Pure.

The service loads the states and appends the events; a fork of history and a simulation do neither.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.aggregates import State, decide, evolve, reads
from ledger.commands import Command
from ledger.errors import VersionConflict
from ledger.events import Event, require_valid
from ledger.ids import event_id
from ledger.policies.consequences import consequences
from ledger.rules import RULES, Rules


class NewEvent(NamedTuple):
    """An event and its place on its stream; the first version is 1."""

    stream: str
    version: int
    event: Event

    @property
    def id(self) -> str:
        return event_id(self.stream, self.version)


class Unit:
    """States as they were loaded, and as the events decided so far make them."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.states: dict[str, State | None] = {}
        self.loaded: dict[str, int] = {}
        """The version at which each stream was loaded; 0 is an empty one."""
        self.events: list[NewEvent] = []

    def load(self, stream: str, state: State | None) -> None:
        """Takes in a stored state; one that is here already stays."""
        if stream not in self.states:
            self.states[stream] = state
            self.loaded[stream] = state.version if state else 0

    def missing(self, commands: Iterable[Command]) -> set[str]:
        """The streams that deciding these commands still needs; ask again once they are loaded, until there are none."""
        states, needed = self.states, set()
        for command in commands:
            stream = command.stream
            if stream not in states:
                needed.add(stream)
                continue
            for other in reads(states[stream], command):
                if other not in states:
                    needed.add(other)
        return needed

    def decide(self, command: Command) -> list[Command]:
        """Takes the events of one command in and answers the commands that follow from them, to be decided next.

        Raises Refused, NotFound, VersionConflict or Invalid, and then nothing is taken in.
        """
        stream = command.stream
        state = self.states[stream]
        version = state.version if state else 0
        if command.expected_version is not None and command.expected_version != self.loaded[stream]:
            raise VersionConflict(stream, command.expected_version, self.loaded[stream])
        decided = decide(state, command, self.states, self.rules)
        for event in decided:
            require_valid(event)
        following: list[Command] = []
        for event in decided:
            version += 1
            state = evolve(stream, state, event)
            new = NewEvent(stream, version, event)
            self.events.append(new)
            following += consequences(command, event, new.id, self.rules)
        self.states[stream] = state
        return following
