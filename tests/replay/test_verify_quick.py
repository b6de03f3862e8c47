"""The quick pass and the thorough one agree, in one process and in two; what the quick one cannot tell, the other says."""

import pytest

from ledger.projections.balances import Balances
from replay.live import Live
from replay.verify import live as module
from replay.verify.findings import Report
from replay.verify.live import verify
from tests.replay.conftest import Copy, Replay
from tests.replay.tampering import position_of

TAMPERING: dict[str, str] = {
    "an event": "UPDATE events SET state = state || ' ' WHERE notification_id = {at}",
    "a hash": "UPDATE events SET hash = sha256(hash) WHERE notification_id = {at}",
    "a topic that nobody knows": "UPDATE events SET topic = 'payout.paid.v9' WHERE notification_id = {at}",
    "bytes that nobody can read": "UPDATE events SET state = 'nothing' WHERE notification_id = {at}",
    "an event that is missing": "DELETE FROM events WHERE notification_id = {at}",
    "a text": "UPDATE vault SET text = text || '!' WHERE text = 'Code for a client'",
    "a row of a table that only grows": "UPDATE history SET topic = '' WHERE position = {at}",
    "a row before the first event": "INSERT INTO history VALUES (-7, 'pay_x', 'x', NULL, NULL, NULL, NULL)",
    "a balance": "UPDATE balances SET balance = balance + 1 WHERE account = 'processor'",
    "a state": "UPDATE payouts SET state = (state::jsonb || '{{\"pending\": 1}}')::json",
    "a line that is missing": "DELETE FROM statement_lines WHERE position = (SELECT max(position) FROM statement_lines)",
    "a head": "UPDATE log_head SET position = position - 1",
    "a projection that stopped": "UPDATE projections SET error = 'x', error_position = 7 WHERE name = 'balances'",
}
"""One thing of each kind; `{at}` is an event that moved money."""


def thorough(live: Live, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The report of the thorough pass alone."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "quick_pass", lambda *_, **__: None)
        return verify(live.database, checkpoints=live.checkpoints)


@pytest.fixture
def no_thorough(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the quick pass could not tell")

    monkeypatch.setattr(module._Verification, "run", never)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_quick_pass_can_tell_that_all_is_well(live: Live, no_thorough: None, processes: int) -> None:
    assert verify(live.database, processes=processes).ok


@pytest.mark.parametrize("processes", [1, 2])
def test_both_passes_report_the_same_of_a_ledger_in_which_all_is_well(
    copy: Copy, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    with copy.live() as live:
        live.checkpoints.write(live.log, live.clock)
        report = verify(live.database, checkpoints=live.checkpoints, processes=processes)
        assert report == thorough(live, monkeypatch)
    assert report.checkpoints == 1


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("what", TAMPERING)
def test_whatever_is_amiss_the_report_is_that_of_the_thorough_pass(
    copy: Copy, monkeypatch: pytest.MonkeyPatch, what: str, processes: int
) -> None:
    copy.tamper(TAMPERING[what].format(at=position_of(copy, "payout.charged.v1")))
    with copy.live() as live:
        report = verify(live.database, checkpoints=live.checkpoints, processes=processes)
        assert not report.ok
        assert report == thorough(live, monkeypatch)


def test_the_number_of_processes_changes_no_byte(replay: Replay) -> None:
    one, two = (replay("verify", "--json", "--processes", number) for number in ("1", "2"))
    assert one.exit_code == two.exit_code == 0
    assert one.stdout_bytes == two.stdout_bytes


def test_a_second_process_that_cannot_be_started_is_done_without(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert verify(live.database, processes=2).ok


def test_projections_of_others_are_verified_in_one_process(live: Live, no_thorough: None) -> None:
    """The second process knows the ledger's own projections, by their names."""
    report = verify(live.database, projections=(Balances(),), processes=2)
    assert [one.name for one in report.projections] == ["balances"]
