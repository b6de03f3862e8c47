"""The terminal debugger, with real key presses: what is on an 80x24 screen after them, and in a real pseudo-terminal."""

import asyncio
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

import pytest
from textual.pilot import Pilot

from replay.debug.step_app import StepApp
from replay.debug.stepping import numbers
from replay.debug.timeline import Timeline, timeline
from replay.live import Live
from tests.replay.conftest import Copy
from tests.replay.goldens import require_golden
from tests.replay.story import contract, payout

GOLDEN = Path(__file__).parent / "golden_debugging" / "step-screen.txt"
SIZE = (80, 24)
PATIENCE = 60


@pytest.fixture
def found(live: Live) -> Timeline:
    """A payout that was partly refunded, released and charged back; 17 steps, 11 of its own."""
    made = timeline(live, payout("Refunded"))
    assert made is not None
    return made


def screen(app: StepApp) -> str:
    """What is on the screen, as text."""
    strips = app.screen._compositor.render_strips()
    return "".join(f"{strip.text.rstrip()}\n" for strip in strips)


def after(app: StepApp, *keys: str, size: tuple[int, int] = SIZE, leaves: bool = False) -> str:
    """The screen after these keys; of a key `type:words` each character is pressed."""

    async def press(pilot: Pilot[None]) -> None:
        for key in keys:
            await pilot.press(*(_typed(key.removeprefix("type:")) if key.startswith("type:") else [key]))
            await pilot.pause()

    async def drive() -> str:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await press(pilot)
            shown = screen(app)
            assert leaves or app.is_running
        return shown

    return asyncio.run(drive())


def _typed(words: str) -> list[str]:
    names = {" ": "space", "<": "less_than_sign", ">": "greater_than_sign", "=": "equals_sign", '"': "quotation_mark"}
    names |= {".": "full_stop", "(": "left_parenthesis", ")": "right_parenthesis", "-": "minus", "_": "underscore"}
    return [names.get(one, one) for one in words]


def line(shown: str, number: int) -> str:
    return shown.splitlines()[number]


def test_the_screen_is_the_golden_one(found: Timeline) -> None:
    """All of it at 80x24: the timeline, the event with its rules, what changed, the keys."""
    shown = after(StepApp(found), "right", "right", "right")
    require_golden(GOLDEN, shown)
    assert all(len(one) <= SIZE[0] for one in shown.splitlines())
    assert len(shown.splitlines()) == SIZE[1]


def test_it_begins_at_the_first_event_and_shows_what_it_did(found: Timeline) -> None:
    shown = after(StepApp(found))
    assert "step 1 of 17, position 148" in line(shown, 0)
    assert "contract.milestone_approved.v1" in shown
    assert "submitted → approved" in shown


