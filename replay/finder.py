"""Events that are asked for again and again: by an index as far as it has come, by one look at each from there on."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ledger.store.funds import NO_UPPER_BOUND
from ledger.store.log import Stored
from ledger.store.reader import EventView, view_of
from replay.excerpt import Excerpt
from replay.scan import Scan
from replay.sources import EventSource, Histories, Progress
from replay.times import AtTimes, counts


class Finder:
    """Finds events up to the head of the log as it was when this was made, of those that were recorded by `known_at`.

    Beyond the index, or without one, the log is read once, and what is `wanted` stays in memory: nothing else can be found there.
    """

    def __init__(
        self,
        log: EventSource,
        index: Histories | None,
        *,
        known_at: datetime | None = None,
        wanted: Callable[[Stored], bool] = lambda _: True,
        on_events: Progress | None = None,
    ) -> None:
        self._log, self._known_at = log, known_at
        self.until = log.head()
        indexed = 0 if index is None else index.position("history")
        rest = []
        for stored in log.read_all(after=indexed, until=self.until):
            if on_events:
                on_events(1)
            if wanted(stored):
                rest.append(stored)
        histories: list[Histories] = [Scan(Excerpt(rest))] if index is None else [index, Scan(Excerpt(rest))]
        self._histories = [AtTimes(one, known_at=known_at) for one in histories]

    def find(self, **named: Any) -> dict[int, EventView]:
        """By position, named as in `Histories.events`."""
        views = (view for one in self._histories for view in one.events(**named, limit=NO_UPPER_BOUND))
        return {view.position: view for view in views if view.position <= self.until}

    def at(self, stream: str, version: int) -> EventView | None:
        """One event by its place."""
        stored = self._log.find(stream, version)
        if stored is None or stored.position > self.until:
            return None
        view = view_of(stored)
        return view if counts(view.event, None, self._known_at) else None
