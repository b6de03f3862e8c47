"""Edits of history: what is left out, put at another time, changed or added before it is forked. Pure.

Only what somebody wished or the outside world said can be edited; the rest follows from it, and follows again.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace as command_with

from ledger.codec import encode
from ledger.commands import Command
from ledger.errors import Invalid, NotFound
from ledger.events import Event, require_valid
from ledger.ids import place_of
from ledger.policies.unit import NewEvent
from replay.fork.inputs import Step, Transaction
from replay.fork.origins import command_of
from replay.fork.outside import Charges, Question, question_of
from replay.values import instant

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Between these the calendar of the rules has room."""
_STAMP = ("occurred_at", "recorded_at", "command_id", "cause_id", "rule_version")


class UnusableEdit(ValueError):
    """An edit that makes no sense: what was tried, what stood against it, what to do."""


class Change(NamedTuple):
    """Another value, as JSON gives it, for a field of an event; `path` leads to it through what the event holds."""

    event_id: str
    path: tuple[str, ...]
    value: Any


@dataclass(frozen=True)
class Edits:
    """`settings` are numbers of the rules by their names (`replay.fork.rules`), `charges` what charges unknown to history do."""

    settings: Mapping[str, int] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    retime: Mapping[str, datetime] = field(default_factory=dict)
    change: tuple[Change, ...] = ()
    add: tuple[Command, ...] = ()
    charges: Charges = "as_before"


class Edited(NamedTuple):
    """`never`: what the outside world does not answer by itself, as its answer was dropped, moved or added."""

    transactions: tuple[Transaction, ...]
    never: frozenset[Question]


def require_usable(at: datetime) -> datetime:
    """Raises UnusableEdit for a time that the calendar of the rules has no room for."""
    if not EARLIEST <= at < LATEST:
        raise UnusableEdit(f"{instant(at)} is no time to fork to: give one from {EARLIEST:%Y} to {LATEST:%Y}")
    return at


def edited(history: Sequence[Transaction], edits: Edits) -> Edited:
    """History with the edits in it. Raises UnusableEdit, and NotFound for an event that is not there."""
    found = _Found(history)
    changed: dict[str, Step] = {}
    for change in edits.change:
        step = changed.get(change.event_id) or found.step(change.event_id)
        changed[change.event_id] = _changed(step, change)
    for both in {*edits.drop} & {*edits.retime, *changed}:
        raise UnusableEdit(f"{both} is dropped, so it cannot be changed or put at another time as well: do one of them")
    out = {identifier: found.step(identifier) for identifier in (*edits.drop, *edits.retime)}
    moved = [_moved(changed.get(one, out[one]), require_usable(at)) for one, at in edits.retime.items()]
    added = [Transaction(require_usable(one.now), (Step((), one, None, free=True),)) for one in edits.add]
    questions = [question_of(step.command) for step in out.values() if step.command is not None]
    questions += [question_of(command) for command in edits.add]
    kept = [_kept(one, out, changed) for one in history]
    return Edited(_in_time(kept, (*moved, *added)), frozenset(one for one in questions if one is not None))


class _Found:
    """Where each event of history is."""

    def __init__(self, history: Iterable[Transaction]) -> None:
        self._steps: dict[str, Step] = {}
        self._others: dict[str, NewEvent] = {}
        self._given: set[str] = set()
        for one in history:
            self._others.update((new.id, new) for new in one.events)
            self._given.update(given.event.id for given in one.given)
            self._steps.update((new.id, step) for step in one.steps for new in step.events)

    def step(self, identifier: str) -> Step:
        """The wish or fact that led to the event."""
        step, other = self._steps.get(identifier), self._others.get(identifier)
        if other is None:
            _require_event_id(identifier)
            raise NotFound(f"event {identifier} in what is forked: check the id, or fork more of the log")
        topic = other.event.TOPIC
        if identifier in self._given:
            raise UnusableEdit(
                f"{identifier} ({topic}) follows from what is not forked: fork the whole log, without an id"
            )
        if step is None:
            raise UnusableEdit(f"{identifier} ({topic}) follows from {other.event.cause_id}: edit that event")
        if step.command is None:
            cause = other.event.cause_id
            raise UnusableEdit(
                f"{identifier} ({topic}) happened by itself when its time came: edit {cause}, which set the time, or a rule"
            )
        if step.events[0].id != identifier:
            raise UnusableEdit(f"{identifier} ({topic}) came with {step.events[0].id}: edit that event")
        return step


