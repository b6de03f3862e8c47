"""Case files that are kept for ever give with the present code what they gave when they were written."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases import Server
from tests.replay.case_files.conftest import KEPT, KEPT_KEY, give_key, offline, opened
from tests.replay.conftest import Copy, Replay
from tests.replay.story import contract

KEPT_CASES: dict[str, tuple[str, ...]] = {
    "adjustment": (contract("Logo"),),
    "approved": (contract("Site"),),
    "hourly": (contract("Code"),),
    "hourly-known-at": (contract("Code"), "--known-at", "2026-01-20T00:00:00Z"),
    "fixed-rate": (contract("Care"),),
    "employee": (contract("Desk"),),
    "suspended": (contract("Unpaid"),),
    "reversed-redacted": (contract("Refunded"), "--redact", "names,messages"),
    "marketplace": (contract("Met"),),
    "ten-failures": (contract("Hopeless"),),
    "withdrawn": (contract("Withdrawn"),),
}


@pytest.fixture(scope="module")
def kept_story(server: Server, story_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The story, with the key that kept cases are signed with."""
    url = server.create(story_url)
    copy = Copy(url, server.admin_url_of(url), tmp_path_factory.mktemp("kept"))
    give_key(copy.settings.checkpoints)
    yield copy
    server.drop(url)


@pytest.mark.parametrize("name", KEPT_CASES)
def test_a_kept_case_gives_for_ever_what_it_gave(
    request: pytest.FixtureRequest, replay_at: Callable[[Copy], Replay], name: str
) -> None:
    """A file in `cases` is never written anew. `REPLAY_CASES=write pytest tests/replay/test_cases.py` adds those missing."""
    file = KEPT / f"{name}.case.json"
    if os.environ.get("REPLAY_CASES") == "write" and not file.exists():
        KEPT.mkdir(exist_ok=True)
        story = request.getfixturevalue("kept_story")
        assert replay_at(story)("case", *KEPT_CASES[name], "-o", str(file)).exit_code == 0
    found = opened(file, "--key", KEPT_KEY.public_key().public_bytes_raw().hex())
    assert found["ok"]
    assert found["contract_id"] == KEPT_CASES[name][0]


def test_all_kept_cases_are_replayed(tmp_path: Path) -> None:
    assert {file.name for file in KEPT.iterdir()} == {f"{name}.case.json" for name in KEPT_CASES}
    result = offline("case", "replay", KEPT, "--key", KEPT_KEY.public_key().public_bytes_raw().hex())
    assert result.exit_code == 0, result.output
    assert f"{len(KEPT_CASES)} of {len(KEPT_CASES)} give their recorded result." in result.stdout
    data = json.loads(offline("case", "replay", KEPT, "--json").stdout)
    assert [Path(one["file"]).name for one in data["data"]] == sorted(file.name for file in KEPT.iterdir())


def test_a_directory_with_one_bad_file_replays_the_others(tmp_path: Path) -> None:
    for name in ("employee", "withdrawn"):
        (tmp_path / f"{name}.case.json").write_bytes((KEPT / f"{name}.case.json").read_bytes())
    (tmp_path / "a.case.json").write_text("{}")
    result = offline("case", "replay", tmp_path)
    assert result.exit_code == 2
    assert "2 of 3 give their recorded result." in result.stdout
    assert offline("case", "replay", tmp_path, "--key", "00" * 32).exit_code == 1


def test_every_command_of_cases_has_help_with_an_example() -> None:
    for command in ("write", "open", "redact", "replay"):
        result = offline("case", command, "--help")
        assert result.exit_code == 0
        assert "Example: replay case" in result.stdout
    assert offline("case", "--help").exit_code == 0
