"""`replay rebuild`: what would change, in rows and minor units, before anything is changed; then it is, whatever was tampered."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import orjson
import psycopg
import pytest
from typer.testing import CliRunner

from ledger.bootstrap import open_ledger
from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection
from ledger.store import shadow_schema
from replay.cli import app
from replay.rebuild import Rebuild, rebuild
from replay.verify.live import verify
from tests.databases import Server
from tests.processes import PATIENCE_SECONDS, PROJECT
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, payout
from tests.replay.tampering import position_of
from tests.replay.test_verify_projections import ROWS

TABLES = [table.name for projection in PROJECTIONS for table in projection.tables]
WHAT = ("different", "added", "removed")


@pytest.fixture
def owner_url(copy: Copy, server: Server) -> str:
    return server.owner_url_of(copy.url)


@pytest.fixture
def environment(copy: Copy, owner_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(copy.folder)  # where there is no .env
    return {"LEDGER_DATABASE_URL": copy.url, "LEDGER_OWNER_URL": owner_url, "LEDGER_DATA_DIR": str(copy.folder)}


@pytest.fixture
def replay(environment: dict[str, str]) -> Replay:
    """The command line on the test's own copy, with the owner's rights."""
    return lambda *arguments: CliRunner().invoke(app, list(arguments), env=environment)


def contents(copy: Copy) -> dict[str, Any]:
    with psycopg.connect(copy.admin_url) as connection:
        return {
            table: connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1").fetchall()
            for table in (*TABLES, "projections")
        }


def schemas(copy: Copy) -> set[str]:
    with psycopg.connect(copy.admin_url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'").fetchall()
    return {name for (name,) in rows}


def numbers(found: Rebuild) -> dict[str, tuple[int, int, int]]:
    """By projection: different, added, removed."""
    return {one.name: (one.different, one.added, one.removed) for one in found.projections}


# A dry run


def test_a_dry_run_of_an_honest_ledger_finds_nothing_and_leaves_nothing(copy: Copy, replay: Replay) -> None:
    before, places = contents(copy), schemas(copy)
    first, again = (replay("rebuild", "--dry-run", "--json") for _ in range(2))
    assert first.exit_code == 0, first.output
    report = orjson.loads(first.stdout)
    assert (report["difference_count"], report["accounts"], report["rows"]) == (0, [], [])
    assert [one["name"] for one in report["projections"]] == [one.name for one in PROJECTIONS]
    for one in report["projections"]:
        (table,) = next(projection.tables for projection in PROJECTIONS if projection.name == one["name"])
        assert one["rows"] == len(before[table.name])
    assert again.stdout == first.stdout
    assert contents(copy) == before
    assert schemas(copy) == places


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("number", "what"), list(enumerate(WHAT)))
def test_whatever_was_done_to_a_row_is_found_and_gone_after_the_swap(
    copy: Copy, owner_url: str, name: str, number: int, what: str
) -> None:
    honest = contents(copy)
    names = {"released": position_of(copy, "payout.released.v1"), "payout": payout("Logo"), "contract": "con_x"}
    if name == "contracts":
        with copy.live() as read:
            names["contract"] = read.reader.contracts(status="active", limit=1)[0][1].id
    copy.tamper(ROWS[name][number].format(**names))
    tampered = contents(copy)

    dry = rebuild(owner_url, dry_run=True)

    assert not dry.ok
    assert contents(copy) == tampered
    counts = numbers(dry)
    assert counts.pop(name)[number] == dry.difference_count > 0
    assert set(counts.values()) == {(0, 0, 0)}
    assert {one.what for one in dry.rows} <= {what}
    assert {one.projection for one in dry.rows} <= {name}
    with copy.live() as read:
        verified = verify(read.database)
    assert {one.key for one in verified.findings if one.check == "projection"}

    done = rebuild(owner_url, _named(name))

    assert done.ok
    assert done.swapped
    assert numbers(done)[name] == numbers(dry)[name]
    assert contents(copy) == honest
    with copy.live() as read:
        assert verify(read.database).ok


def _named(name: str) -> tuple[Projection, ...]:
    return tuple(one for one in PROJECTIONS if one.name == name)


def test_an_account_says_what_it_holds_what_it_should_and_the_difference_in_minor_units(
    copy: Copy, replay: Replay
) -> None:
    copy.tamper(
        f"UPDATE balances SET balance = balance + 7 WHERE account = '{ADA}:available' AND currency = 'USD'",
        f"DELETE FROM balances WHERE account = '{ADA}:available' AND currency = 'EUR'",
        "INSERT INTO balances VALUES ('fre_x:available', 'JPY', 12)",
        "UPDATE balances SET balance = 'NaN' WHERE account = 'processor' AND currency = 'JPY'",
    )
    result = replay("rebuild", "balances", "--dry-run", "--json")
    assert result.exit_code == 1
    report = orjson.loads(result.stdout)
    assert [(one["account"], one["currency"]) for one in report["accounts"]] == sorted(
        (one["account"], one["currency"]) for one in report["accounts"]
    )
    found = {(one["account"], one["currency"]): one for one in report["accounts"]}
    usd, eur = found[f"{ADA}:available", "USD"], found[f"{ADA}:available", "EUR"]
    assert (usd["difference"], usd["live"] - usd["rebuilt"]) == (-7, 7)
    assert (eur["live"], eur["difference"]) == (0, eur["rebuilt"])
    assert eur["rebuilt"] > 0
    assert (found["fre_x:available", "JPY"]["rebuilt"], found["fre_x:available", "JPY"]["difference"]) == (0, -12)
    assert (found["processor", "JPY"]["live"], found["processor", "JPY"]["difference"]) == (None, None)
    assert len(found) == report["difference_count"] == 4
    shown = replay("rebuild", "balances", "--dry-run")
    assert shown.exit_code == 1
    assert "-0.07 USD" in shown.stdout
    assert "4 difference(s). A dry run: nothing was swapped, nothing is left behind." in shown.stdout


def test_a_row_says_which_columns_and_which_fields_of_a_state_differ(copy: Copy, owner_url: str) -> None:
    copy.tamper(
        "UPDATE payouts SET status = 'lost', state = jsonb_set(state::jsonb, '{released}', '1')::json"
        f" WHERE id = '{payout('Logo')}'"
    )
    (row,) = rebuild(owner_url, dry_run=True).rows
    assert (row.projection, row.key, row.what) == ("payouts", {"id": payout("Logo")}, "different")
    assert {one.column: (one.live, one.rebuilt) for one in row.columns} == {
        "status": ("lost", "released"),
        "state.released": (1, 50_000),
    }


def test_a_state_that_is_written_otherwise_and_reads_the_same_is_no_difference(copy: Copy, owner_url: str) -> None:
    """A program that knows more fields reads what an older one wrote: what is not there counts as its default."""
    copy.tamper("UPDATE payouts SET state = (state::jsonb - 'objection')::json WHERE state->>'objection' IS NULL")
    assert rebuild(owner_url, dry_run=True).ok
    copy.tamper("UPDATE payouts SET state = (state::jsonb || '{\"unknown\": 1}')::json")
    assert not rebuild(owner_url, dry_run=True).ok


def test_a_state_that_cannot_be_read_is_a_difference(copy: Copy, owner_url: str) -> None:
    copy.tamper(f"UPDATE payouts SET state = '[1]' WHERE id = '{payout('Logo')}'")
    assert numbers(rebuild(owner_url, dry_run=True))["payouts"] == (1, 0, 0)


# The swap


def test_people_see_what_changes_and_then_that_it_was_swapped(copy: Copy, replay: Replay) -> None:
    honest = contents(copy)
    copy.tamper(f"UPDATE balances SET balance = balance - 100 WHERE account = '{ADA}:pending' AND currency = 'USD'")
    result = replay("rebuild")
    assert result.exit_code == 0, result.output
    assert "1 balance(s) that the swap changes" in result.stdout
    assert result.stdout.index("1.00 USD") < result.stdout.index(
        "SWAPPED: 1 difference(s) are gone, the live tables are what the log gives."
    )
    assert contents(copy) == honest
    assert schemas(copy) == {"public", "information_schema"}


def test_a_ledger_that_serves_goes_on_over_a_swap(copy: Copy, owner_url: str) -> None:
    with open_ledger(copy.settings) as ledger:
        ledger.views.catch_up()
        assert ledger.reader.balance(ADA).available
        assert rebuild(owner_url).swapped
        before = ledger.reader.balance(ADA)
        ledger.worker.advance(ledger.clock.now().replace(day=30))
        assert ledger.reader.balance(ADA) != before
        assert {(one.lag, one.error) for one in ledger.reader.health()} == {(0, None)}
        assert verify(ledger.database).ok


def test_an_event_that_cannot_be_folded_is_named_and_nothing_is_swapped(copy: Copy, replay: Replay) -> None:
    poison = position_of(copy, "payout.charged.v1")
    copy.tamper(
        f"UPDATE events SET state = '{{}}' WHERE notification_id = {poison}",
        "UPDATE balances SET balance = 1 WHERE account = 'processor'",
    )
    before = contents(copy)
    for how in (("--dry-run",), ()):
        result = replay("rebuild", "--json", *how)
        assert result.exit_code == 1
        report = orjson.loads(result.stdout)
        stopped = {one["name"]: one for one in report["projections"] if one["error"]}
        assert "balances" in stopped
        assert {one["position"] for one in stopped.values()} == {poison - 1}
        assert all("payout.charged.v1" in one["error"] for one in stopped.values())
        assert not report["swapped"]
        assert contents(copy) == before
    assert "NOT SWAPPED: an event cannot be folded into balances" in replay("rebuild").stdout


# Killed

KILL = """
import os, signal, sys
from ledger.store import views

