"""Shadow tables: folded by the same loop beside the live ones, level with them at one position, then put in their place."""

from typing import Any

import psycopg
import pytest

from ledger.bootstrap import Ledger
from ledger.projections import PROJECTIONS
from ledger.projections.balances import Balances
from ledger.store import rebuild, shadow_schema, views
from ledger.store.rebuild import differing, open_shadow
from ledger.store.shadow_schema import CannotRebuild
from tests.databases import Server
from tests.play import Play
from tests.processes import together

TABLES = [table.name for projection in PROJECTIONS for table in projection.tables]
BALANCES = (Balances(),)


@pytest.fixture
def owner_url(past: Ledger, server: Server) -> str:
    assert past.settings.database_url is not None
    return server.owner_url_of(past.settings.database_url.get_secret_value())


def contents(ledger: Ledger) -> dict[str, list[Any]]:
    """Every live table, row by row."""
    return {table: ledger.database.fetch(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}


def made(ledger: Ledger) -> dict[str, list[Any]]:
    """All that the catalog says of the live tables, but for what names no rule: their object ids."""
    by = "WHERE {} = ANY(ARRAY(SELECT oid FROM pg_class WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace))"
    queries = {
        "tables": "SELECT relname, relkind, relpersistence, reloptions, relreplident, pg_get_userbyid(relowner) AS owner,"
        " obj_description(oid) AS comment FROM pg_class " + by.format("oid"),
        "columns": "SELECT attrelid::regclass::text, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attstorage,"
        " attcollation, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum)"
        " FROM pg_attribute " + by.format("attrelid") + " AND attnum > 0",
        "constraints": "SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid) FROM pg_constraint "
        + by.format("conrelid"),
        "indexes": "SELECT indexrelid::regclass::text, indisprimary, indisunique, indisvalid, pg_get_indexdef(indexrelid)"
        " FROM pg_index " + by.format("indrelid"),
        "triggers": "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger "
        + by.format("tgrelid")
        + " AND NOT tgisinternal",
        "grants": "SELECT relname, grantee, privilege_type, is_grantable FROM pg_class, aclexplode(relacl) "
        + by.format("pg_class.oid"),
    }
    return {
        name: ledger.database.fetch(f"SELECT t::text FROM ({query}) t ORDER BY 1", (TABLES,))
        for name, query in queries.items()
    }


def shadow_is_gone(ledger: Ledger) -> bool:
    return not ledger.database.fetch("SELECT FROM pg_namespace WHERE nspname = 'rebuild'")


def swap_all(owner_url: str) -> None:
    with open_shadow(owner_url) as shadow:
        shadow.fold()
        shadow.swap()


# What is put in place


def test_what_is_swapped_in_is_what_was_there_byte_for_byte(past: Ledger, owner_url: str) -> None:
    before, health = contents(past), past.reader.health()
    swap_all(owner_url)
    assert contents(past) == before
    assert past.reader.health() == health
    assert shadow_is_gone(past)


def test_swapped_tables_are_as_the_migrations_made_them_indexes_constraints_triggers_grants_and_comments(
    past: Ledger, owner_url: str
) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
            "CREATE TRIGGER audited AFTER UPDATE ON balances FOR EACH ROW EXECUTE FUNCTION audited();"
            "ALTER TABLE payouts SET (fillfactor = 70);"
            "GRANT SELECT ON history TO PUBLIC;"
            "ALTER TABLE contracts ADD CONSTRAINT \"a status, always\" CHECK (status <> '')"
        )
    before = made(past)
    assert all(before.values())
    swap_all(owner_url)
    assert made(past) == before


def test_the_worker_goes_on_from_the_swapped_position(past: Ledger, owner_url: str) -> None:
    swap_all(owner_url)
    play = Play(past, "after the swap")
    play.submit(play.active("single_payment", amount=7))
    past.views.catch_up()
    assert {(one.lag, one.error) for one in past.reader.health()} == {(0, None)}
    with open_shadow(owner_url) as shadow:
        shadow.fold()
        with shadow.level() as connection:
            found = [row for one in PROJECTIONS for table in one.tables for row in differing(connection, table)]
        shadow.drop()
    assert found == []


def test_one_projection_is_rebuilt_alone(past: Ledger, owner_url: str) -> None:
    past.database.execute("UPDATE balances SET balance = balance + 1")
    past.database.execute("UPDATE payouts SET status = 'lost'")
    before = contents(past)
    with open_shadow(owner_url, BALANCES) as shadow:
        shadow.fold()
        shadow.swap()
    after = contents(past)
    assert after.pop("balances") != before.pop("balances")
    assert after == before


