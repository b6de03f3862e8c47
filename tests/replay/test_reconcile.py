"""A processor's report is held against the log, movement by movement, in both directions; and nothing is ever written."""

import csv
import io
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger import events as e
from ledger.ids import derive
from ledger.money import MAX_AMOUNT
from replay.archive.source import open_archive
from replay.archive.writing import archive
from replay.balances import trial_balance
from replay.finance.reconcile import BREAKS, Reconciliation, reconcile
from replay.finance.settlement_report import LINE_BYTES, Unreadable, read
from replay.live import Live
from replay.sources import EventSource
from tests.replay.balance_report import COLUMNS, Cells, as_csv, cells, simulated
from tests.replay.conftest import Replay
from tests.replay.money_logs import DAY, START, EventsLog
from tests.replay.processor_facts import KINDS, Fact
from tests.replay.story import at, payout


def held(log: EventSource, rows: list[Cells], columns: tuple[str, ...] = COLUMNS, **times: Any) -> Reconciliation:
    return reconcile(log, read(io.BytesIO(as_csv(rows, columns))), **times)


def statuses(found: Reconciliation) -> list[tuple[str, str]]:
    return [(item.status, item.kind) for item in found.items]


def disputes() -> list[Cells]:
    """Those of the story, which an operator recorded: the ledger's ids of them are not the processor's."""
    return [
        cells(101, at("2026-02-09 09:00"), "dispute", -5_000, payout_id=payout("Refunded"), source_id="du_1"),
        cells(102, at("2026-02-09 09:00"), "dispute", -45_000, payout_id=payout("Logo"), source_id="du_2"),
        cells(103, at("2026-02-10 09:00"), "dispute_reversal", 45_000, payout_id=payout("Logo"), source_id="du_2"),
    ]


@pytest.fixture
def report(live: Live) -> list[Cells]:
    """Everything that the sandbox's processor moved in the story."""
    return [*simulated(live.database), *disputes()]


# The story, against the books of the sandbox's processor


def test_the_story_agrees_with_the_processor_s_own_books(live: Live, report: list[Cells]) -> None:
    found = held(live.log, report)
    assert found.ok
    assert found.counts["matched"] == len(report) == found.rows
    assert all(one.difference == 0 for one in found.totals)
    kinds = {"charge", "refund", "chargeback", "chargeback_won", "withdrawal", "withdrawal_failed"}
    assert {one.category for one in found.totals} == kinds


def test_what_is_itemised_is_the_processor_s_account(live: Live, report: list[Cells]) -> None:
    """Not an entry of it is left out: the movements sum to its balance."""
    sums: Counter[str] = Counter()
    for item in held(live.log, report).items:
        if item.ledger is not None:
            sums[item.ledger.currency] += item.ledger.amount
    accounts = trial_balance(live.log).accounts
    assert sums == {one.currency: -one.balance for one in accounts if one.account == "processor"}


def test_a_row_that_is_not_there_is_named_with_the_event_that_is_here(live: Live, report: list[Cells]) -> None:
    for number, gone in enumerate(report):
        found = held(live.log, [*report[:number], *report[number + 1 :]])
        (broken,) = found.breaks
        assert broken.status == "missing_there"
        assert broken.report is None
        assert broken.ledger is not None
        assert broken.ledger.subject in (*gone.values(), broken.ledger.subject if "dispute" in str(gone) else None)


def test_an_archive_is_reconciled_alike(live: Live, report: list[Cells], tmp_path: Path) -> None:
    archive(live.log, tmp_path / "archive")
    assert held(open_archive(tmp_path / "archive").log, report[3:]) == held(live.log, report[3:])


def test_what_was_not_known_yet_is_missing_here(live: Live, report: list[Cells]) -> None:
    found = held(live.log, report, known_at=at("2026-02-09 08:59"))
    missing = [item.report.created for item in found.items if item.status == "missing_here" and item.report]
    assert missing
    assert min(missing) >= at("2026-02-09 09:00")


# Any books: what was decided for each fact is what is found

facts = st.builds(
    Fact,
    st.sampled_from(KINDS),
    st.integers(1, 900),
    st.one_of(st.integers(2, MAX_AMOUNT - 1), st.just(2)),
    st.sampled_from(("USD", "JPY", "BHD")),
    st.builds(lambda hours: START + timedelta(hours=hours), st.integers(0, 1_000)),
)
FATES = ("matched", "missing_here", "missing_there", "amount_differs", "currency_differs", "duplicated", "row_twice")


