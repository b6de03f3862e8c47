"""`replay step`: the timeline, moving through it, and the command where there is no terminal."""

import csv
import io
from datetime import timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.postings import BUCKETS, entries
from replay.balances import balance
from replay.debug.conditions import parse
from replay.debug.fields import fields_of, flat
from replay.debug.scopes import STEP, scope_at
from replay.debug.stepping import Debugger, Number, changes, first_where, numbers
from replay.debug.timeline import Timeline, as_document, timeline
from replay.history import history as history_of
from replay.live import Live
from tests.history import DAY, History
from tests.replay.conftest import Replay
from tests.replay.goldens import require_golden
from tests.replay.made import HISTORIES, Made, payouts, source_of
from tests.replay.story import ADA, BOB, PAYROLLS, at, contract, cycle_payout, payout

GOLDEN = Path(__file__).parent / "golden_debugging"
PROPERTIES = settings(max_examples=40, deadline=None)


def timelines(history: History, source: Made) -> list[Timeline]:
    """Of every contract, payout and freelancer."""
    subjects = [stream for stream in history.states if stream.startswith(("con_", "pay_", "fre_"))]
    return [found for subject in subjects if (found := timeline(source, subject)) is not None]


def one_payout() -> tuple[History, Timeline]:
    """Charged at the third attempt, objected to never, released, then taken back after most of it was withdrawn."""
    history = History("2026-01-05 09:00", card="declines")
    work = history.active("single_payment", amount=50_000)
    history.submit(work)
    history.approve(work)
    history.advance(DAY)
    history.billing_method("pays")
    history.advance(5 * DAY)
    history.withdraw(40_000)
    history.reverse(history.payout(work), 50_000, "chargeback")
    found = timeline(source_of(history), history.payout(work).id)
    assert found is not None
    return history, found


# The timeline


@PROPERTIES
@given(HISTORIES)
def test_the_balances_after_the_last_step_are_the_payee_s(history: History) -> None:
    source = source_of(history)
    for found in timelines(history, source):
        if not any(step.balances for step in found.steps):
            continue
        expected = balance(source.log, found.payee)
        held = {(one.account, one.currency): one.after for one in found.steps[-1].balances}
        for bucket, amounts in zip(BUCKETS, _buckets(expected), strict=True):
            for money in amounts:
                assert held[f"{found.payee}:{bucket}", money.currency] == money.amount


def _buckets(found: Any) -> tuple[Any, ...]:
    return found.pending, found.available, found.in_transit


@PROPERTIES
@given(HISTORIES)
def test_each_step_s_balances_are_those_of_the_log_up_to_there(history: History) -> None:
    source = source_of(history)
    for found in timelines(history, source):
        for step in found.steps:
            sums: dict[tuple[str, str], int] = {}
            for one in history.log[: step.event.position]:
                for account, currency, credit, _ in entries(one.event):
                    sums[account, currency] = sums.get((account, currency), 0) + credit
            for held in step.balances:
                assert held.after == sums.get((held.account, held.currency), 0)


@PROPERTIES
@given(HISTORIES)
def test_what_an_account_holds_after_a_step_is_what_it_holds_before_the_next(history: History) -> None:
    for found in timelines(history, source_of(history)):
        for one, following in pairwise(found.steps):
            after = {(held.account, held.currency): held.after for held in one.balances}
            assert all(after.get((held.account, held.currency), 0) == held.before for held in following.balances)


@PROPERTIES
@given(HISTORIES)
def test_the_last_state_of_each_object_is_what_its_stream_folds_to(history: History) -> None:
    for found in timelines(history, source_of(history)):
        last = {step.state.id: step.state.after for step in found.steps if step.state is not None and step.own}
        whole = [found.subject, *(history.state(found.subject).payouts if found.subject.startswith("con_") else ())]
        assert {stream: last[stream] for stream in whole} == {
            stream: fields_of(history.state(stream)) for stream in whole
        }


