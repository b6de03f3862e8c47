"""A log of any length, as one that goes on by repeating: the same market again a year later, with other ids."""

import re
from collections.abc import Iterator

from benchmarks.histories import START, history
from ledger.codec import encode
from ledger.store import chain
from ledger.store.database import Database
from ledger.store.log import Stored

OF_A_MARKET = 200_000
"""Events until the market begins again, at most."""
_ID = re.compile(rb"(?<![a-z])([a-z]{3})_(?=[a-z2-7]{20})")


class Repeating:
    """A log of any length: a history again and again, each time a year later and between other parties."""

    def __init__(self, events: int, *, until: int | None = None) -> None:
        """About `events`, of which the last is a market's last; it goes on to `until` if that is given."""
        turns = -(-events // OF_A_MARKET)
        made = history(events // turns)[: events // turns]
        years = {new.event.recorded_at.year for new in made}
        if years != {START.year}:
            raise ValueError(f"the history runs through {years}: it can only be repeated within one year")
        self._rows = [(new.stream, new.version, new.event.TOPIC, encode(new.event)) for new in made]
        self.turned = turns * len(made)
        """How many events there are when the last market ends."""
        self._events = self.turned if until is None else max(until, self.turned)

    def head(self) -> int:
        return self._events

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        """From the beginning only: the chain is made on the way."""
        if after:
            raise ValueError("it can only be read from its beginning")
        head = chain.START
        for position, (stream, version, topic, state) in enumerate(self._all(), 1):
            if position > (self._events if until is None else until):
                return
            head = chain.link(head, position, version, stream, topic, state)
            yield Stored(position, stream, version, topic, state, head)

    def _all(self) -> Iterator[tuple[str, int, str, bytes]]:
        yield from self._rows
        for turn in range(1, 1 + self._events // len(self._rows)):
            tag, year = rf"\g<1>_{turn:02}".encode(), b'"%d-' % (START.year + turn)
            for stream, version, topic, state in self._rows:
                kind, _, rest = stream.partition("_")
                yield f"{kind}_{turn:02}{rest}", version, topic, _ID.sub(tag, state.replace(b'"%d-' % START.year, year))

    def find(self, stream: str, version: int) -> Stored | None:
        raise NotImplementedError("nothing is looked up in a log that is made on the way")


def write(database: Database, log: Repeating, events: int) -> None:
    """The first events of it, as the whole log of an empty ledger."""
    columns = "notification_id, originator_id, originator_version, topic, state, hash"
    copied = f"COPY events ({columns}) FROM STDIN (FORMAT BINARY)".encode()
    with database.connection() as connection, connection.transaction():
        with connection.cursor().copy(copied) as copy:
            copy.set_types(("bigint", "text", "bigint", "text", "bytea", "bytea"))
            for last in log.read_all(until=events):
                copy.write_row(last)
        connection.execute("UPDATE log_head SET position = %s, hash = %s", (last.position, last.hash))
