"""What the commands print: tables that fit, amounts that are whole, and a standard output that cannot be written to."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.output import NARROWEST, row, show, table
from tests.processes import PATIENCE_SECONDS

CASE = next(iter(sorted((Path(__file__).parent / "cases").glob("*.case.json"))))
NUMBERS = st.integers(-(10**18), 10**18).map("{:,}.00 IDR".format)
WORDS = st.text("abcdefghij_:é金", min_size=1, max_size=60)
ROWS = st.lists(st.tuples(WORDS, NUMBERS, NUMBERS, WORDS), min_size=1, max_size=5)


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def on_terminal(columns: int, rows: list[tuple[str, ...]]) -> list[str]:
    made = table("account", "debits", "credits", "what", right=["debits", "credits"])
    for one in rows:
        row(made, *one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", terminal := Terminal(shown := io.BytesIO(), encoding="utf-8", write_through=True))
        show(made)
        assert not terminal.closed
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue().decode()).splitlines()


@given(ROWS, st.integers(20, 200))
def test_amounts_are_never_cut_and_no_column_is_lost(rows: list[tuple[str, ...]], columns: int) -> None:
    lines = on_terminal(columns, rows)
    assert all(name in lines[0] + lines[1] for name in ("account", "debits", "credits", "what"))
    for account, debits, credits, what in rows:
        assert any(debits in line and credits in line for line in lines)
        assert all(sum(line.count(sign) for line in lines) >= (account + what).count(sign) for sign in account + what)


@given(ROWS)
def test_a_table_is_as_wide_as_the_terminal_where_its_amounts_leave_room(rows: list[tuple[str, ...]]) -> None:
    room = 2 * NARROWEST + 8 + sum(max(6, *(len(one[at]) for one in rows)) for at in (1, 2))
    assert max(len(line.rstrip()) for line in on_terminal(room + 2, rows)) <= room + 2


# Where nobody can read it


def replay(*arguments: Any, stdout: Any, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from replay.cli import app; app()", *map(str, arguments)]
    return subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )


COMMANDS = [
    ("case", "open", CASE),
    ("trial-balance", "--csv", "--source", CASE),
    ("verify", "--json", "--source", CASE),
    ("export", "-", "--source", CASE),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_no_divergence_and_is_said_in_one_line(command: tuple[Any, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        result = replay(*command, stdout=full)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        "replay: the standard output cannot be written to: No space left on device"
    )
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_who_has_seen_enough_is_no_divergence(command: tuple[Any, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = replay(*command, stdout=writing)
    os.close(writing)
    assert result.returncode == 2
    assert all(line.startswith("replay: ") and "nothing else" in line for line in result.stderr.splitlines())


def test_an_encoding_that_lacks_a_letter_says_which_one_to_set() -> None:
    result = replay("explain", "pay_x", "--source", CASE, stdout=subprocess.PIPE)
    assert result.returncode == 2
    shown = replay("case", "open", CASE, stdout=subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert shown.returncode == 2
    assert "set PYTHONIOENCODING=utf-8" in shown.stderr.splitlines()[-1]
    assert "Traceback" not in shown.stderr