@PROPERTIES
@given(HISTORIES)
def test_every_event_of_the_history_is_a_step_and_others_only_where_they_moved_the_payee_s_money(
    history: History,
) -> None:
    source = source_of(history)
    for found in timelines(history, source):
        own = history_of(source, found.subject)
        assert own is not None
        assert [step.event for step in found.steps if step.own] == list(own.events)
        for step in found.steps:
            assert step.own or any(one.before != one.after for one in step.balances)
        assert [step.number for step in found.steps] == [*range(1, len(found.steps) + 1)]
        assert [step.event.position for step in found.steps] == sorted({step.event.position for step in found.steps})


@PROPERTIES
@given(HISTORIES)
def test_the_cause_of_a_step_is_an_earlier_one(history: History) -> None:
    for found in timelines(history, source_of(history)):
        at_position = {step.event.position: step for step in found.steps}
        for step in found.steps:
            if step.cause_position is not None:
                assert at_position[step.cause_position].event.event_id == step.event.cause_id
                assert step.cause_position < step.event.position


def test_a_payout_s_steps_say_what_changed(live: Live) -> None:
    found = timeline(live, payout("Refunded"))
    assert found is not None
    charged = next(step for step in found.steps if step.event.type == "payout.charged.v1")
    assert charged.state is not None
    assert charged.state.before is not None
    assert charged.state.after is not None
    assert (charged.state.before["status"], charged.state.after["status"]) == ("due", "pending")
    assert {"status", "pending", "charged", "hold_until"} < set(charged.state.changed)
    moved = [one for one in charged.balances if one.before != one.after]
    assert [(one.account, one.currency, one.before, one.after) for one in moved] == [
        (f"{ADA}:pending", "USD", 0, 8_000)
    ]


def test_money_paid_through_an_employer_of_record_is_followed_on_its_account(live: Live) -> None:
    found = timeline(live, contract("Desk"))
    assert found is not None
    assert found.payee == PAYROLLS
    held = {one.account: one.after for one in found.steps[-1].balances}
    assert held[f"{PAYROLLS}:available"] == 300_000


def test_texts_are_revealed_withheld_or_marked_as_erased(live: Live) -> None:
    found = timeline(live, contract("Site"))
    assert found is not None
    titles = [step.event.details["title"]["text"] for step in found.steps if "title" in step.event.details]
    assert titles == ["Site for a client"]
    messages = [
        step.event.details["message"] for step in found.steps if step.event.type == "contract.changes_requested.v1"
    ]
    assert [message["erased"] for message in messages] == [True]
    assert all("pm_card" not in str(as_document(found, [step])) for step in found.steps)


# The two times


def test_a_correction_is_a_step_as_of_then_but_was_not_known_then(live: Live) -> None:
    """Approved on 12 February, as of 1 February."""
    then, later = at("2026-02-02 00:00"), at("2026-02-13 00:00")

    def adjusted(**times: Any) -> bool:
        found = timeline(live, cycle_payout("Code", "2026-01-05"), **times)
        assert found is not None
        return any(step.event.type == "adjustment.approved.v1" for step in found.steps)

    assert adjusted(as_of=then)
    assert adjusted(as_of=then, known_at=later)
    assert not adjusted(as_of=then, known_at=then)


@PROPERTIES
@given(HISTORIES, st.integers(0, 30), st.booleans())
def test_at_a_time_only_what_counts_then_is_counted(history: History, days: int, known: bool) -> None:
    source = source_of(history)
    times: dict[str, Any] = {"known_at" if known else "as_of": history.log[0].event.occurred_at + timedelta(days=days)}
    for subject in [one.id for one in payouts(history)][:3]:
        found = timeline(source, subject, **times)
        assert found is not None
        if found.steps and found.steps[-1].balances:
            held = {(one.account, one.currency): one.after for one in found.steps[-1].balances}
            expected = balance(source.log, found.payee, **times)
            assert {held[f"{found.payee}:available", one.currency] for one in expected.available} == {
                one.amount for one in expected.available
            }


