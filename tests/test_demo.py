"""The demo, as `make demo` runs it: a smaller quarter, without a terminal and without standard input."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.demo.cast import CLIENTS, FREELANCERS, JOBS
from api.demo.command import MOST_CONTRACTS

AT_MOST_SECONDS = 600
"""Only so that a demo that hangs fails the test: it takes some ten seconds."""
LEDGER = Path(sys.executable).with_name("ledger")


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`ledger demo` with these arguments."""
    return subprocess.run(
        [LEDGER, "demo", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=AT_MOST_SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    return play("--exit", "--contracts", "8", "--port", "0")


def test_every_step_is_accepted_and_the_verdict_is_in_order(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "replay verify" in demo.stdout
    assert "NOT in order" not in demo.stdout


def test_progress_goes_to_standard_error(demo: subprocess.CompletedProcess[str]) -> None:
    assert re.search(r"^2026-02-\d\d +\d+ events$", demo.stderr, re.MULTILINE)


def test_the_statement_runs_from_its_opening_to_its_closing_balance(demo: subprocess.CompletedProcess[str]) -> None:
    statement = demo.stdout.partition("Statement of Ada Byron")[2].partition("Why ")[0]
    assert statement.index("opening balance") < statement.index("release") < statement.index("closing balance")


def test_it_says_why_a_payout_is_pending(demo: subprocess.CompletedProcess[str]) -> None:
    why = demo.stdout.partition("is still pending")[2].partition("Trial balance")[0]
    assert "an open objection stops its release" in why
    assert "Awaited from client" in why


def test_debits_are_credits_in_every_currency(demo: subprocess.CompletedProcess[str]) -> None:
    sides = re.findall(r"([A-Z]{3}): debits = credits\W+([\d.,]+) \1\W+([\d.,]+) \1", demo.stdout)
    assert {currency for currency, _, _ in sides} == {"EUR", "JPY", "USD"}
    assert all(debit == credit for _, debit, credit in sides)
    assert "Balanced: yes" in demo.stdout


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    refused = play("--exit", "--data-dir", str(tmp_path))
    assert refused.returncode == 1
    assert "not empty" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_cast_is_complete() -> None:
    assert len(JOBS) == MOST_CONTRACTS
    assert {job.kind for job in JOBS} == {"single_payment", "milestone", "hourly", "fixed_rate"}
    assert {job.client for job in JOBS} == set(range(len(CLIENTS)))
    assert {job.freelancer for job in JOBS} == set(range(len(FREELANCERS)))
