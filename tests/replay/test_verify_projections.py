"""`replay verify` on projections: an edit, a deletion or an insertion in any table is named, with its place and its amount."""

from collections.abc import Callable

import orjson
import pytest

from ledger.bootstrap import open_ledger
from ledger.postings import entries
from ledger.projections import PROJECTIONS
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, contract, payout
from tests.replay.tampering import first_of, position_of, report_of

ReplayAt = Callable[[Copy], Replay]

ROWS: dict[str, tuple[str, str, str]] = {
    "balances": (
        "UPDATE balances SET balance = balance + 7 WHERE account = 'processor' AND currency = 'USD'",
        "DELETE FROM balances WHERE account = 'processor' AND currency = 'USD'",
        "INSERT INTO balances VALUES ('fre_x:available', 'USD', 7)",
    ),
    "statements": (
        "UPDATE statement_lines SET available = available + 7 WHERE position = {released}",
        "DELETE FROM statement_lines WHERE position = {released}",
        "INSERT INTO statement_lines SELECT 'fre_x', currency, occurred_at, position, recorded_at, type, subject,"
        " pending_change, available_change, in_transit_change, pending, available, in_transit"
        " FROM statement_lines WHERE position = {released}",
    ),
    "contracts": (
        "UPDATE contracts SET status = 'declined' WHERE id = '{contract}'",
        "DELETE FROM contracts WHERE id = '{contract}'",
        "INSERT INTO contracts SELECT 'con_x', client_id, freelancer_id, status, 1, state FROM contracts LIMIT 1",
    ),
    "payouts": (
        "UPDATE payouts SET available_on = NULL WHERE id = '{payout}'",
        "DELETE FROM payouts WHERE id = '{payout}'",
        "INSERT INTO payouts SELECT 'pay_x', contract_id, client_id, freelancer_id, payee, status, available_on, 1, state"
        " FROM payouts LIMIT 1",
    ),
    "deadlines": (
        "UPDATE deadlines SET at = at + interval '1 second' WHERE kind = 'charge'",
        "DELETE FROM deadlines WHERE kind = 'charge'",
        "INSERT INTO deadlines VALUES ('pay_x', 'release', '', now(), 4, 'evt_x', NULL, NULL)",
    ),
    "history": (
        "UPDATE history SET payout_id = 'pay_x' WHERE position = {released}",
        "DELETE FROM history WHERE position = {released}",
        "INSERT INTO history VALUES (100000, 'pay_x', 'payout.due.v1', NULL, NULL, NULL, NULL)",
    ),
}
SAYS = {"changed": "the column differs", "deleted": "the row is missing", "inserted": "no event makes this row"}


def test_there_is_a_tampering_for_every_projection() -> None:
    assert set(ROWS) == {projection.name for projection in PROJECTIONS}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("number", "how"), list(enumerate(SAYS)))
def test_a_row_that_was_tampered_with_is_named(
    copy: Copy, replay_at: ReplayAt, name: str, number: int, how: str
) -> None:
    names = {
        "released": position_of(copy, "payout.released.v1"),
        "payout": payout("Logo"),
        "contract": contract("Code"),
    }
    copy.tamper(ROWS[name][number].format(**names))
    result = replay_at(copy)("verify", "--json")
    assert result.exit_code == 1
    first = orjson.loads(result.stdout)["findings"][0]
    assert (first["check"], first["projection"], first["what"]) == ("projection", name, SAYS[how])
    assert first["key"]
    if how != "inserted":
        assert first["position"]
        assert first["event_id"]


def test_a_balance_says_its_account_its_amounts_and_who_last_touched_it(copy: Copy) -> None:
    copy.tamper(f"UPDATE balances SET balance = balance - 7 WHERE account = '{ADA}:available' AND currency = 'USD'")
    found = first_of(copy)
    assert (found.account, found.column, found.minor_units) == (f"{ADA}:available", "balance", -7)
    assert found.live == found.refolded - 7
    with copy.live() as live:
        touched = [
            stored.id
            for stored in live.log.read_all()
            if any(entry.account == f"{ADA}:available" and entry.currency == "USD" for entry in entries(stored.event))
        ]
    assert found.event_id == touched[-1]


def test_half_a_minor_unit_is_a_divergence(copy: Copy) -> None:
    copy.tamper("UPDATE balances SET balance = balance + 0.5 WHERE account = 'processor' AND currency = 'USD'")
    assert first_of(copy).live.endswith(".5")


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("jsonb_set(state::jsonb, '{pending}', '1')", "state.pending"),
        ("jsonb_set(state::jsonb, '{extra}', '1')", "state.extra"),
        ("'[]'", "state"),
    ],
)
def test_a_state_that_was_tampered_with_is_named_by_its_field(copy: Copy, change: str, column: str) -> None:
    copy.tamper(f"UPDATE payouts SET state = ({change})::json WHERE id = '{payout('Logo')}'")
    found = first_of(copy)
    assert (found.projection, found.key, found.column) == ("payouts", payout("Logo"), column)
    assert found.minor_units == (1 if column == "state.pending" else None)


def test_a_state_written_with_other_spaces_is_the_same(copy: Copy) -> None:
    copy.tamper("UPDATE payouts SET state = state::jsonb::json")
    assert report_of(copy).ok


def test_a_time_that_no_calendar_has_is_a_divergence(copy: Copy) -> None:
    copy.tamper("UPDATE deadlines SET at = 'infinity'")
    assert "holds what no projection wrote" in report_of(copy).findings[-1].what


def test_a_projection_that_stopped_or_is_ahead_is_named(copy: Copy) -> None:
    copy.tamper("UPDATE projections SET error = 'event evt_x: broken', error_position = 12 WHERE name = 'balances'")
    assert first_of(copy).what == "the projection has stopped: event evt_x: broken"
    copy.tamper("UPDATE projections SET position = 100000, error = NULL, error_position = NULL")
    assert "beyond the end of the log" in first_of(copy).what


def test_a_projection_that_lags_is_compared_where_it_stands(copy: Copy) -> None:
    """Folded anew up to position 100, and no further."""
    tables = ", ".join(table.name for projection in PROJECTIONS for table in projection.tables)
    copy.tamper(f"TRUNCATE {tables}", "UPDATE projections SET position = 0")
    with open_ledger(copy.settings) as ledger:
        ledger.views.catch_up(until=100)
    report = report_of(copy)
    assert report.ok
    assert {one.position for one in report.projections} == {100}
