"""Histories as they stood at an instant: what had occurred by then (`as_of`), and what had been recorded by then (`known_at`)."""

from datetime import datetime
from typing import Protocol

from ledger.store.funds import NO_UPPER_BOUND
from ledger.store.reader import EventView
from replay.sources import Histories


class Timed(Protocol):
    """What has the two times of an event (rule 28)."""

    @property
    def occurred_at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...


def counts(event: Timed, as_of: datetime | None, known_at: datetime | None) -> bool:
    """Whether it had occurred by `as_of` and been recorded by `known_at`; None is any time."""
    return (as_of is None or event.occurred_at <= as_of) and (known_at is None or event.recorded_at <= known_at)


class AtTimes:
    """Answers as the histories that it is made of do, from the events that count at these times alone."""

    def __init__(
        self, histories: Histories, *, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> None:
        self._histories, self._as_of, self._known_at = histories, as_of, known_at

    def position(self, *projections: str) -> int:
        """How far the log stands here, for what these projections answer."""
        return self._histories.position(*projections)

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
        if self._as_of is None and self._known_at is None:
            wanted = limit
        else:
            wanted = NO_UPPER_BOUND  # which of them count is only known when they are read
        found = self._histories.events(
            after=after, topic=topic, contract_id=contract_id, payout_id=payout_id, party_id=party_id, limit=wanted
        )
        return [view for view in found if counts(view.event, self._as_of, self._known_at)][:limit]

    def history(self, *, contract_id: str | None = None, payout_id: str | None = None) -> list[EventView]:
        """Everything that happened to a contract, its payouts included, or to one payout, in order."""
        return self.events(contract_id=contract_id, payout_id=payout_id, limit=NO_UPPER_BOUND)
