"""The terminal debugger of `replay step`: a timeline, its event, and every number before and after it.

It holds no source: the timeline was read, and from then on nothing but the screen changes. `replay.debug.stepping` moves; this
shows.
"""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Footer, Input, Static

from replay.debug.condition_values import ConditionError
from replay.debug.conditions import Condition, parse
from replay.debug.scopes import STEP
from replay.debug.step_help import CHANGED, ELSEWHERE, HelpScreen
from replay.debug.step_tables import event_lines, label, said, value_of
from replay.debug.stepping import Debugger, Number, numbers
from replay.debug.timeline import Step, Timeline
from replay.output import printable
from replay.values import instant

_NAME = 16
"""Characters of a number's name that are shown; the line below has all of it."""


class StepApp(App[None]):
    """`index`: the step to begin at. `condition`: a breakpoint given at the start, and whether it `holds` there."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $primary; color: $text; }
    #timeline { height: 40%; min-height: 5; scrollbar-size-horizontal: 0; }
    #panes { height: 1fr; }
    #event { width: 46%; border-top: solid $primary; }
    #numbers { width: 54%; border-top: solid $primary; border-left: solid $primary; scrollbar-size-horizontal: 0; }
    #event:focus, #numbers:focus { border-top: solid $accent; }
    #message { height: auto; min-height: 1; max-height: 4; }
    #prompt { height: 1; border: none; padding: 0; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move('back')", "Back", key_display="←"),
        Binding("right,l", "move('forward')", "Next", key_display="→"),
        Binding("g,home", "move('first')", "First", show=False),
        Binding("G,end", "move('last')", "Last", show=False),
        Binding("colon", "ask('position')", "Jump", key_display=":"),
        Binding("b", "ask('condition')", "Break"),
        Binding("slash", "ask('search')", "Find", key_display="/"),
        Binding("n", "again(False)", "Again"),
        Binding("N", "again(True)", "Back to the previous one", show=False),
        Binding("w", "watch", "Watch"),
        Binding("c", "cause", "Cause"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("escape", "leave", "Leave the prompt", show=False),
    ]

    def __init__(
        self, timeline: Timeline, index: int = 0, condition: Condition | None = None, holds: bool = False
    ) -> None:
        super().__init__()
        self.debugger = Debugger(timeline, index)
        self._sought: Condition | str | None = condition
        self._asked = ""
        self._message = ""
        self._numbers: list[Number] = []
        self._watched = 0
        """The row of the number under the cursor."""
        if condition is not None:
            self._message = f"{condition.text}: {'holds here' if holds else 'holds at no event from here on'}"

    # What is on the screen

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield _Table(id="timeline", cursor_type="row", show_header=False)
        with Horizontal(id="panes"):
            with _Scroll(id="event"):
                yield Static(id="event-text", markup=False)
            yield _Table(id="numbers", cursor_type="row", show_header=False, cell_padding=0)
        yield Static(id="message", markup=False)
        yield Input(id="prompt")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        steps = self._table("timeline")
        steps.add_columns("", "#", "true at", "what")
        for step in self.debugger.timeline.steps:
            steps.add_row(*_line(step))
        shown = self._table("numbers")
        for name, width in (("mark", 2), ("number", _NAME + 1), ("value", None)):
            shown.add_column(name, width=width)
        steps.focus()
        self._show()

    def _table(self, name: str) -> "DataTable[Text]":
        return self.query_one(f"#{name}", DataTable)

    def _show(self) -> None:
        """Puts the step that the debugger stands at on the screen."""
        timeline, step = self.debugger.timeline, self.debugger.step
        where = f"step {step.number} of {len(timeline.steps)}, position {step.event.position}"
        self.query_one("#title", Static).update(Text(f"{timeline.subject}  {where}", no_wrap=True))
        self._table("timeline").move_cursor(row=self.debugger.index, animate=False)
        self.query_one("#event-text", Static).update(_text("\n".join(event_lines(step, timeline))))
        self.query_one("#event", VerticalScroll).scroll_home(animate=False)
        self._show_numbers()
        self.query_one("#message", Static).update(_text(self._message))

    def _show_numbers(self) -> None:
        """The cursor stays on the number that it was on, wherever that stands now."""
        table, watched = self._table("numbers"), self._numbers[self._watched : self._watched + 1]
        self._numbers = numbers(self.debugger.step)
        names = [number[:2] for number in self._numbers]
        table.clear()
        for number in self._numbers:
            table.add_row(*_row(number))
        self._watched = names.index(watched[0][:2]) if watched and watched[0][:2] in names else 0
        table.move_cursor(row=self._watched, animate=False)

    def _say(self, message: str) -> None:
        self._message = message
        self._show()

    # Moving

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Where the cursor is by now: what is told of may be behind it."""
        row = event.data_table.cursor_row
        if event.data_table.id == "timeline" and row != self.debugger.index:
            self.debugger.to_index(row)
            self._say("")
        elif event.data_table.id == "numbers" and row != self._watched:
            self._watched = row
            self._message = _told(self._numbers[row])
            self.query_one("#message", Static).update(_text(self._message))

    def action_move(self, where: str) -> None:
        moved = getattr(self.debugger, where)()
        self._say("" if moved else "there is no event before this one" if where == "back" else "this is the last event")

    def action_cause(self) -> None:
        caused = self.debugger.step.event.event_id
        if self.debugger.to_cause():
            self._say(f"this caused {caused}")
        elif self.debugger.step.event.cause_id is None:
            self._say("nothing in the log caused it: somebody outside asked for it")
        else:
            self._say(f"its cause, {self.debugger.step.event.cause_id}, is not in this timeline")

    def action_watch(self) -> None:
        """Reverse watch: back to the event that last changed the number under the cursor."""
        if not self._numbers:
            self._say("there is no number here yet")
            return
        watched = self._numbers[self._watched]
        if self.debugger.watch(watched):
            here = next(number for number in numbers(self.debugger.step) if number[:2] == watched[:2])
            self._say(f"changed here: {_told(here)}")
        else:
            since = "only this event" if watched.changed else "no event"
            self._say(f"{label(watched)}: {since} of this timeline up to here changed it")

    def action_again(self, backwards: bool) -> None:
        if self._sought is None:
            self._say("nothing is sought yet: b asks for a condition, / for words")
            return
        text = self._sought if isinstance(self._sought, str) else self._sought.text
        try:
            if isinstance(self._sought, str):
                found = self.debugger.search(self._sought, backwards=backwards)
            else:
                found = self.debugger.run(self._sought, backwards=backwards)
        except ConditionError as error:
            self._say(str(error))
            return
        self._say(f"{text}: {'here' if found else 'nowhere ' + ('before' if backwards else 'after') + ' this event'}")

    # Asking

    def action_ask(self, what: str) -> None:
        prompt = self.query_one("#prompt", Input)
        self._asked = what
        prompt.placeholder = {
            "position": "a position of the log, as 120",
            "condition": "a condition, as available < 0",
            "search": "words, an id, a time",
        }[what]
        prompt.value = ""
        prompt.display = True
        prompt.focus()
        self._say("")

    def action_leave(self) -> None:
        self.query_one("#prompt").display = False
        self._table("timeline").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            sought = parse(event.value, STEP) if self._asked == "condition" and event.value.strip() else None
        except ConditionError as error:
            event.input.cursor_position = max(error.at - 1, 0)
            self._say(str(error))
            return
        self.action_leave()
        text = event.value.strip()
        if self._asked == "position":
            self._jump(text)
        elif text:
            self._sought = sought or text
            self.action_again(False)

    def _jump(self, text: str) -> None:
        if not (text.isascii() and text.isdigit()):
            self._say(f"{text!r} is no position: give a number, as 120")
            return
        self.debugger.to_position(int(text[:20]))
        exactly = self.debugger.step.event.position == int(text[:20])
        self._say("" if exactly else f"position {text} is no event of this timeline: this is the one nearest before it")

    def action_help(self) -> None:
        self.push_screen(HelpScreen())