def test_a_projection_that_an_error_stopped_goes_on_after_the_swap(past: Ledger, owner_url: str) -> None:
    whole = contents(past)
    half = past.log.head() // 2
    for table in TABLES:
        past.database.execute(f"DELETE FROM {table}")
    past.database.execute("UPDATE projections SET position = 0")
    past.views.catch_up(until=half)
    past.database.execute("DELETE FROM balances")
    past.database.execute("UPDATE projections SET error = 'a row is gone', error_position = %s", (half + 1,))
    swap_all(owner_url)
    assert {(one.position, one.error) for one in past.reader.health()} == {(half, None)}
    past.views.catch_up()
    assert contents(past) == whole


# While others go on


def test_reads_writes_and_projecting_go_on_while_tables_are_swapped_again_and_again(
    past: Ledger, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "BATCH", 100)
    monkeypatch.setattr(rebuild, "SWAP_PAUSE_SECONDS", 0.01)
    rebuilding = True
    reads = [0]

    def write() -> None:
        number = 0
        while rebuilding or number < 3:
            play = Play(past, f"beside {number}", up=False)
            play.approve(_submitted(play))
            past.views.catch_up()
            number += 1

    def read() -> None:
        """No reader ever finds a table missing, or half of its rows: the books are balanced at every instant."""
        while rebuilding:
            rows = past.database.fetch("SELECT count(*) AS n, sum(balance) AS total FROM balances")
            assert rows[0]["n"] > 0
            assert rows[0]["total"] == 0
            assert past.reader.contracts(limit=5)
            assert past.reader.payouts(limit=5)
            reads[0] += 1

    def swap() -> None:
        nonlocal rebuilding
        try:
            for _ in range(4):
                swap_all(owner_url)
        finally:
            rebuilding = False

    assert together(write, read, swap) == [None, None, None]
    assert reads[0] > 0
    past.views.catch_up()
    live = contents(past)
    swap_all(owner_url)
    assert contents(past) == live


def _submitted(play: Play) -> str:
    contract = play.active("single_payment", amount=100)
    play.submit(contract)
    return contract


