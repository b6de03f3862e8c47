"""A log that holds only a part of some streams, as a case file does: what can be forked of it, and what must be filled in. Pure.

A client's or freelancer's own stream may have gaps, as what else they did belongs to others' cases. Where an event shows that
something must have been there, money that was withdrawn, a payout that was overdue, as much of it is filled in. Of other
streams a part decides nothing: such a stream is left out, and what follows from it is taken as given.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from ledger import events as e
from ledger.aggregates import State, evolve
from ledger.aggregates.client import Client
from ledger.aggregates.freelancer import Freelancer
from ledger.ids import CLIENT, FREELANCER, kind_of
from ledger.policies.unit import NewEvent


class Mend(NamedTuple):
    """What a party's state lacks before an event: available minor units of a currency, or ids that wait there."""

    currency: str = ""
    amount: int = 0
    waiting: tuple[str, ...] = ()

    def of(self, state: State) -> State:
        """The state with it."""
        if isinstance(state, Client):
            return replace(state, overdue=(*state.overdue, *self.waiting))
        if isinstance(state, Freelancer):
            available = {**state.available, self.currency: state.available.get(self.currency, 0) + self.amount}
            awaiting = (*state.awaiting, *self.waiting)
            return replace(state, available=available if self.amount else state.available, awaiting=awaiting)
        return state


class Whole(NamedTuple):
    """Events whose streams can be decided on. `mends`: what lacks before an event, by its id."""

    events: tuple[NewEvent, ...]
    mends: Mapping[str, Mend]
    gaps: bool


def whole(events: Sequence[NewEvent]) -> Whole:
    """What can be forked of these events; all of them, where no stream has a gap."""
    gapped = _gapped(events)
    if not gapped:
        return Whole(tuple(events), {}, False)
    first: dict[str, int] = {}
    for new in events:
        first.setdefault(new.stream, new.version)
    out = {one for one in gapped if kind_of(one) not in (CLIENT, FREELANCER) or first[one] != 1}
    kept = tuple(new for new in events if new.stream not in out)
    return Whole(kept, _mends(new for new in kept if new.stream in gapped), True)


def _gapped(events: Iterable[NewEvent]) -> set[str]:
    last: dict[str, int] = {}
    found: set[str] = set()
    for new in events:
        if new.version != last.get(new.stream, 0) + 1:
            found.add(new.stream)
        last[new.stream] = new.version
    return found


def _mends(events: Iterable[NewEvent]) -> dict[str, Mend]:
    states: dict[str, State] = {}
    mends: dict[str, Mend] = {}
    for new in events:
        state = states.get(new.stream)
        mend = _lacking(state, new.event)
        if state is not None and mend != Mend():
            mends[new.id] = mend
            state = mend.of(state)
        states[new.stream] = evolve(new.stream, state, new.event)
    return mends


def _lacking(state: Any, event: e.Event) -> Mend:
    match event, state:
        case e.WithdrawalRequested(), Freelancer():
            lacks = event.amount - state.available.get(event.currency, 0)
            return Mend(event.currency, lacks) if lacks > 0 else Mend()
        case e.PayoutMethodSet(), Freelancer():
            return Mend(waiting=tuple(one for one in event.contracts if one not in state.awaiting))
        case e.BillingMethodSet(), Client():
            return Mend(waiting=tuple(one for one in event.overdue if one not in state.overdue))
    return Mend()
