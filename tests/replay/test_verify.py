"""`replay verify`: green on a rich history; whatever is tampered with is named, with its place, and the exit status is 1."""

from collections.abc import Callable
from typing import Any

import pytest

from ledger.bootstrap import Ledger, open_ledger
from ledger.policies.unit import NewEvent
from ledger.projections import PROJECTIONS
from ledger.store.checkpoints import Checkpoints
from ledger.store.clocks import SystemClock
from replay.live import Live
from replay.verify.findings import KEPT, Findings
from replay.verify.live import verify
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, contract, payout
from tests.replay.tampering import first_of, position_of, rehash, report_of

ReplayAt = Callable[[Copy], Replay]


# Green


def test_a_rich_history_is_verified(shared: Copy) -> None:
    report = report_of(shared)
    assert report.findings == ()
    assert report.ok
    assert report.events == report.position > 250
    assert report.texts_erased == 1
    assert report.payouts > 15
    assert {one.name for one in report.projections} == {one.name for one in PROJECTIONS}
    assert all(one.position == report.position for one in report.projections)
    assert all(one.debits == one.credits for one in report.totals)


def test_verifying_twice_says_the_same(replay: Replay) -> None:
    assert replay("verify", "--json").stdout_bytes == replay("verify", "--json").stdout_bytes


def test_an_empty_log_is_verified(server: Any, copy: Copy) -> None:
    url = server.create()
    report = report_of(Copy(url, server.admin_url_of(url), copy.folder))
    assert (report.ok, report.events, report.position) == (True, 0, 0)


def test_whatever_people_do_is_verified(past: Ledger) -> None:
    """A long history that nobody thought of."""
    past.views.catch_up()
    report = verify(past.database)
    assert report.findings == ()
    assert report.events > 500


def test_progress_is_told(shared: Copy) -> None:
    seen: list[tuple[int, int]] = []
    with shared.live() as live:
        report = verify(live.database, on_events=lambda further, total: seen.append((further, total)))
    assert sum(further for further, _ in seen) == report.events
    assert {total for _, total in seen} == {report.position}


# The log

LOG: dict[str, tuple[str, str]] = {
    "an amount": (
        "UPDATE events SET state = convert_to(replace(convert_from(state, 'UTF8'), ':20000', ':20001'), 'UTF8')"
        " WHERE notification_id = {at}",
        "its hash does not follow",
    ),
    "a hash": ("UPDATE events SET hash = sha256(hash) WHERE notification_id = {at}", "its hash does not follow"),
    "a topic": ("UPDATE events SET topic = 'payout.paid.v9' WHERE notification_id = {at}", "its hash does not follow"),
    "a version": (
        "UPDATE events SET originator_version = 99 WHERE notification_id = {at}",
        "its hash does not follow",
    ),
    "bytes": ("UPDATE events SET state = '\\x00ff' WHERE notification_id = {at}", "its hash does not follow"),
    "a missing event": ("DELETE FROM events WHERE notification_id = {at}", "1 event(s) are missing"),
}


@pytest.mark.parametrize("case", LOG)
def test_an_event_that_was_tampered_with_is_the_first_divergence(copy: Copy, replay_at: ReplayAt, case: str) -> None:
    statement, what = LOG[case]
    at = position_of(copy, "payout.charged.v1")
    copy.tamper(statement.format(at=at))
    first = first_of(copy)
    assert (first.check, first.position) == ("log", at)
    assert what in first.what
    assert replay_at(copy)("verify").exit_code == 1


def test_an_unknown_topic_is_named_even_if_the_chain_was_made_anew(copy: Copy) -> None:
    at = position_of(copy, "payout.charged.v1")
    copy.tamper(f"UPDATE events SET topic = 'payout.paid.v9' WHERE notification_id = {at}")
    rehash(copy)
    first = first_of(copy)
    assert (first.position, first.what) == (at, "its topic 'payout.paid.v9' is unknown")


def test_an_event_on_the_stream_of_another_is_named(copy: Copy) -> None:
    at = position_of(copy, "payout.refund_paid.v1")
    copy.tamper(f"UPDATE events SET originator_id = 'pay_x', originator_version = 1 WHERE notification_id = {at}")
    rehash(copy)
    assert "it stands on the stream of pay_x" in first_of(copy).what


def test_an_amount_changed_with_the_whole_chain_made_anew_is_no_longer_what_the_projections_say(copy: Copy) -> None:
    at = position_of(copy, "freelancer.withdrawal_requested.v1")
    copy.tamper(
        "UPDATE events SET state = convert_to(replace(convert_from(state, 'UTF8'), ':10000,', ':10001,'), 'UTF8')"
        f" WHERE notification_id = {at}"
    )
    rehash(copy)
    report = report_of(copy)
    assert report.findings[0].check in ("invariant", "projection")
    assert any(one.account == f"{ADA}:available" and one.minor_units == 1 for one in report.findings)


def test_a_signed_checkpoint_sees_a_chain_that_was_made_anew(copy: Copy) -> None:
    kept = Checkpoints(copy.settings.checkpoints)
    with open_ledger(copy.settings) as ledger:
        assert kept.write(ledger.log, SystemClock())
    assert report_of(copy).checkpoints == 1
    assert report_of(copy).ok
    copy.tamper("UPDATE events SET state = state || ' ' WHERE notification_id = 200")
    rehash(copy)
    (found,) = report_of(copy).findings
    assert "it was rewritten" in found.what


