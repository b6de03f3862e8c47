"""The help page of the terminal debugger: its keys, its marks, and how a condition is written."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from replay.debug.scopes import STEP

CHANGED, ELSEWHERE = "●", "·"
"""Marks beside what changed, and beside events of something else: colours alone say nothing."""
_KEYS = (
    ("right, l", "the next event"),
    ("left, h", "the event before"),
    ("g, home", "the first event"),
    ("G, end", "the last event"),
    (":", "jump to a position of the log"),
    ("b", "run to where a condition first holds from here on (a breakpoint)"),
    ("n, N", "run on to the next, or back to the previous, such event"),
    ("/", "search the events' words, ids, texts and times; n and N then go on searching"),
    ("w", "which event last changed the number under the cursor (Tab goes to the numbers)"),
    ("c", "the event that caused this one"),
    ("tab", "from the timeline to the event to the numbers; arrows and page keys move there"),
    ("escape", "leave a prompt or this page"),
    ("q", "quit"),
)

_HELP = """
Marks: ● changed by this event; · an event of something else that moved the payee's money.
Balances are written with decimals, amounts inside a state in minor units.

Conditions compare names with ==, !=, <, <=, >, >=, in (…), joined by and, or, not:
  available < 0
  pending(USD) > 1000 and status == "released"
  payout.attempt >= 3 or contract.status == "suspended"
  event == "payout.charged.v1" and occurred_at > 2026-01-09T12:00:00Z
  own and rule(22) or count(payout.reversals) > 0

Names: """


class HelpScreen(ModalScreen[None]):
    """All keys, and how a condition is written."""

    CSS = "#help { border: solid $primary; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Back")]

    def compose(self) -> ComposeResult:
        keys = "\n".join(f"{key:10} {what}" for key, what in _KEYS)
        with VerticalScroll(id="help"):
            yield Static(Text(f"{keys}\n{_HELP}{', '.join(_names())}"), markup=False)


def _names() -> list[str]:
    plain = [name for name, inner in STEP.names.items() if inner is None]
    nested = [f"{name}.{field}" for name, inner in STEP.names.items() for field in inner or ()]
    return [*plain, *nested, *(f"{name}(…)" for name in STEP.functions)]