_THROUGH_TIME: list[BindingType] = [
    Binding(key, f"app.move('{where}')", show=False)
    for key, where in (("left", "back"), ("right", "forward"), ("home", "first"), ("end", "last"))
]
"""Left and right step through time, and home and end go to its ends, wherever the focus is."""


class _Table(DataTable[Text]):
    BINDINGS: ClassVar[list[BindingType]] = _THROUGH_TIME


class _Scroll(VerticalScroll, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = _THROUGH_TIME


def _text(text: Any) -> Text:
    return Text(printable(str(text)))


def _line(step: Step) -> tuple[Text, ...]:
    cells = (" " if step.own else ELSEWHERE, step.event.position, instant(step.event.occurred_at), said(step))
    return tuple(Text(printable(str(cell)), style="" if step.own else "dim", no_wrap=True) for cell in cells)


def _row(number: Number) -> tuple[Text, ...]:
    style = "bold" if number.changed else ""
    name = label(number)
    cells = (
        CHANGED if number.changed else " ",
        name if len(name) <= _NAME else f"{name[: _NAME - 1]}…",
        _value(number),
    )
    return tuple(Text(printable(cell), style=style, no_wrap=True) for cell in cells)


def _value(number: Number) -> str:
    sides = (number.before, number.after) if number.changed else (number.after,)
    return " → ".join(value_of(number, side).removesuffix(f" {number.name}") for side in sides)


def _told(number: Number) -> str:
    return f"{label(number)}: {_value(number)}"
