"""The timeline of a contract, a payout or a freelancer: event by event, the state and the balances before and after.

The steps are the subject's own events and, from the first of them on, every other event that moved the payee's money: what an
account holds after one step is therefore what it holds before the next.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from ledger import events as e
from ledger import ids
from ledger.aggregates import State, evolve, state_type
from ledger.errors import NotFound
from ledger.postings import BUCKETS
from ledger.store.funds import NO_UPPER_BOUND
from ledger.store.reader import EventView
from replay import adjustments
from replay.debug.fields import Fields, changed, fields_of
from replay.history import Happening, happenings, history
from replay.sources import Histories, Source
from replay.times import counts

SUBJECTS = (ids.CONTRACT, ids.PAYOUT, ids.FREELANCER)
_KINDS = {ids.CONTRACT: "contract", ids.PAYOUT: "payout", ids.FREELANCER: "freelancer", ids.ADJUSTMENT: "adjustment"}


@dataclass(frozen=True)
class AccountBalance:
    """Minor units, as far as the events that count had come."""

    account: str
    currency: str
    before: int
    after: int


@dataclass(frozen=True)
class StateChange:
    """Of the object whose event it was; `before` is null where the event made it. `changed`: names as `flat` gives."""

    kind: str
    id: str
    before: Fields | None
    after: Fields | None
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """`own` is false for an event of something else that moved the payee's money.

    `state` is null where an earlier event of its stream is not here, or does not count: nothing is made up.
    `cause_position`: of the event that caused it, where that is a step too. `balances`: every account of the payee.
    """

    number: int
    own: bool
    event: Happening
    cause_position: int | None
    state: StateChange | None
    balances: tuple[AccountBalance, ...]
    states: dict[str, Fields] = field(repr=False)
    """By kind, the subject's objects as they are after it: what conditions are asked of. Not in JSON."""


@dataclass(frozen=True)
class Timeline:
    """`currency` is the contract's; null for a freelancer, who may have several."""

    object: Literal["timeline"]
    subject: str
    position: int
    as_of: datetime | None
    known_at: datetime | None
    payee: str
    currency: str | None
    steps: tuple[Step, ...]


def as_document(found: Timeline, steps: Iterable[Step]) -> dict[str, Any]:
    """The timeline with these of its steps, for JSON."""
    document: dict[str, Any] = {one.name: getattr(found, one.name) for one in fields(found)}
    shown = [one.name for one in fields(Step) if one.name != "states"]
    document["steps"] = [{name: getattr(step, name) for name in shown} for step in steps]
    return document


def timeline(
    source: Source, subject: str, *, as_of: datetime | None = None, known_at: datetime | None = None
) -> Timeline | None:
    """The steps of a contract (con_…), a payout (pay_…) or a freelancer (fre_…), oldest first; None where there is no such thing.

    Only what occurred at or before `as_of` and was recorded at or before `known_at` counts.
    """
    found = history(source, subject) if ids.kind_of(subject) in SUBJECTS else None
    if found is None:
        return None
    own = {one.position for one in found.events}
    contract = _contract(subject, found.events)
    views = _read(source.reader, subject, contract)
    payee, currency = _payee(subject, views, own)
    views |= _of_payee(source.reader, payee)
    counted = [
        view
        for _, view in sorted(views.items())
        if view.position <= found.position and counts(view.event, as_of, known_at)
    ]
    folded = _Fold(subject, contract, payee, currency)
    steps = tuple(folded.steps(counted, own, source))
    return Timeline("timeline", subject, found.position, as_of, known_at, payee, currency, steps)


def _by_position(views: Iterable[EventView]) -> dict[int, EventView]:
    return {view.position: view for view in views}


def _contract(subject: str, own: Iterable[Happening]) -> str | None:
    """Of which contract a contract's or payout's events are; None for a freelancer, who has several."""
    if ids.kind_of(subject) == ids.FREELANCER:
        return None
    return next((str(one.details["contract_id"]) for one in own if "contract_id" in one.details), None)


def _read(reader: Histories, subject: str, contract: str | None) -> dict[int, EventView]:
    """What states are folded from: the events of the subject and of its contract, and all adjustments."""
    views = _by_position(reader.history(payout_id=subject)) if ids.kind_of(subject) == ids.PAYOUT else {}
    if contract is not None:
        views |= _by_position(reader.history(contract_id=contract))
    for topic in adjustments.TOPICS:
        views |= _by_position(reader.events(topic=topic, limit=NO_UPPER_BOUND))
    return views


