"""What is due in a fork of history, and which of it history has as well. Pure."""

from collections.abc import Callable, Collection
from datetime import datetime
from heapq import heappop, heappush
from itertools import count

from ledger.policies.deadlines import ORDER, Deadline, changes
from ledger.policies.unit import NewEvent
from replay.fork.inputs import Key, Outstanding, note

_LAST = max(ORDER.values())


class Agenda:
    """The deadlines that are set in the fork, beside those that are set in history at the same place of the log.

    A deadline that both have, for the same instant, is history's: it is decided when history decided it. So is the answer to
    what both ask; an attempt to charge another billing method is another question. `when` says when any other is handled;
    None is never.
    """

    def __init__(self, when: Callable[[Deadline], datetime | None]) -> None:
        self._when = when
        self._set: dict[Key, Deadline] = {}
        self._own: Outstanding = {}
        self._history: Outstanding = {}
        self._queue: list[tuple[datetime, int, str, str, int, Deadline]] = []
        self._stuck: dict[Key, Deadline] = {}
        self._number = count()

    def set(self, new: NewEvent) -> None:
        """An event was made in the fork."""
        note(self._own, new)
        for kind, item, at in changes(new.event):
            key = (kind, new.stream, item)
            self._set.pop(key, None)
            if at is not None:
                whose = getattr(new.event, "freelancer_id", None)
                self._set[key] = Deadline(kind, new.stream, item, at, new.id, whose)
                self._enqueue(key)

    def history(self, new: NewEvent) -> None:
        """History came past an event. What it no longer has is the fork's alone."""
        for key in note(self._history, new):
            self._enqueue(key)

    def leave_history(self) -> None:
        """History has ended."""
        self._history.clear()
        for key in self._set:
            self._enqueue(key)

    def stuck(self, deadline: Deadline) -> None:
        """A deadline was handled: if it is still set, it is left alone until it is set anew."""
        key = (deadline.kind, deadline.stream, deadline.item)
        if self._set.get(key) is deadline:
            self._stuck[key] = deadline

    def next(self, until: datetime, kind: str | None = None) -> tuple[datetime, Deadline] | None:
        """The next deadline of the fork alone that is handled by then, and when; at that instant, none after `kind`."""
        last = (until, _LAST if kind is None else ORDER[kind])
        while self._queue and self._queue[0][:2] <= last:
            when, *_, deadline = heappop(self._queue)
            key = (deadline.kind, deadline.stream, deadline.item)
            if self._is_open(key, deadline) and self.shared(key) is None:
                return when, deadline
        return None

    def due(self, now: datetime, kinds: Collection[str]) -> list[Deadline]:
        """All that is due by now, history's as well, in its order."""
        found = [
            one for key, one in self._set.items() if one.kind in kinds and one.at <= now and self._is_open(key, one)
        ]
        return sorted(found, key=lambda one: (one.at, ORDER[one.kind], one.stream, one.item))

    def shared(self, key: Key) -> Deadline | None:
        """The deadline of that name, if the fork and history both have it for the same instant and ask the same there."""
        return self._set.get(key) if self._history.get(key) == self._own.get(key) else None

    def is_known(self, key: Key) -> bool:
        """Whether history has a deadline of that name now."""
        return key in self._history

    def _is_open(self, key: Key, deadline: Deadline) -> bool:
        return self._set.get(key) is deadline and self._stuck.get(key) is not deadline

    def _enqueue(self, key: Key) -> None:
        deadline = self._set.get(key)
        when = self._when(deadline) if deadline is not None else None
        if deadline is not None and when is not None:
            place = (when, ORDER[deadline.kind], deadline.stream, deadline.item, next(self._number))
            heappush(self._queue, (*place, deadline))
