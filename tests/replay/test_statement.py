"""A statement is folded from the log alone, and is the one that the interface gives: opening, lines, closing."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import money_presenters
from replay.archive.source import open_archive
from replay.archive.writing import archive
from replay.balances import balance
from replay.case.making import make_case
from replay.case.source import source_of
from replay.finance.statement import Statement, statement
from replay.live import Live
from replay.values import plain
from tests.replay.conftest import Copy, Replay
from tests.replay.money_logs import FREELANCERS, MICROSECOND, EventsLog, instants, logs
from tests.replay.story import ADA, BOB, EVE, PAYROLLS, at, contract, payout

MONTHS = [
    (None, None),
    ("2026-01-01", "2026-02-01"),
    ("2026-02-01", "2026-03-01"),
    ("2026-02-01", None),
    (None, "2026-02-01"),
]


def month(since: str | None, until: str | None) -> dict[str, Any]:
    return {"since": at(since) if since else None, "until": at(until) if until else None}


@pytest.mark.parametrize("period", MONTHS)
@pytest.mark.parametrize("freelancer", [ADA, BOB, EVE])
def test_it_is_the_statement_that_the_interface_gives(
    live: Live, freelancer: str, period: tuple[str | None, ...]
) -> None:
    times = month(*period)
    found = statement(live.log, freelancer, **times)
    lines = [money_presenters.line(one) for one in reversed(live.reader.lines(freelancer, **times, limit=1_000))]
    shown = [
        {name: getattr(one, name) for name in lines[0] if name not in ("object", "available_on")} for one in found.lines
    ]
    assert shown == [{name: one[name] for name in one if name not in ("object", "available_on")} for one in lines]
    for standing, instant, nothing in ((found.opening, times["since"], True), (found.closing, times["until"], False)):
        expected: Any = live.reader.before(freelancer, instant)
        buckets = {"pending": [], "available": [], "in_transit": []} if nothing and instant is None else None
        assert plain({name: getattr(standing, name) for name in ("pending", "available", "in_transit")}) == (
            buckets or money_presenters.buckets(expected)
        )


@pytest.mark.parametrize("freelancer", [ADA, BOB])
def test_an_archive_gives_the_same_statement(live: Live, freelancer: str, tmp_path: Path) -> None:
    archive(live.log, tmp_path / "archive")
    times = month("2026-01-10", "2026-02-11")
    assert statement(open_archive(tmp_path / "archive").log, freelancer, **times) == statement(
        live.log, freelancer, **times
    )


def test_a_case_file_gives_the_lines_that_are_in_it(copy: Copy, tmp_path: Path) -> None:
    """Of one contract, as if there were no other: the same movements, with their own running balances."""
    with copy.live() as live:
        live.checkpoints.write(live.log, live.clock)
        file = make_case(live, contract("Logo"), live.checkpoints)
        whole = statement(live.log, ADA)
    assert file is not None
    found = statement(source_of(file).log, ADA)
    mine = {line.position for line in found.lines}
    assert {line.type for line in found.lines} >= {"charge", "release", "chargeback", "chargeback_won"}
    for line in found.lines:
        (same,) = (one for one in whole.lines if one.id == line.id)
        assert (line.amount, line.occurred_at, line.payout_id) == (same.amount, same.occurred_at, same.payout_id)
    assert mine < {line.position for line in whole.lines}


def test_the_projection_is_not_asked(copy: Copy) -> None:
    with copy.live() as live:
        before = statement(live.log, ADA)
    copy.tamper("UPDATE statement_lines SET pending = 1, available_change = 7")
    with copy.live() as live:
        assert statement(live.log, ADA) == before


def test_a_period_includes_its_start_and_never_its_end(live: Live) -> None:
    """The logo's 500.00 were released on Friday the 16th at 09:00."""
    released = at("2026-01-16 09:00")
    subjects = [
        [(line.type, line.payout_id) for line in statement(live.log, ADA, **times).lines]
        for times in ({"since": released}, {"until": released}, {"since": released, "until": released})
    ]
    assert [("release", payout("Logo")) in one for one in subjects] == [True, False, False]
    assert subjects[2] == []


def test_a_correction_stands_where_it_is_true_once_it_is_known(live: Live) -> None:
    """Approved on 12 February, as of 1 February: the running balances after it follow."""
    believed = statement(live.log, BOB, until=at("2026-02-02"), known_at=at("2026-02-02"))
    true = statement(live.log, BOB, until=at("2026-02-02"))
    assert next(line.type for line in true.lines if line not in believed.lines) == "adjustment"
    assert true.closing.of("USD")[1] - believed.closing.of("USD")[1] == 1_000
    (line,) = (line for line in true.lines if line.type == "adjustment")
    assert (line.occurred_at, line.payout_id, line.withdrawal_id) == (at("2026-02-01"), None, None)
    assert line.adjustment_id is not None
    assert line.recorded_at > at("2026-02-12")


