"""One PostgreSQL for a test session, and a database of its own for each test that asks for a ledger.

The embedded server, unless LEDGER_TEST_DATABASE_URL names another one by a superuser's URL. With pytest-xdist every worker
has a server, or on a server of yours a template, of its own.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ledger.bootstrap import Ledger, open_ledger
from ledger.settings import Settings
from tests.databases import Server, embedded_server, external_server, name_of, sandbox
from tests.play import Play
from tests.wander import Wanderer

WANDERED_STEPS = 350


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    given = os.environ.get("LEDGER_TEST_DATABASE_URL")
    with external_server(given) if given else embedded_server() as server:
        yield server
        server.close()


@pytest.fixture
def database_url(server: Server) -> Iterator[str]:
    """A fresh, migrated database."""
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return sandbox(database_url, tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """A ledger of its own for the test, with nothing in it."""
    with open_ledger(settings) as opened:
        yield opened


@pytest.fixture
def another_ledger(server: Server, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Makes further ledgers, each on a database of its own."""
    with ExitStack() as stack:

        def make() -> Ledger:
            url = server.create()
            stack.callback(server.drop, url)
            return stack.enter_context(open_ledger(sandbox(url, tmp_path / name_of(url))))

        yield make


@pytest.fixture(scope="session")
def wandered(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with a long, varied history, and nobody connected to it."""
    url = server.create()
    with open_ledger(sandbox(url, tmp_path_factory.mktemp("wandered"))) as opened:
        Wanderer(Play(opened), seed=7).wander(WANDERED_STEPS)
    yield url
    server.drop(url)


@pytest.fixture
def past(server: Server, wandered: str, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with that history, of its own for the test."""
    url = server.create(template=wandered)
    with open_ledger(sandbox(url, tmp_path)) as opened:
        yield opened
    server.drop(url)
