"""Logs as a server writes them: structlog would otherwise write for people, with the values of local variables."""

import os
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from api.cli import configure_logging
from ledger.bootstrap import open_ledger
from tests.api.world import OPERATOR_KEY, Web, World, build, served
from tests.databases import Server, sandbox

collect_ignore = [] if os.geteuid() == 0 else ["test_disk_full.py"]
"""Only root may mount a small disk. `docs/reliability.md` says so."""


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging()


@pytest.fixture(scope="module")
def world(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with people and contracts on it, shared by the tests of a file."""
    url = server.create()
    settings = sandbox(url, tmp_path_factory.mktemp("ledger")).model_copy(
        update={"operator_key": SecretStr(OPERATOR_KEY)}
    )
    with open_ledger(settings) as ledger, served(ledger) as address:
        web = Web(address, ledger)
        yield build(web)
        web.http.close()
    server.drop(url)