def test_as_of_leaves_out_what_occurred_later(live: Live) -> None:
    found = statement(live.log, ADA, as_of=at("2026-01-16 09:00"))
    assert found.lines[-1].occurred_at == at("2026-01-16 09:00")
    assert found.closing.of("USD") == (50_010 - 10, 50_000, 0)


def test_what_an_employer_of_record_is_paid_is_on_no_employee_s_statement(live: Live) -> None:
    assert statement(live.log, EVE).lines == ()


@settings(max_examples=60, deadline=None)
@given(logs, st.sampled_from(FREELANCERS), st.one_of(st.none(), instants), st.one_of(st.none(), instants))
def test_opening_and_lines_make_the_closing_and_all_are_the_balances_then(
    log: EventsLog, freelancer: str, since: datetime | None, until: datetime | None
) -> None:
    if since and until and until < since:
        since, until = until, since
    found = statement(log, freelancer, since=since, until=until)
    for currency in found.currencies:
        pending, available, in_transit = found.opening.of(currency)
        for line in (one for one in found.lines if one.currency == currency):
            pending += line.pending_change
            available += line.available_change
            in_transit += line.in_transit_change
            assert (line.pending, line.available, line.in_transit) == (pending, available, in_transit)
        assert (pending, available, in_transit) == found.closing.of(currency)
    then = balance(log, freelancer, as_of=until - MICROSECOND if until else None)
    assert (found.closing.pending, found.closing.available) == (then.pending, then.available)
    order = [(one.occurred_at, one.position, one.currency) for one in found.lines]
    assert order == sorted(set(order))


def test_an_empty_log_has_an_empty_statement() -> None:
    found = statement(EventsLog([]), ADA)
    assert (found.position, found.lines, found.currencies) == (0, (), [])


# The command


def csv_rows(text: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(text), strict=True)


def test_the_command_shows_it_to_people_programs_and_finance(replay: Replay, live: Live) -> None:
    period = ("--from", "2026-02-01T00:00:00Z", "--to", "2026-03-01T00:00:00+00:00")
    found = statement(live.log, ADA, **month("2026-02-01", "2026-03-01"))
    assert orjson.loads(replay("statement", ADA, *period, "--json").stdout) == plain(found)
    rows = list(csv_rows(replay("statement", ADA, *period, "--csv").stdout))
    assert [one["row"] for one in rows].count("line") == len(found.lines)
    for currency in found.currencies:
        mine = [one for one in rows if one["currency"] == currency]
        assert (mine[0]["row"], mine[-1]["row"]) == ("opening", "closing")
        changes = sum(int(one["available_change"] or 0) for one in mine)
        assert int(mine[0]["available"]) + changes == int(mine[-1]["available"])
    shown = replay("statement", ADA, *period)
    assert shown.exit_code == 0
    assert f"Statement of {ADA} from 2026-02-01T00:00:00Z to before 2026-03-01T00:00:00Z" in shown.stdout
    for text in ("opening", "closing", "-450.00 USD", "chargeback won", "adjustment", "1,490.10 USD"):
        assert text in shown.stdout


def test_a_freelancer_without_money_has_an_empty_statement(replay: Replay) -> None:
    result = replay("statement", EVE)
    assert result.exit_code == 0
    assert "No money has moved by then." in result.stdout
    before = replay("statement", ADA, "--as-of", "2020-01-01T00:00:00Z", "--json")
    assert (before.exit_code, orjson.loads(before.stdout)["lines"]) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("fre_x",), 2, "there is no freelancer fre_x"),
        ((PAYROLLS,), 2, "give an id like fre_"),
        ((payout("Logo"),), 2, "give an id like fre_"),
        ((ADA, "--from", "2026-02-01"), 2, "write it as 2026-01-09T12:00:00Z"),
        ((ADA, "--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"), 2, "exchange them"),
        ((ADA, "--json", "--csv"), 2, "give one of them"),
    ],
)
def test_what_cannot_be_asked_says_what_to_do(
    replay: Replay, arguments: tuple[str, ...], status: int, says: str
) -> None:
    result = replay("statement", *arguments)
    assert result.exit_code == status
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_period_of_no_length_is_a_balance(live: Live) -> None:
    then = at("2026-02-10 09:00") + timedelta(seconds=1)
    found: Statement = statement(live.log, ADA, since=then, until=then)
    assert (found.lines, found.opening) == ((), found.closing)
