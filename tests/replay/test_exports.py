"""Other programs read the exports: hledger and beancount come to our balances, a spreadsheet shows what a person expects."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import orjson
import pyarrow.dataset
import pytest
from beancount import loader
from beancount.core import realization
from beancount.core.data import Open, Transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ledger import events as e
from ledger.money import CURRENCIES
from replay.amounts import exponent, major, minor
from replay.balances import trial_balance
from replay.cli import app
from replay.export import beancount as export_beancount
from replay.export import csv as export_csv
from replay.export import hledger as export_hledger
from replay.export.journal import Unexportable
from replay.live import Live
from replay.output import cell
from replay.sources import EventSource
from tests.processes import PATIENCE_SECONDS
from tests.replay.conftest import Replay
from tests.replay.money_logs import MICROSECOND, START, EventsLog, logs, moved
from tests.replay.story import ADA, at

DAY = timedelta(days=1)
HLEDGER = shutil.which("hledger")
needs_hledger = pytest.mark.skipif(
    HLEDGER is None, reason="hledger is not installed here (Debian: apt-get install hledger); beancount is tested"
)
Balances = dict[tuple[str, str], int]
"""By account and currency, debits less credits in minor units; what stands at nothing is left out."""


def ours(log: EventSource, day: date, **times: datetime) -> Balances:
    """At the end of the day."""
    end = datetime.combine(day + DAY, time(0), START.tzinfo) - MICROSECOND
    accounts = trial_balance(log, as_of=min(end, times.pop("as_of", end)), **times).accounts
    return {(one.account, one.currency): -one.balance for one in accounts if one.balance}


def days_of(log: EventSource) -> list[date]:
    """The days on which something moved, and the one before."""
    days = {stored.event.occurred_at.date() for stored in log.read_all()}
    return sorted({*days, min(days, default=START.date()) - DAY})


# hledger


def hledger(journal: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert HLEDGER is not None
    command = [HLEDGER, "-f", "-", *arguments]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        command, input=journal, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=environment
    )


def in_hledger(journal: str, day: date) -> Balances:
    answer = hledger(journal, "balance", "--flat", "--end", (day + DAY).isoformat(), "--output-format", "json")
    assert answer.returncode == 0, answer.stderr
    rows, _ = json.loads(answer.stdout)
    found: Balances = {}
    for _, account, _, sums in rows:
        for one in sums:
            currency, quantity = one["acommodity"], one["aquantity"]
            scale = exponent(currency) - quantity["decimalPlaces"]
            assert scale >= 0
            found[account, currency] = quantity["decimalMantissa"] * 10**scale
    return {key: amount for key, amount in found.items() if amount}


@needs_hledger
def test_hledger_comes_to_the_balances_of_the_story(live: Live) -> None:
    journal = "".join(export_hledger.lines(live.log))
    for day in days_of(live.log):
        assert in_hledger(journal, day) == ours(live.log, day)


@needs_hledger
@settings(max_examples=25, deadline=None)
@given(logs)
def test_hledger_comes_to_the_balances_of_any_log(log: EventsLog) -> None:
    journal = "".join(export_hledger.lines(log))
    for day in days_of(log)[-4:]:
        assert in_hledger(journal, day) == ours(log, day)


@needs_hledger
def test_hledger_is_strictly_content_and_finds_an_event_by_its_tags(live: Live) -> None:
    journal = "".join(export_hledger.lines(live.log))
    assert hledger(journal, "check", "--strict").stderr == ""
    (stored,) = (one for one in live.log.read_all() if one.topic == "adjustment.approved.v1")
    for query in (
        f"tag:position=^{stored.position}$",
        r"tag:rules=\b27\b",
        f"code:{stored.id}",
        "tag:time=2026-02-01T00:00:00Z",
    ):
        shown = hledger(journal, "print", query, "not:desc:end of the day").stdout
        assert stored.id in shown, query
        assert shown.count(" * (") == 1, query
    sheet = hledger(journal, "balancesheet", "--output-format", "csv").stdout
    assert '"processor"' in sheet.split("Liabilities")[0]
    assert f'"{ADA}:available"' in sheet.split("Liabilities")[1]


@needs_hledger
def test_a_posting_that_is_wrong_makes_hledger_fail(live: Live) -> None:
    """The transaction still balances: only the balances at the end of a month can tell."""
    journal = "".join(export_hledger.lines(live.log))
    charge = re.compile(r"(?<=    processor  )200\.00(?= EUR\n)|(?<=:pending  )-200\.00(?= EUR\n)")
    wrong = charge.sub(lambda found: found[0].replace("200.00", "200.01"), journal, count=2)
    assert wrong.count("200.01") == 2
    answer = hledger(wrong, "balance")
    assert answer.returncode != 0
    assert "balance assertion" in answer.stderr.lower()
    gone = re.sub(r"\n2026-02-10 \* \(evt_\S+ chargeback_won .*?\n(?=\n)", "", journal, count=1, flags=re.DOTALL)
    assert gone != journal
    assert "balance assertion" in hledger(gone, "balance").stderr.lower()


# beancount


def in_beancount(text: str, day: date) -> Balances:
    entries, errors, _ = loader.load_string(text)
    assert errors == []
    root = realization.realize([one for one in entries if one.date <= day])
    found: Balances = {}
    for account in realization.iter_children(root):
        for position in account.balance:
            units = position.units
            name = export_beancount.account_of(account.account)
            found[name, units.currency] = int(units.number.scaleb(exponent(units.currency)))
            assert units.number == Decimal(major(found[name, units.currency], units.currency))
    return found


def test_beancount_comes_to_the_balances_of_the_story(live: Live) -> None:
    text = "".join(export_beancount.lines(live.log))
    for day in days_of(live.log):
        assert in_beancount(text, day) == ours(live.log, day)


@settings(max_examples=40, deadline=None)
@given(logs)
def test_beancount_comes_to_the_balances_of_any_log(log: EventsLog) -> None:
    text = "".join(export_beancount.lines(log))
    for day in days_of(log):
        assert in_beancount(text, day) == ours(log, day)


def test_beancount_finds_an_event_by_its_metadata_and_links(live: Live) -> None:
    entries, errors, _ = loader.load_string("".join(export_beancount.lines(live.log)))
    assert errors == []
    (stored,) = (one for one in live.log.read_all() if one.topic == "payout.reversal_reinstated.v1")
    (found,) = (one for one in entries if isinstance(one, Transaction) and one.meta["position"] == stored.position)
    assert (found.meta["event"], found.meta["rules"], found.payee) == (stored.id, "26", "chargeback_won")
    assert {stored.stream, ADA} <= found.links
    opened = {one.account: one.meta["account"] for one in entries if isinstance(one, Open)}
    assert opened[export_beancount.name_of(f"{ADA}:in_transit")] == f"{ADA}:in_transit"


def test_a_posting_that_is_wrong_makes_beancount_fail(live: Live) -> None:
    """By one minor unit, within the tolerance that beancount would give a balance by itself."""
    text = "".join(export_beancount.lines(live.log))
    charge = re.compile(r"(?<=  Assets:Processor  )200\.00(?= EUR\n)|(?<=:Pending  )-200\.00(?= EUR\n)")
    wrong = charge.sub(lambda found: found[0].replace("200.00", "200.01"), text, count=2)
    assert wrong.count("200.01") == 2
    _, errors, _ = loader.load_string(wrong)
    assert errors
    assert all("Balance failed" in error.message for error in errors)


@given(st.from_regex(r"[a-z0-9][a-z0-9_]{0,12}(:[a-z0-9][a-z0-9_]{0,12}){0,2}", fullmatch=True))
def test_an_account_has_one_name_in_beancount_and_that_name_one_account(account: str) -> None:
    assert export_beancount.account_of(export_beancount.name_of(account)) == account


def test_an_account_that_no_journal_can_name_is_refused() -> None:
    sides = (("debit", "processor"), ("credit", "Equity;  a -1 USD"))
    postings = tuple(e.Posting(account=name, direction=side, amount=1, currency="USD") for side, name in sides)
    stamp = {"actor": "x", "occurred_at": START, "recorded_at": START, "command_id": "c"}
    log = EventsLog([e.AdjustmentApproved(**stamp, adjustment_id="a", person="p", postings=postings)])
    for lines in (export_hledger.lines, export_beancount.lines):
        with pytest.raises(Unexportable, match="at position 1 cannot be named"):
            list(lines(log))
    assert "'Equity" not in "".join(export_csv.lines(log))


@pytest.mark.parametrize("lines", [export_hledger.lines, export_beancount.lines, export_csv.lines])
def test_an_empty_log_is_an_empty_export(lines) -> None:
    text = "".join(lines(EventsLog([])))
    assert "2026" not in text
    assert loader.load_string(text if lines is export_beancount.lines else "")[1] == []


# Amounts


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(-(10**15), 10**15))
def test_an_amount_is_written_and_read_exactly(currency: str, amount: int) -> None:
    text = major(amount, currency)
    assert minor(text, currency) == amount
    assert Decimal(text).scaleb(exponent(currency)) == amount
    assert len(text.partition(".")[2]) == exponent(currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.234", "USD"),
        ("1,234", "USD"),
        ("1,000", "JPY"),
        ("1,234.50", "USD"),
        ("1e3", "USD"),
        ("+1", "USD"),
        ("(5.00)", "USD"),
        ("", "USD"),
        (".5", "USD"),
        ("5.", "USD"),
        ("\u0661", "USD"),
        ("NaN", "USD"),
        ("1" * 31, "USD"),
    ],
)
def test_what_is_no_amount_of_the_currency_is_refused_and_never_rounded(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        minor(text, currency)


def test_the_processor_s_ways_of_writing_an_amount_are_read() -> None:
    assert [minor(text, "USD") for text in ("1", "1.5", "-1.50", "1,50", " 1.50 ", "-0.00", "1.500")] == [
        *(100, 150, -150, 150, 150, 0, 150)
    ]
    assert (minor("1000", "JPY"), minor("1000.00", "JPY"), minor("1.234", "BHD")) == (1_000, 1_000, 1_234)


# CSV


def rows_of(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline=""), strict=True))


def test_the_csv_is_what_a_spreadsheet_opens_as_a_person_expects(live: Live) -> None:
    text = "".join(export_csv.lines(live.log))
    raw = text.encode()
    assert raw.startswith(b"\xef\xbb\xbfposition,event_id,date,")
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    for one in rows_of(text):
        date.fromisoformat(one["date"])
        assert one["occurred_at"].startswith(one["date"])
        assert bool(one["debit"]) != bool(one["credit"])
        for side in ("debit", "credit"):
            assert not one[side].startswith("-")
            if one[side]:
                assert minor(one[side], one["currency"]) == int(one[f"{side}_minor_units"])
        for name, value in one.items():
            is_number = re.fullmatch(r"[\d.,eE+-]+", value) is not None
            is_amount = name in ("position", "rules", "date", *(n for n in one if n.startswith(("debit", "credit"))))
            assert is_amount or not is_number, f"{name} {value} would be taken for a number"


@settings(max_examples=40, deadline=None)
@given(logs)
def test_the_csv_adds_up_to_the_trial_balance(log: EventsLog) -> None:
    sums: Balances = {}
    for one in rows_of("".join(export_csv.lines(log))):
        key = one["account"], one["currency"]
        debit, credit = (minor(one[side] or "0", one["currency"]) for side in ("debit", "credit"))
        sums[key] = sums.get(key, 0) + debit - credit
    accounts = trial_balance(log).accounts
    assert sums == {(one.account, one.currency): -one.balance for one in accounts}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r", "\n=", " =", "\uff1d", "\u200b="])
def test_a_text_that_would_be_a_formula_stays_a_text(start: str) -> None:
    shown = cell(f'{start}HYPERLINK("http://x.example";"Ada, Bob")')
    assert shown.startswith(("'", "\\"))
    (read,) = csv.reader(io.StringIO(export_csv.record([shown]), newline=""), strict=True)
    assert read == [shown]


def test_a_hostile_text_of_an_event_is_neutralised() -> None:
    """A processor's failure code, an actor: whatever is in an event."""
    stamp = {"actor": "=1+1", "occurred_at": START, "recorded_at": START, "command_id": "c"}
    paid = e.WithdrawalFailed(
        **stamp, freelancer_id=ADA, withdrawal_id="@SUM(A1)", amount=1, currency="USD", failure='x",\r\n=2+2'
    )
    row, _ = rows_of("".join(export_csv.lines(EventsLog([paid]))))
    assert (row["actor"], row["withdrawal_id"]) == ("'=1+1", "'@SUM(A1)")
    assert "\\r" in row["what"]