def told(fact: Fact, fate: str, line: int) -> tuple[list[e.Event], list[Cells], list[str]]:
    """The events, the rows, and what is to be found: for a withdrawal that failed, of both its movements."""
    events, rows = fact.events(), fact.rows(line)
    movements = len(rows)
    match fate:
        case "missing_here":
            return [], rows, [fate] * movements
        case "missing_there" if fact.kind == "failed_transfer":
            return events, rows[:1], ["matched", fate]
        case "missing_there":
            return events, [], [fate]
        case "amount_differs":
            more = Fact(fact.kind, fact.number, fact.amount + 1, fact.currency, fact.at)
            return events, more.rows(line), [fate] * movements
        case "currency_differs":
            other = Fact(fact.kind, fact.number, fact.amount, "JPY" if fact.currency == "USD" else "USD", fact.at)
            return events, other.rows(line), [fate] * movements
        case "duplicated":  # the processor did it twice
            again = [{**row, "balance_transaction_id": f"{row['balance_transaction_id']}b"} for row in rows]
            return events, [*rows, *again], ["matched", "duplicated"] * movements
        case "row_twice":
            return events, [*rows, *rows], ["matched", "duplicated"] * movements
    return events, rows, ["matched"] * movements


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(facts, st.sampled_from(FATES)), max_size=12, unique_by=lambda one: one[0].number),
    st.randoms(use_true_random=False),
)
def test_every_movement_is_found_to_be_what_it_is(made: list[tuple[Fact, str]], chance: Any) -> None:
    events: list[e.Event] = []
    rows: list[Cells] = []
    expected: Counter[str] = Counter()
    for line, (fact, fate) in enumerate(made, 1):
        here, there, found_as = told(fact, fate, line)
        events += here
        rows += there
        expected.update(found_as)
    chance.shuffle(rows)
    found = held(EventsLog(events), rows)
    assert {status: count for status, count in found.counts.items() if count} == expected
    assert found.ok == (not any(expected[status] for status in BREAKS))
    _require_explained(found)


def _require_explained(found: Reconciliation) -> None:
    """What both sides differ by, in each currency, is the sum of what the breaks differ by."""
    differences: Counter[str] = Counter()
    for item in found.items:
        if item.status == "currency_differs":
            assert item.report is not None
            assert item.ledger is not None
            assert item.difference is None
            differences[item.report.currency] += item.report.gross
            differences[item.ledger.currency] -= item.ledger.amount
        elif item.status in BREAKS:
            assert item.difference
            assert item.why
            currency = item.report.currency if item.report else item.ledger.currency if item.ledger else ""
            differences[currency] += item.difference
        else:
            assert item.difference in (0, None)
    totals: Counter[str] = Counter()
    for one in found.totals:
        assert one.difference == one.gross - one.ledger
        totals[one.currency] += one.difference
    assert {key: value for key, value in totals.items() if value} == {
        key: value for key, value in differences.items() if value
    }


def one(kind: str, number: int = 1, amount: int = 5_000, days: float = 0) -> Fact:
    return Fact(kind, number, amount, "USD", START + days * DAY)


# Cases that need a word


def test_a_second_payment_of_a_payout_is_a_duplicate_whichever_comes_first() -> None:
    fact = one("charge")
    (row,) = fact.rows(1)
    other = {**row, "balance_transaction_id": "txn_2", "payment_intent_id": "pi_other", "source_id": "ch_other"}
    for rows in ([row, other], [other, row]):
        found = held(EventsLog(fact.events()), rows)
        (double,) = found.breaks
        assert (double.status, double.report and double.report.payment) == ("duplicated", "pi_other")
    found = held(EventsLog(fact.events()), [other])
    assert statuses(found) == [("missing_here", "charge"), ("missing_there", "charge")]


def test_a_charge_is_found_by_its_payment_or_by_its_payout() -> None:
    fact = one("charge")
    (row,) = fact.rows(1)
    for column in ("payment_intent_id", "payment_metadata[payout_id]"):
        columns = tuple(name for name in COLUMNS if "[" not in name and "payment_intent" not in name)
        assert held(EventsLog(fact.events()), [row], (*columns, column)).ok


def test_without_a_column_that_names_the_payment_the_report_is_refused() -> None:
    columns = tuple(name for name in COLUMNS if "[" not in name and "payment_intent" not in name)
    for fact, column in ((one("charge"), "payment_intent_id"), (one("transfer"), "transfer_metadata[withdrawal_id]")):
        with pytest.raises(Unreadable, match=r"line 2: nothing says which payment") as error:
            held(EventsLog(fact.events()), fact.rows(1), columns)
        assert column in str(error.value)


