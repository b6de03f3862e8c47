"""How the events after its first change an aggregate's state: each gives some of its fields other values."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from ledger.errors import Corrupt
from ledger.events import Event

Changes = dict[str, Any]
"""Fields of a state, and their new values."""
Steps = Mapping[type[Event], Callable[[Any, Any], Changes]]
"""By the class of the event, what it changes of the state before it."""


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


State = TypeVar("State", bound=_Versioned)


def follow(state: State | None, event: Event, steps: Steps, what: str, **others: Any) -> State:
    """The state after the event, in its next version; `others` are further changes. Raises Corrupt.

    `what` the aggregate is: a contract, a payout.
    """
    if state is None:
        raise Corrupt(f"{event.TOPIC} before the first event of the {what}")
    step = steps.get(type(event))
    if step is None:
        raise Corrupt(f"{event.TOPIC} is not an event of a {what}")
    return replace(state, version=state.version + 1, **step(state, event), **others)  # type: ignore[type-var]
