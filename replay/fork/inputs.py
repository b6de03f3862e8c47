"""History taken apart into the transactions it was made in, and those into what was put in (`replay.fork.origins`). Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ledger import commands as c
from ledger import events as e
from ledger.commands import SYSTEM, Command
from ledger.ids import place_of
from ledger.policies.deadlines import ASK, CHARGE, changes
from ledger.policies.unit import NewEvent
from replay.fork.origins import DUE, FACTS, WISHES, command_of, item_of

Key = tuple[str, str, str]
"""A deadline's name: kind, stream, item."""


class Waiting(NamedTuple):
    """What is waited for at a deadline that is set: its instant, and where a charge is asked about, which.

    `charge`: the number of the attempt, and its billing method by its vault id. With another method it is another question.
    """

    at: datetime
    charge: tuple[int, str] | None


Outstanding = dict[Key, Waiting]
"""The deadlines that are set."""


@dataclass(frozen=True)
class Step:
    """One command and its own events, as history has them. `command` is null where a deadline is decided.

    `key` names the deadline that is decided, or at which the outside world was asked; null for a wish. A `free` step is no
    longer where history has it: it waits for no deadline.
    """

    events: tuple[NewEvent, ...]
    command: Command | None
    key: Key | None = None
    free: bool = False


class Given(NamedTuple):
    """An event that follows from one outside of what is looked at, and is taken as it is.

    `after`: how many events of the transaction follow from its steps before this one.
    """

    after: int
    event: NewEvent


@dataclass(frozen=True)
class Transaction:
    """What was decided and appended together: steps first, then what follows from them. `events` are history's, in order."""

    now: datetime
    steps: tuple[Step, ...]
    given: tuple[Given, ...] = ()
    events: tuple[NewEvent, ...] = ()


def transactions(history: Iterable[NewEvent]) -> Iterator[Transaction]:
    """History in the transactions that it was made in, as far as they matter.

    The log does not say where one ends. It has one time of recording, and what follows from an event is in its transaction:
    so all commands from the first one with consequences up to those are together, and any other may stand alone.
    """
    history = list(history)
    reader = _Reader({new.id for new in history})
    for new in history:
        yield from reader.take(new)
    yield from reader.flush()


class _Reader:
    def __init__(self, known: set[str]) -> None:
        self._known = known
        self._outstanding: Outstanding = {}
        self._steps: list[Step] = []
        self._following: list[tuple[NewEvent, bool]] = []
        """With whether each is given."""
        self._now: datetime | None = None

    def take(self, new: NewEvent) -> Iterator[Transaction]:
        if self._now != new.event.recorded_at:
            yield from self.flush()
        self._now = new.event.recorded_at
        step = self._step(new)
        if step is not None:
            if self._following:
                yield from self.flush()
            self._steps.append(step)
        elif self._rides(new):
            if self._following:
                self._following.append((new, self._following[-1][1]))
            else:
                last = self._steps[-1]
                self._steps[-1] = Step((*last.events, new), last.command, last.key)
        else:
            self._following.append((new, new.event.cause_id not in self._known))
        note(self._outstanding, new)

    def flush(self) -> Iterator[Transaction]:
        causes = {new.event.cause_id for new, _ in self._following}
        together = [any(new.id in causes for new in step.events) for step in self._steps]
        first = together.index(True) if True in together else len(self._steps)
        for step in self._steps[:first]:
            yield Transaction(step.events[0].event.recorded_at, (step,), (), step.events)
        steps = tuple(self._steps[first:])
        given = tuple(
            Given(sum(not taken for _, taken in self._following[:number]), new)
            for number, (new, is_given) in enumerate(self._following)
            if is_given
        )
        events = (*(new for step in steps for new in step.events), *(new for new, _ in self._following))
        if events:
            yield Transaction(events[0].event.recorded_at, steps, given, events)
        self._steps, self._following = [], []

    def _rides(self, new: NewEvent) -> bool:
        """Whether the event was decided together with the one before it."""
        before = self._following[-1][0] if self._following else self._steps[-1].events[-1] if self._steps else None
        if before is None or (before.stream, before.version + 1) != (new.stream, new.version):
            return False
        return before.event.command_id == new.event.command_id and type(new.event) in (
            *(e.ContractActivated, e.CycleClosed, e.BonusInvoiced, e.PayoutReleased),
        )

    def _step(self, new: NewEvent) -> Step | None:
        """What the event is the first of; null for what follows, or rides along."""
        event, cls = new.event, type(new.event)
        asked = (ASK, new.stream, "") in self._outstanding
        if cls in FACTS and (cls is not e.ChargeFailed or asked):
            kind, deadline = FACTS[cls]
            return Step((new,), command_of(event, kind), (deadline, new.stream, item_of(event)))
        if cls in (e.ChargeRequested, e.ChargeFailed):
            return self._attempt(new)
        if cls in DUE and (not isinstance(event, e.MilestoneApproved) or event.by_silence):
            return None if self._rides(new) else Step((new,), None, (DUE[cls], new.stream, item_of(event)))
        return Step((new,), command_of(event, WISHES[cls])) if cls in WISHES else None

    def _attempt(self, new: NewEvent) -> Step | None:
        """An attempt to charge: by a person, because it was due, or because of a new billing method."""
        event = new.event
        if event.actor != SYSTEM:
            return Step((new,), command_of(event, c.RequestCharge))
        follows = event.cause_id is not None and place_of(event.cause_id)[0] != new.stream
        return None if follows else Step((new,), None, (CHARGE, new.stream, ""))


def note(outstanding: Outstanding, new: NewEvent) -> list[Key]:
    """Sets and clears the deadlines that an event sets and clears; answers which it touched."""
    touched: list[Key] = []
    for kind, item, at in changes(new.event):
        key = (kind, new.stream, item)
        touched.append(key)
        outstanding.pop(key, None)
        if at is not None:
            outstanding[key] = Waiting(at, _charge(new.event) if kind == ASK else None)
    return touched


def _charge(event: e.Event) -> tuple[int, str] | None:
    return (event.attempt, event.method.id) if isinstance(event, e.ChargeRequested) else None
