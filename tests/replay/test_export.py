"""An exported log is verified by a page of Python that knows nothing of this project."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PATIENCE_SECONDS
from tests.replay.conftest import Copy
from tests.replay.story import contract

VERIFIER = Path(__file__).parent.parent.parent / "docs" / "verify_log.py"


def verdict(log: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    key = (folder / "public-key").read_text().strip()
    command = [sys.executable, str(VERIFIER), str(log), str(folder / "checkpoints.jsonl"), key]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


@pytest.fixture
def exported(copy: Copy, replay_at, tmp_path: Path) -> tuple[Path, Path]:
    """The log and the folder of its checkpoints: an export signs one."""
    file = tmp_path / "log.jsonl"
    assert replay_at(copy)("export", str(file)).exit_code == 0
    return file, copy.settings.checkpoints


def test_the_verifier_of_the_docs_finds_an_exported_log_intact(exported: tuple[Path, Path]) -> None:
    answer = verdict(*exported)
    assert (answer.returncode, answer.stdout) == (0, "the log is intact, and as it was signed\n")


def test_the_verifier_of_the_docs_names_the_first_bad_position(exported: tuple[Path, Path]) -> None:
    file, folder = exported
    rows = [json.loads(line) for line in file.read_text().splitlines()]

    def after(changed: list[dict[str, object]]) -> str:
        file.write_text("".join(json.dumps(row) + "\n" for row in changed))
        answer = verdict(file, folder)
        assert answer.returncode == 1
        return answer.stdout

    edited = [{**row, "state": f"{row['state']} "} if row["position"] == 7 else row for row in rows]
    assert "position 7: the chain breaks here" in after(edited)
    assert "position 7 is missing" in after([row for row in rows if row["position"] != 7])
    assert f"the log ends at {len(rows) - 1}" in after(rows[:-1])


def test_an_export_overwrites_nothing(exported: tuple[Path, Path], copy: Copy, replay_at) -> None:
    file, _ = exported
    before = file.read_bytes()
    again = replay_at(copy)("export", str(file))
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert file.read_bytes() == before


@pytest.mark.parametrize("arguments", [("export", "again.jsonl"), ("archive", "again"), ("case", contract("Logo"))])
def test_without_the_private_key_no_command_signs_with_another_one(
    exported: tuple[Path, Path], copy: Copy, replay_at, arguments: tuple[str, ...]
) -> None:
    _, folder = exported
    for name in ("signing-key", "checkpoints.jsonl"):  # so that there is something to sign
        (folder / name).unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = replay_at(copy)(*arguments)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "has public-key and no signing-key" in result.stderr
    assert "put it back from its backup" in result.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("arguments", [("export", "again.jsonl"), ("archive", "again")])
def test_checkpoints_that_cannot_be_kept_are_named_without_a_traceback(
    copy: Copy, replay_at, arguments: tuple[str, ...]
) -> None:
    copy.settings.checkpoints.parent.mkdir(exist_ok=True)
    copy.settings.checkpoints.write_text("a file where the folder should be")
    result = replay_at(copy)(*arguments)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "the log's head cannot be signed" in result.stderr
    assert "LEDGER_CHECKPOINT_DIR" in result.stderr


def test_a_checkpoint_that_was_cut_off_in_writing_is_named_and_nothing_is_signed(
    exported: tuple[Path, Path], copy: Copy, replay_at, tmp_path: Path
) -> None:
    _, folder = exported
    kept = folder / "checkpoints.jsonl"
    torn = kept.read_bytes()[:-20]
    kept.write_bytes(torn)
    again = replay_at(copy)("export", str(tmp_path / "again.jsonl"))
    assert again.exit_code == 1
    assert "has a line that is no checkpoint" in again.output
    assert kept.read_bytes() == torn
