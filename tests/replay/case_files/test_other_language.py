"""The verifier of the docs, which knows nothing of this project, agrees."""

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from replay.case.file import parse, redact, render
from tests.replay.case_files.conftest import KEPT_KEY, ROOT
from tests.replay.conftest import Copy

VERIFIER = ROOT / "docs" / "verify_case.py"


def test_the_verifier_of_the_docs_agrees(case: Callable[..., Path], shared: Copy, tmp_path: Path) -> None:
    file = case("Logo")
    key = (shared.settings.checkpoints / "public-key").read_text().strip()

    def verdict(file: Path, key: str = key) -> tuple[int, str]:
        command = [sys.executable, str(VERIFIER), str(file), key]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return answer.returncode, answer.stdout

    assert verdict(file) == (0, "the case is as it was signed\n")
    without_names = tmp_path / "redacted"
    without_names.write_bytes(render(redact(parse(file.read_bytes()), ["name"])))
    assert verdict(without_names)[0] == 0
    assert verdict(file, KEPT_KEY.public_key().public_bytes_raw().hex())[0] == 1
    data = json.loads(file.read_bytes())
    for change, says in (
        (lambda it: it["case"].update(position=1), "the signature is not that"),
        (lambda it: it["texts"][0].update(text="x"), "is not the one that the event was written with"),
    ):
        other = deepcopy(data)
        change(other)
        (tmp_path / "changed").write_text(json.dumps(other))
        status, said = verdict(tmp_path / "changed")
        assert status == 1
        assert says in said
