"""Migrations: forward only, each once, by the owner; the application is granted what it needs."""

import psycopg
import pytest

from ledger.bootstrap import open_ledger
from ledger.store.migrations import CannotMigrate, migrate
from tests.databases import Server, sandbox
from tests.play import Play
from tests.processes import together


@pytest.fixture
def empty(server: Server):  # type: ignore[no-untyped-def]
    url = server.create_empty()
    yield url
    server.drop(url)


def applied(server: Server, url: str) -> list[str]:
    with psycopg.connect(server.owner_url_of(url)) as connection:
        rows = connection.execute("SELECT name FROM migrations ORDER BY applied_at, name").fetchall()
        return [name for (name,) in rows]


def test_migrations_are_applied_in_order_and_once(server: Server, empty: str) -> None:
    first = migrate(server.owner_url_of(empty), empty)
    assert first == sorted(first)
    assert first[0] == "0001_ledger.sql"
    assert migrate(server.owner_url_of(empty), empty) == []
    assert applied(server, empty) == first


def test_several_that_start_at_once_migrate_once(server: Server, empty: str) -> None:
    answers = together(*[lambda: migrate(server.owner_url_of(empty), empty)] * 4)
    assert sorted(len(answer) for answer in answers)[:3] == [0, 0, 0]
    assert applied(server, empty) == max(answers, key=len)


def test_the_application_starts_on_a_database_that_is_up_to_date_without_its_owner(
    server: Server, empty: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    migrate(server.owner_url_of(empty), empty)
    with open_ledger(sandbox(empty, tmp_path_factory.mktemp("data"))) as ledger:
        play = Play(ledger)
        play.submit(play.active("single_payment", amount=1))
        play.advance("2026-02-01 00:00")
        assert play.balance() == (0, 1, 0)


def test_the_application_that_finds_migrations_missing_says_who_applies_them(server: Server, empty: str) -> None:
    with pytest.raises(CannotMigrate, match=r"0001_ledger\.sql.*LEDGER_OWNER_URL"):
        migrate(empty, empty)
    migrate(server.owner_url_of(empty), empty)
    with psycopg.connect(server.owner_url_of(empty)) as owner:
        owner.execute("DELETE FROM migrations WHERE name = '0002_keys.sql'")
    with pytest.raises(CannotMigrate, match=r"0002_keys\.sql"):
        migrate(empty, empty)


def test_a_migration_that_fails_leaves_nothing(server: Server, empty: str) -> None:
    with psycopg.connect(server.owner_url_of(empty), autocommit=True) as owner:
        owner.execute("CREATE TABLE api_keys (in_the_way int)")
        with pytest.raises(psycopg.errors.DuplicateTable):
            migrate(server.owner_url_of(empty), empty)
        assert owner.execute("SELECT to_regclass('events'), to_regclass('migrations')").fetchone() == (None, None)
        owner.execute("DROP TABLE api_keys")
    assert migrate(server.owner_url_of(empty), empty)[0] == "0001_ledger.sql"