def test_what_the_ledger_still_waits_for_is_under_way_and_no_break() -> None:
    transfer, refund = one("transfer", 1), one("own_refund", 2)
    rows = [*transfer.rows(1), *refund.rows(2)]
    asked = [transfer.events()[0], refund.events()[0]]
    found = held(EventsLog(asked), rows)
    assert statuses(found) == [("under_way", "withdrawal"), ("under_way", "refund")]
    assert found.ok
    assert held(EventsLog(asked), []).items == (), "it may not have left yet"


def test_what_began_at_the_processor_is_found_by_the_id_that_the_ledger_derived_from_it() -> None:
    """With no word of the payment: a refund that the ledger knows and has not heard to be sent, and a dispute."""
    nameless = {"payment_intent_id": "", "payment_metadata[payout_id]": ""}
    refund, dispute = one("refund", 1), one("dispute", 2)
    rows = [{**row, **nameless} for fact in (refund, dispute) for row in fact.rows(fact.number)]
    found = held(EventsLog([refund.events()[0], *dispute.events()]), rows)
    assert statuses(found) == [("under_way", "refund"), ("matched", "chargeback")]


def test_a_withdrawal_left_when_it_was_asked_for_whenever_it_arrived() -> None:
    asked, paid = one("transfer").events()
    arrived = START + 2 * DAY
    log = EventsLog([asked, replace(paid, occurred_at=arrived, recorded_at=arrived)])
    assert held(log, [], since=START + DAY).items == ()
    assert statuses(held(log, [], until=START + DAY)) == [("missing_there", "withdrawal")]


def test_a_withdrawal_that_failed_never_left_or_left_and_came_back() -> None:
    fact = one("failed_transfer")
    left, back = fact.rows(1)
    assert held(EventsLog(fact.events()), []).items == ()
    assert held(EventsLog(fact.events()), [left, back]).counts["matched"] == 2
    assert statuses(held(EventsLog(fact.events()), [left])) == [
        ("matched", "withdrawal"),
        ("missing_there", "withdrawal_failed"),
    ]
    came_back_unheard = held(EventsLog(one("transfer").events()), [left, back])
    assert statuses(came_back_unheard) == [("matched", "withdrawal"), ("missing_here", "withdrawal_failed")]


def test_a_dispute_of_more_than_the_payout_held_differs_until_an_adjustment_corrects_it() -> None:
    """The rest is the platform's loss; an adjustment that books it names the reversal that it corrects (rule 27)."""
    dispute = one("dispute", amount=5_000)
    rows = one("dispute", amount=6_000).rows(1)
    events = dispute.events()
    (differs,) = held(EventsLog(events), rows).items
    assert (differs.status, differs.difference) == ("amount_differs", -1_000)
    stamp = {"actor": "o", "occurred_at": START + DAY, "recorded_at": START + DAY, "command_id": "c"}
    sides = (("processor", "credit"), ("platform:adjustments", "debit"))
    postings = tuple(e.Posting(account=name, direction=side, amount=1_000, currency="USD") for name, side in sides)
    booked = {**stamp, "adjustment_id": "adj_1", "postings": postings}
    reason = e.Sealed(id="vlt_2", sha256="0" * 64)
    event_id = "evt_str_1_1"
    proposed = e.AdjustmentProposed(**booked, person="a", reason=reason, corrects_event_id=event_id, effective_at=None)
    approved = e.AdjustmentApproved(**booked, person="b")
    found = held(EventsLog([*events, proposed, approved]), rows)
    assert found.ok
    (item,) = found.items
    assert item.ledger is not None
    assert item.ledger.corrected_by == ("adj_1",)
    alone = held(EventsLog([*events, approved]), rows)
    assert [status for status, _ in statuses(alone)] == ["amount_differs", "missing_there"]
    _require_explained(alone)


def test_a_chargeback_recorded_by_hand_is_paired_within_its_payment_by_amount() -> None:
    charge = one("charge", 1)
    by_hand = [*one("dispute", 1, 300).events(), *one("dispute", 1, 200).events()]
    events = [*charge.events(), *by_hand]
    other_names = {"source_id": "du_x", "payment_intent_id": charge.payment}
    rows = [
        *charge.rows(1),
        cells(2, START, "dispute", -200, **other_names),
        cells(3, START, "dispute", -301, **{**other_names, "source_id": "du_y"}),
    ]
    events[2] = replace(events[2], reversal_id=derive("rev", "by hand"))
    events[1] = replace(events[1], reversal_id=derive("rev", "by hand too"))
    assert [(item.status, item.difference) for item in held(EventsLog(events), rows).items] == [
        ("matched", 0),
        ("matched", 0),
        ("amount_differs", -1),
    ]


