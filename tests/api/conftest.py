"""One server for each test file, with people and contracts on it; or an empty one for a test that asks for `web`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.cli.logs import configure_logging
from ledger.bootstrap import open_ledger
from tests.api.world import Web, World, build, operated, served
from tests.conftest import Server, sandbox


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    """As a server logs: without it, structlog would write for people, with the values of local variables."""
    configure_logging()


@contextmanager
def _web(server: Server, folder: Path) -> Iterator[Web]:
    url = server.create()
    settings = operated(sandbox(url, folder))
    with open_ledger(settings) as ledger, served(ledger) as address:
        web = Web(address, ledger)
        yield web
        web.http.close()
    server.drop(url)


@pytest.fixture(scope="module")
def world(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared by the tests of a file: they add to it and never rely on what another did."""
    with _web(server, tmp_path_factory.mktemp("ledger")) as web:
        yield build(web)


@pytest.fixture
def own_world(server: Server, tmp_path: Path) -> Iterator[World]:
    """One test's own."""
    with _web(server, tmp_path) as web:
        yield build(web)


@pytest.fixture
def web(server: Server, tmp_path: Path) -> Iterator[Web]:
    """Nobody and nothing."""
    with _web(server, tmp_path) as web:
        yield web
