"""`replay bisect`: the first event after which a condition is false, held against looking at every one of them."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ledger.events import AdjustmentApproved
from ledger.postings import entries
from replay.archive.writing import archive
from replay.cli import app
from replay.debug.bisect import NotGood, NothingCounts, bisect_ledger, bisect_subject
from replay.debug.condition_values import ConditionError
from replay.debug.conditions import Condition, parse
from replay.debug.ledger_scope import LEDGER
from replay.debug.scopes import STEP, scope_at
from replay.debug.timeline import timeline
from replay.live import Live
from tests.history import DAY, History, Recorded, utc
from tests.replay.archives import Log
from tests.replay.conftest import Copy, Replay
from tests.replay.goldens import require_golden
from tests.replay.made import HISTORIES, Made, payouts, source_of, source_of_events
from tests.replay.story import ADA, BOB, contract, payout

GOLDEN = Path(__file__).parent / "golden_debugging"
PROPERTIES = settings(max_examples=60, deadline=None)


# Every event looked at, by Python itself


class Books:
    """The ledger after some of its events, summed from the first one on."""

    def __init__(self, history: History, position: int) -> None:
        self.event = history.log[position - 1].event
        self.position = position
        self.all = [entry for one in history.log[:position] for entry in entries(one.event)]
        self.currencies = sorted({entry.currency for entry in self.all}) or [""]

    def balance(self, account: str, currency: str) -> int:
        return sum(entry.credit for entry in self.all if (entry.account, entry.currency) == (account, currency))

    def side(self, sign: int, currency: str) -> int:
        return sum(abs(entry.credit) for entry in self.all if entry.currency == currency and entry.credit * sign > 0)

    def lowest(self, bucket: str, currency: str) -> int:
        accounts = {
            entry.account for entry in self.all if entry.currency == currency and entry.account.endswith(f":{bucket}")
        }
        return min((self.balance(account, currency) for account in accounts), default=0)


def fred(history: History) -> str:
    return f"{history.freelancer}:available"


CHECKS: dict[str, Any] = {
    "debits == credits": lambda b, h: all(b.side(1, one) == b.side(-1, one) for one in b.currencies),
    'balance("FRED", "USD") >= 0': lambda b, h: b.balance(fred(h), "USD") >= 0,
    'balance("FRED") < 2000': lambda b, h: all(b.balance(fred(h), one) < 2_000 for one in b.currencies),
    'balance("FRED", "USD") == 0': lambda b, h: b.balance(fred(h), "USD") == 0,
    "debits(USD) < 3000": lambda b, h: b.side(-1, "USD") < 3_000,
    "credits > 0": lambda b, h: all(b.side(1, one) > 0 for one in b.currencies),
    'lowest("available") >= 0': lambda b, h: all(b.lowest("available", one) >= 0 for one in b.currencies),
    'lowest("pending", "USD") < 1500': lambda b, h: b.lowest("pending", "USD") < 1_500,
    'event != "payout.reversed.v1"': lambda b, h: b.event.TOPIC != "payout.reversed.v1",
    'position < 12 or balance("FRED", "USD") < 900': lambda b, h: b.position < 12 or b.balance(fred(h), "USD") < 900,
    "occurred_at == recorded_at": lambda b, h: b.event.occurred_at == b.event.recorded_at,
    "not rule(25)": lambda b, h: not b.event.TOPIC.startswith(("freelancer.withdrawal", "freelancer.funds")),
}


def condition_of(history: History, text: str) -> Condition:
    return parse(text.replace("FRED", fred(history)), LEDGER)


@PROPERTIES
@given(HISTORIES, st.sampled_from(sorted(CHECKS)), st.data())
def test_it_is_the_event_that_looking_at_all_of_them_finds(history: History, text: str, data: st.DataObject) -> None:
    source, holds = source_of(history), CHECKS[text]
    end = len(history.log)
    truth = [holds(Books(history, position), history) for position in range(1, end + 1)]
    condition = condition_of(history, text)
    bad = data.draw(st.none() | st.integers(1, end))
    good = data.draw(st.just(0) | st.integers(1, (bad or end) - 1) if (bad or end) > 1 else st.just(0))
    expected = next((at for at in range(good + 1, (bad or end) + 1) if not truth[at - 1]), None)
    try:
        found = bisect_ledger(source, condition, good=good, bad=bad)
    except NotGood:
        assert not truth[good - 1]
        return
    except ConditionError:
        # the account is not there yet: asked for by name, it is no answer that it held nothing
        assert expected is None
        assert "FRED" in text
        return
    assert good == 0 or truth[good - 1]
    assert found.holds == (expected is None)
    assert (found.first.position if found.first else None) == expected
    assert (found.good, found.bad) == (good, bad or end)


@PROPERTIES
@given(HISTORIES, st.sampled_from(['lowest("available") >= 0', 'balance("FRED", "USD") == 0', "debits(USD) < 3000"]))
def test_the_values_are_those_before_the_event_and_after_it(history: History, text: str) -> None:
    found = bisect_ledger(source_of(history), condition_of(history, text))
    if found.first is None:
        return
    position = found.first.position
    after, currency = Books(history, position), found.currency or "USD"

    def value(books: Books) -> int:
        if text.startswith("lowest"):
            return books.lowest("available", currency)
        return books.balance(fred(history), "USD") if text.startswith("balance") else books.side(-1, "USD")

    before = value(Books(history, position - 1)) if position > 1 else 0
    assert [(one.before, one.after) for one in found.values] == [(before, value(after))]


STEP_CHECKS = (
    "available >= 0",
    "pending == 0",
    'status != "released"',
    "payout.attempt < 2",
    "not (own and rule(26))",
    "available(EUR) < 900",
    "in_transit == 0 or position < 30",
)


@PROPERTIES
@given(HISTORIES, st.sampled_from(STEP_CHECKS), st.data())
def test_of_a_subject_it_is_the_first_of_its_steps_that_breaks_it(
    history: History, text: str, data: st.DataObject
) -> None:
    source, condition = source_of(history), parse(text, STEP)
    streams = [stream for stream in history.states if stream.startswith(("con_", "pay_", "fre_"))]
    subject = data.draw(st.sampled_from(streams))
    made = timeline(source, subject)
    assert made is not None
    broken = []
    for step in made.steps:
        currencies = [made.currency] if made.currency else sorted({one.currency for one in step.balances}) or [None]
        if any(condition.fails(scope_at(made, step, currency)) for currency in currencies):
            broken.append(step.event.position)
    try:
        found = bisect_subject(source, subject, condition)
    except ConditionError:
        assert not broken
        assert not any(condition.holds(scope_at(made, step)) for step in made.steps)
        return
    assert found is not None
    assert (found.first.position if found.first else None) == (broken[0] if broken else None)
    if broken:
        later = bisect_subject(source, subject, condition, bad=broken[0] - 1)
        assert later is not None
        assert later.holds


# At other times


TIMED_CHECKS = sorted(text for text in CHECKS if "position" not in text)


def times_of(data: st.DataObject, history: History) -> dict[str, datetime | None]:
    """Two times, or one, or none, at which something occurred or was recorded."""
    events = [one.event for one in history.log]
    occurred, recorded = ({getattr(event, name) for event in events} for name in ("occurred_at", "recorded_at"))
    return {
        "as_of": data.draw(st.none() | st.sampled_from(sorted(occurred))),
        "known_at": data.draw(st.none() | st.sampled_from(sorted(recorded))),
    }


def counting(history: History, as_of: datetime | None, known_at: datetime | None) -> list[tuple[int, Recorded]]:
    """The events that count at these times, with their positions."""
    return [
        (position, one)
        for position, one in enumerate(history.log, 1)
        if (as_of is None or one.event.occurred_at <= as_of) and (known_at is None or one.event.recorded_at <= known_at)
    ]


@PROPERTIES
@given(HISTORIES, st.sampled_from(TIMED_CHECKS), st.data())
def test_at_other_times_it_is_as_if_there_were_no_other_events(
    history: History, text: str, data: st.DataObject
) -> None:
    times, condition = times_of(data, history), condition_of(history, text)
    counted = counting(history, **times)
    assume(counted)
    positions = [position for position, _ in counted]
    good = data.draw(st.just(0) | st.sampled_from(positions[:-1] or [0]))
    alone = source_of_events(((one.stream, one.version, one.event) for _, one in counted), history.now)
    try:
        expected = bisect_ledger(alone, condition, good=positions.index(good) + 1 if good else 0)
    except (NotGood, ConditionError) as error:
        with pytest.raises(type(error)):
            bisect_ledger(source_of(history), condition, good=good, **times)
        return
    found = bisect_ledger(source_of(history), condition, good=good, **times)
    assert (found.holds, found.currency, found.values) == (expected.holds, expected.currency, expected.values)
    if found.first is not None and expected.first is not None:
        assert found.first == replace(expected.first, position=positions[expected.first.position - 1])
    assert (found.as_of, found.known_at) == (times["as_of"], times["known_at"])


@PROPERTIES
@given(HISTORIES, st.sampled_from(STEP_CHECKS), st.data())
def test_of_a_subject_it_is_asked_of_the_steps_at_these_times(history: History, text: str, data: st.DataObject) -> None:
    source, condition, times = source_of(history), parse(text, STEP), times_of(data, history)
    (payout_id, *_) = [one.id for one in payouts(history)]
    made = timeline(source, payout_id, **times)
    assert made is not None
    if not made.steps:
        with pytest.raises(NothingCounts, match="ask for later ones"):
            bisect_subject(source, payout_id, condition, **times)
        return
    broken = [step.event for step in made.steps if condition.fails(scope_at(made, step))]
    found = bisect_subject(source, payout_id, condition, **times)
    assert found is not None
    assert found.first == (broken[0] if broken else None)


@pytest.mark.parametrize("text", ["payout.pending >= 0", "payout.charged >= payout.released", "payout.failures < 9"])
def test_a_payout_breaks_nothing_before_it_is_there(text: str) -> None:
    """Its timeline begins with its contract."""
    history = withdrawn_then_charged_back()
    found = bisect_subject(source_of(history), payouts(history)[0].id, parse(text, STEP))
    assert found is not None
    assert found.holds


def test_what_is_never_there_is_no_answer() -> None:
    history = withdrawn_then_charged_back()
    condition = parse("payout.objection.at > 2026-01-01T00:00:00Z or payout.objection.status == 'open'", STEP)
    with pytest.raises(ConditionError, match="is not there after any of the events"):
        bisect_subject(source_of(history), payouts(history)[0].id, condition)
    with pytest.raises(ConditionError, match="is not there after any of the events"):
        bisect_ledger(source_of(history), parse("cause_id == 'evt_con_x_1' and position > 0", LEDGER), bad=1)


def test_before_anything_happened_there_is_nothing_to_ask() -> None:
    history = withdrawn_then_charged_back()
    with pytest.raises(NothingCounts, match="nothing counts at these times: ask for later ones"):
        bisect_ledger(source_of(history), parse("debits == credits", LEDGER), as_of=utc("2020-01-01 00:00"))


def test_an_account_that_was_not_posted_to_by_then_is_no_answer() -> None:
    history = withdrawn_then_charged_back()
    condition, first = condition_of(history, 'balance("FRED") >= 0'), history.log[0].event.occurred_at
    assert bisect_ledger(source_of(history), condition).first is not None
    with pytest.raises(ConditionError, match="nothing that counts at these times was posted to"):
        bisect_ledger(source_of(history), condition, as_of=first)


# What it is for


def withdrawn_then_charged_back() -> History:
    history = History("2026-01-05 09:00")
    work = history.active("single_payment", amount=50_000)
    history.submit(work)
    history.approve(work)
    history.advance(5 * DAY)
    history.withdraw(40_000)
    history.reverse(history.payout(work), 50_000, "chargeback")
    return history


def test_it_finds_who_went_below_zero_though_they_are_back_above_it() -> None:
    """An adjustment the day after makes it good again; what stands now shows nothing."""
    history = withdrawn_then_charged_back()
    history.approve_adjustment(
        history.propose_adjustment(("platform:adjustments", "debit", 99_000), (fred(history), "credit", 99_000))
    )
    assert history.balance().available > 0
    found = bisect_ledger(source_of(history), parse('lowest("available") >= 0', LEDGER))
    assert found.first is not None
    assert found.first.type == "payout.reversed.v1"
    assert found.first.rules == (26,)
    assert [(one.before, one.after) for one in found.values] == [(10_000, -40_000)]


def test_an_adjustment_whose_debits_are_not_its_credits_is_found() -> None:
    """As only somebody who tampers with the log could have written it."""
    history = withdrawn_then_charged_back()
    history.approve_adjustment(
        history.propose_adjustment(("platform:adjustments", "debit", 100), (fred(history), "credit", 100))
    )
    events = [(one.stream, one.version, one.event) for one in history.log]
    at = next(at for at, one in enumerate(events) if isinstance(one[2], AdjustmentApproved))
    stream, version, event = events[at]
    assert isinstance(event, AdjustmentApproved)
    wrong = (event.postings[0], msgspec.structs.replace(event.postings[1], amount=101))
    events[at] = stream, version, msgspec.structs.replace(event, postings=wrong)
    source: Made = source_of_events(events, history.now)
    found = bisect_ledger(source, parse("debits == credits", LEDGER))
    assert found.first is not None
    assert found.first.position == at + 1
    assert {one.term: one.after - one.before for one in found.values} == {"debits": 100, "credits": 101}
    assert bisect_ledger(source, parse("debits == credits", LEDGER), bad=at).holds


def test_the_currency_is_named_where_it_is_only_in_one_of_several(live: Live) -> None:
    found = bisect_ledger(live, parse(f'balance("{BOB}:available") < 200000', LEDGER))
    assert (found.holds, found.currency) == (False, "JPY")
    every = bisect_ledger(live, parse("not rule(26)", LEDGER))
    assert (every.holds, every.currency) == (False, None)


def test_before_its_first_posting_an_account_is_not_among_the_lowest() -> None:
    history = History("2026-01-05 09:00")
    history.approve_adjustment(
        history.propose_adjustment(("platform:adjustments", "debit", 500), (fred(history), "credit", 500))
    )
    other = f"{history.register_freelancer('Faye')}:available"
    history.approve_adjustment(
        history.propose_adjustment((other, "debit", 5), ("platform:adjustments", "credit", 5), currency="USD")
    )
    found = bisect_ledger(source_of(history), parse('lowest("available") >= 0', LEDGER))
    assert [(one.before, one.after) for one in found.values] == [(500, -5)]


def test_a_ledger_without_an_event_holds() -> None:
    source = source_of_events([], History("2026-01-05 09:00").now)
    found = bisect_ledger(source, parse("debits > 3", LEDGER))
    assert (found.holds, found.bad) == (True, 0)


def test_an_account_that_never_was_is_no_answer(live: Live) -> None:
    with pytest.raises(ConditionError, match=r"nothing was ever posted to fre_x:available: check the account's name"):
        bisect_ledger(live, parse('balance("fre_x:available") >= 0', LEDGER))


def test_what_the_reader_of_the_log_cannot_hold_ends_at_the_first_event_that_breaks_it() -> None:
    """Nothing after it is read: the fold stops there."""
    history = withdrawn_then_charged_back()
    source = source_of(history)
    read: list[int] = []
    found = bisect_ledger(source, parse("debits(USD) == 0", LEDGER), on_events=read.append)
    assert found.first is not None
    assert sum(read) == found.first.position < len(history.log)
    assert payouts(history)[0].id in found.first.event_id


# The command


OUTPUTS: dict[str, tuple[str, ...]] = {
    "bisect-holds.txt": ("bisect", "--check", "debits == credits"),
    "bisect-account.txt": ("bisect", "--check", f'balance("{ADA}:available", "USD") < 100000'),
    "bisect-freelancer.txt": ("bisect", "--check", "available <= 100000", "--of", ADA),
    "bisect-payout.json": ("bisect", "--check", 'status != "released"', "--of", payout("Refunded"), "--json"),
    "bisect-known-at.txt": (
        *("bisect", "--check", "payout.held == payout.charged", "--of", contract("Code")),
        *("--as-of", "2026-01-31T00:00:00Z", "--known-at", "2026-02-28T00:00:00Z"),
    ),
    "bisect-as-of-holds.txt": ("bisect", "--check", "credits(USD) < 1", "--as-of", "2026-01-06T00:00:00Z"),
    "bisect-contract.txt": ("bisect", "--check", "not payout.objection_open", "--of", contract("Code"), "--good", "60"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_is_the_golden_one(replay: Replay, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 1: it was broken; 0: it holds."""
    result = replay(*OUTPUTS[name])
    assert (result.exit_code, result.stderr) == (int("holds" not in name), "")
    require_golden(GOLDEN / name, result.stdout)
    monkeypatch.setenv("COLUMNS", "40")
    assert replay(*OUTPUTS[name]).stdout_bytes == result.stdout_bytes