def test_other_business_is_listed_and_what_is_about_our_payments_is_a_break() -> None:
    charge = one("charge")
    ours = {"payment_intent_id": charge.payment}
    rows = [
        *charge.rows(1),
        cells(2, START, "fee", -30, source_id="fee_1", **ours),
        cells(3, START, "payout", -900, source_id="po_1"),
        cells(4, START, "never_heard_of", 7, source_id="x_1"),
        cells(5, START, "refund_failure", 100, source_id="re_1", **ours),
        cells(6, START, "never_heard_of", 8, source_id="x_2", payout_id=charge.payout),
    ]
    found = held(EventsLog(charge.events()), rows)
    assert statuses(found) == [
        ("matched", "charge"),
        ("not_ours", "fee"),
        ("not_ours", "payout"),
        ("not_ours", "never_heard_of"),
        ("missing_here", "refund_failure"),
        ("missing_here", "never_heard_of"),
    ]
    assert all(item.why for item in found.items[1:])
    assert not found.ok
    assert held(EventsLog(charge.events()), rows[:4]).ok


def test_only_the_window_is_judged_and_a_pair_across_its_edge_is_found() -> None:
    facts_ = [one("charge", number, days=days) for number, days in enumerate((0, 1, 2, 3), 1)]
    events = [event for fact in facts_ for event in fact.events()]
    window = {"since": START + DAY, "until": START + 3 * DAY}
    only_late = held(EventsLog(events), facts_[2].rows(1), **window)
    assert [(item.status, item.ledger and item.ledger.position) for item in only_late.items] == [
        ("matched", 3),
        ("missing_there", 2),
    ]
    foreign = [one("charge", number, days=days).rows(number)[0] for number, days in ((11, 0.5), (12, 1.5), (13, 3))]
    found = held(EventsLog([]), foreign, **window)
    assert (statuses(found), found.rows, found.outside) == ([("missing_here", "charge")], 3, 2)
    across = {**facts_[0].rows(1)[0], "created_utc": f"{START + DAY:%Y-%m-%d %H:%M:%S}"}
    assert held(EventsLog(events[:1]), [across], since=START + DAY).counts["matched"] == 1
    assert held(EventsLog(events[:1]), [across], until=START + DAY).counts["matched"] == 1


def test_an_empty_report_of_an_empty_log_agrees() -> None:
    found = held(EventsLog([]), [])
    assert (found.ok, found.items, found.totals) == (True, (), ())


# What cannot be read: where, and what to do

GOOD = one("charge").rows(1)[0]


def damaged(**changes: str) -> bytes:
    return as_csv([GOOD, {**GOOD, "balance_transaction_id": "txn_2", **changes}])


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (b"", "the report is empty"),
        (b"\n", "the report is empty"),
        (b"hello\n", "line 1: no column balance_transaction_id"),
        (b"%PDF-1.7\n\x00", "line 1: no column balance_transaction_id"),
        (as_csv([GOOD], COLUMNS[:6]), "line 1: no column gross, fee, net, reporting_category, source_id"),
        (as_csv([GOOD], (*COLUMNS, "gross")), "the column is there twice: gross"),
        (as_csv([GOOD]).decode().encode("utf-16"), "is UTF-16: save it as CSV in UTF-8"),
        (damaged(description="Café").decode().encode("latin-1"), "line 3: byte"),
        (damaged(gross="12.345"), "line 3, column gross: '12.345' has more decimals than USD"),
        (damaged(gross="1,234.50"), "line 3, column gross: '1,234.50' is no decimal number"),
        (damaged(gross=""), "line 3, column gross: '' is no decimal number"),
        (damaged(fee="free"), "line 3, column fee: 'free'"),
        (damaged(net="="), "line 3, column net"),
        (damaged(currency="doge"), "line 3, column currency: 'DOGE' is no ISO 4217 code"),
        (damaged(currency=""), "line 3, column currency"),
        (damaged(created_utc="1/30/26 9:00"), "line 3, column created_utc: '1/30/26 9:00' is no time"),
        (damaged(created_utc="2026-02-30 09:00:00"), "line 3, column created_utc"),
        (damaged(created_utc="0001-01-01T00:00:00+14:00"), "line 3, column created_utc"),
        (damaged(balance_transaction_id=" "), "line 3, column balance_transaction_id: is empty"),
        (damaged(reporting_category=""), "line 3, column reporting_category: is empty"),
        (as_csv([GOOD]) + b"txn_2,2026\r\n", f"line 3: 2 cells under {len(COLUMNS)} columns: is the file whole?"),
        (as_csv([GOOD]) + b'"txn_2,2026', "line 3: no row of a CSV"),
        (as_csv([{**GOOD, "description": "two\r\nlines"}]) + b"x\r\n", "line 4: 1 cells"),
        (as_csv([GOOD]) + b"x" * (LINE_BYTES + 1), "line 3: longer than"),
    ],
)
def test_a_report_that_cannot_be_read_is_refused_where_it_is_damaged(report: bytes, says: str) -> None:
    with pytest.raises(Unreadable) as error:
        list(read(io.BytesIO(report)).rows)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "report",
    [
        as_csv([GOOD]),
        b"\xef\xbb\xbf" + as_csv([GOOD]),
        as_csv([GOOD], delimiter=";"),
        as_csv([GOOD], delimiter="\t"),
        as_csv([{**GOOD, "gross": "50,00", "fee": "1,50", "net": "48,50"}], delimiter=";"),
        as_csv([GOOD]).replace(b"\r\n", b"\n"),
        as_csv([GOOD]) + b"\r\n,,\r\n\r\n",
        as_csv([GOOD], reversed(COLUMNS)),
        as_csv([GOOD], (*COLUMNS, "a_new_column")),
        as_csv([{**GOOD, "created_utc": f"{START:%Y-%m-%dT%H:%M:%SZ}", "currency": "USD"}]),
    ],
)
def test_however_a_report_was_saved_it_is_read_alike(report: bytes) -> None:
    (row,) = read(io.BytesIO(report)).rows
    (plain,) = read(io.BytesIO(as_csv([GOOD]))).rows
    assert row == plain
    assert (row.gross, row.fee, row.net, row.currency, row.created) == (5_000, 150, 4_850, "USD", START)


