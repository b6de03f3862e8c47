"""A case file as the source of other commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ids import derive
from tests.replay.case_files.conftest import offline, opened
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, contract, payout


@pytest.mark.parametrize(
    "arguments",
    [
        ("history", contract("Logo"), "--json"),
        ("history", payout("Logo"), "--csv"),
        ("explain", payout("Logo"), "--json"),
        ("explain", payout("Logo")),
    ],
)
def test_a_case_file_answers_as_the_ledger_does(
    case: Callable[..., Path], replay: Replay, arguments: tuple[str, ...]
) -> None:
    """But for how far it was read."""
    file = case("Logo")
    result = offline(*arguments, "--source", file)
    assert result.exit_code == 0, result.output
    here, there = (text.splitlines() for text in (result.stdout, replay(*arguments).stdout))
    assert [line for line in here if "position" not in line or "event" in line] == [
        line for line in there if "position" not in line or "event" in line
    ]
    assert "holds what belongs to" in result.stderr


def test_balances_of_a_case_are_what_its_events_moved(case: Callable[..., Path]) -> None:
    file = case("Logo")
    balance = json.loads(offline("balance", ADA, "--json", "--source", file).stdout)
    assert balance["available"] == [{"amount": 39_000, "currency": "USD"}]
    trial = json.loads(offline("trial-balance", "--json", "--source", file).stdout)
    assert trial["accounts"] == opened(file)["accounts"]
    assert offline("balance", derive("fre", "Eve"), "--source", file).exit_code == 2
    assert offline("explain", payout("Held"), "--source", file).exit_code == 2


def test_a_case_is_no_archive_and_nothing_is_left_of_the_attempt(case: Callable[..., Path], tmp_path: Path) -> None:
    result = offline("export", "--format", "parquet", "--source", case("Logo"), tmp_path / "archive")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("replay: a case holds a part of the log, an archive all of it")
    assert not (tmp_path / "archive").exists()


def test_texts_that_were_taken_out_are_not_said_to_be_erased(case: Callable[..., Path]) -> None:
    shown = offline("history", contract("Logo"), "--source", case("Logo", "--redact", "names")).stdout
    assert "(redacted)" in shown
    assert "(erased)" not in shown
    assert "method: (withheld)" in shown


@pytest.mark.parametrize("command", ["history", "step"])
def test_a_text_that_was_taken_out_is_none_and_is_marked_so_for_programs(
    case: Callable[..., Path], command: str
) -> None:
    """As `case open --json` marks it: a text that reads `(redacted)` could be one that somebody wrote."""
    file = case("Logo", "--redact", "names")
    events = json.loads(offline(command, contract("Logo"), "--source", file, "--json").stdout)
    offered = next(one for one in found_in(events) if one["vault_id"] in redacted_in(file))
    assert offered == {"vault_id": offered["vault_id"], "text": None, "erased": False, "redacted": True}
    assert [one for one in found_in(events) if one.get("withheld")]
    assert [one for one in found_in(events) if one["text"]]


def found_in(value: Any) -> list[dict[str, Any]]:
    """The texts of an answer."""
    if isinstance(value, dict):
        return [value] if "vault_id" in value else [one for item in value.values() for one in found_in(item)]
    return [one for item in value for one in found_in(item)] if isinstance(value, list) else []


def redacted_in(file: Path) -> set[str]:
    return {one["id"] for one in json.loads(file.read_bytes())["case"]["texts"] if one["status"] == "redacted"}


def test_a_file_that_is_not_as_it_was_signed_is_no_source(case: Callable[..., Path]) -> None:
    file = case("Logo")
    data = json.loads(file.read_bytes())
    data["case"]["position"] += 1
    file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    result = offline("history", contract("Logo"), "--source", file)
    assert result.exit_code == 2
    assert "changed after it was signed" in result.stderr


def test_a_case_is_not_made_of_a_case(case: Callable[..., Path], shared: Copy, replay: Replay) -> None:
    result = replay("case", contract("Logo"), "--source", str(case("Logo")))
    assert result.exit_code == 2
    assert "this is a case file" in result.stderr
