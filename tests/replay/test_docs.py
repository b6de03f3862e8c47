"""docs/replay.md and docs/notebooks.md: everything on the pages is run, in its order, and prints what the page says it prints.

`REPLAY_GOLDEN=write pytest tests/replay/test_docs.py` writes the outputs into the pages anew.
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from ledger.bootstrap import open_ledger
from ledger.store.checkpoints import KEY_FILE, PUBLIC_KEY_FILE
from replay.cli import app
from tests.databases import Server, sandbox
from tests.replay import dispute
from tests.replay.story import at

DOCS = Path(__file__).parents[2] / "docs"
PAGE, NOTEBOOK = DOCS / "replay.md", DOCS / "notebooks.md"
CELL = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "$ "
KEY = bytes(range(32))
"""The ledger's signing key, always the same, so that signatures are."""


@pytest.fixture
def environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The ledger of the page."""
    url, checkpoints = server.create(), tmp_path / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / KEY_FILE).write_text(KEY.hex() + "\n")
    public = Ed25519PrivateKey.from_private_bytes(KEY).public_key().public_bytes_raw()
    (checkpoints / PUBLIC_KEY_FILE).write_text(public.hex() + "\n")
    begin = {"clock_start": at(dispute.BEGIN), "checkpoint_dir": checkpoints}
    with open_ledger(sandbox(url, tmp_path).model_copy(update=begin)) as ledger:
        dispute.tell(ledger)
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / PUBLIC_KEY_FILE).write_text(public.hex() + "\n")  # as whoever verifies a case has got it
    monkeypatch.chdir(tmp_path / "desk")
    yield {"LEDGER_DATABASE_URL": url, "LEDGER_CHECKPOINT_DIR": str(checkpoints)}
    server.drop(url)


def commands(block: str) -> list[str]:
    """The commands of a block; a line that ends with a backslash goes on."""
    lines = block.replace("\\\n", "\\\0").splitlines()
    return [line.replace("\\\0", "\\\n") for line in lines if line.startswith(PROMPT)]


def printed(command: str, environment: dict[str, str]) -> str:
    """What the page has to show of a command: itself, and all that it prints."""
    program, *arguments = shlex.split(command.removeprefix(PROMPT).replace("\\\n", " "))
    if program == "head":
        count, file = int(arguments[0].removeprefix("-")), Path(arguments[1])
        output = "".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:count])
    else:
        assert program == "replay", command
        result = CliRunner().invoke(app, arguments, env=environment)
        output = result.output + (f"[exit status {result.exit_code}]\n" if result.exit_code else "")
    return f"{command}\n{output}"


def test_every_command_of_the_page_prints_what_the_page_says(environment: dict[str, str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = [found[1] for found in BLOCK.finditer(page)]
    shown = ["".join(printed(command, environment) for command in commands(block)) for block in blocks]
    if os.environ.get("REPLAY_GOLDEN") == "write":
        anew = iter(shown)
        PAGE.write_text(BLOCK.sub(lambda _: f"```console\n{next(anew)}```", page), encoding="utf-8")
        return
    for block, output in zip(blocks, shown, strict=True):
        assert output == block


def test_every_cell_of_the_notebook_prints_what_the_page_says(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    page, known = NOTEBOOK.read_text(encoding="utf-8"), {"__name__": "__main__"}
    shown: list[str] = []
    for found in CELL.finditer(page):
        exec(compile(found[1], str(NOTEBOOK), "exec"), known)
        shown.append(capfd.readouterr().out)
    if os.environ.get("REPLAY_GOLDEN") == "write":
        anew = iter(shown)
        page = CELL.sub(lambda cell: f"```python\n{cell[1]}```\n\n```text\n{next(anew)}```\n", page)
        NOTEBOOK.write_text(page, encoding="utf-8")
        return
    assert shown == [found[2] for found in CELL.finditer(page)]


def test_the_page_uses_the_commands_of_a_dispute_in_their_order() -> None:
    page = PAGE.read_text(encoding="utf-8")
    lines = [shlex.split(line) for found in BLOCK.finditer(page) for line in commands(found[1])]
    used = dict.fromkeys(command for _, program, command, *_ in lines if program == "replay")
    order = "history", "explain", "balance", "step", "what-if", "diff", "bisect", "verify", "case", "export"
    assert tuple(used) == order


def test_the_page_names_the_ids_of_its_story() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for identifier in (dispute.CONTRACT, dispute.PAYOUT, dispute.ADA):
        assert identifier in page
