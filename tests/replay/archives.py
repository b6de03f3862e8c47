"""What the tests of archives share: logs in memory, made of events; and archives of them."""

from collections.abc import Iterable, Iterator, Sequence

from ledger.codec import encode
from ledger.events import Event
from ledger.store import chain
from ledger.store.log import Stored


class Log:
    """A log in memory, chained as the real one is."""

    def __init__(self, events: Iterable[tuple[str, int, Event]]) -> None:
        self.rows: list[Stored] = []
        for stream, version, event in events:
            self.append(stream, version, event)

    def append(self, stream: str, version: int, event: Event) -> None:
        position, state = self.head() + 1, encode(event)
        before = self.rows[-1].hash if self.rows else chain.START
        head = chain.link(before, position, version, stream, event.TOPIC, state)
        self.rows.append(Stored(position, stream, version, event.TOPIC, state, head))

    def head(self) -> int:
        return len(self.rows)

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        return iter(self.rows[after:until])

    def find(self, stream: str, version: int) -> Stored | None:
        return next((one for one in self.rows if (one.stream, one.version) == (stream, version)), None)

    def up_to(self, position: int) -> "Log":
        """The same log, when it ended there."""
        shorter = Log(())
        shorter.rows = self.rows[:position]
        return shorter


def log_of(events: Sequence[Event]) -> Log:
    """Each event on a stream of its own."""
    return Log((f"str_{number}", 1, event) for number, event in enumerate(events, 1))
