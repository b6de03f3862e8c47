"""The columnar fold: posting rules as Ibis expressions come, on DuckDB, to what the plain fold and the live balances come to."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace
from typer.testing import CliRunner

from benchmarks.histories import history
from ledger import postings
from ledger.bootstrap import open_ledger
from ledger.codec import decode
from ledger.events import EVENTS, AdjustmentApproved, AdjustmentProposed, Event, Posting
from ledger.money import MAX_AMOUNT
from ledger.postings import Rule
from replay.archive import columnar
from replay.archive import manifest as archive_manifest
from replay.archive.engines import open_engine
from replay.archive.refold import fold, refold
from replay.archive.source import ArchiveSource, open_archive
from replay.archive.writing import archive
from replay.balances import trial_balance
from replay.cli import app
from replay.live import Live
from replay.sources import SourceUnavailable
from tests.properties.everything import everything, golden
from tests.replay.archives import Log, log_of
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, Story

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
"""The first of the month in which the histories begin."""


def archived(log: Any, folder: Path) -> ArchiveSource:
    archive(log, folder, events_of_a_file=500)
    return open_archive(folder)


# Equal to the plain fold

MONEY = sorted({rule.topic for rule in postings.RULES} | {AdjustmentApproved.TOPIC})
BESIDE = sorted(topic for topic, cls in EVENTS.items() if "amount" in cls.__struct_fields__ and topic not in MONEY)
"""Events that carry an amount and move nothing."""
AMOUNTS = st.integers(0, MAX_AMOUNT) | st.sampled_from((0, 1, MAX_AMOUNT - 1, MAX_AMOUNT))
PARTIES = st.sampled_from(("fre_a", "fre_b", "eor_a", "cli_a", "cli_\u00e9 '%{}"))
CURRENCIES = st.sampled_from(("USD", "EUR", "JPY"))
MOMENTS = st.integers(0, 90).map(lambda days: NEW_YEAR + timedelta(days=days, microseconds=days))
NAMES = ("payee", "client_id", "freelancer_id")


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Of any kind, with any amounts, between a few parties."""
    topic = draw(st.sampled_from((*MONEY, *BESIDE, AdjustmentProposed.TOPIC)))
    event = decode(topic, golden(topic))
    fields: dict[str, Any] = {"occurred_at": draw(MOMENTS), "recorded_at": draw(MOMENTS)}
    for name, value in asdict(event).items():
        if type(value) is int and name in {rule.amount for rule in postings.RULES}:
            fields[name] = draw(AMOUNTS)
        elif name in NAMES:
            fields[name] = draw(PARTIES)
        elif name == "currency":
            fields[name] = draw(CURRENCIES)
        elif name == "postings":
            fields[name] = draw(balanced_postings())
    if topic == "payout.reversed.v1":
        fields["reason"] = draw(st.sampled_from(("refund", "chargeback")))
    return replace(event, **fields)


@st.composite
def balanced_postings(draw: st.DrawFn) -> tuple[Posting, ...]:
    made = []
    for _ in range(draw(st.integers(1, 3))):
        what = {"amount": max(1, draw(AMOUNTS)), "currency": draw(CURRENCIES)}
        made.append(Posting(account=draw(PARTIES) + ":available", direction="debit", **what))
        made.append(Posting(account=draw(PARTIES) + ":pending", direction="credit", **what))
    return tuple(draw(st.permutations(made)))


@settings(max_examples=30, deadline=None)
@given(happened=st.lists(events(), max_size=30), as_of=st.none() | MOMENTS, known_at=st.none() | MOMENTS)
def test_whatever_happened_and_at_whatever_times_duckdb_comes_to_the_plain_fold(
    happened: list[Event], as_of: datetime | None, known_at: datetime | None
) -> None:
    log = log_of(happened)
    with TemporaryDirectory() as folder:
        found = fold(archived(log, Path(folder)), as_of=as_of, known_at=known_at)
    assert found == trial_balance(log, as_of=as_of, known_at=known_at).accounts


def test_sums_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    charged = replace(decode("payout.charged.v1", golden("payout.charged.v1")), amount=MAX_AMOUNT)
    adjusted = decode(AdjustmentApproved.TOPIC, golden(AdjustmentApproved.TOPIC))
    assert isinstance(adjusted, AdjustmentApproved)
    what = {"amount": MAX_AMOUNT, "currency": "USD"}
    sides = (("fre_a:available", "debit"), ("fre_b:available", "credit"))
    postings = tuple(Posting(account=account, direction=direction, **what) for account, direction in sides) * 10_000
    log = log_of([charged] * 10_000 + [replace(charged, amount=1), replace(adjusted, postings=postings)])
    found = fold(archived(log, tmp_path))
    assert {abs(one.balance) for one in found} == {10_000 * MAX_AMOUNT, 10_000 * MAX_AMOUNT + 1}
    assert 10_000 * MAX_AMOUNT > 2**63
    assert found == trial_balance(log).accounts