def test_the_state_of_a_stream_with_an_event_that_does_not_count_is_not_made_up(live: Live) -> None:
    """As of then the approval counts, and what was proposed only later does not."""
    found = timeline(live, cycle_payout("Code", "2026-01-05"), as_of=at("2026-02-02 00:00"))
    whole = timeline(live, cycle_payout("Code", "2026-01-05"))
    assert found is not None
    assert whole is not None
    approved = [[step for step in one.steps if step.event.type == "adjustment.approved.v1"] for one in (found, whole)]
    assert [step.state for step in approved[0]] == [None]
    assert [step.state.kind for step in approved[1] if step.state is not None] == ["adjustment"]


# Moving


@PROPERTIES
@given(HISTORIES, st.integers(0, 1_000))
def test_forward_then_back_is_where_it_was(history: History, start: int) -> None:
    for found in timelines(history, source_of(history)):
        debugger = Debugger(found, start % len(found.steps))
        for there, back in ((debugger.forward, debugger.back), (debugger.back, debugger.forward)):
            stood = debugger.step
            if there():
                assert debugger.step is not stood
                assert back()
            assert debugger.step is stood
        assert debugger.first()
        assert not debugger.back()
        walked = [debugger.step, *(debugger.step for _ in iter(debugger.forward, False))]
        assert walked == list(found.steps)
        assert not debugger.forward()


@PROPERTIES
@given(HISTORIES, st.integers(0, 80))
def test_a_position_is_found_or_the_step_before_it(history: History, position: int) -> None:
    for found in timelines(history, source_of(history)):
        debugger = Debugger(found)
        debugger.to_position(position)
        reached = [step for step in found.steps if step.event.position <= position]
        assert debugger.step is (reached[-1] if reached else found.steps[0])


@PROPERTIES
@given(HISTORIES, st.data())
def test_reverse_watch_stands_at_the_event_that_changed_the_number_last(history: History, data: st.DataObject) -> None:
    found = data.draw(st.sampled_from(timelines(history, source_of(history))))
    index = data.draw(st.integers(0, len(found.steps) - 1))
    debugger = Debugger(found, index)
    shown = numbers(debugger.step)
    if not shown:
        return
    watched: Number = data.draw(st.sampled_from(shown))
    earlier = [at for at in range(index) if (watched.owner, watched.name) in changes(found.steps[at])]
    assert debugger.watch(watched) == bool(earlier)
    assert debugger.index == (earlier[-1] if earlier else index)
    if earlier and not watched.changed and watched.is_balance:
        now = next(one for one in numbers(debugger.step) if one[:2] == watched[:2])
        assert now.after == watched.after


CONDITIONS = (
    "available < 0",
    "pending > 0",
    'status == "released"',
    "payout.attempt >= 2",
    "rule(26)",
    "available(EUR) > 900",
)


@PROPERTIES
@given(HISTORIES, st.sampled_from(CONDITIONS), st.data())
def test_running_stops_at_the_next_step_where_the_condition_holds(
    history: History, text: str, data: st.DataObject
) -> None:
    subjects = [found for found in timelines(history, source_of(history)) if found.currency is not None]
    found = data.draw(st.sampled_from(subjects))
    index = data.draw(st.integers(0, len(found.steps) - 1))
    condition = parse(text, STEP)
    holds = [condition.holds(scope_at(found, step)) for step in found.steps]
    debugger = Debugger(found, index)
    ahead = [at for at in range(index + 1, len(holds)) if holds[at]]
    assert debugger.run(condition) == bool(ahead)
    assert debugger.index == (ahead[0] if ahead else index)
    behind = [at for at in range(debugger.index) if holds[at]]
    stood = debugger.index
    assert debugger.run(condition, backwards=True) == bool(behind)
    assert debugger.index == (behind[-1] if behind else stood)
    assert first_where(found, condition) == (holds.index(True) if True in holds else None)


