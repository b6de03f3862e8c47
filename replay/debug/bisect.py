"""The first event after which a condition is false.

A single fold from the beginning answers it exactly, also for a condition that becomes true again. The log keeps no snapshots of
past balances, so each probe of a binary search would fold its own prefix, and would only be right for what never turns back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from ledger import postings
from ledger.store.reader import EventView, view_of
from replay.balances import may_move
from replay.debug.condition_values import ConditionError, Scope
from replay.debug.conditions import Condition
from replay.debug.ledger_scope import MONEY, Books
from replay.debug.scopes import scope_at
from replay.debug.stepping import index_at
from replay.debug.timeline import Step, Timeline, timeline
from replay.history import Happening, happenings
from replay.sources import Progress, Source
from replay.times import counts

NOT_THERE = "what it names is not there after any of the events, so it is neither true nor false"


@dataclass(frozen=True)
class TermValue:
    """A name or call of the condition, before the event and after it."""

    term: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Bisection:
    """Over the events after `good` and up to `bad`. `first`: after which the condition is false; null: it holds throughout.

    Only what occurred at or before `as_of` and was recorded at or before `known_at` counts, as if there were nothing else.
    `currency`: in which it is, unless in all of several; what the condition says of `values` is said in that one.
    """

    object: Literal["bisection"]
    check: str
    subject: str | None
    good: int
    bad: int
    as_of: datetime | None
    known_at: datetime | None
    holds: bool
    first: Happening | None
    currency: str | None
    values: tuple[TermValue, ...]


class NotGood(ValueError):
    """The condition is false at the position that was said to be good."""


class NothingCounts(ValueError):
    """There is no event at the times that were asked for."""


def bisect_ledger(
    source: Source,
    condition: Condition,
    *,
    good: int = 0,
    bad: int | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Bisection:
    """Over all events that count, for a condition in the names of `replay.debug.ledger_scope.LEDGER`.

    Raises NotGood where it does not hold at `good`, ConditionError where it cannot be asked, and NothingCounts.
    """
    head = source.log.head() if bad is None else bad
    asked = condition.text, None, good, head, as_of, known_at
    books, before = Books(ranked="lowest" in condition.roots), None
    if good:
        before = _up_to(source, books, good, as_of, known_at, on_events)
    if before is not None:
        _require_good(condition, [books.scope(before, currency) for currency in books.currencies()], good)
    is_first, is_asked, money_only = True, False, condition.roots <= MONEY
    for stored in source.log.read_all(after=good, until=head):
        if on_events:
            on_events(1)
        if not is_first and money_only and not may_move(stored):
            continue
        view = view_of(stored)
        if not counts(view.event, as_of, known_at):
            continue
        is_first = False
        made = books.post(view.entries)
        currencies = books.currencies()
        failed = [one for one in currencies if condition.fails(books.scope(view, one))]
        is_asked = is_asked or any(condition.holds(books.scope(view, one)) for one in currencies)
        if failed:
            after = condition.values(books.scope(view, failed[0]))
            books.take_back(view.entries, made)
            values = _values(condition, books.scope(before, failed[0]), after)
            (first,) = happenings(source, [view])
            return Bisection("bisection", *asked, False, first, _only(failed, currencies), values)
        before = view
    _require_known(books, before, narrowed=as_of is not None or known_at is not None)
    if not (is_asked or is_first):
        raise ConditionError(NOT_THERE)
    return Bisection("bisection", *asked, True, None, None, ())


def _require_known(books: Books, last: EventView | None, *, narrowed: bool) -> None:
    """A condition that holds because there was nothing to ask of is no answer."""
    if narrowed and last is None:
        raise NothingCounts("nothing counts at these times: ask for later ones")
    if unknown := ", ".join(books.never_posted()):
        if narrowed:
            raise ConditionError(
                f"nothing that counts at these times was posted to {unknown}: check the account's name, or ask for later ones"
            )
        raise ConditionError(f"nothing was ever posted to {unknown}: check the account's name")


def _up_to(
    source: Source,
    books: Books,
    good: int,
    as_of: datetime | None,
    known_at: datetime | None,
    on_events: Progress | None,
) -> EventView | None:
    """Posts everything that counts up to a position, and answers the last event of it; None where nothing does."""
    last, all_count = None, as_of is None and known_at is None
    for stored in source.log.read_all(until=good):
        if on_events:
            on_events(1)
        if all_count and not may_move(stored):
            last = stored
            continue
        view = view_of(stored)
        if counts(view.event, as_of, known_at):
            books.post(view.entries)
            last = stored
    return None if last is None else view_of(last)


def bisect_subject(
    source: Source,
    subject: str,
    condition: Condition,
    *,
    good: int = 0,
    bad: int | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Bisection | None:
    """Over the timeline of a contract, payout or freelancer, for a condition in the names of `replay.debug.scopes.STEP`.

    None where there is no such thing. Raises NotGood, ConditionError and NothingCounts as `bisect_ledger` does.
    """
    found = timeline(source, subject, as_of=as_of, known_at=known_at)
    if found is None:
        return None
    if not found.steps:
        raise NothingCounts(f"nothing of {subject} counts at these times: ask for later ones")
    end = found.position if bad is None else bad
    asked = condition.text, subject, good, end, as_of, known_at
    start = index_at(found, good)
    if start >= 0 and good:
        _require_good(condition, _scopes(found, found.steps[start]).values(), good)
    is_first, is_asked = True, False
    for index, step in enumerate(found.steps[start + 1 :], start + 1):
        if step.event.position > end:
            break
        scopes = _scopes(found, step)
        is_first, is_asked = False, is_asked or any(map(condition.holds, scopes.values()))
        failed = [currency for currency, scope in scopes.items() if condition.fails(scope)]
        if failed:
            currency = _only(failed, list(scopes))
            after = condition.values(scopes[failed[0]])
            values = _values(condition, _before(found, index, failed[0]), after)
            return Bisection("bisection", *asked, False, step.event, currency, values)
    if not (is_asked or is_first):
        raise ConditionError(NOT_THERE)
    return Bisection("bisection", *asked, True, None, None, ())


def _only(failed: list[str | None], currencies: list[str | None]) -> str | None:
    """The currency in which it is false; none to name where that is so in all of several."""
    return failed[0] if len(currencies) == 1 or len(failed) < len(currencies) else None


def _scopes(found: Timeline, step: Step) -> dict[str | None, Scope]:
    """In the contract's currency; of a freelancer, in each."""
    several: list[str | None] = [*sorted({one.currency for one in step.balances})]
    currencies = [found.currency] if found.currency else several or [None]
    return {currency: scope_at(found, step, currency) for currency in currencies}


def _before(found: Timeline, index: int, currency: str | None) -> Scope:
    """What is there before a step; before the first one, only what the payee had."""
    if index:
        return scope_at(found, found.steps[index - 1], currency)
    first = found.steps[0]
    held = tuple(replace(one, after=one.before) for one in first.balances)
    scope = scope_at(found, replace(first, states={}, balances=held), currency)
    known = {name: scope.values[name] for name in (*postings.BUCKETS, "currency")}
    return Scope(known, {**scope.functions, "rule": lambda _: False})


def _require_good(condition: Condition, scopes: Iterable[Scope], good: int) -> None:
    if any(condition.fails(scope) for scope in scopes):
        raise NotGood(f"{condition.text} is false at position {good} already: give an earlier --good, or none")


def _values(condition: Condition, before: Scope, after: tuple[Any, ...]) -> tuple[TermValue, ...]:
    sides = zip(condition.terms, condition.values(before), after, strict=True)
    return tuple(TermValue(*side) for side in sides)
