"""What a log is read from: the live database, a Parquet archive or a case file. None of them can be written to.

Every command of `replay` takes a `Source`; what only the live database has (projections, checkpoints) is in `replay.live`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from ledger.clock import Clock
from ledger.errors import LedgerError
from ledger.store.log import Stored
from ledger.store.reader import EventView
from replay.texts import Revealed

Progress = Callable[[int], None]
"""Told how many further events were read."""


class EventSource(Protocol):
    """A log that can be read from its beginning."""

    def head(self) -> int:
        """The position of the last event; 0 when there is none."""
        ...

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        """Every event after a position, in order, and up to `until` if that is given."""
        ...

    def find(self, stream: str, version: int) -> Stored | None:
        """One event by its place."""
        ...


class Histories(Protocol):
    """Which events belong to what: `ledger.store.reader.Reader` by an index, `replay.scan.Scan` by looking at each."""

    def position(self, *projections: str) -> int:
        """How far the log stands here, for what these projections answer."""
        ...

    def events(
        self,
        *,
        after: int = 0,
        topic: str | None = None,
        contract_id: str | None = None,
        payout_id: str | None = None,
        party_id: str | None = None,
        limit: int,
    ) -> list[EventView]:
        """Events after a position, oldest first; of a party, those that name it as client or freelancer."""
        ...

    def history(self, *, contract_id: str | None = None, payout_id: str | None = None) -> list[EventView]:
        """Everything that happened to a contract, its payouts included, or to one payout, in order."""
        ...


class Texts(Protocol):
    """Personal data and free text, which events only point to (rule 28)."""

    def reveal(self, ids: Iterable[str]) -> Revealed:
        """The texts, by vault id, or why this source does not have one; those that were erased are not among them."""
        ...


class Source(Protocol):
    """A log with what is needed to read it: its events, their histories, their texts, and what time it is there."""

    @property
    def log(self) -> EventSource: ...

    @property
    def reader(self) -> Histories: ...

    @property
    def vault(self) -> Texts: ...

    @property
    def clock(self) -> Clock:
        """Of the live ledger, its own; of what was written down once, the time of the last record in it."""
        ...


class SourceUnavailable(LedgerError):
    """There is nothing to read: what was tried, what stood against it, what to do."""
