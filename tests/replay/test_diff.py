"""`replay diff`: what changed between two points, per account, in either of the two times."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.postings import entries
from replay.balances import balance, trial_balance
from replay.debug.diff import Difference, Point, diff, parse_point
from replay.history import history as history_of
from replay.live import Live
from tests.history import DAY, HOUR, History
from tests.replay.conftest import Replay
from tests.replay.goldens import require_golden
from tests.replay.made import HISTORIES, Made, source_of
from tests.replay.story import ADA, BOB, at, contract, payout

GOLDEN = Path(__file__).parent / "golden_debugging"
PROPERTIES = settings(max_examples=60, deadline=None)
POINTS = st.one_of(
    st.integers(0, 40).map(lambda position: ("position", position)),
    st.tuples(st.sampled_from(["occurred", "recorded"]), st.integers(0, 40 * 24)),
)


def point(history: History, drawn: Any) -> Point:
    """A position of the log, or some hours from its beginning."""
    if drawn[0] == "position":
        return Point("position", position=min(drawn[1], len(history.log)))
    return Point(drawn[0], time=history.log[0].event.occurred_at + timedelta(hours=drawn[1]))


def amounts(found: Difference | None) -> dict[tuple[str, str], int]:
    assert found is not None
    return {(one.account, one.currency): one.difference for one in found.accounts if one.difference}


def total(*differences: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    keys = {key for one in differences for key in one}
    summed = {key: sum(one.get(key, 0) for one in differences) for key in keys}
    return {key: amount for key, amount in summed.items() if amount}


def found_in(source: Made, a: Point, b: Point, **narrowed: Any) -> Difference:
    found = diff(source, a, b, **narrowed)
    assert found is not None
    return found


# What is always so


@PROPERTIES
@given(HISTORIES, POINTS, POINTS, POINTS)
def test_two_differences_in_a_row_are_the_difference_of_both(history: History, one: Any, other: Any, last: Any) -> None:
    source = source_of(history)
    a, b, c = (point(history, drawn) for drawn in (one, other, last))
    assert total(amounts(diff(source, a, b)), amounts(diff(source, b, c))) == amounts(diff(source, a, c))


@PROPERTIES
@given(HISTORIES, POINTS, POINTS)
def test_the_other_way_round_is_the_negative_by_the_same_events(history: History, one: Any, other: Any) -> None:
    source = source_of(history)
    a, b = point(history, one), point(history, other)
    there, back = found_in(source, a, b), found_in(source, b, a)
    assert total(amounts(there), amounts(back)) == {}
    assert {one.event.position for one in there.events} == {one.event.position for one in back.events}
    assert all(
        {one.side, other.side} == {"added", "removed"} for one, other in zip(there.events, back.events, strict=True)
    )
    assert amounts(diff(source, a, a)) == {}


@PROPERTIES
@given(HISTORIES, POINTS, POINTS)
def test_the_differing_events_sum_to_the_differences(history: History, one: Any, other: Any) -> None:
    found = found_in(source_of(history), point(history, one), point(history, other))
    sums: dict[tuple[str, str], int] = {}
    for differing in found.events:
        sign = 1 if differing.side == "added" else -1
        for account, currency, credit, _ in differing.event.entries:
            sums[account, currency] = sums.get((account, currency), 0) + sign * credit
    assert {key: amount for key, amount in sums.items() if amount} == amounts(found)
    for account in found.accounts:
        assert account.difference == account.after - account.before
        movers = [
            differing
            for differing in found.events
            if account.account in [entry.account for entry in differing.event.entries]
        ]
        assert account.events <= len(movers)


@PROPERTIES
@given(HISTORIES, POINTS)
def test_from_nothing_it_is_the_trial_balance(history: History, drawn: Any) -> None:
    source, b = source_of(history), point(history, drawn)
    found = found_in(source, Point("position", position=0), b)
    if b.time is not None:
        times = {"as_of" if b.axis == "occurred" else "known_at": b.time}
        books = trial_balance(source.log, **times)
        assert [(one.account, one.currency, one.after) for one in found.accounts] == [
            (one.account, one.currency, one.balance) for one in books.accounts
        ]
        return
    sums: dict[tuple[str, str], int] = {}
    for one in history.log[: b.position]:
        for account, currency, credit, _ in entries(one.event):
            sums[account, currency] = sums.get((account, currency), 0) + credit
    assert {(one.account, one.currency): one.after for one in found.accounts} == sums


@PROPERTIES
@given(HISTORIES, st.integers(0, 1_000), st.booleans())
def test_what_narrows_it_counts_as_it_does_for_the_trial_balance(history: History, which: int, known: bool) -> None:
    """At the very instant of an event, that event counts."""
    source, event = source_of(history), history.log[which % len(history.log)].event
    times: Any = {"known_at": event.recorded_at} if known else {"as_of": event.occurred_at}
    whole = Point("position", position=0), Point("position", position=len(history.log))
    books = trial_balance(source.log, **times)
    assert [(one.account, one.currency, one.after) for one in found_in(source, *whole, **times).accounts] == [
        (one.account, one.currency, one.balance) for one in books.accounts
    ]


@PROPERTIES
@given(HISTORIES, POINTS, POINTS)
def test_the_parts_of_its_subjects_are_the_whole(history: History, one: Any, other: Any) -> None:
    """Every movement here is of one contract, of a withdrawal, or a correction."""
    source = source_of(history)
    a, b = point(history, one), point(history, other)
    whole = found_in(source, a, b)
    contracts = [stream for stream in history.states if stream.startswith("con_")]
    parts = [found_in(source, a, b, subject=subject) for subject in contracts]
    of_contracts = [{(one.account, one.currency): one.difference for one in part.accounts} for part in parts]
    known = {differing.event.position for part in parts for differing in part.events}
    rest = [differing for differing in whole.events if differing.event.position not in known]
    assert all(one.event.type.startswith(("freelancer.withdrawal", "adjustment")) for one in rest)
    if not any(one.event.type.startswith("adjustment") for one in whole.events):
        others = [
            {(entry.account, entry.currency): (1 if one.side == "added" else -1) * entry.credit}
            for one in rest
            for entry in one.event.entries
        ]
        assert total(*of_contracts, *others) == amounts(whole)


# The two times


def charged_late() -> tuple[History, str]:
    """Charged on the 5th at 09:00; the processor's report is heard of at 14:00."""
    history = History("2026-01-05 09:00", card="silent")
    work = history.active("single_payment", amount=50_000)
    history.submit(work)
    history.approve(work)
    charged_at = history.now
    history.advance(5 * HOUR)
    history.processor.charged_at = charged_at
    history.processor.of_payout[history.payout(work).id] = "pays"
    history.settle()
    return history, work


