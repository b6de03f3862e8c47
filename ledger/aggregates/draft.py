"""How a decision is written down: events are added one by one, and the state follows as it will when they are read."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ledger.events import Event

S = TypeVar("S")
Evolve = Callable[[S | None, Event], S]


class Draft(Generic[S]):
    """The events that a command leads to, and the state after them."""

    def __init__(self, state: S | None, evolve: Evolve[S]) -> None:
        self._state, self._evolve = state, evolve
        self.events: list[Event] = []

    @property
    def state(self) -> S:
        """The state after the events so far; there must be one."""
        if self._state is None:
            raise LookupError("nothing has been decided yet")
        return self._state

    def add(self, event: Event) -> None:
        self.events.append(event)
        self._state = self._evolve(self._state, event)