def test_a_report_is_read_as_it_comes() -> None:
    """However long it is: a row is there before the next one is asked for."""

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.lines = 0
            self._head, self._row = as_csv([GOOD]).splitlines(keepends=True)

        def readline(self, size: int | None = -1) -> bytes:
            self.lines += 1
            return self._head if self.lines == 1 else self._row

    file = Endless()
    rows = read(file).rows  # type: ignore[arg-type]  # what is read of it is there
    for number in range(1, 1_000):
        assert next(rows).line == number + 1
        assert file.lines == number + 1


# The command


def test_the_command_says_0_when_all_is_matched(replay: Replay, report: list[Cells], tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes(as_csv(report))
    result = replay("reconcile", "report.csv", "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"OK: {len(report)} matched. Nothing was written." in result.stdout
    found = orjson.loads(replay("reconcile", "report.csv", "--json").stdout)
    assert (found["object"], found["counts"]["matched"], found["rows"]) == ("reconciliation", len(report), len(report))


def test_the_command_says_1_for_breaks_and_lists_them(replay: Replay, report: list[Cells], tmp_path: Path) -> None:
    hostile = cells(900, at("2026-02-01 00:00"), "charge", 77, source_id="ch_x", description='=HYPERLINK("x")\x1b[31m')
    (tmp_path / "report.csv").write_bytes(as_csv([*report[1:], hostile]))
    result = replay("reconcile", "report.csv")
    assert result.exit_code == 1
    assert "missing there: charge" in result.stdout
    assert "missing here: charge" in result.stdout
    assert "1 missing here, 1 missing there. Nothing was written." in result.stdout
    as_rows = replay("reconcile", "report.csv", "--csv")
    assert as_rows.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(as_rows.stdout), strict=True))
    (missing,) = (row for row in rows if row["status"] == "missing_here")
    assert missing["description"] == '\'=HYPERLINK("x")\\x1b[31m'
    assert (missing["there"], missing["difference"], missing["line"]) == ("77", "77", str(len(report) + 1))
    assert replay("reconcile", "report.csv", "--csv").stdout_bytes == as_rows.stdout_bytes
    january = ("--from", "2026-01-10T00:00:00Z", "--to", "2026-02-01T00:00:00Z")
    assert replay("reconcile", "report.csv", *january).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere.csv",), "the report cannot be read"),
        ((".",), "the report cannot be read"),
        (("bad.csv",), "bad.csv: line 3, column gross"),
        (("bad.csv", "--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"), "exchange them"),
        (("bad.csv", "--json", "--csv"), "give one of them"),
        (("bad.csv", "--from", "January"), "is not an RFC 3339 time"),
    ],
)
def test_the_command_says_2_for_what_cannot_be_read(
    replay: Replay, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "bad.csv").write_bytes(damaged(gross="1.2.3"))
    result = replay("reconcile", *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""