def test_json_says_what_people_are_told(replay: Replay) -> None:
    found = orjson.loads(replay("bisect", "--check", "debits(USD) == 0", "--json").stdout)
    assert (found["holds"], found["first"]["type"]) == (False, "payout.charged.v1")
    assert found["values"] == [{"term": "debits(USD)", "before": 0, "after": found["first"]["entries"][0]["amount"]}]
    held = orjson.loads(replay("bisect", "--check", "debits == credits", "--json").stdout)
    assert (held["holds"], held["first"], held["values"]) == (True, None, [])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing option '--check'"),
        (("--check", ""), "it is empty"),
        (("--check", "debit == credits"), "there is no 'debit' (did you mean debits?)"),
        (("--check", "available >= 0"), "there is no 'available'"),
        (("--check", "debits"), "compare it with something"),
        (("--check", 'balance("nobody") >= 0'), "nothing was ever posted to nobody"),
        (("--check", 'lowest("cash") >= 0'), "one of 'available', 'in_transit', 'pending', 'returned'"),
        (("--check", "debits == credits", "--of", "cli_x"), "give an id like con_"),
        (("--check", "debits == 0", "--of", ADA), "there is no 'debits'"),
        (("--check", "debits == 0", "--good", "280"), "is false at position 280 already: give an earlier --good"),
        (("--check", "available == 0", "--of", ADA, "--good", "280"), "is false at position 280 already"),
        (("--check", "debits == credits", "--bad", "99999"), "the log ends at position"),
        (("--check", "debits == credits", "--good", "20", "--bad", "20"), "--good is not before"),
        (("--check", "debits == credits", "--good", "-1"), "Invalid value for '--good'"),
        (("--check", "debits == credits", "--as-of", "yesterday"), "is not an RFC 3339 time"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_to_do(replay: Replay, arguments: tuple[str, ...], says: str) -> None:
    result = replay("bisect", *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_of_an_empty_ledger_it_is_said_that_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    archive(Log(()), tmp_path / "archive")
    result = CliRunner().invoke(app, ["bisect", "--check", "debits == credits", "--source", str(tmp_path / "archive")])
    assert (result.exit_code, result.stdout) == (0, "debits == credits: there is no event to ask it of.\n")


def test_an_unknown_subject_ends_with_2(replay: Replay) -> None:
    result = replay("bisect", "--check", "available >= 0", "--of", "con_x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no history of con_x" in result.stderr


@pytest.mark.parametrize("of", [(), ("--of", contract("Code"))])
@pytest.mark.parametrize("time", ["--as-of", "--known-at"])
def test_a_time_at_which_nothing_counts_ends_with_2(replay: Replay, of: tuple[str, ...], time: str) -> None:
    result = replay("bisect", "--check", "position > 0", *of, time, "2020-01-01T00:00:00Z")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "counts at these times: ask for later ones" in result.stderr


def test_no_command_here_changes_the_database(copy: Copy, replay_at: Any) -> None:
    import psycopg

    query = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
    with psycopg.connect(copy.admin_url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        before = connection.execute(query).fetchone()
        replay = replay_at(copy)
        assert replay("bisect", "--check", "debits == credits").exit_code == 0
        assert replay("diff", "0", "200", "--events").exit_code == 0
        assert replay("step", contract("Code")).exit_code == 0
        assert connection.execute(query).fetchone() == before