def test_a_chargeback_after_a_withdrawal_is_where_available_is_negative() -> None:
    """The first event of rule 26; the withdrawal before it stands among the steps as an event of something else."""
    _, found = one_payout()
    debugger = Debugger(found)
    assert debugger.run(parse("available < 0", STEP))
    assert debugger.step.event.type == "payout.reversed.v1"
    held = next(
        number for number in numbers(debugger.step) if number.name == "USD" and number.owner.endswith(":available")
    )
    assert (held.before, held.after) == (10_000, -40_000)
    assert debugger.watch(held)
    assert debugger.step.event.type == "freelancer.withdrawal_requested.v1"
    assert not debugger.step.own


def test_the_attempt_counts_what_was_tried() -> None:
    _, found = one_payout()
    attempts = [flat(step.states.get("payout")).get("attempt") for step in found.steps if step.own]
    tried = [step.event.details["attempt"] for step in found.steps if step.event.type == "payout.charge_requested.v1"]
    assert tried == [1, 2, 3]
    assert [one for one, _ in groupby(attempts) if one is not None] == [0, 1, 2, 3]


def test_the_cause_leads_back_to_what_somebody_asked_for() -> None:
    _, found = one_payout()
    debugger = Debugger(found)
    assert debugger.run(parse('event == "payout.charged.v1"', STEP))
    told = [debugger.step.event.type for _ in iter(debugger.to_cause, False)]
    assert told[0] == "payout.charge_requested.v1"
    assert debugger.step.cause_position is None


def test_search_finds_words_ids_and_times_whatever_their_case() -> None:
    _, found = one_payout()
    debugger = Debugger(found)
    assert debugger.search("CHARGEBACK")
    assert debugger.step.event.type == "payout.reversed.v1"
    assert debugger.search("2026-01-06T09:00:00", backwards=True)
    assert not debugger.search("nothing says this")


# The command