def test_a_late_webhook_was_true_before_it_was_known() -> None:
    history, _ = charged_late()
    source = source_of(history)
    noon = history.log[0].event.occurred_at + 3 * HOUR
    true, known = Point("occurred", time=noon), Point("recorded", time=noon)
    pending = f"{history.freelancer}:pending"
    assert amounts(diff(source, known, true))[pending, "USD"] == 50_000
    assert amounts(diff(source, Point("position", position=0), known)) == {}
    heard = Point("recorded", time=noon + 2 * HOUR)
    assert amounts(diff(source, known, heard))[pending, "USD"] == 50_000
    assert amounts(diff(source, true, Point("occurred", time=noon + 2 * HOUR))) == {}


def test_a_late_worker_s_release_was_true_before_it_was_known() -> None:
    """Released as of the end of the hold, by a worker that comes back two days later (rule 29)."""
    history = History("2026-01-05 09:00")
    work = history.active("single_payment", amount=50_000)
    history.submit(work)
    history.approve(work)
    history.up = False
    history.advance(6 * DAY)
    history.worker_returns()
    source = source_of(history)
    between = history.log[0].event.occurred_at + 5 * DAY
    found = found_in(source, Point("recorded", time=between), Point("occurred", time=between))
    assert amounts(found) == {
        (f"{history.freelancer}:pending", "USD"): -50_000,
        (f"{history.freelancer}:available", "USD"): 50_000,
    }
    assert [(one.side, one.event.type) for one in found.events] == [("added", "payout.released.v1")]


def test_a_correction_of_a_closed_month_shows_between_two_known_times(live: Live) -> None:
    """Approved on 12 February, as of 1 February: in the books of that day only since then."""
    closed = at("2026-02-02 00:00")
    before, after = Point("recorded", time=at("2026-02-10 00:00")), Point("recorded", time=at("2026-03-01 00:00"))
    found = diff(live, before, after, as_of=closed)
    assert amounts(found) == {(f"{ADA}:available", "USD"): -1_000, (f"{BOB}:available", "USD"): 1_000}
    assert found is not None
    assert [one.event.type for one in found.events] == ["adjustment.approved.v1"]
    assert [one.event.details["person"] for one in found.events] == ["per_bob"]
    of_times = diff(
        live, Point("occurred", time=at("2026-02-10 00:00")), Point("occurred", time=at("2026-02-28 00:00"))
    )
    assert "adjustment.approved.v1" not in [one.event.type for one in (of_times.events if of_times else ())]


