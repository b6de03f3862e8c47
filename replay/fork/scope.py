"""What of a log is forked: all of it, or what hangs together with one contract, payout or party.

Withdrawals draw on what all contracts of a freelancer released, so a scope is whole freelancers: all that names them, the
adjustments of their accounts, and their clients' own streams. What happens there because of somebody else is taken as given.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from ledger import events as e
from ledger import ids
from ledger.errors import NotFound
from ledger.policies.unit import NewEvent
from ledger.store.reader import EventView
from replay.case.source import Excerpt
from replay.scan import Scan
from replay.sources import Source

SUBJECTS = (ids.CONTRACT, ids.PAYOUT, ids.FREELANCER, ids.CLIENT)
"""What a fork can be narrowed to: the prefixes of its ids."""
_ALL = 2**63 - 1


class Scope(NamedTuple):
    """`position`: how far the log was read. `freelancers`: whose it is; None is everybody."""

    position: int
    events: tuple[NewEvent, ...]
    freelancers: frozenset[str] | None = None


def scope(source: Source, subject: str | None = None, on_events: Callable[[int], None] | None = None) -> Scope:
    """The events to fork, in the order of the log. Raises NotFound for a subject that nothing ever happened to."""
    if subject is None:
        position = source.log.head()
        events = []
        for stored in source.log.read_all(until=position):
            events.append(NewEvent(stored.stream, stored.version, stored.event))
            if on_events:
                on_events(1)
        return Scope(position, tuple(events))
    finder = _Finder(source)
    freelancers = _freelancers(finder, subject)
    if not freelancers:
        raise NotFound(f"history of {subject} in this ledger: check the id, and which source is read")
    views = _views(finder, freelancers)
    if on_events:
        on_events(len(views))
    found = tuple(NewEvent(view.stream, view.version, view.event) for _, view in sorted(views.items()))
    return Scope(finder.until, found, freelancers)


class _Finder:
    """Finds events by the index as far as that has come, and by looking at each from there on to the head of the log."""

    def __init__(self, source: Source) -> None:
        self.until = source.log.head()
        self._reader = source.reader
        indexed = source.reader.position("history")
        self._rest = Scan(Excerpt(list(source.log.read_all(after=indexed, until=self.until))))

    def find(self, **named: Any) -> dict[int, EventView]:
        """By position."""
        views = [*self._reader.events(**named, limit=_ALL), *self._rest.events(**named, limit=_ALL)]
        return {view.position: view for view in views if view.position <= self.until}


_NAMES = {ids.CONTRACT: "contract_id", ids.PAYOUT: "payout_id", ids.FREELANCER: "party_id", ids.CLIENT: "party_id"}


def _freelancers(finder: _Finder, subject: str) -> frozenset[str]:
    """Whose work the subject is about."""
    views = finder.find(**{_NAMES[ids.kind_of(subject)]: subject}).values()
    return frozenset(view.event.freelancer_id for view in views if hasattr(view.event, "freelancer_id"))


def _views(finder: _Finder, freelancers: Collection[str]) -> dict[int, EventView]:
    found: dict[int, EventView] = {}
    for freelancer in freelancers:
        found |= finder.find(party_id=freelancer)
    clients = {view.event.client_id for view in found.values() if hasattr(view.event, "client_id")}
    for client in clients:
        found |= {at: view for at, view in finder.find(party_id=client).items() if view.stream == client}
    for topic in (e.AdjustmentProposed.TOPIC, e.AdjustmentApproved.TOPIC):
        found |= {at: view for at, view in finder.find(topic=topic).items() if _posts_to(view.event, freelancers)}
    return found


def _posts_to(event: Any, owners: Collection[str]) -> bool:
    return any(posting.account.partition(":")[0] in owners for posting in event.postings)