def _payee(subject: str, views: dict[int, EventView], own: set[int]) -> tuple[str, str | None]:
    """Whose accounts the subject's money is on (an Employer of Record's, rule 4), and in which currency."""
    if ids.kind_of(subject) == ids.FREELANCER:
        return subject, None
    payee, currency = "", None
    for position in sorted(views):
        event: Any = views[position].event
        if isinstance(event, e.ContractOffered):
            payee, currency = event.freelancer_id, event.currency
        elif isinstance(event, e.EmployerOfRecordSet):
            payee = event.eor_id
        elif isinstance(event, e.PayoutEvent) and position in own:
            payee, currency = event.payee, event.currency
    return payee, currency


def _of_payee(reader: Histories, payee: str) -> dict[int, EventView]:
    """Every event that may have moved the payee's money, but for adjustments."""
    if ids.kind_of(payee) != ids.EMPLOYER_OF_RECORD:
        return _by_position(reader.events(party_id=payee, limit=NO_UPPER_BOUND))
    employed = reader.events(topic=e.EmployerOfRecordSet.TOPIC, limit=NO_UPPER_BOUND)
    contracts = {
        view.event.contract_id
        for view in employed
        if isinstance(view.event, e.EmployerOfRecordSet) and view.event.eor_id == payee
    }
    views: dict[int, EventView] = {}
    for contract in sorted(contracts):
        views |= _by_position(reader.history(contract_id=contract))
    return views


class _Fold:
    def __init__(self, subject: str, contract: str | None, payee: str, currency: str | None) -> None:
        self.subject, self.contract, self.payee = subject, contract, payee
        self.currency = currency
        self.accounts = tuple(f"{payee}:{bucket}" for bucket in BUCKETS)
        currencies = [] if currency is None else [currency]
        self.balances: dict[str, dict[str, int]] = {one: dict.fromkeys(self.accounts, 0) for one in currencies}
        self.streams: dict[str, State] = {}
        self.fields: dict[str, Fields] = {}
        self.states: dict[str, Fields] = {}

    def steps(self, views: list[EventView], own: set[int], source: Source) -> Iterator[Step]:
        """Folds all of these events, in order, and yields those that are steps."""
        told = {one.position: one for one in happenings(source, views)}
        positions: dict[str, int] = {}
        for view in views:
            is_own = view.position in own
            before = {currency: dict(accounts) for currency, accounts in self.balances.items()}
            moved = self._post(view)
            state = self._evolve(view, is_own)
            if not (is_own or (moved and positions)):
                continue
            positions[view.id] = view.position
            cause = view.event.cause_id
            yield Step(
                number=len(positions),
                own=is_own,
                event=told[view.position],
                cause_position=None if cause is None else positions.get(cause),
                state=state,
                balances=tuple(
                    AccountBalance(account, currency, before.get(currency, {}).get(account, 0), after)
                    for currency, accounts in sorted(self.balances.items(), key=self._order)
                    for account, after in accounts.items()
                ),
                states=dict(self.states),
            )

    def _order(self, item: tuple[str, dict[str, int]]) -> tuple[bool, str]:
        """The contract's currency first."""
        return item[0] != self.currency, item[0]

    def _post(self, view: EventView) -> bool:
        """Whether the event moved money of the payee."""
        mine = [entry for entry in view.entries if entry.account in self.accounts]
        for entry in mine:
            self.balances.setdefault(entry.currency, dict.fromkeys(self.accounts, 0))[entry.account] += entry.credit
        return bool(mine)

    def _evolve(self, view: EventView, is_own: bool) -> StateChange | None:
        """Folds the state of the event's stream, as far as its events are all here. Of a stream that is not: None."""
        stream = view.stream
        try:
            state_type(stream)
        except NotFound:
            return None
        known, before = self.streams.get(stream), self.fields.get(stream)
        if view.version != (known.version if known else 0) + 1:
            return None
        state = self.streams[stream] = evolve(stream, known, view.event)
        after = self.fields[stream] = fields_of(state)
        kind = _KINDS.get(ids.kind_of(stream), "client")
        if stream in (self.subject, self.contract, self.payee) or (is_own and ids.kind_of(self.subject) != ids.PAYOUT):
            self.states[kind] = after
        return StateChange(kind, stream, before, after, changed(before, after))
