"""What of a log is forked: all of it, or what hangs together with one contract, payout or party.

Withdrawals draw on what all contracts of a freelancer released, so a scope is whole freelancers: all that names them, the
adjustments of their accounts, and their clients' own streams. What happens there because of somebody else is taken as given.
"""

from collections.abc import Collection
from typing import NamedTuple

from ledger import ids
from ledger.errors import NotFound
from ledger.policies.unit import NewEvent
from ledger.store.reader import EventView
from replay import adjustments
from replay.finder import Finder
from replay.sources import Progress, Source

SUBJECTS = (ids.CONTRACT, ids.PAYOUT, ids.FREELANCER, ids.CLIENT)
"""What a fork can be narrowed to: the prefixes of its ids."""


class Scope(NamedTuple):
    """`position`: how far the log was read. `freelancers`: whose it is; None is everybody."""

    position: int
    events: tuple[NewEvent, ...]
    freelancers: frozenset[str] | None = None


def scope(source: Source, subject: str | None = None, on_events: Progress | None = None) -> Scope:
    """The events to fork, in the order of the log. Raises NotFound for a subject that nothing ever happened to."""
    if subject is None:
        position = source.log.head()
        events = []
        for stored in source.log.read_all(until=position):
            events.append(NewEvent(stored.stream, stored.version, stored.event))
            if on_events:
                on_events(1)
        return Scope(position, tuple(events))
    finder = Finder(source.log, source.reader)
    freelancers = _freelancers(finder, subject)
    if not freelancers:
        raise NotFound(f"history of {subject} in what is read: check the id, and which source that is")
    views = _views(finder, freelancers)
    if on_events:
        on_events(len(views))
    found = tuple(NewEvent(view.stream, view.version, view.event) for _, view in sorted(views.items()))
    return Scope(finder.until, found, freelancers)


_NAMES = {ids.CONTRACT: "contract_id", ids.PAYOUT: "payout_id", ids.FREELANCER: "party_id", ids.CLIENT: "party_id"}


def _freelancers(finder: Finder, subject: str) -> frozenset[str]:
    """Whose work the subject is about."""
    views = finder.find(**{_NAMES[ids.kind_of(subject)]: subject}).values()
    return frozenset(view.event.freelancer_id for view in views if hasattr(view.event, "freelancer_id"))


def _views(finder: Finder, freelancers: Collection[str]) -> dict[int, EventView]:
    found: dict[int, EventView] = {}
    for freelancer in freelancers:
        found |= finder.find(party_id=freelancer)
    clients = {view.event.client_id for view in found.values() if hasattr(view.event, "client_id")}
    for client in clients:
        found |= {at: view for at, view in finder.find(party_id=client).items() if view.stream == client}
    for topic in adjustments.TOPICS:
        found |= {
            at: view for at, view in finder.find(topic=topic).items() if adjustments.posts_to(view.event, freelancers)
        }
    return found