@pytest.mark.parametrize("seed", [1, 2])
def test_a_marketplace_s_archive_folds_to_the_same(seed: int, tmp_path: Path) -> None:
    log = Log((new.stream, new.version, new.event) for new in history(4_000, seed=seed))
    archive = archived(log, tmp_path)
    assert fold(archive) == trial_balance(log).accounts
    middle = log.rows[2_000].event.recorded_at
    assert fold(archive, as_of=middle) == trial_balance(log, as_of=middle).accounts != fold(archive)
    assert fold(archive, known_at=middle) == trial_balance(log, known_at=middle).accounts


def test_every_kind_of_event_folds_to_the_same(tmp_path: Path) -> None:
    found = everything().log
    log = Log((one.stream, one.version, one.event) for one in found)
    assert {stored.topic for stored in log.rows} == set(EVENTS)
    assert fold(archived(log, tmp_path)) == trial_balance(log).accounts


@pytest.mark.parametrize("topic", sorted(EVENTS))
def test_the_golden_of_every_version_folds_to_the_same(topic: str, tmp_path: Path) -> None:
    log = log_of([decode(topic, golden(topic))])
    assert fold(archived(log, tmp_path)) == trial_balance(log).accounts


def test_an_archive_of_nothing_has_no_accounts(tmp_path: Path) -> None:
    assert fold(archived(Log(()), tmp_path)) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": ("position", "state")}, "was written without the column"),
        ({"types": ("payout.charged.v0",)}, "have a newer version now \\(payout.charged.v0\\)"),
    ],
)
def test_columns_of_an_older_version_are_not_folded(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    """The posting rules go by the newest version of an event: an archive's columns do not follow, its bytes do."""
    log = Log((new.stream, new.version, new.event) for new in history(100))
    opened = archived(log, tmp_path)
    files = tuple(replace(one, types=change.get("types", one.types)) for one in opened.manifest.files)
    manifest = replace(opened.manifest, files=files, columns=change.get("columns", opened.manifest.columns))
    archive_manifest.write(tmp_path, manifest)
    with pytest.raises(SourceUnavailable, match=says):
        fold(open_archive(tmp_path))
    assert trial_balance(open_archive(tmp_path).log) == trial_balance(log)


# Derived from the posting rules


def test_the_expressions_are_derived_from_the_table_of_rules(tmp_path: Path) -> None:
    """Another table, other postings: nothing else knows how money moves."""
    table = (
        Rule("payout.due.v1", "{client_id}:owed", "platform:due", "amount", "due"),
        Rule("payout.reversed.v1", "{contract_id}", "bank", "from_pending", "x", ("reason", "refund")),
    )
    due = replace(decode("payout.due.v1", golden("payout.due.v1")), amount=70, client_id="cli_a")
    reversed_ = decode("payout.reversed.v1", golden("payout.reversed.v1"))
    what = {"from_pending": 5, "from_available": 9, "contract_id": "con_a"}
    taken = [replace(reversed_, **what, reason=reason) for reason in ("refund", "chargeback")]
    archive = archived(log_of([due, *taken]), tmp_path)
    with open_engine("duckdb", archive.paths) as run:
        rows = run(columnar.accounts(rules=table)).to_pylist()
    assert {row["account"]: (int(row["debits"]), int(row["credits"])) for row in rows} == {
        "cli_a:owed": (70, 0),
        "platform:due": (0, 70),
        "con_a": (5, 0),
        "bank": (0, 5),
    }


def test_each_side_of_each_rule_is_a_row() -> None:
    sides = [template for rule in postings.RULES for template in (rule.debit, rule.credit)]
    rows = columnar.rules_table().to_pyarrow().to_pylist()
    assert ["{" * bool(row["owner"]) + row["owner"] + "}" * bool(row["owner"]) + row["bucket"] for row in rows] == sides


# Held against the live ledger


@pytest.fixture
def story(replay: Replay, tmp_path: Path) -> str:
    folder = str(tmp_path / "archive")
    result = replay("archive", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("times", [(), ("--as-of", "2026-02-10T00:00:00Z"), ("--known-at", "2026-02-10T00:00:00Z")])
@pytest.mark.parametrize("against", ["live", "archive"])
def test_the_story_refolded_is_the_live_ledger_to_the_minor_unit(
    replay: Replay, story: str, times: tuple[str, ...], against: str
) -> None:
    result = replay("run", "--source", story, "--json", "--against", against, *times)
    assert result.exit_code == 0, result.output
    found = orjson.loads(result.stdout)
    assert (found["ok"], found["against"], found["differences"]) == (True, against, [])
    assert found["accounts"] == orjson.loads(replay("trial-balance", "--json", *times).stdout)["accounts"]


def test_people_read_that_it_agrees(replay: Replay, story: str) -> None:
    shown = replay("run", "--source", story).stdout
    assert "held against the live balances" in shown
    assert "OK: no account differs, to the minor unit." in shown


def test_without_a_ledger_it_is_held_against_the_plain_fold_of_its_own_events(story: str) -> None:
    nothing = {"LEDGER_DATABASE_URL": None, "LEDGER_DATA_DIR": "nowhere"}
    result = CliRunner().invoke(app, ["run", "--source", story], env=nothing)
    assert result.exit_code == 0, result.output
    assert "held against the plain fold of its own events" in result.stdout


def test_a_ledger_that_is_named_and_cannot_be_read_is_no_reason_to_compare_with_less(story: str) -> None:
    result = CliRunner().invoke(
        app, ["run", "--source", story], env={"LEDGER_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    )
    assert result.exit_code == 2
    assert "cannot be reached" in result.stderr


def test_a_live_balance_that_differs_is_named_in_minor_units(
    copy: Copy, replay_at: Callable[[Copy], Replay], tmp_path: Path
) -> None:
    replay, folder = replay_at(copy), str(tmp_path / "archive")
    assert replay("archive", folder).exit_code == 0
    copy.tamper(
        "UPDATE balances SET balance = balance + 7 WHERE account = %(account)s AND currency = 'USD'",
        account=f"{ADA}:available",
    )
    result = replay("run", "--source", folder, "--csv")
    assert result.exit_code == 1
    header, line = result.stdout.splitlines()
    assert header == "account,currency,column,refolded,expected,minor_units"
    assert line.startswith(f"{ADA}:available,USD,balance,")
    assert line.endswith(",-7")
    assert "NOT OK: 1 difference(s), in minor units." in replay("run", "--source", folder).stdout


def test_a_live_account_without_a_row_differs_by_all_of_it(
    copy: Copy, replay_at: Callable[[Copy], Replay], tmp_path: Path
) -> None:
    replay, folder = replay_at(copy), str(tmp_path / "archive")
    assert replay("archive", folder).exit_code == 0
    copy.tamper("DELETE FROM balances WHERE account = %(account)s AND currency = 'USD'", account=f"{ADA}:available")
    found = orjson.loads(replay("run", "--source", folder, "--json").stdout)
    assert [one["account"] for one in found["differences"]] == [f"{ADA}:available"]
    assert found["differences"][0]["expected"] == 0
    assert found["differences"][0]["minor_units"] == found["differences"][0]["refolded"] != 0


def test_a_live_ledger_that_went_on_is_compared_as_it_was_at_the_archive_s_end(
    copy: Copy, replay_at: Callable[[Copy], Replay], tmp_path: Path
) -> None:
    replay, folder = replay_at(copy), str(tmp_path / "archive")
    assert replay("archive", folder).exit_code == 0
    with open_ledger(copy.settings) as ledger:
        telling = Story(ledger)
        telling._commands = 9_000
        telling.withdraw(ADA, 1)
    found = orjson.loads(replay("run", "--source", folder, "--json").stdout)
    assert (found["ok"], found["against"]) == (True, "live")
    added = orjson.loads(replay("archive", folder, "--json").stdout)
    assert added["added"] > 0
    assert orjson.loads(replay("run", "--source", folder, "--json").stdout)["position"] == added["position"]


def test_the_archive_of_another_ledger_is_not_compared(replay: Replay, tmp_path: Path) -> None:
    archived(Log((new.stream, new.version, new.event) for new in history(100)), tmp_path)
    result = replay("run", "--source", str(tmp_path))
    assert result.exit_code == 1
    assert "is not of this ledger" in result.stderr


def test_debits_that_are_not_credits_are_no_success(live: Live, tmp_path: Path) -> None:
    """An approved adjustment whose debits are not its credits: the plain fold stops at it, the columnar one adds it up."""
    adjusted = decode(AdjustmentApproved.TOPIC, golden(AdjustmentApproved.TOPIC))
    one_sided = (Posting(account="fre_a:available", direction="credit", amount=5, currency="USD"),)
    archive = archived(log_of([replace(adjusted, postings=one_sided)]), tmp_path)
    assert [(one.debits, one.credits) for one in fold(archive)] == [(0, 5)]
    result = CliRunner().invoke(app, ["run", "--source", str(tmp_path), "--against", "archive"])
    assert result.exit_code == 1
    assert "credits 5 USD more than it debits" in result.stderr


# What cannot be asked


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name the archive with --source"),
        (("--engine", "pandas"), "choose duckdb or spark"),
        (("--against", "yesterday"), "choose live or archive"),
        (("--master", "local[1]"), "give --engine spark as well"),
        (("--csv", "--json"), "give one of them"),
        (("--source", "nowhere"), "neither an archive's folder nor a case file"),
        (("--as-of", "2026"), "is not an RFC 3339 time"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_to_do(replay: Replay, arguments: Sequence[str], says: str) -> None:
    result = replay("run", *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""


def test_the_commands_have_help_with_an_example() -> None:
    for command in ("archive", "run"):
        result = CliRunner().invoke(app, [command, "--help"])
        assert f"Example: replay {command}" in result.stdout


def test_a_folder_s_name_is_no_pattern(tmp_path: Path) -> None:
    log = Log((new.stream, new.version, new.event) for new in history(300))
    folder = tmp_path / "a [2026] *{x}? é 'q'"
    folder.mkdir()
    assert refold(archived(log, folder)).ok