views.BATCH, kill_at = int(sys.argv[1]), int(sys.argv[2])
fold, calls = views.fold_into, []

def fold_into(connection, projection, records):
    fold(connection, projection, records)
    if projection.name == "balances":
        calls.append(projection.name)
    if len(calls) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)  # rows written, nothing committed

views.fold_into = fold_into
from replay.cli import app
app(sys.argv[3:])
"""


def killed(environment: dict[str, str], *arguments: str, batch: int = 40, at: int = 7) -> int:
    """The exit status of a process that kills itself in the transaction of its `at`th batch."""
    return ran(environment, KILL, str(batch), str(at), "rebuild", *arguments)


def ran(environment: dict[str, str], program: str, *arguments: str) -> int:
    """The exit status of a process of its own."""
    process = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment, "PYTHONPATH": str(PROJECT)},
        cwd=environment["LEDGER_DATA_DIR"],
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return process.returncode


@pytest.mark.parametrize("how", [("--dry-run",), ()])
def test_killed_with_kill_9_half_way_the_next_run_goes_on_from_the_shadows_own_position(
    copy: Copy, environment: dict[str, str], replay: Replay, how: tuple[str, ...]
) -> None:
    honest = contents(copy)
    copy.tamper("UPDATE balances SET balance = balance + 1 WHERE account = 'processor'")
    tampered = contents(copy)
    assert killed(environment, *how) == -signal.SIGKILL
    assert contents(copy) == tampered
    result = replay("rebuild", "--json")
    assert result.exit_code == 0, result.output
    report = orjson.loads(result.stdout)
    assert report["resumed_from"] == 40 * 6
    assert {one["account"] for one in report["accounts"]} == {"processor"}
    assert contents(copy) == honest


def test_killed_again_and_again_it_still_ends(copy: Copy, environment: dict[str, str], replay: Replay) -> None:
    honest = contents(copy)
    come_to = []
    while killed(environment, batch=50, at=2) == -signal.SIGKILL:
        with psycopg.connect(copy.admin_url) as connection:
            come_to.append(connection.execute("SELECT position FROM rebuild.projections").fetchone()[0])  # type: ignore[index]
    assert come_to == [50 * number for number in range(1, len(come_to) + 1)]
    assert len(come_to) > 2
    assert contents(copy) == honest
    assert schemas(copy) == {"public", "information_schema"}
    assert replay("verify").exit_code == 0


KILL_IN_SWAP = """
import os, signal, sys
from ledger.store import shadow_tables

