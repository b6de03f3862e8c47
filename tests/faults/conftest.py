"""Logs as a server writes them: structlog would otherwise write for people, with the values of local variables."""

import os

import pytest

from api.cli import configure_logging

collect_ignore = [] if os.geteuid() == 0 else ["test_disk_full.py"]
"""Only root may mount a small disk. `docs/reliability.md` says so."""


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging()