@pytest.mark.parametrize(
    ("keys", "step"),
    [
        (("right",), 2),
        (("l", "l", "l"), 4),
        (("right", "right", "left"), 2),
        (("right", "h"), 1),
        (("G",), 17),
        (("end",), 17),
        (("end", "g"), 1),
        (("end", "home"), 1),
        (("down", "down"), 3),
        (("end", "up"), 16),
        (("left",), 1),
        (("end", "right"), 17),
        (("tab", "right", "tab", "right"), 3),
        (("colon", "type:160", "enter"), 9),
        (("colon", "type:1", "enter"), 1),
        (("colon", "type:99999999999999999999999", "enter"), 17),
        (("colon", "type:x", "enter"), 1),
        (("right", "colon", "escape", "right"), 3),
        (("colon", "enter"), 1),
        (("slash", "type:chargeback", "enter"), 11),
        (("slash", "type:CHARGEBACK", "enter", "n"), 13),
        (("slash", "type:chargeback", "enter", "n", "N"), 11),
        (("slash", "type:xyzzy", "enter"), 1),
        (("b", 'type:status == "released"', "enter"), 9),
        (("b", "type:own and rule(26)", "enter", "n"), 6),
        (("G", "b", "type:available < 0", "enter"), 17),
        (("n",), 1),
        (("right", "right", "c"), 2),
        (("right", "right", "c", "c"), 1),
        (("c",), 1),
    ],
)
def test_keys_lead_to(found: Timeline, keys: tuple[str, ...], step: int) -> None:
    app = StepApp(found)
    shown = after(app, *keys)
    assert f"step {step} of 17," in line(shown, 0)
    assert app.debugger.index == step - 1


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (("left",), "there is no event before this one"),
        (("end", "right"), "this is the last event"),
        (("colon", "type:x", "enter"), "'x' is no position: give a number, as 120"),
        (("colon", "type:158", "enter"), "position 158 is no event of this timeline"),
        (("slash", "type:xyzzy", "enter"), "xyzzy: nowhere after this event"),
        (("b", "type:available < 0", "enter"), "available < 0: nowhere after this event"),
        (("b", "type:available < 0", "enter", "G", "N"), "available < 0: nowhere before this event"),
        (("b", 'type:status == "released"', "enter"), 'status == "released": here'),
        (("b", "type:availble < 0", "enter"), "at character 1 of the condition: there is no 'availble' (did you mean"),
        (("b", "type:status > 3", "enter"), "at character 10 of the condition: a text is compared with a number"),
        (("n",), "nothing is sought yet"),
        (("c",), "nothing in the log caused it"),
        (("right", "right", "c"), "this caused evt_pay_"),
        (("G", "c"), "is not in this timeline"),
    ],
)
def test_it_says_what_happened(found: Timeline, keys: tuple[str, ...], says: str) -> None:
    assert says in " ".join(after(StepApp(found), *keys).split())


def test_a_condition_that_cannot_be_read_can_be_written_again(found: Timeline) -> None:
    """The prompt stays, with the cursor where the mistake is."""
    app = StepApp(found)
    fixed = after(app, "b", "type:true and availble < 0", "enter", *["delete"] * 12, "type:pending > 0", "enter")
    assert "step 4 of 17" in line(fixed, 0)


def test_reverse_watch_goes_back_to_the_event_that_changed_the_number_last(found: Timeline) -> None:
    """Pending USD is the first number; it was charged, refunded in part, released."""
    app = StepApp(found)
    shown = after(app, "colon", "type:163", "enter", "tab", "tab", "w")
    assert "step 9 of 17" in line(shown, 0)
    assert "changed here: pending USD: 50.00 → 0.00" in shown
    app = StepApp(found)
    shown = after(app, "colon", "type:163", "enter", "tab", "tab", "w", "w", "w")
    assert "step 4 of 17" in line(shown, 0)
    assert "changed here: pending USD: 0.00 → 80.00" in shown
    shown = after(StepApp(found), "colon", "type:163", "enter", "tab", "tab", "w", "w", "w", "w")
    assert "step 4 of 17" in line(shown, 0)
    assert "pending USD: only this event of this timeline up to here changed it" in shown


def test_reverse_watch_knows_a_field_of_the_state_as_well(found: Timeline) -> None:
    """From the end back to where the payout's status became `reversed`."""
    app = StepApp(found, 10)
    at = next(number for number, one in enumerate(numbers(found.steps[10])) if one.name == "status")
    shown = after(app, "tab", "tab", *["down"] * at, "w")
    assert "step 9 of 17" in line(shown, 0)
    assert "changed here: status: pending → released" in shown


def test_the_number_under_the_cursor_is_shown_whole(found: Timeline) -> None:
    """Its name and value are cut in the narrow table."""
    at = next(number for number, one in enumerate(numbers(found.steps[3])) if one.name == "in_flight.requested_at")
    shown = after(StepApp(found, 3), "tab", "tab", *["down"] * at)
    assert "in_flight.requested_at: 2026-02-01T09:00:00Z → -" in shown


def test_the_cursor_stays_on_its_number_from_step_to_step(found: Timeline) -> None:
    """What changed stands first among the fields, so that they change places."""
    app = StepApp(found, 10)
    at = next(number for number, one in enumerate(numbers(found.steps[10])) if one.name == "status")
    after(app, "tab", "tab", *["down"] * at, "left", "left")
    now = numbers(found.steps[8])[app._watched]
    assert (now.name, now.before, now.after) == ("status", "pending", "released")
    assert numbers(found.steps[8]).index(now) != at