def test_an_event_that_is_projected_during_the_last_catch_up_is_in_the_swapped_tables(
    past: Ledger, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever projects at that moment waits for the swap, and then goes on into the new tables."""
    swap = shadow_schema.require_same_making
    projecting: list[Any] = []

    def append_meanwhile(*arguments: Any) -> None:
        play = Play(past, "meanwhile", up=False)
        play.approve(_submitted(play))
        with psycopg.connect(past.database.url) as other:
            other.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("SELECT FROM projections FOR UPDATE")
        projecting.append(past.log.head())
        swap(*arguments)

    with open_shadow(owner_url) as shadow:
        shadow.fold()
        before = past.reader.position()
        monkeypatch.setattr(shadow_schema, "require_same_making", append_meanwhile)
        shadow.swap()
    assert past.reader.position() == before < projecting[0]
    past.views.catch_up()
    live = contents(past)
    monkeypatch.undo()
    swap_all(owner_url)
    assert contents(past) == live


def test_while_it_is_compared_everything_goes_on_and_both_stay_level(past: Ledger, owner_url: str) -> None:
    with open_shadow(owner_url) as shadow:
        shadow.fold()
        with shadow.level() as connection:
            head = past.log.head()
            play = Play(past, "meanwhile", up=False)
            play.approve(_submitted(play))
            past.views.catch_up()
            assert past.reader.position() == past.log.head() > head
            assert [row for one in PROJECTIONS for table in one.tables for row in differing(connection, table)] == []
        assert {where.position for where in shadow.standing().values()} == {head}
        shadow.swap()
    assert past.reader.position() == past.log.head()
    live = contents(past)
    swap_all(owner_url)
    assert contents(past) == live


def test_a_swap_waits_for_a_long_read_only_so_long_and_then_changes_nothing(
    past: Ledger, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "SWAP_ATTEMPTS", 2)
    monkeypatch.setattr(rebuild, "SWAP_LOCK_TIMEOUT_MS", 20)
    before = contents(past)
    with open_shadow(owner_url, BALANCES) as shadow:
        shadow.fold()
        with past.database.connection() as reading, reading.transaction():
            reading.execute("SELECT FROM balances")
            with pytest.raises(CannotRebuild, match="what was folded is kept"):
                shadow.swap()
            assert contents(past) == before
        shadow.swap()
    assert contents(past) == before


# Resumed


def test_what_was_folded_is_gone_on_with(past: Ledger, owner_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "BATCH", 50)

    class Killed(BaseException):
        pass

    def kill(events: int, total: int) -> None:
        if total - events < past.log.head() and (seen := len(told)) == 2:
            raise Killed(seen)
        told.append((events, total))

    told: list[tuple[int, int]] = []
    with pytest.raises(Killed), open_shadow(owner_url) as shadow:
        shadow.fold(kill)
    with open_shadow(owner_url) as shadow:
        assert {where.position for where in shadow.standing().values()} == {150}
        told.clear()
        shadow.fold(lambda events, total: told.append((events, total)))
        assert sum(events for events, _ in told) == told[0][1] == past.log.head() - 150
        shadow.swap()
    assert shadow_is_gone(past)


def refused(owner_url: str, match: str, **how: Any) -> None:
    with pytest.raises(CannotRebuild, match=match), open_shadow(owner_url, **how):
        pass


def test_what_another_migration_program_or_choice_began_is_not_gone_on_with(
    past: Ledger, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_shadow(owner_url) as shadow:
        shadow.fold()
    refused(owner_url, "began to rebuild balances, contracts, .*--anew", projections=BALANCES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shadow_schema, "program", lambda: "another")
        refused(owner_url, "another version of the program.*--anew")
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("INSERT INTO migrations (name) VALUES ('9999_later.sql')")
    refused(owner_url, "migrated to 9999_later.sql.*--anew")
    with open_shadow(owner_url, anew=True) as shadow:
        assert {where.position for where in shadow.standing().values()} == {0}
        shadow.drop()
    assert shadow_is_gone(past)


def test_a_migration_between_the_fold_and_the_swap_stops_the_swap(past: Ledger, owner_url: str) -> None:
    with open_shadow(owner_url, BALANCES) as shadow:
        shadow.fold()
        with psycopg.connect(owner_url, autocommit=True) as owner:
            owner.execute("INSERT INTO migrations (name) VALUES ('9999_later.sql')")
        with pytest.raises(CannotRebuild, match="migrated"):
            shadow.swap()


def test_a_shadow_that_is_ahead_of_what_was_set_back_is_not_compared(past: Ledger, owner_url: str) -> None:
    with open_shadow(owner_url, BALANCES) as shadow:
        shadow.fold()
        past.database.execute("UPDATE projections SET position = 10")
        with pytest.raises(CannotRebuild, match=r"the live one stands at 10.*--anew"), shadow.level():
            pass
        shadow.drop()


# Refused


def test_of_two_rebuilds_at_once_the_second_is_refused(
    past: Ledger, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_schema, "WAIT_FOR_REBUILD_MS", 20)
    with open_shadow(owner_url, BALANCES) as shadow:
        refused(owner_url, "another rebuild is running", projections=BALANCES)
        refused(owner_url, "another rebuild is running", projections=BALANCES, anew=True)
        shadow.fold()
        shadow.drop()


def test_the_application_role_may_not_rebuild(past: Ledger) -> None:
    refused(past.database.url, "may not replace.*LEDGER_OWNER_URL")
    assert shadow_is_gone(past)


def test_a_schema_of_somebody_else_is_left_alone(past: Ledger, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA rebuild; CREATE TABLE rebuild.mine (); INSERT INTO rebuild.mine DEFAULT VALUES")
        refused(owner_url, "not of this program's making")
        refused(owner_url, "not of this program's making", anew=True)
        assert owner.execute("SELECT count(*) FROM rebuild.mine").fetchone() == (1,)


def test_an_object_that_hangs_on_a_table_is_named_and_nothing_is_swapped(past: Ledger, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("CREATE VIEW what_we_owe AS SELECT sum(balance) FROM balances")
    before = contents(past)
    with open_shadow(owner_url, BALANCES) as shadow:
        shadow.fold()
        with pytest.raises(CannotRebuild, match="view what_we_owe"):
            shadow.swap()
        assert contents(past) == before
        shadow.drop()


def test_before_the_ledger_ran_there_is_nothing_to_rebuild(database_url: str, server: Server) -> None:
    refused(server.owner_url_of(database_url), "let `ledger serve` run first")
