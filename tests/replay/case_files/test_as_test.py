"""A case becomes a given/when/then test."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ledger.events import ContractOffered
from replay.case.as_test import write_test
from replay.case.file import parse, render, sign, stored
from tests.replay.case_files.conftest import KEPT_KEY, ROOT, offline
from tests.replay.conftest import Replay
from tests.replay.story import contract


@pytest.mark.parametrize("name", ["Logo", "Code"])
def test_a_case_becomes_a_test_that_passes(
    case: Callable[..., Path], replay: Replay, tmp_path: Path, name: str
) -> None:
    written, at_once = tmp_path / "test_written.py", tmp_path / "test_at_once.py"
    result = offline("case", "open", case(name), "--as-test", written)
    assert result.exit_code == 0, result.output
    assert replay("case", contract(name), "--as-test", str(at_once)).stdout == ""
    assert at_once.read_bytes() == written.read_bytes()
    passed = run_pytest(written)
    assert passed.returncode == 0, passed.stdout
    assert "1 passed" in passed.stdout
    for tool in (("format", "--check"), ("check",)):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *tool,
            "--no-cache",
            "--config",
            str(ROOT / "pyproject.toml"),
            str(written),
        ]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def run_pytest(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=file.parent)


def test_the_written_test_decides_again(case: Callable[..., Path], tmp_path: Path) -> None:
    """What was decided is compared, field by field; and what all of it comes to."""
    file = tmp_path / "test_written.py"
    assert offline("case", "open", case("Logo"), "--as-test", file).exit_code == 0
    source = file.read_text()
    assert "13 commands are decided again, 7 events are given" in source
    for right, wrong, says in (
        (
            'hold_until=utc("2026-01-16T09:00:00Z")',
            'hold_until=utc("2026-01-17T09:00:00Z")',
            "PayoutCharged.hold_until is",
        ),
        ('"milestone released 50000"', '"milestone released 50001"', "50001"),
    ):
        assert right in source
        file.write_text(source.replace(right, wrong, 1))
        failed = run_pytest(file)
        assert failed.returncode == 1
        assert says in failed.stdout


HOSTILE = ('cli_x"\nimport os\nX = "', 'cli_x"""\nimport os\n"""', "cli_x\\", "cli_../x", "cli_x y")


@pytest.mark.parametrize("name", HOSTILE)
def test_an_id_that_is_none_makes_no_case(case: Callable[..., Path], tmp_path: Path, name: str) -> None:
    """It would be the name of a test. Whoever makes a case may sign it with a key of their own."""
    file = parse(case("Logo").read_bytes())
    first = msgspec.structs.replace(file.case.events[0], stream=name)
    for change in ({"contract_id": name}, {"events": (first, *file.case.events[1:])}):
        forged, written = tmp_path / "forged.case.json", tmp_path / "test_written.py"
        forged.write_bytes(render(sign(msgspec.structs.replace(file.case, **change), file.texts, KEPT_KEY)))
        result = offline("case", "open", forged, "--as-test", written)
        assert result.exit_code == 2
        assert "is not a case file of this format" in result.stderr
        assert not written.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_stands_in_a_case_is_never_code_of_its_test(case: Callable[..., Path], name: str) -> None:
    file = parse(case("Logo").read_bytes())
    offered = next(one for one in stored(file.case.events) if isinstance(one.event, ContractOffered))
    assert isinstance(offered.event, ContractOffered)
    own = f'"client_id":"{offered.event.client_id}"'
    events = tuple(
        msgspec.structs.replace(one, state=one.state.replace(own, f'"client_id":{json.dumps(name)}'))
        for one in file.case.events
    )
    source = write_test(msgspec.structs.replace(file, case=msgspec.structs.replace(file.case, events=events)))
    (client,) = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CLIENT"
    )
    assert ast.literal_eval(client) == name
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {getattr(node, "module", None) for node in imported} <= {"datetime", "ledger", "replay.case.given"}


def test_of_what_is_only_half_there_no_test_is_written(case: Callable[..., Path], tmp_path: Path) -> None:
    """As of February 1st the adjustment was approved, and nobody had proposed it."""
    file = case("Logo", "--as-of", "2026-02-01T00:00:00Z")
    result = offline("case", "open", file, "--as-test", tmp_path / "test_x.py")
    assert result.exit_code == 1
    assert "make the case without --as-of" in result.stderr
    assert not (tmp_path / "test_x.py").exists()
