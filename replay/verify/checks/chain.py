"""The log itself: positions without gaps, streams without gaps, the hash chain, topics and events that can be read."""

import struct

from ledger.errors import Corrupt
from ledger.events import EVENTS, Event, stream_of
from ledger.projections.rows import Record
from ledger.store import chain
from ledger.store.log import Stored
from ledger.store.views import record_of
from ledger.upcasters import UPCASTERS
from replay.verify.findings import Findings


def is_on(event: Event, stream: str) -> bool:
    """Whether the stream is the event's own, and of the kind that such events stand on."""
    kind, field = event.STREAM
    return getattr(event, field) == stream and stream.startswith(kind)


class ChainCheck:
    """Goes on from each row's stored hash, so that one changed event is one finding, at its place."""

    def __init__(self, findings: Findings, after: int = 0, hash_: bytes = chain.START) -> None:
        """Begins after a position at which the chain had this head."""
        self._findings = findings
        self.position = after
        self.hash = hash_
        self.events = 0
        self.versions: dict[str, int] = {}
        self.broken_at: int | None = None
        """The first position at which the chain does not go on."""
        self.intact_hash = hash_
        """The head before that."""

    def take(self, stored: Stored) -> None:
        """The next event of the log."""
        self.events += 1
        self._check_place(stored)
        self._check_version(stored)
        self.position, self.hash = stored.position, stored.hash

    def _check_place(self, stored: Stored) -> None:
        position = self.position + 1
        if stored.position != position:
            self._break(position)
            missing = stored.position - position
            what = f"{missing} event(s) are missing before position {stored.position}"
            self._findings.add(
                "log", what if missing > 0 else f"position {stored.position} does not exist", position=position
            )
            return
        try:
            link = chain.link(self.hash, stored.position, stored.version, stored.stream, stored.topic, stored.state)
        except struct.error:  # a version that no event has
            link = b""
        if link != stored.hash:
            self._break(position)
            self._say(stored, "its hash does not follow from its bytes and the event before it")

    def _break(self, position: int) -> None:
        if self.broken_at is None:
            self.broken_at, self.intact_hash = position, self.hash

    def _check_version(self, stored: Stored) -> None:
        version = self.versions.get(stored.stream, 0) + 1
        if stored.version != version:
            self._say(stored, f"{stored.stream} goes on with version {stored.version}, not {version}")
        self.versions[stored.stream] = stored.version

    def _say(self, stored: Stored, what: str) -> None:
        self._findings.add("log", what, position=stored.position, event_id=stored.id, account=stored.stream)

    def end(self, head: tuple[int, bytes] | None) -> None:
        """The head row names the last event and its hash."""
        if head is None:
            self._findings.add("log", "the log has no head row")
            return
        position, hash_ = head
        if position != self.position:
            what = f"the log ends at position {self.position}, and its head row says {position}"
            self._findings.add("log", what, position=min(position, self.position) + 1)
        elif hash_ != self.hash:
            what = "the head row has another hash than the last event"
            self._findings.add("log", what, position=self.position or None)


class LogCheck(ChainCheck):
    """The chain, and that every event can be read and stands on its own stream."""

    def read(self, stored: Stored) -> Record | None:
        """The next event of the log, decoded; None where it cannot be read."""
        self.take(stored)
        return self.decoded(stored)

    def decoded(self, stored: Stored) -> Record | None:
        """An event, wherever it stands, decoded; None where it cannot be read."""
        if stored.topic not in EVENTS and stored.topic not in UPCASTERS:
            self._say(stored, f"its topic {stored.topic!r} is unknown")
            return None
        try:
            record = record_of(stored)
        except Corrupt as error:
            self._say(stored, str(error))
            return None
        if not is_on(record.event, stored.stream):
            self._say(stored, f"it stands on the stream of {stored.stream} and is of {stream_of(record.event)}")
            return None
        return record
