"""The outside world in a fork of history: what it said is what it says again; what it was never asked is assumed. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec.structs import replace

from ledger import commands as c
from ledger.aggregates import State
from ledger.aggregates.freelancer import Freelancer, withdrawal_of
from ledger.aggregates.payout import Payout
from ledger.commands import SYSTEM, Command
from ledger.events import ChargeRequested
from ledger.ids import COMMAND, derive
from ledger.policies.deadlines import ASK, NOTIFY, REFUND, TRANSFER, Deadline
from replay.fork.inputs import Outstanding, Transaction, note

Charges = Literal["as_before", "succeed", "fail"]
"""What a charge does that history never made: what the same billing method did last, and otherwise succeeds; or as told."""
Question = tuple[str, ...]
"""What was asked: the attempt of a payout, the withdrawal (whether it was taken, whether it arrived), the refund, the mail."""


def question_of(command: Command) -> Question | None:
    """What a command records the answer to; None for one that records none."""
    match command:
        case c.RecordCharge():
            return (ASK, command.payout_id, str(command.attempt))
        case c.RecordTransfer():
            return (TRANSFER, command.withdrawal_id, "taken" if command.outcome == "submitted" else "arrived")
        case c.RecordRefund():
            return (REFUND, command.refund_id)
        case c.NoteNotification():
            return (NOTIFY, command.contract_id, command.kind)
    return None


@dataclass(frozen=True)
class Answer:
    """What history recorded, how long after the question, and when it was true after the question.

    `method` is the billing method that was charged, by its vault id.
    """

    command: Command
    delay: timedelta
    offset: timedelta
    method: str | None


class Answers:
    """What the outside world says in a fork. `assumed`: the keys of what it was never asked in history."""

    def __init__(
        self, history: Iterable[Transaction], *, charges: Charges = "as_before", never: Collection[Question] = ()
    ) -> None:
        self._never, self._charges = frozenset(never), charges
        self._known = _answers(history)
        self._of_method: dict[str, list[c.RecordCharge]] = {}
        for known in self._known.values():
            if known.method is not None and isinstance(known.command, c.RecordCharge):
                self._of_method.setdefault(known.method, []).append(known.command)
        self.assumed: set[str] = set()

    def when(self, deadline: Deadline, state: State | None) -> datetime | None:
        """When an answer comes to what is asked at the deadline; None is never."""
        for question in _questions(deadline, state):
            if question in self._never:
                return None
            known = self._same(question, state)
            if known is not None:
                return deadline.at + known.delay
        return deadline.at

    def answer(self, deadline: Deadline, state: State, now: datetime) -> Command | None:
        """The command that records the answer; None where there is nothing to ask about."""
        questions = _questions(deadline, state)
        for question in questions:
            known = self._same(question, state)
            if known is not None:
                return _again(known, deadline, now)
        return self._assume(deadline, state, now) if questions else None

    def _same(self, question: Question, state: State | None) -> Answer | None:
        """What history answered, if the same billing method was charged then."""
        known = self._known.get(question)
        charged = state.in_flight.method if isinstance(state, Payout) and state.in_flight is not None else None
        return known if known is not None and known.method in (None, charged) else None

    def _declined(self, method: str, now: datetime) -> dict[str, Any] | None:
        """How a charge of the method fails; None where it succeeds."""
        if self._charges != "as_before":
            return {"failure": "card_declined"} if self._charges == "fail" else None
        told = self._of_method.get(method, [])
        known = [one for one in told if one.now <= now][-1:] or told[:1]
        return {"failure": known[0].failure, "final": known[0].final} if known and known[0].failure else None

    def _assume(self, deadline: Deadline, state: State, now: datetime) -> Command | None:
        origin: dict[str, Any] = {
            "command_id": derive(COMMAND, "what-if", deadline.cause_id, deadline.kind, deadline.item),
            "actor": SYSTEM,
            "now": now,
            "cause_id": deadline.cause_id,
        }
        item: Any = deadline.item
        if deadline.kind == NOTIFY:
            return c.NoteNotification(**origin, contract_id=deadline.stream, kind=item, about=deadline.cause_id)
        if isinstance(state, Payout) and state.in_flight is not None and deadline.kind == ASK:
            self.assumed.add(state.in_flight.key)
            attempt: dict[str, Any] = {"payout_id": state.id, "attempt": state.in_flight.number}
            declined = self._declined(state.in_flight.method, now)
            if declined is not None:
                return c.RecordCharge(**origin, **attempt, **declined)
            return c.RecordCharge(**origin, **attempt, reference=f"what-if:{state.in_flight.key}")
        self.assumed.add(item)
        if deadline.kind == REFUND:
            return c.RecordRefund(**origin, payout_id=deadline.stream, refund_id=item, reference=f"what-if:{item}")
        return c.RecordTransfer(**origin, freelancer_id=deadline.stream, withdrawal_id=item, outcome="paid")


def caused(command: Command, deadline: Deadline) -> Command:
    """An answer of history to the deadline as the fork has it: what set it may stand at another place of its stream."""
    if isinstance(command, c.NoteNotification):
        command = replace(command, about=deadline.cause_id)
    return command if command.cause_id is None else replace(command, cause_id=deadline.cause_id)


def _again(known: Answer, deadline: Deadline, now: datetime) -> Command:
    command = replace(caused(known.command, deadline), now=now, effective_at=deadline.at + known.offset)
    if isinstance(command, c.RecordTransfer) and command.settles_at is not None:
        return replace(command, settles_at=command.settles_at + (now - known.command.now))
    return command


def _questions(deadline: Deadline, state: State | None) -> list[Question]:
    """What is asked at a deadline: the first of these that is known is answered."""
    match deadline.kind, state:
        case "ask", Payout():
            return [(ASK, state.id, str(state.in_flight.number))] if state.in_flight else []
        case "transfer", Freelancer():
            taken = withdrawal_of(state, deadline.item).submitted
            return [(TRANSFER, deadline.item, stage) for stage in (("arrived",) if taken else ("taken", "arrived"))]
    return [(deadline.kind, deadline.item)] if deadline.kind == REFUND else [(NOTIFY, deadline.stream, deadline.item)]


def _answers(history: Iterable[Transaction]) -> dict[Question, Answer]:
    outstanding: Outstanding = {}
    found: dict[Question, Answer] = {}
    methods: dict[Question, str] = {}
    for one in history:
        for step in one.steps:
            question = question_of(step.command) if step.command is not None and not step.free else None
            if question is not None and step.command is not None and step.key in outstanding:
                asked = outstanding[step.key].at
                if question[0] != NOTIFY:  # told at once, whatever was told before
                    times = (one.now - asked, step.command.at - asked)
                    found[question] = Answer(step.command, *times, methods.get(question))
        for new in one.events:
            if isinstance(new.event, ChargeRequested):
                methods[ASK, new.stream, str(new.event.attempt)] = new.event.method.id
            note(outstanding, new)
    return found
