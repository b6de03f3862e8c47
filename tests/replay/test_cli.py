"""The command line: its golden outputs, its errors and exit statuses, and that nothing of it can write."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from eventsourcing.persistence import PersistenceError
from typer.testing import CliRunner

from ledger.policies.unit import NewEvent
from ledger.store.database import Database
from ledger.store.embedded import EmbeddedPostgres
from replay.cli import app
from replay.live import Live
from replay.output import printable
from tests.replay.conftest import Copy, Replay
from tests.replay.goldens import require_golden
from tests.replay.story import ACME, ADA, BOB, EVE, PAYROLLS, contract, cycle_payout, payout

GOLDEN = Path(__file__).parent / "golden"
OUTPUTS: dict[str, tuple[str, ...]] = {
    "history-contract.txt": ("history", contract("Code")),
    "history-contract.csv": ("history", contract("Code"), "--csv"),
    "history-contract.json": ("history", contract("Site"), "--json"),
    "history-payout.txt": ("history", payout("Refunded")),
    "history-payout.csv": ("history", payout("Refunded"), "--csv"),
    "history-payout.json": ("history", payout("Refunded"), "--json"),
    "history-freelancer.txt": ("history", BOB),
    "history-client.csv": ("history", ACME, "--csv"),
    "balance.txt": ("balance", ADA),
    "balance.json": ("balance", ADA, "--json"),
    "balance.csv": ("balance", ADA, "--csv"),
    "balance-as-of.json": ("balance", BOB, "--json", "--as-of", "2026-02-02T00:00:00Z"),
    "balance-as-of-known-at.txt": (
        *("balance", BOB, "--as-of", "2026-02-02T00:00:00Z"),
        *("--known-at", "2026-02-02T01:00:00+01:00"),
    ),
    "balance-eor.txt": ("balance", PAYROLLS),
    "trial-balance.txt": ("trial-balance",),
    "trial-balance.csv": ("trial-balance", "--csv"),
    "trial-balance.json": ("trial-balance", "--json"),
    "trial-balance-as-of.txt": ("trial-balance", "--as-of", "2026-01-14T00:00:00Z"),
    "explain-released.txt": ("explain", payout("Logo")),
    "explain-released.json": ("explain", payout("Logo"), "--json"),
    "explain-objection.txt": ("explain", cycle_payout("Code", "2026-03-02")),
    "explain-reversed.txt": ("explain", payout("Refunded")),
    "explain-failed.txt": ("explain", payout("Hopeless")),
    "explain-final.txt": ("explain", payout("Final")),
    "explain-held.txt": ("explain", payout("Held")),
    "explain-due.txt": ("explain", payout("Due")),
    "verify.txt": ("verify",),
    "verify.json": ("verify", "--json"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_is_the_golden_one(replay: Replay, name: str) -> None:
    result = replay(*OUTPUTS[name])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    require_golden(GOLDEN / name, result.stdout)


def test_there_is_no_other_golden_file() -> None:
    assert {file.name for file in GOLDEN.iterdir()} == set(OUTPUTS)


@pytest.mark.parametrize("name", ["history-freelancer.txt", "trial-balance.csv", "explain-held.txt", "verify.json"])
def test_the_same_arguments_give_the_same_bytes(replay: Replay, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once = replay(*OUTPUTS[name]).stdout_bytes
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert replay(*OUTPUTS[name]).stdout_bytes == once


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name.endswith(".json")])
def test_json_is_json_with_whole_amounts(replay: Replay, name: str) -> None:
    def check(value: Any) -> None:
        assert not isinstance(value, float)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(item)

    check(orjson.loads(replay(*OUTPUTS[name]).stdout))


def test_csv_rows_of_a_history_add_up_to_the_trial_balance(replay: Replay) -> None:
    """Of a freelancer's own accounts: every movement of them is in the freelancer's history."""
    rows = list(csv.DictReader(io.StringIO(replay("history", BOB, "--csv").stdout)))
    sums: dict[tuple[str, str], int] = {}
    for one in rows:
        if one["account"].startswith(BOB):
            key = one["account"], one["currency"]
            sums[key] = sums.get(key, 0) + int(one["credit"] or 0) - int(one["debit"] or 0)
    totals = csv.DictReader(io.StringIO(replay("trial-balance", "--csv").stdout))
    assert sums == {
        (one["account"], one["currency"]): int(one["balance"]) for one in totals if one["account"].startswith(BOB)
    }


def test_texts_are_revealed_withheld_or_marked_as_erased(replay: Replay) -> None:
    shown = replay("history", contract("Site")).stdout
    assert "title: “Site for a client”" in shown
    assert "message: (erased)" in shown
    assert "method: (withheld)" in shown
    assert "pm_card" not in shown


def test_a_text_cannot_move_the_cursor(replay: Replay) -> None:
    shown = replay("history", contract("Code")).stdout
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown
    assert printable("one\ntwo\r\x07") == "one\ntwo\\r\\x07"


# What cannot be asked


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("balance", ADA, "--as-of", "2026-01-09"), "write it as 2026-01-09T12:00:00Z"),
        (("trial-balance", "--known-at", "2026-01-09T12:00:00"), "with its zone"),
        (("trial-balance", "--as-of", "yesterday"), "is not an RFC 3339 time"),
        (("history", "hello"), "give an id like con_"),
        (("history", "wdr_x"), "give an id like con_"),
        (("balance", "con_x"), "give an id like fre_"),
        (("explain", "fre_x"), "give an id like pay_"),
        (("trial-balance", "--csv", "--json"), "give one of them"),
        (("explain",), "Missing argument"),
        (("nonsense",), "No such command"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_to_do(replay: Replay, arguments: tuple[str, ...], says: str) -> None:
    result = replay(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("history", "con_x"),
        ("history", "pay_x"),
        ("history", "fre_x"),
        ("explain", "pay_x"),
        ("balance", "fre_x"),
        ("balance", "eor_x", "--as-of", "2026-01-09T12:00:00Z"),
    ],
)
def test_an_unknown_id_ends_with_2_which_is_no_divergence(replay: Replay, arguments: tuple[str, ...]) -> None:
    result = replay(*arguments)
    assert result.exit_code == 2
    assert arguments[1] in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [("history", contract("Code")), ("explain", payout("Logo")), ("step", contract("Code"))]
)
def test_what_is_there_later_is_not_said_to_be_unknown(replay: Replay, arguments: tuple[str, ...]) -> None:
    result = replay(*arguments, "--as-of", "2020-01-01T00:00:00Z")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "at these times there is no" in result.stderr


def test_a_freelancer_without_money_has_a_balance_of_nothing(replay: Replay) -> None:
    result = replay("balance", EVE, "--json")
    assert result.exit_code == 0
    assert orjson.loads(result.stdout)["available"] == []


def test_every_command_has_help_with_an_example() -> None:
    for command in ("history", "balance", "trial-balance", "verify", "explain"):
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert f"Example: replay {command}" in result.stdout
    assert "history" in CliRunner().invoke(app, ["--help"]).stdout


# The source


def run(*arguments: str, **environment: str | None) -> Any:
    nothing = {"LEDGER_DATABASE_URL": None, "LEDGER_DATA_DIR": None}
    return CliRunner().invoke(app, list(arguments), env=nothing | environment)


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "there is no ledger in .ledger"),
        ({"LEDGER_DATA_DIR": "/nowhere/at/all"}, "there is no ledger in /nowhere/at/all"),
        ({"LEDGER_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "127.0.0.1:1 (LEDGER_DATABASE_URL) cannot be reached"),
        ({"LEDGER_DATABASE_URL": "nonsense"}, "is no PostgreSQL URL"),
        ({"LEDGER_PORT": "many"}, "LEDGER_PORT"),
    ],
)
def test_a_source_that_is_not_there_ends_with_2_and_nothing_is_made(
    environment: dict[str, str], says: str, tmp_path: Path
) -> None:
    result = run("verify", **environment)
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_elsewhere")
def test_a_database_without_a_ledger_ends_with_2(server: Any) -> None:
    url = server.create_empty()
    result = run("verify", LEDGER_DATABASE_URL=url)
    assert result.exit_code == 2
    assert "holds no ledger" in result.stderr


@pytest.mark.usefixtures("_elsewhere")
def test_the_embedded_server_is_joined(tmp_path_factory: pytest.TempPathFactory) -> None:
    from ledger.store.migrations import migrate

    folder = tmp_path_factory.mktemp("embedded")
    for part in (folder, *folder.parents[:2]):
        part.chmod(0o755)
    with EmbeddedPostgres(folder / "data") as embedded:
        migrate(embedded.url, embedded.application_url)
        result = run("verify", LEDGER_DATA_DIR=str(folder / "data"))
    assert result.exit_code == 0, result.output
    assert "OK: the log is intact" in result.stdout


# Nothing is written


WRITES: dict[str, Callable[[Live], object]] = {
    "an event": lambda live: live.log.append(
        [NewEvent("cli_x", 1, live.log.read(0, 1)[0].event)], head=live.log.head(), expect={"cli_x": 0}
    ),
    "a row": lambda live: live.database.execute("DELETE FROM balances"),
    "a table": lambda live: live.database.execute("CREATE TABLE x (y int)"),
    "an identity": lambda live: live.vault.identify("fre", "nobody@nowhere.example"),
}


@pytest.mark.parametrize("what", WRITES)
def test_the_handle_cannot_write(live: Live, what: str) -> None:
    with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, PersistenceError), match="read-only transaction"):
        WRITES[what](live)


def test_even_the_owner_s_handle_cannot_write(server: Any, copy: Copy) -> None:
    database = Database(server.owner_url_of(copy.url), read_only=True)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        database.execute("DELETE FROM balances")
    database.close()


def test_no_command_changes_the_database(copy: Copy, replay_at: Callable[[Copy], Replay]) -> None:
    query = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
    with psycopg.connect(copy.admin_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        before = connection.execute(query).fetchone()
        for arguments in OUTPUTS.values():
            assert replay_at(copy)(*arguments).exit_code == 0
        assert connection.execute(query).fetchone() == before


def test_a_balance_before_the_first_money_of_a_known_payee_is_nothing(replay: Replay) -> None:
    result = replay("balance", PAYROLLS, "--as-of", "2026-01-01T00:00:00Z", "--json")
    assert result.exit_code == 0
    assert orjson.loads(result.stdout)["pending"] == []


def test_a_history_begins_at_the_offer_or_the_registration(replay: Replay) -> None:
    assert orjson.loads(replay("history", EVE, "--json").stdout)["events"][0]["type"] == "freelancer.registered.v1"