# Times


@needs_hledger
@pytest.mark.parametrize("times", [{"as_of": at("2026-02-01 09:00")}, {"known_at": at("2026-02-11 00:00")}])
def test_an_export_counts_what_had_occurred_or_was_known_by_then(live: Live, times: dict[str, datetime]) -> None:
    journal, text = ("".join(made.lines(live.log, **times)) for made in (export_hledger, export_beancount))
    for day in days_of(live.log):
        assert in_hledger(journal, day) == in_beancount(text, day) == ours(live.log, day, **dict(times))


@given(st.lists(moved(), max_size=4), st.data())
@settings(max_examples=20, deadline=None)
def test_the_same_log_gives_the_same_bytes(events: list[e.Event], data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from((export_hledger.lines, export_beancount.lines, export_csv.lines)))
    assert list(lines(EventsLog(events))) == list(lines(EventsLog(events)))


# The command


@pytest.mark.parametrize("name", ["csv", "hledger", "beancount"])
def test_the_command_writes_what_the_function_says(replay: Replay, live: Live, tmp_path: Path, name: str) -> None:
    file = tmp_path / "out"
    result = replay("export", "--format", name, str(file), "--as-of", "2026-02-01T00:00:00Z")
    assert (result.exit_code, result.output) == (0, "")
    made = {"csv": export_csv, "hledger": export_hledger, "beancount": export_beancount}[name]
    assert file.read_bytes() == "".join(made.lines(live.log, as_of=at("2026-02-01 00:00"))).encode()
    assert replay("export", "--format", name, "-", "--as-of", "2026-02-01T00:00:00Z").stdout_bytes == file.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["out"], "nothing half written is left"