def test_at_the_end_it_is_the_balance(live: Live) -> None:
    found = diff(
        live, Point("position", position=0), Point("position", position=live.log.head()), account=f"{ADA}:available"
    )
    assert found is not None
    held = {one.currency: one.amount for one in balance(live.log, ADA).available}
    assert {one.currency: one.after for one in found.accounts} == held


def test_a_subject_s_amounts_are_what_its_own_events_moved(live: Live) -> None:
    a, b = Point("position", position=0), Point("position", position=live.log.head())
    found = diff(live, a, b, subject=payout("Refunded"))
    own = history_of(live, payout("Refunded"))
    assert found is not None
    assert own is not None
    moved = [one.position for one in own.events if one.entries]
    assert [one.event.position for one in found.events] == moved
    pending = next(one for one in found.accounts if one.account == f"{ADA}:pending")
    assert (pending.before, pending.after, pending.events) == (0, 0, 3)


# The command


OUTPUTS: dict[str, tuple[str, ...]] = {
    "diff-positions.txt": ("diff", "100", "150"),
    "diff-known.txt": ("diff", "known:2026-02-03T00:00:00Z", "2026-02-03T00:00:00Z", "--events"),
    "diff-closed-month.json": (
        *("diff", "known:2026-02-10T00:00:00Z", "known:2026-03-01T00:00:00Z"),
        *("--as-of", "2026-02-02T00:00:00Z", "--events", "--json"),
    ),
    "diff-account.csv": ("diff", "0", "2026-02-10T00:00:00Z", "--account", BOB, "--csv"),
    "diff-subject.csv": ("diff", "60", "2026-02-10T00:00:00Z", "--subject", contract("Code"), "--events", "--csv"),
    "diff-nothing.txt": ("diff", "100", "100"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_is_the_golden_one(replay: Replay, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = replay(*OUTPUTS[name])
    assert (result.exit_code, result.stderr) == (0, "")
    require_golden(GOLDEN / name, result.stdout)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert replay(*OUTPUTS[name]).stdout_bytes == result.stdout_bytes


def test_the_csv_of_the_events_adds_up_to_the_csv_of_the_accounts(replay: Replay) -> None:
    arguments = ("diff", "40", "known:2026-02-10T00:00:00Z", "--csv")
    accounts = csv.DictReader(io.StringIO(replay(*arguments).stdout))
    sums: dict[tuple[str, str], int] = {}
    for row in csv.DictReader(io.StringIO(replay(*arguments, "--events").stdout)):
        sign = 1 if row["side"] == "added" else -1
        key = row["account"], row["currency"]
        sums[key] = sums.get(key, 0) + sign * (int(row["credit"] or 0) - int(row["debit"] or 0))
    assert {(row["account"], row["currency"]): int(row["difference"]) for row in accounts} == sums


def test_the_events_are_only_told_when_they_are_asked_for(replay: Replay) -> None:
    assert "events" not in orjson.loads(replay("diff", "100", "150", "--json").stdout)
    assert len(orjson.loads(replay("diff", "100", "150", "--json", "--events").stdout)["events"]) > 1
    assert "The events that made the difference" not in replay("diff", "100", "150").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("diff", "1"), "Missing argument"),
        (("diff", "x", "3"), "'x' is no point of the log: give a position (120)"),
        (("diff", "-1", "3"), "No such option"),
        (("diff", "1", "known:3"), "'known:3' is no point of the log"),
        (("diff", "1", "2026-02-30T00:00:00Z"), "is no point of the log"),
        (("diff", "1", "9" * 30), "is no point of the log"),
        (("diff", "1", "99999"), "the log ends at position"),
        (("diff", "99999", "known:2026-02-10T00:00:00Z"), "the log ends at position"),
        (("diff", "1", "2", "--subject", "wdr_x"), "give an id like con_"),
        (("diff", "1", "2", "--json", "--csv"), "give one of them"),
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
        ("diff", "1", "2", "--subject", "con_x"),
        ("diff", "1", "2", "--account", "fre_x:available"),
        ("diff", "1", "2", "--account", "", "--json"),
    ],
)
def test_what_is_not_there_ends_with_2(replay: Replay, arguments: tuple[str, ...]) -> None:
    result = replay(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no" in result.stderr


def test_a_point_is_read_as_it_is_written() -> None:
    assert parse_point("120") == Point("position", position=120)
    assert parse_point("2026-01-09T13:00:00+01:00") == Point("occurred", time=at("2026-01-09 12:00"))
    assert parse_point("known:2026-01-09T12:00:00Z") == Point("recorded", time=at("2026-01-09 12:00"))
