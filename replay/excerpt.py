"""Some events of a log, in its order: read as if they were all there is."""

from collections.abc import Iterator, Sequence

from ledger.store.log import Stored


class Excerpt:
    """What `replay.sources.EventSource` asks for, of these events alone."""

    def __init__(self, events: Sequence[Stored]) -> None:
        self._events = events
        self._places = {(one.stream, one.version): one for one in events}

    def head(self) -> int:
        """The position of the last event here; 0 when there is none."""
        return self._events[-1].position if self._events else 0

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        """Every event after a position, in order, and up to `until` if that is given."""
        return (one for one in self._events if one.position > after and (until is None or one.position <= until))

    def find(self, stream: str, version: int) -> Stored | None:
        """One event by its place."""
        return self._places.get((stream, version))