def _require_event_id(identifier: str) -> None:
    try:
        known = identifier.startswith("evt_") and bool(place_of(identifier)[0])
    except ValueError:
        known = False
    if not known:
        raise UnusableEdit(f"{identifier!r} is no id of an event: `replay history --json` gives them, like evt_con_…_3")


def _kept(one: Transaction, out: Mapping[str, Step], changed: Mapping[str, Step]) -> Transaction:
    """The transaction without what is out. Its events stay: they say how far history was."""
    ids = {step.events[0].id: step for step in one.steps}
    if not ids.keys() & {*out, *changed}:
        return one
    return replace(one, steps=tuple(changed.get(known, step) for known, step in ids.items() if known not in out))


def _moved(step: Step, at: datetime) -> Transaction:
    """True at another time, and recorded as much later as it was."""
    command = _command(step)
    now = command.now + (at - command.at)
    effective_at = None if command.effective_at is None else at
    return Transaction(
        now, (replace(step, command=command_with(command, now=now, effective_at=effective_at), free=True),)
    )


def _in_time(history: Collection[Transaction], free: Iterable[Transaction]) -> tuple[Transaction, ...]:
    """What was moved or added goes before the first transaction that is later, in the order it was given for one instant."""
    found = list(history)
    for one in free:
        later = (number for number, known in enumerate(found) if known.now > one.now)
        found.insert(next(later, len(found)), one)
    return tuple(found)


def _changed(step: Step, change: Change) -> Step:
    """The step with the command of the changed event."""
    first, command = step.events[0], _command(step)
    name = ".".join(change.path)
    if change.path[0] in _STAMP:
        raise UnusableEdit(
            f"{name} of {first.id} says how it was recorded: to put the event at another time, retime it"
        )
    payload = msgspec.json.decode(encode(first.event))
    _put(payload, change.path, change.value, f"{name} of {first.id}")
    event = _event(type(first.event), payload, first.id)
    wished = command_of(event, type(command))
    if wished.stream != command.stream:
        raise UnusableEdit(f"{name} of {first.id} says what it is about: drop the event and add one about another")
    if wished == command:
        raise UnusableEdit(
            f"{name} of {first.id} is not what was asked for but what was made of it, or has that value already:"
            " change what it was computed from, or a rule"
        )
    return replace(step, events=(first._replace(event=event), *step.events[1:]), command=wished)


def _command(step: Step) -> Command:
    assert step.command is not None, "only wishes and facts are edited"
    return step.command


def _put(payload: Any, path: Sequence[str], value: Any, what: str) -> None:
    """Puts the value where the path leads. Raises UnusableEdit where it leads nowhere."""
    at = payload
    for number, name in enumerate(path, 1):
        here: Any = None
        if isinstance(at, list) and name.isdecimal() and int(name) < len(at):
            here = int(name)
        elif isinstance(at, dict) and name in at:
            here = name
        if here is None:
            known = sorted(at) if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
            raise UnusableEdit(f"there is no {what}: there is {', '.join(map(str, known)) or 'nothing in it'}")
        if number == len(path):
            at[here] = value
        else:
            at = at[here]


def _event(cls: type[Event], payload: Any, identifier: str) -> Event:
    try:
        event = msgspec.convert(payload, cls)
        require_valid(event)
    except (msgspec.ValidationError, Invalid) as error:
        raise UnusableEdit(f"{identifier} cannot be changed like that: {said(error)}") from error
    return event


def said(error: Exception) -> str:
    """What is wrong, with the field as an edit names it: msgspec says `$.milestones[0].amount` at the end."""
    what, _, where = str(error).partition(" - at `$.")
    field = re.sub(r"\[(\d+)\]", r".\1", where.removesuffix("`"))
    return f"{field}: {what}" if field else what
