"""Moving through a timeline: forward and back, to a position, to where a condition holds, to what last changed a number. Pure.

The terminal debugger shows what stands here; a notebook may drive it as well.
"""

import json
from typing import Any, NamedTuple

from replay.debug.conditions import Condition
from replay.debug.fields import flat
from replay.debug.scopes import scope_at
from replay.debug.timeline import Step, Timeline
from replay.values import plain


class Number(NamedTuple):
    """A value that a step shows: an account's balance in a currency, or a field of a state. Amounts are minor units.

    `owner` and `name` say which it is, in every step: an account and its currency, or a stream and its field.
    """

    owner: str
    name: str
    before: Any
    after: Any
    is_balance: bool

    @property
    def changed(self) -> bool:
        return bool(self.before != self.after)


def numbers(step: Step) -> list[Number]:
    """Everything that can be watched at a step: the balances, the state that the event changed, the subject's other states."""
    found = [Number(one.account, one.currency, one.before, one.after, True) for one in step.balances]
    if step.state is not None:
        before, after = flat(step.state.before), flat(step.state.after)
        own = [Number(step.state.id, name, before.get(name), after.get(name), False) for name in before | after]
        found += sorted(own, key=lambda number: (not number.changed, number.name == "version"))
    for fields in step.states.values():
        if step.state is None or fields["id"] != step.state.id:
            found += [Number(fields["id"], name, value, value, False) for name, value in flat(fields).items()]
    return found


class Debugger:
    """Stands at one step of a timeline that has at least one. Each move answers whether there was somewhere to go."""

    def __init__(self, timeline: Timeline, index: int = 0) -> None:
        self.timeline, self.index = timeline, index

    @property
    def step(self) -> Step:
        return self.timeline.steps[self.index]

    def forward(self) -> bool:
        return self._to(self.index + 1)

    def back(self) -> bool:
        return self._to(self.index - 1)

    def first(self) -> bool:
        return self._to(0)

    def last(self) -> bool:
        return self._to(len(self.timeline.steps) - 1)

    def to_index(self, index: int) -> bool:
        return self._to(index)

    def to_position(self, position: int) -> bool:
        """To the last step at or before a position of the log; to the first one where all are after it."""
        return self._to(max(index_at(self.timeline, position), 0))

    def to_cause(self) -> bool:
        """To the event that caused this one, where that is a step too."""
        cause = self.step.cause_position
        return cause is not None and self.to_position(cause)

    def run(self, condition: Condition, *, backwards: bool = False) -> bool:
        """To the next (or the previous) step at which a condition holds. Raises ConditionError."""
        return self._seek(lambda step: condition.holds(scope_at(self.timeline, step)), backwards)

    def search(self, text: str, *, backwards: bool = False) -> bool:
        """To the next (or the previous) step whose event has the text in it: its words, ids, texts, times; whatever its case."""
        wanted = text.casefold()
        return self._seek(lambda step: wanted in words(step).casefold(), backwards)

    def watch(self, number: Number) -> bool:
        """Back to the event that changed a number last, before the one that this stands at."""
        return self._seek(lambda step: (number.owner, number.name) in changes(step), True)

    def _seek(self, wanted: Any, backwards: bool) -> bool:
        steps = self.timeline.steps
        ahead = range(self.index - 1, -1, -1) if backwards else range(self.index + 1, len(steps))
        return any(wanted(steps[index]) and self._to(index) for index in ahead)

    def _to(self, index: int) -> bool:
        if not 0 <= index < len(self.timeline.steps):
            return False
        self.index = index
        return True


def changes(step: Step) -> set[tuple[str, str]]:
    """The owners and names of the numbers that an event changed."""
    return {(number.owner, number.name) for number in numbers(step) if number.changed}


def words(step: Step) -> str:
    """All that a step says of its event, as text to search in."""
    return json.dumps(plain(step.event), ensure_ascii=False)


def index_at(timeline: Timeline, position: int) -> int:
    """Of the last step at or before a position; -1 where all are after it."""
    return sum(step.event.position <= position for step in timeline.steps) - 1


def first_where(timeline: Timeline, condition: Condition, start: int = 0) -> int | None:
    """The index of the first step from `start` on at which a condition holds. Raises ConditionError."""
    steps = enumerate(timeline.steps)
    return next((at for at, step in steps if at >= start and condition.holds(scope_at(timeline, step))), None)
