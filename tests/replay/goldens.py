"""Outputs that are kept. `REPLAY_GOLDEN=write pytest tests/replay` writes them anew."""

import os
from pathlib import Path


def require_golden(file: Path, output: str) -> None:
    """The output is what the file holds, to the byte."""
    if os.environ.get("REPLAY_GOLDEN") == "write":
        file.write_bytes(output.encode())
    assert output == file.read_text(encoding="utf-8")