def test_the_help_names_the_keys_and_the_words_of_conditions(found: Timeline) -> None:
    app = StepApp(found)
    shown = after(app, "question_mark")
    assert "run to where a condition first holds" in shown
    assert "which event last changed the number under the cursor" in shown
    shown = after(StepApp(found), "question_mark", *["pagedown"] * 4)
    assert "payout.attempt" in shown
    shown = after(StepApp(found), "question_mark", "escape", "right")
    assert "step 2 of 17" in line(shown, 0)


@pytest.mark.parametrize(
    ("index", "holds", "says"), [(8, True, "holds here"), (0, False, "holds at no event from here on")]
)
def test_a_breakpoint_given_at_the_start_is_shown_and_goes_on(
    found: Timeline, index: int, holds: bool, says: str
) -> None:
    from replay.debug.conditions import parse
    from replay.debug.scopes import STEP

    condition = parse('status == "released"', STEP)
    assert f'status == "released": {says}' in after(StepApp(found, index, condition, holds))
    assert "step 10 of 17" in line(after(StepApp(found, 8, condition, True), "n"), 0)


def test_a_text_cannot_move_the_cursor(live: Live) -> None:
    """A client's words hold an escape sequence."""
    made = timeline(live, contract("Code"))
    assert made is not None
    wicked = next(one for one, step in enumerate(made.steps) if "HYPERLINK" in str(step.event.details))
    shown = after(StepApp(made, wicked), size=(120, 100))
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60)])
def test_it_runs_on_screens_of_any_size(found: Timeline, size: tuple[int, int]) -> None:
    assert "step 3 of 17" in line(after(StepApp(found), "right", "right", "question_mark", "escape", size=size), 0)


@pytest.mark.parametrize("index", range(17))
def test_every_step_can_be_shown(found: Timeline, index: int) -> None:
    assert f"step {index + 1} of 17" in line(after(StepApp(found, index)), 0)


def test_q_quits(found: Timeline) -> None:
    app = StepApp(found)
    after(app, "q", leaves=True)
    assert app.return_code == 0


# In a real terminal


class Terminal:
    """The command in a pseudo-terminal of 80x24."""

    def __init__(self, copy: Copy, *arguments: str) -> None:
        self.shown = ""
        program = [sys.executable, "-c", "from replay.cli import app; app()", *arguments]
        environment = {
            **os.environ,
            "LEDGER_DATABASE_URL": copy.url,
            "LEDGER_DATA_DIR": str(copy.folder),
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path))),
            "TERM": "xterm",
        }
        self.file, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self.process = subprocess.Popen(
            program,
            cwd=copy.folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def wait_for(self, words: str) -> None:
        self._until(lambda: words in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown))

    def press(self, keys: str) -> None:
        os.write(self.file, keys.encode())

    def ended(self) -> int:
        """Its exit status, once all it wrote is read."""
        self._until(lambda: False)
        return self.process.wait(PATIENCE)

    def _until(self, is_enough: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not is_enough():
            if time.monotonic() > give_up:
                self.process.kill()
                raise AssertionError(f"nothing came of it; on the screen is {self.shown[-2000:]!r}")
            if select.select([self.file], [], [], 1)[0]:
                try:
                    self.shown += os.read(self.file, 65_536).decode(errors="replace")
                except OSError:  # how Linux says that nobody is there any more
                    return


def test_in_a_terminal_it_starts_moves_and_quits(shared: Copy) -> None:
    terminal = Terminal(shared, "step", payout("Refunded"), "--at", "151")
    terminal.wait_for("step 4 of 17")
    terminal.press("l")
    terminal.wait_for("position 152")
    terminal.press("q")
    assert terminal.ended() == 0
    assert terminal.shown.rstrip().endswith("\x1b[?25h") or "\x1b[?1049l" in terminal.shown


def test_in_a_terminal_json_is_still_json(shared: Copy) -> None:
    terminal = Terminal(shared, "step", payout("Refunded"), "--json", "--until", "payout.attempt == 1")
    assert terminal.ended() == 0
    assert '"stopped_at": 150' in terminal.shown
    assert "\x1b[?1049h" not in terminal.shown
