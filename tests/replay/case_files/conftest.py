"""Case files of the story and of a history that nobody told on purpose, and the command line where there is no ledger."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from ledger import ids
from replay.case.file import CaseFile, render
from replay.case.making import make_case
from replay.cli import app
from replay.live import Live, open_live
from tests.databases import Server, sandbox
from tests.replay.conftest import Replay
from tests.replay.story import contract

ROOT = Path(__file__).parent.parent.parent.parent
KEPT = Path(__file__).parent.parent / "cases"
KEPT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Signs the kept cases and nothing else: everybody knows it."""


def give_key(folder: Path, key: Ed25519PrivateKey = KEPT_KEY) -> Path:
    """A ledger's checkpoints folder with this key."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "signing-key").write_text(key.private_bytes_raw().hex() + "\n")
    (folder / "public-key").write_text(key.public_key().public_bytes_raw().hex() + "\n")
    return folder / "public-key"


@pytest.fixture
def case(replay: Replay, tmp_path: Path) -> Callable[..., Path]:
    """Writes the case of a contract of the story."""

    def write(name: str, *options: str) -> Path:
        file = tmp_path / f"{name}{len(list(tmp_path.iterdir()))}.case.json"
        result = replay("case", contract(name), "-o", str(file), *options)
        assert result.exit_code == 0, result.output
        return file

    return write


def offline(*arguments: str | Path) -> Result:
    """The command line where there is no ledger, and no setting makes sense."""
    nowhere = {
        "LEDGER_DATABASE_URL": "postgresql://127.0.0.1:1/x",
        "LEDGER_PORT": "many",
        "LEDGER_DATA_DIR": "/nowhere",
    }
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=nowhere)


def opened(file: Path, *options: str | Path) -> dict[str, Any]:
    result = offline("case", "open", file, "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def wandered_live(server: Server, wandered: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A long, varied history that nobody told on purpose."""
    url = server.create(wandered)
    with open_live(sandbox(url, tmp_path_factory.mktemp("cases"))) as live:
        yield live
    server.drop(url)


@pytest.fixture(scope="session")
def wandered_cases(wandered_live: Live) -> dict[str, CaseFile]:
    """The case of every contract of that history."""
    streams = {stored.stream for stored in wandered_live.log.read_all()}
    contracts = sorted(stream for stream in streams if ids.kind_of(stream) == ids.CONTRACT)
    found = {one: make_case(wandered_live, one, wandered_live.checkpoints) for one in contracts}
    assert len(found) > 3
    return {one: file for one, file in found.items() if file is not None}


@pytest.fixture(scope="session")
def small(wandered_cases: dict[str, CaseFile]) -> bytes:
    """The smallest case of the wandered history."""
    return min((render(file) for file in wandered_cases.values()), key=len)
