"""Histories of a log that has no index: every event is looked at."""

from itertools import islice

from ledger.store.funds import NO_UPPER_BOUND
from ledger.store.reader import EventView, view_of
from replay.sources import EventSource


class Scan:
    """Answers as `ledger.store.reader.Reader` does, by the same fields of the events."""

    def __init__(self, log: EventSource) -> None:
        self._log = log

    def position(self, *projections: str) -> int:  # noqa: ARG002 - there is nothing here that could be behind the log
        return self._log.head()

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

        def wanted(view: EventView) -> bool:
            event = view.event
            return (
                topic in (None, view.topic)
                and contract_id in (None, getattr(event, "contract_id", None))
                and payout_id in (None, getattr(event, "payout_id", None))
                and party_id in (None, getattr(event, "client_id", None), getattr(event, "freelancer_id", None))
            )

        return list(islice(filter(wanted, map(view_of, self._log.read_all(after=after))), limit))

    def history(self, *, contract_id: str | None = None, payout_id: str | None = None) -> list[EventView]:
        """Everything that happened to a contract, its payouts included, or to one payout, in order."""
        return self.events(contract_id=contract_id, payout_id=payout_id, limit=NO_UPPER_BOUND)