LOGO = payout("Logo")
OUTPUTS: dict[str, tuple[str, ...]] = {
    "step-payout.txt": ("step", payout("Refunded")),
    "step-payout.json": ("step", payout("Refunded"), "--json", "--until", 'status == "pending"'),
    "step-payout.csv": ("step", payout("Refunded"), "--csv"),
    "step-contract.txt": ("step", contract("Code"), "--until", "payout.objection_open"),
    "step-eor.csv": ("step", contract("Desk"), "--csv", "--at", "60"),
    "step-known-at.csv": ("step", LOGO, "--csv", "--known-at", "2026-02-09T23:00:00Z", "--until", "own and rule(26)"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_is_the_golden_one(replay: Replay, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = replay(*OUTPUTS[name])
    assert (result.exit_code, result.stderr) == (0, "")
    require_golden(GOLDEN / name, result.stdout)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert replay(*OUTPUTS[name]).stdout_bytes == result.stdout_bytes


def test_json_and_csv_hold_the_same_steps(replay: Replay) -> None:
    document = orjson.loads(replay("step", LOGO, "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(replay("step", LOGO, "--csv").stdout)))
    assert document["stopped_at"] is None
    assert [step["number"] for step in document["steps"]] == list(dict.fromkeys(int(row["step"]) for row in rows))
    moved = sum(
        int(row["change"] or 0) for row in rows if row["account"] == f"{ADA}:available" and row["currency"] == "USD"
    )
    held = [one for step in document["steps"] for one in step["balances"] if one["account"] == f"{ADA}:available"]
    usd = [one for one in held if one["currency"] == "USD"]
    assert moved == usd[-1]["after"] - usd[0]["before"]
    assert all("states" not in step for step in document["steps"])


def test_until_ends_with_the_first_step_where_it_holds(replay: Replay) -> None:
    released = 'event == "payout.released.v1" and status == "released"'
    found = orjson.loads(replay("step", LOGO, "--json", "--until", released).stdout)
    assert found["steps"][-1]["event"]["type"] == "payout.released.v1"
    assert found["stopped_at"] == found["steps"][-1]["event"]["position"]
    whole = orjson.loads(replay("step", LOGO, "--json").stdout)
    never = orjson.loads(replay("step", LOGO, "--json", "--until", "available < -1000000").stdout)
    assert never == whole


def test_at_begins_at_the_step_at_or_just_before_a_position(replay: Replay) -> None:
    positions = [step["event"]["position"] for step in orjson.loads(replay("step", LOGO, "--json").stdout)["steps"]]
    gap = next(one for one, following in pairwise(positions) if following > one + 1)
    for asked, begins in ((gap, gap), (gap + 1, gap), (0, positions[0]), (positions[-1], positions[-1])):
        steps = orjson.loads(replay("step", LOGO, "--json", "--at", str(asked)).stdout)["steps"]
        assert steps[0]["event"]["position"] == begins


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("step", BOB), "give an id like con_"),
        (("step", "hello"), "give an id like con_"),
        (("step",), "Missing argument"),
        (("step", LOGO, "--until", "availble < 0"), "there is no 'availble' (did you mean available?)"),
        (("step", LOGO, "--until", "status > 3"), "at character 10 of the condition: a text is compared with a number"),
        (("step", LOGO, "--until", 'balance("cli_x:returned") > 3'), "is not followed here; there are"),
        (("step", LOGO, "--until", ""), "it is empty"),
        (("step", LOGO, "--at", "100000"), "the log ends at position"),
        (("step", LOGO, "--at", "-1"), "Invalid value for '--at'"),
        (("step", LOGO, "--json", "--csv"), "give one of them"),
        (("step", LOGO, "--as-of", "yesterday"), "is not an RFC 3339 time"),
        (("step", LOGO, "--source", "/nowhere"), "/nowhere"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_to_do(replay: Replay, arguments: tuple[str, ...], says: str) -> None:
    result = replay(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("step", "con_x"), "there is no history of con_x"),
        (("step", "pay_x", "--json"), "there is no history of pay_x"),
        (("step", LOGO, "--as-of", "2020-01-01T00:00:00Z"), "at these times there is no history of"),
    ],
)
def test_what_is_not_there_ends_with_2(replay: Replay, arguments: tuple[str, ...], says: str) -> None:
    result = replay(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


MARKS = ("text", "erased", "withheld", "unavailable")


def without_texts(value: Any) -> Any:
    """An archive holds no texts: each of them is said to be unavailable there."""
    if isinstance(value, dict):
        return {key: without_texts(item) for key, item in value.items() if key not in MARKS}
    return [without_texts(item) for item in value] if isinstance(value, list) else value


def test_an_archive_and_a_case_file_are_stepped_through_as_the_live_ledger_is(replay: Replay, tmp_path: Path) -> None:
    """A case file holds only what belongs to its contract: there are no events from elsewhere."""
    subject, folder, file = contract("Refunded"), tmp_path / "archive", tmp_path / "one.case.json"
    assert replay("archive", str(folder)).exit_code == 0
    assert replay("case", subject, "-o", str(file)).exit_code == 0
    live, archived, case = (
        orjson.loads(replay("step", subject, "--json", *where).stdout)
        for where in ((), ("--source", str(folder)), ("--source", str(file)))
    )
    assert without_texts(archived) == without_texts(live)
    own = [step["event"] for step in live["steps"] if step["own"]]
    assert without_texts([step["event"] for step in case["steps"]]) == without_texts(own)
    for command in (
        ("diff", "100", "150", "--json", "--events"),
        ("bisect", "--check", "debits(USD) < 200000", "--json"),
    ):
        there, here = replay(*command, "--source", str(folder)), replay(*command)
        assert there.exit_code == here.exit_code
        assert without_texts(orjson.loads(there.stdout)) == without_texts(orjson.loads(here.stdout))


def test_a_text_cannot_move_the_cursor(replay: Replay) -> None:
    for form in ("", "--json"):
        shown = replay("step", contract("Code"), *filter(None, [form])).stdout
        assert "\x1b" not in shown


def test_every_command_has_help_with_an_example(replay: Replay) -> None:
    for command in ("step", "diff", "bisect"):
        assert f"Example: replay {command}" in " ".join(replay(command, "--help").stdout.split())