def test_parquet_has_typed_columns_by_month(replay: Replay, live: Live, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    assert replay("export", "--format", "parquet", str(folder)).exit_code == 0
    assert {one.name for one in folder.iterdir() if one.is_dir()} == {"month=2026-01", "month=2026-02", "month=2026-03"}
    data = pyarrow.dataset.dataset([str(one) for one in folder.rglob("*.parquet")], format="parquet")
    assert str(data.schema.field("amount").type) == "int64"
    assert str(data.schema.field("occurred_at").type) == "timestamp[us, tz=UTC]"
    rows = data.to_table(columns=["position", "state"]).sort_by("position").to_pylist()
    assert [(one["position"], one["state"]) for one in rows] == [
        (stored.position, stored.state) for stored in live.log.read_all()
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "jsonl", "x", "--as-of", "2026-01-09T12:00:00Z"), "holds the whole log"),
        (("--format", "parquet", "x", "--known-at", "2026-01-09T12:00:00Z"), "holds the whole log"),
        (("--format", "parquet", "-"), "name one that is not there yet"),
        (("--format", "xlsx", "x"), "'xlsx' is not one of"),
        (("--format", "csv", "."), "is there already"),
        (
            ("--format", "csv", "nowhere/at/all.csv"),
            "cannot be written to nowhere/at/all.csv: No such file or directory",
        ),
        (("--format", "csv"), "Missing argument"),
    ],
)
def test_what_cannot_be_exported_ends_with_2_and_leaves_nothing(
    replay: Replay, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = replay("export", *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_breaks_off_leaves_no_file(
    replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Iterator[str]:
        yield "half of it"
        raise OSError(28, "No space left on device")

    from replay.cli import exporting

    monkeypatch.setitem(exporting.POSTINGS, exporting.Format.CSV, broken)
    result = replay("export", "--format", "csv", "out.csv")
    assert result.exit_code == 2
    assert "No space left" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_jsonl_is_still_what_it_was_by_default(replay: Replay, live: Live, tmp_path: Path) -> None:
    assert replay("export", "log.jsonl").exit_code == 0
    lines = [orjson.loads(line) for line in (tmp_path / "log.jsonl").read_bytes().splitlines()]
    assert [(one["position"], one["hash"]) for one in lines] == [
        (stored.position, stored.hash.hex()) for stored in live.log.read_all()
    ]


@pytest.mark.parametrize("command", ["export", "statement", "reconcile"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert f"Example: replay {command}" in CliRunner().invoke(app, [command, "--help"]).stdout
