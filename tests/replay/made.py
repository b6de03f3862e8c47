"""Histories that hypothesis makes, as sources: the real deciders, a worker that comes and goes, late webhooks, corrections."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from ledger.aggregates.payout import Payout
from ledger.codec import encode
from ledger.errors import NotFound, Refused
from ledger.events import Event
from ledger.store.log import Stored
from replay.scan import Scan
from tests.history import DAY, HOUR, History

CURRENCIES = ("USD", "EUR")


class MadeLog:
    def __init__(self, events: Sequence[Stored]) -> None:
        self.events = events

    def head(self) -> int:
        return len(self.events)

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        return iter(self.events[after : len(self.events) if until is None else until])

    def find(self, stream: str, version: int) -> Stored | None:
        return next((one for one in self.events if (one.stream, one.version) == (stream, version)), None)


class NoTexts:
    def reveal(self, ids: Iterable[str]) -> Mapping[str, str]:
        return {}


class Stopped(NamedTuple):
    at: datetime

    def now(self) -> datetime:
        return self.at


class Made(NamedTuple):
    """A source in memory."""

    log: MadeLog
    reader: Scan
    vault: NoTexts
    clock: Stopped


def source_of(history: History) -> Made:
    return source_of_events(((one.stream, one.version, one.event) for one in history.log), history.now)


def source_of_events(events: Iterable[tuple[str, int, Event]], now: datetime) -> Made:
    stored = [
        Stored(position, stream, version, event.TOPIC, encode(event), b"")
        for position, (stream, version, event) in enumerate(events, 1)
    ]
    log = MadeLog(stored)
    return Made(log, Scan(log), NoTexts(), Stopped(now))


# What may happen, with two numbers that choose among what is there


def _contracts(history: History) -> list[str]:
    return [stream for stream in history.states if stream.startswith("con_")]


def payouts(history: History) -> list[Payout]:
    return [state for state in history.states.values() if isinstance(state, Payout)]


def _payout(history: History, which: int) -> Payout:
    found = payouts(history)
    if not found:
        raise NotFound("payout")
    return found[-1 - which % min(len(found), 4)]


def _contract(history: History, which: int) -> str:
    found = _contracts(history)
    if not found:
        raise NotFound("contract")
    return found[which % len(found)]


def _job(history: History, a: int, b: int) -> None:
    contract = history.active("single_payment", amount=1_000 + a, currency=CURRENCIES[b % 2])
    history.submit(contract)
    if a % 3:
        history.approve(contract)


def _cycle(history: History, a: int, b: int) -> None:
    history.active("fixed_rate", rate=700 + a, currency=CURRENCIES[b % 2])


def _hours(history: History, a: int, b: int) -> None:
    contract = history.active("hourly", hourly_rate=3_333 + b)
    history.log_time(contract, 1 + a % 600)


def _employee(history: History, a: int, b: int) -> None:
    contract = history.active("fixed_rate", rate=500, outcome="employee")
    history.employer_of_record(contract)
    history.payroll(contract, 100 + a)


def _adjust(history: History, a: int, b: int) -> None:
    sides = ("debit", "credit") if b % 2 else ("credit", "debit")
    accounts = (f"{history.freelancer}:available", "platform:adjustments")
    postings = tuple((account, side, 1 + a % 300) for account, side in zip(accounts, sides, strict=True))
    stated = history.now - timedelta(hours=b) if b % 3 else None
    history.approve_adjustment(history.propose_adjustment(*postings, stated_at=stated))


def _reinstate(history: History, a: int, b: int) -> None:
    payout = _payout(history, a)
    if payout.reversals:
        history.reinstate(payout, payout.reversals[b % len(payout.reversals)].id)


def _late(history: History, a: int, b: int) -> None:
    """Nobody works for a while, then the worker comes back."""
    history.up = False
    history.advance((1 + a % 9) * DAY)
    history.worker_returns()


def _late_webhook(history: History, a: int, b: int) -> None:
    """A charge succeeds, and is heard of some hours later."""
    history.billing_method("silent")
    _job(history, a, b)
    charged_at = history.now
    history.advance((1 + a % 50) * HOUR)
    for payout in payouts(history):
        if payout.in_flight is not None:
            history.processor.of_payout[payout.id] = "pays"
    history.processor.charged_at = charged_at
    history.settle()
    history.processor.charged_at = None
    history.billing_method("pays")


ACTIONS: dict[str, Callable[[History, int, int], object]] = {
    "job": _job,
    "cycle": _cycle,
    "hours": _hours,
    "employee": _employee,
    "bonus": lambda h, a, b: h.bonus(_contract(h, b), 50 + a),
    "complete": lambda h, a, b: h.complete(_contract(h, b)),
    "object": lambda h, a, b: h.object(_payout(h, b)),
    "withdraw objection": lambda h, a, b: h.withdraw_objection(_payout(h, b)),
    "reduce": lambda h, a, b: h.reduce(_payout(h, b), a % 500),
    "refund": lambda h, a, b: h.reverse(_payout(h, b), 1 + a % 400, "refund"),
    "chargeback": lambda h, a, b: h.reverse(_payout(h, b), _payout(h, b).held, "chargeback"),
    "reinstate": _reinstate,
    "withdraw": lambda h, a, b: h.withdraw(1 + a % 900, CURRENCIES[b % 2]),
    "adjust": _adjust,
    "card": lambda h, a, b: h.billing_method(("pays", "declines", "pays", "silent")[b % 4]),
    "a day": lambda h, a, b: h.advance((1 + a % 3) * DAY),
    "a week": lambda h, a, b: h.advance(7 * DAY + b * HOUR),
    "late": _late,
    "late webhook": _late_webhook,
}


def play(actions: Iterable[tuple[str, int, int]]) -> History:
    """The actions in order; what is refused, or has nothing to act on, is left out."""
    history = History("2026-01-05 09:00")
    for name, a, b in actions:
        with suppress(Refused, NotFound):
            ACTIONS[name](history, a, b)
    return history


_STEPS = st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 999), st.integers(0, 30))
HISTORIES = st.lists(_STEPS, min_size=4, max_size=14).map(
    lambda actions: play([("job", 1, 0), ("late", 5, 0), *actions])
)
"""Each has at least one payout that was released."""
