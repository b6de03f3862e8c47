"""Which events belong to the case of a contract: the closure, in these steps (docs/case-files.md).

1. The contract's stream and its payouts' streams, whole, and every event of others that names the contract.
2. Of the freelancer's stream: the registration, payout methods, an erasure, and the withdrawals that may have drawn on this
   money: in the contract's currency, requested once some of it had been released.
3. Of the client's stream: the registration, an erasure, the conversion that the offer named, what names one of the payouts,
   and the billing methods that were charged.
4. Adjustments that correct one of these events, whole, and what they did on the streams of both.
5. The event that caused one of these, whosever it is. Then 2 to 5 again, until nothing is added.

Of a case as known at a time, these are steps among what had been recorded by then. What had not occurred by `as_of` is left out
afterwards: an adjustment that was approved as of an earlier instant counts from then on, though nobody had proposed it yet.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import asdict

from ledger import events as e
from ledger import ids
from ledger.events import EVENTS, Event
from ledger.store.log import Stored
from ledger.store.reader import EventView
from ledger.upcasters import UPCASTERS
from replay.finder import Finder
from replay.scan import Scan
from replay.sources import Progress, Source

_TOPICS = tuple(
    (cls, sorted(topic for topic, known in EVENTS.items() if issubclass(known, cls)))
    for cls in (e.ClientEvent, e.FreelancerEvent, e.AdjustmentEvent)
)
_NEARBY = frozenset(topic for _, topics in _TOPICS for topic in topics)
_ALWAYS = (e.ClientRegistered, e.ClientErased, e.FreelancerRegistered, e.FreelancerErased, e.PayoutMethodSet)

Found = dict[int, EventView]
"""By position."""


class Gathered(NamedTuple):
    """The events of a case, in order, and the position up to which the log was looked through for them."""

    position: int
    events: tuple[EventView, ...]


def gather(
    source: Source,
    contract_id: str,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Gathered | None:
    """The closure of a contract, of what was recorded by `known_at` and occurred by `as_of`; None where it is not there.

    Complete up to the head of the log as it was at the call, however far projections are behind it.
    """
    finder = _finder(source, contract_id, known_at, on_events)
    found = finder.find(contract_id=contract_id)
    offered = next((view.event for view in found.values() if isinstance(view.event, e.ContractOffered)), None)
    if offered is None:
        return None
    nearby = _nearby(finder, offered)
    before = 0
    while len(found) > before:
        before = len(found)
        found |= _linked(offered, found, nearby)
        found |= _causes(finder, found)
    occurred = [
        found[position] for position in sorted(found) if as_of is None or found[position].event.occurred_at <= as_of
    ]
    if contract_id not in {view.stream for view in occurred}:
        return None
    return Gathered(finder.until, tuple(occurred))


def _finder(source: Source, contract_id: str, known_at: datetime | None, on_events: Progress | None) -> Finder:
    """Without an index only what may be asked for is decoded, and stays in memory."""
    name = contract_id.encode()

    def wanted(stored: Stored) -> bool:
        return name in stored.state or stored.topic in _NEARBY or stored.topic in UPCASTERS

    index = None if isinstance(source.reader, Scan) else source.reader
    return Finder(source.log, index, known_at=known_at, wanted=wanted, on_events=on_events)


def _causes(finder: Finder, found: Found) -> Found:
    """The events that caused these."""
    places = {(view.stream, view.version) for view in found.values()}
    causes = {view.event.cause_id for view in found.values() if view.event.cause_id is not None}
    views = [finder.at(*place) for place in {ids.place_of(cause) for cause in causes} - places]
    return {view.position: view for view in views if view is not None}


def _nearby(finder: Finder, offered: e.ContractOffered) -> list[EventView]:
    """What may be linked: the events on both parties' own streams, and all adjustments."""
    clients, freelancers, adjustments = (topics for _, topics in _TOPICS)
    views = [
        *(view for topic in clients for view in finder.find(topic=topic, party_id=offered.client_id).values()),
        *(view for topic in freelancers for view in finder.find(topic=topic, party_id=offered.freelancer_id).values()),
        *(view for topic in adjustments for view in finder.find(topic=topic).values()),
    ]
    parties = (offered.client_id, offered.freelancer_id)
    return [view for view in views if view.stream in parties or ids.kind_of(view.stream) == ids.ADJUSTMENT]


def _linked(offered: e.ContractOffered, found: Found, nearby: list[EventView]) -> Found:
    """Which of those nearby are linked to what was found so far."""
    streams = {view.stream for view in found.values()}
    keys = {offered.contract_id, *(one for one in streams if ids.kind_of(one) in (ids.PAYOUT, ids.ADJUSTMENT))}
    keys |= {offered.conversion_id} if offered.conversion_id is not None else set()
    keys |= {view.event.method.id for view in found.values() if isinstance(view.event, e.ChargeRequested)}
    known = {view.id for view in found.values()}
    withdrawals = _withdrawals(offered, found, nearby)
    corrections = {
        view.stream
        for view in nearby
        if isinstance(view.event, e.AdjustmentProposed) and view.event.corrects_event_id in known
    }
    return {
        view.position: view
        for view in nearby
        if isinstance(view.event, _ALWAYS)
        or view.stream in corrections
        or getattr(view.event, "withdrawal_id", None) in withdrawals
        or (ids.kind_of(view.stream) != ids.ADJUSTMENT and not keys.isdisjoint(_named(view.event)))
    }


def _withdrawals(offered: e.ContractOffered, found: Found, nearby: list[EventView]) -> set[str]:
    """Those requested, in the contract's currency, once some of its money had been released to the freelancer."""
    released = [position for position, view in found.items() if isinstance(view.event, e.FundsReleased)]
    if not released:
        return set()
    return {
        view.event.withdrawal_id
        for view in nearby
        if isinstance(view.event, e.WithdrawalRequested)
        and view.event.currency == offered.currency
        and view.position > min(released)
    }


def _named(event: Event) -> set[str]:
    """Every id and text in the event's own fields."""
    return {
        text for name, value in asdict(event).items() if name not in Event.__struct_fields__ for text in _texts(value)
    }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, e.Value):
        for item in asdict(value).values():
            yield from _texts(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