def test_a_signed_checkpoint_sees_an_end_that_was_cut_off(copy: Copy) -> None:
    kept = Checkpoints(copy.settings.checkpoints)
    with open_ledger(copy.settings) as ledger:
        head = ledger.log.head()
        assert kept.write(ledger.log, SystemClock())
    copy.tamper(f"DELETE FROM events WHERE notification_id = {head}", f"DELETE FROM commands WHERE position = {head}")
    rehash(copy)
    assert any("its end is missing" in one.what for one in report_of(copy).findings)


def test_a_checkpoint_that_somebody_else_signed_is_named(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> None:
    mine, other = Checkpoints(copy.settings.checkpoints), Checkpoints(tmp_path_factory.mktemp("other"))
    with open_ledger(copy.settings) as ledger:
        assert mine.write(ledger.log, SystemClock())
        assert other.write(ledger.log, SystemClock())
    name = "checkpoints.jsonl"
    (mine.folder / name).write_bytes((other.folder / name).read_bytes())
    assert "is not signed by the key" in first_of(copy).what


def test_a_cut_tail_is_seen_by_the_commands_that_reached_beyond_it(copy: Copy) -> None:
    with copy.live() as live:
        head = live.log.head()
    copy.tamper(f"DELETE FROM events WHERE notification_id = {head}")
    rehash(copy)
    found = report_of(copy).findings
    assert found[0].position == head
    assert any("the end of the log is missing" in one.what for one in found)


@pytest.mark.parametrize("change", ["position = position + 1", "position = position - 1", "hash = sha256(hash)"])
def test_a_head_row_that_was_tampered_with_is_named(copy: Copy, change: str) -> None:
    copy.tamper(f"UPDATE log_head SET {change}")
    assert "head row" in first_of(copy).what


def test_a_log_without_a_head_row_is_no_log(copy: Copy) -> None:
    copy.tamper("DELETE FROM log_head")
    assert any("no head row" in one.what for one in report_of(copy).findings)


# The vault


@pytest.mark.parametrize("change", ["text = text || '!'", "salt = salt || '\\x00'"])
def test_a_text_that_was_tampered_with_is_named(copy: Copy, replay_at: ReplayAt, change: str) -> None:
    copy.tamper(f"UPDATE vault SET {change} WHERE text = 'Code for a client'")
    found = first_of(copy)
    assert found.check == "text"
    assert found.event_id == f"evt_{contract('Code')}_1"
    assert replay_at(copy)("verify").exit_code == 1


def test_erased_texts_are_counted_and_leave_the_log_verifiable(copy: Copy) -> None:
    copy.tamper("DELETE FROM vault WHERE owner = %(ada)s", ada=ADA)
    report = report_of(copy)
    assert report.ok
    assert report.texts_erased > 1


# Events that no decider would decide


def test_money_that_was_released_twice_is_named_though_log_and_projections_agree(copy: Copy) -> None:
    with open_ledger(copy.settings) as ledger:
        (released,) = (
            view for view in ledger.reader.history(payout_id=payout("Site")) if view.topic == "payout.released.v1"
        )
        version = ledger.reader.payout(payout("Site")).version  # type: ignore[union-attr]
        again = NewEvent(payout("Site"), version + 1, released.event)
        at = ledger.log.append([again], head=ledger.log.head(), expect={payout("Site"): version})
        ledger.views.catch_up()
    report = report_of(copy)
    assert {one.check for one in report.findings} == {"invariant"}
    first = next(one for one in report.findings if one.what == "it was released twice")
    assert (first.position, first.event_id, first.account) == (at, again.id, payout("Site"))
    assert first.minor_units == 20_000


def test_an_event_that_cannot_follow_stops_what_it_breaks_and_is_named(copy: Copy) -> None:
    """A payout that begins with its release."""
    at = position_of(copy, "payout.due.v1")
    copy.tamper(
        "UPDATE events SET topic = 'payout.hold_elapsed.v1',"
        " state = convert_to((convert_from(state, 'UTF8')::jsonb - 'source' - 'amount' - 'review_deadline'"
        f" || '{{\"next_release_at\": null}}')::text, 'UTF8') WHERE notification_id = {at}"
    )
    rehash(copy)
    report = report_of(copy)
    here = [one.what for one in report.findings if one.position == at]
    assert any("cannot be refolded beyond this event" in what for what in here)
    assert any("never due" in what for what in here)


# Many findings


def test_however_many_there_are_the_first_are_kept_and_all_are_counted() -> None:
    findings = Findings()
    for position in range(10 * KEPT, 0, -1):
        findings.add("log", "broken", position=position)
    assert findings.count == 10 * KEPT
    assert [one.position for one in findings.sorted({})] == list(range(1, KEPT + 1))


def test_people_are_shown_the_first_divergence_first(copy: Copy, replay_at: ReplayAt) -> None:
    copy.tamper("UPDATE balances SET balance = balance + 7", "DELETE FROM history WHERE position < 40")
    shown = replay_at(copy)("verify").stdout
    assert "NOT OK: 55 divergence(s). The first:\n  projection at position 1, event evt_" in shown
    assert "35 more; --json names the first 55." in shown


def test_verifying_holds_nobody_up(live: Live, shared: Copy) -> None:
    """While it reads, its transaction is read-only and sees one snapshot."""
    with live.database.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SHOW transaction_read_only").fetchone()
    assert row == {"transaction_read_only": "on"}