replace, done = shadow_tables.replace, []

def replace_and_kill(connection, table):
    replace(connection, table)
    done.append(table)
    if len(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)  # three tables replaced, three to come, nothing committed

shadow_tables.replace = replace_and_kill
from replay.cli import app
app(sys.argv[1:])
"""


def test_killed_in_the_middle_of_the_swap_nothing_is_swapped_and_the_next_run_does_it(
    copy: Copy, environment: dict[str, str], replay: Replay
) -> None:
    honest = contents(copy)
    copy.tamper("UPDATE balances SET balance = balance + 1 WHERE account = 'processor'")
    tampered = contents(copy)
    assert ran(environment, KILL_IN_SWAP, "rebuild") == -signal.SIGKILL
    assert contents(copy) == tampered
    result = replay("rebuild", "--json")
    report = orjson.loads(result.stdout)
    assert report["resumed_from"] == report["projections"][0]["position"] > 0
    assert contents(copy) == honest


def test_begun_anew_it_begins_at_the_first_event(copy: Copy, environment: dict[str, str], replay: Replay) -> None:
    assert killed(environment, "balances", batch=10, at=2) == -signal.SIGKILL
    refused = replay("rebuild", "--dry-run")
    assert refused.exit_code == 2
    assert "an earlier run began to rebuild balances" in refused.stderr
    result = replay("rebuild", "--dry-run", "--anew", "--json")
    assert result.exit_code == 0, result.output
    assert orjson.loads(result.stdout)["resumed_from"] == 0
    assert schemas(copy) == {"public", "information_schema"}


# Refused


def test_without_the_owners_rights_it_says_what_to_set(
    copy: Copy, environment: dict[str, str], replay_at: Callable[[Copy], Replay]
) -> None:
    result = replay_at(copy)("rebuild")
    assert result.exit_code == 2
    assert "LEDGER_OWNER_URL" in result.stderr
    assert result.stdout == ""


def test_an_owners_url_that_leads_nowhere_is_said(environment: dict[str, str]) -> None:
    wrong = {**environment, "LEDGER_OWNER_URL": "postgresql://nobody:nothing@127.0.0.1:1/none"}
    result = CliRunner().invoke(app, ["rebuild"], env=wrong)
    assert result.exit_code == 2
    assert "LEDGER_OWNER_URL" in result.stderr


def test_an_owners_url_of_a_database_without_a_ledger_is_said(environment: dict[str, str], server: Server) -> None:
    other = server.create_empty()
    result = CliRunner().invoke(app, ["rebuild"], env={**environment, "LEDGER_OWNER_URL": server.owner_url_of(other)})
    server.drop(other)
    assert result.exit_code == 2
    assert "lacks public.balances" in result.stderr


def test_an_unknown_projection_is_refused(replay: Replay) -> None:
    result = replay("rebuild", "ledgers")
    assert result.exit_code == 2
    assert "choose of balances, statements" in result.stderr


def test_of_two_rebuilds_at_once_one_is_refused(
    replay: Replay, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_schema, "WAIT_FOR_REBUILD_MS", 20)
    with psycopg.connect(owner_url) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (shadow_schema.REBUILD_LOCK,))
        result = replay("rebuild", "--dry-run")
    assert result.exit_code == 2
    assert "another rebuild is running" in result.stderr
