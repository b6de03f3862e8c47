"""A case as a given/when/then test: commands are decided again by the present code, and must lead to what they led to.

A case holds events, not commands; `replay.fork.inputs` knows which command leads to which event. Where one cannot be decided
from the case alone, as what the parties' other contracts did is not in it, its events are given.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from ledger import commands as c
from ledger import events as e
from ledger.codec import encode
from ledger.commands import SYSTEM, Command
from ledger.errors import LedgerError
from ledger.events import Event
from ledger.policies.deadlines import CHARGE, CLOSE, LAPSE, RELEASE
from replay.case.file import CaseFile, stored
from replay.case.given import Given
from replay.fork.origins import DUE, FACTS, WISHES, command_of
from replay.values import instant

_AT_DEADLINE: dict[str, type[Command]] = {
    CLOSE: c.CloseContract,
    LAPSE: c.LapseReview,
    CHARGE: c.RequestCharge,
    RELEASE: c.ReleasePayout,
}
_WIDTH = 120


class Step(NamedTuple):
    """`command` led to `events`; without one they are given."""

    command: Command | None
    events: tuple[Event, ...]


def write_test(file: CaseFile) -> str:
    """The source of a test that passes with the present code. Raises Corrupt where the events cannot be folded."""
    events = [one.event for one in stored(file.case.events)]
    case, steps = _steps(events)
    contract = file.case.contract_id
    decided = sum(step.command is not None for step in steps)
    given = sum(len(step.events) for step in steps if step.command is None)
    offered = next(event for event in events if isinstance(event, e.ContractOffered))
    writer = _Writer({contract: "CONTRACT", offered.client_id: "CLIENT", offered.freelancer_id: "FREELANCER"})
    body = [line for step in steps for line in writer.step(step)]
    imports = ["from datetime import date", ""] if any("date(" in line for line in body) else []
    return "\n".join(
        [
            f'"""The case of {contract}: {decided} commands are decided again, {given} events are given."""',
            "",
            *imports,
            "from ledger import commands as c" if decided else "",
            "from ledger import events as e",
            "from replay.case.given import Given, utc",
            "",
            *(f"{name} = {_text(identifier)}" for identifier, name in writer.names.items()),
            "",
            "",
            f"def test_the_case_of_{contract}() -> None:",
            "    case = Given()",
            *body,
            f"    assert case.status(CONTRACT) == {_text(case.status(contract))}",
            *writer.line("assert case.payouts(CONTRACT) == ", case.payouts(contract)),
            *writer.line("assert case.accounts() == ", case.accounts()),
            "",
        ]
    )


def _steps(events: Sequence[Event]) -> tuple[Given, list[Step]]:
    """The case folded to its end, and how it got there."""
    case = Given()
    steps: list[Step] = []
    taken: set[int] = set()
    for number in range(len(events)):
        if number in taken:
            continue
        step, places = _decided(case, events, number, taken)
        taken |= places
        case.given(*step.events)
        steps.append(step)
    return case, steps


def _decided(case: Given, events: Sequence[Event], number: int, taken: set[int]) -> tuple[Step, set[int]]:
    """The command that leads to this event and only to events of the case; or the event, given."""
    event = events[number]
    for command in _commands(event):
        try:
            led_to = case.decided(command)
        except (LedgerError, LookupError, TypeError, AttributeError):
            continue  # not from what the case holds
        places = _places(led_to, events, number, taken)
        if places and places[0] == number:
            return Step(command, led_to), set(places)
    return Step(None, (event,)), {number}


def _places(led_to: Sequence[Event], events: Sequence[Event], start: int, taken: set[int]) -> list[int] | None:
    """Where these events stand in the case; None where one does not."""
    places: list[int] = []
    for event in led_to:
        wanted = encode(event)
        for number in range(start, len(events)):
            if number not in taken and number not in places and encode(events[number]) == wanted:
                places.append(number)
                break
        else:
            return None
    return places


def _commands(event: Event) -> Iterator[Command]:
    """The commands that may have led to an event first; of parties none, as their streams are excerpts."""
    cls = type(event)
    if isinstance(event, e.ClientEvent | e.FreelancerEvent):
        return
    kinds: list[type[Command]] = [
        *([FACTS[cls][0]] if cls in FACTS else []),
        *([_AT_DEADLINE[DUE[cls]]] if cls in DUE and event.actor == SYSTEM else []),
        *([WISHES[cls]] if cls in WISHES else []),
        *([c.ConfirmPayoutMethod] if cls is e.PayoutMethodConfirmed else []),
    ]
    for kind in kinds:
        try:
            command = command_of(event, kind)
        except TypeError:
            continue  # it carries less than that command says
        if isinstance(command, c.RequestCharge):
            yield from (
                msgspec.structs.replace(command, because=reason)
                for reason in ("schedule", "billing_method", "operator")
            )
        else:
            yield command


class _Writer:
    """Python source, as the formatter of this project would leave it."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def step(self, step: Step) -> Iterator[str]:
        if step.command is None:
            yield from self._call("case.given", step.events)
        else:
            yield from self._call("case.when", [step.command])
            yield from self._call("case.then", step.events)

    def _call(self, function: str, arguments: Sequence[Any]) -> list[str]:
        return self._laid_out(f"{function}(", [("", one) for one in arguments], ")", "    ")

    def line(self, before: str, value: Any) -> list[str]:
        return self._value(before, value, "    ", "")

    def _value(self, before: str, value: Any, indent: str, after: str) -> list[str]:
        whole = f"{indent}{before}{self._inline(value)}{after}"
        parts = self._parts(value)
        if len(whole) <= _WIDTH or parts is None:
            return [whole]
        opening, items, closing = parts
        return self._laid_out(f"{before}{opening}", items, f"{closing}{after}", indent)

    def _laid_out(self, opening: str, items: Sequence[tuple[str, Any]], closing: str, indent: str) -> list[str]:
        inline = f"{indent}{opening}{', '.join(f'{name}{self._inline(item)}' for name, item in items)}{closing}"
        if len(inline) <= _WIDTH:
            return [inline]
        inside = [line for name, item in items for line in self._value(name, item, f"{indent}    ", ",")]
        is_call = opening[-2:-1].isalnum()
        if is_call and len(items) == 1 and not items[0][0]:  # a tuple of one needs its comma
            inside[-1] = inside[-1].removesuffix(",")
        return [f"{indent}{opening}", *inside, f"{indent}{closing}"]

    def _inline(self, value: Any) -> str:
        parts = self._parts(value)
        if parts is None:
            return self._atom(value)
        opening, items, closing = parts
        comma = "," if opening == "(" and len(items) == 1 else ""
        return f"{opening}{', '.join(f'{name}{self._inline(item)}' for name, item in items)}{comma}{closing}"

    def _parts(self, value: Any) -> tuple[str, list[tuple[str, Any]], str] | None:
        """How a value that has parts is written: what opens it, the parts by their names, what closes it."""
        if isinstance(value, Command | e.Value):
            module = "c" if isinstance(value, Command) else "e"
            return f"{module}.{type(value).__name__}(", [(f"{name}=", item) for name, item in _said(value)], ")"
        if isinstance(value, dict):
            return "{", [(f"{self._inline(key)}: ", item) for key, item in value.items()], "}"
        if isinstance(value, list | tuple):
            opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
            return opening, [("", item) for item in value], closing
        return None

    def _atom(self, value: Any) -> str:
        if isinstance(value, datetime):
            return f'utc("{instant(value)}")'
        if isinstance(value, date):
            return f"date({value.year}, {value.month}, {value.day})"
        return self.names.get(value) or _text(value) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    """A string in double quotes, where that needs no escapes."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown and "\\" not in shown else shown


def _said(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields that are not as they are by default."""
    for field in msgspec.structs.fields(value):
        item = getattr(value, field.name)
        if item != field.default or field.name == "rule_version":
            yield field.name, item
