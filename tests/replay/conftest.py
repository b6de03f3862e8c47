"""The story once a session, on a database of its own; each test gets that, or a copy that it may tamper with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from ledger.bootstrap import open_ledger
from ledger.settings import Settings
from replay.cli import app
from replay.live import Live, open_live
from tests.databases import Server, sandbox
from tests.replay.story import at, tell


@pytest.fixture(scope="session")
def story_url(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The story, told. Read it, or copy it; nobody stays connected to it."""
    url = server.create()
    settings = sandbox(url, tmp_path_factory.mktemp("story")).model_copy(update={"clock_start": at("2026-01-05 09:00")})
    with open_ledger(settings) as ledger:
        tell(ledger)
    with psycopg.connect(server.admin_url_of(url)) as connection:
        connection.execute("DELETE FROM vault WHERE text = 'the logo is too small'")
    yield url
    server.drop(url)


@dataclass(frozen=True)
class Copy:
    """The story on a database of its own."""

    url: str
    admin_url: str
    folder: Path

    def tamper(self, *statements: str, **values: Any) -> None:
        """As the superuser, whom no trigger stops."""
        with psycopg.connect(self.admin_url) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                connection.execute(statement.encode(), values or None)

    @property
    def settings(self) -> Settings:
        return sandbox(self.url, self.folder)

    def live(self) -> Any:
        return open_live(self.settings)


@pytest.fixture
def copy(server: Server, story_url: str, tmp_path: Path) -> Iterator[Copy]:
    url = server.create(story_url)
    yield Copy(url, server.admin_url_of(url), tmp_path)
    server.drop(url)


@pytest.fixture(scope="session")
def shared_url(server: Server, story_url: str) -> Iterator[str]:
    url = server.create(story_url)
    yield url
    server.drop(url)


@pytest.fixture
def shared(server: Server, shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy for tests that only read. The folder is the test's own: an export leaves a checkpoint there."""
    return Copy(shared_url, server.admin_url_of(shared_url), tmp_path_factory.mktemp("shared"))


@pytest.fixture
def live(shared: Copy) -> Iterator[Live]:
    with shared.live() as opened:
        yield opened


Replay = Callable[..., Result]


@pytest.fixture
def replay_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Copy], Replay]:
    """The command line, on a copy."""
    monkeypatch.chdir(tmp_path)  # where there is no .env

    def on(copy: Copy) -> Replay:
        environment = {"LEDGER_DATABASE_URL": copy.url, "LEDGER_DATA_DIR": str(copy.folder)}
        return lambda *arguments: CliRunner().invoke(app, list(arguments), env=environment)

    return on


@pytest.fixture
def replay(replay_at: Callable[[Copy], Replay], shared: Copy) -> Replay:
    """The command line, on the story as it is."""
    return replay_at(shared)
