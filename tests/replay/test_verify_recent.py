"""`replay verify --since-checkpoint`: what was appended since the newest signed checkpoint, and what it does not look at."""

from collections.abc import Callable

import orjson
import pytest

from ledger.bootstrap import open_ledger
from replay.verify.findings import Report
from replay.verify.recent import verify_recent
from tests.replay.conftest import Copy, Replay
from tests.replay.story import Story
from tests.replay.tampering import rehash

ReplayAt = Callable[[Copy], Replay]


def sign(copy: Copy) -> int:
    """Signs the log as it is; answers its last position."""
    with copy.live() as live:
        made = live.checkpoints.write(live.log, live.clock)
    assert made is not None
    return made.position


def go_on(copy: Copy) -> int:
    """Something is appended, on an old stream and on new ones; answers the last position."""
    with open_ledger(copy.settings) as ledger:
        story = Story(ledger)
        story._commands = story._texts = 10_000
        story.client("Later")
        return ledger.log.head()


@pytest.fixture
def signed(copy: Copy) -> Copy:
    """A copy with a checkpoint, and events after it."""
    sign(copy)
    go_on(copy)
    return copy


def report_of(copy: Copy) -> Report:
    with copy.live() as live:
        return verify_recent(live.database, live.checkpoints)


def test_only_what_was_appended_since_the_newest_checkpoint_is_read(signed: Copy) -> None:
    report = report_of(signed)
    assert report.ok
    assert report.after > 250
    assert report.events == report.position - report.after > 0
    assert report.checkpoints == 1
    assert len(report.not_verified) == 2


def test_without_a_checkpoint_it_begins_at_zero(copy: Copy) -> None:
    report = report_of(copy)
    assert (report.ok, report.after, report.checkpoints) == (True, 0, 0)
    assert report.events == report.position


def test_with_nothing_appended_since_the_head_is_compared(copy: Copy) -> None:
    sign(copy)
    assert (report_of(copy).ok, report_of(copy).events) == (True, 0)
    copy.tamper("UPDATE log_head SET hash = sha256(hash)")
    assert "head row" in report_of(copy).findings[0].what


def test_an_event_after_the_checkpoint_that_was_edited_is_named(signed: Copy) -> None:
    at = report_of(signed).after + 1
    signed.tamper(f"UPDATE events SET state = state || ' ' WHERE notification_id = {at}")
    report = report_of(signed)
    assert report.findings[0].position == at
    assert report.tampering is not None
    assert (report.tampering.kind, report.tampering.position) == ("edited", at)


def test_a_stream_that_goes_on_with_a_gap_is_named(signed: Copy) -> None:
    """Its version before the checkpoint is known."""
    report = report_of(signed)
    signed.tamper(
        "UPDATE events SET originator_version = originator_version + 1"
        f" WHERE notification_id = {report.position} AND originator_version > 0"
    )
    rehash(signed)
    assert any("goes on with version" in one.what for one in report_of(signed).findings)


def test_an_event_before_the_checkpoint_is_not_looked_at_and_the_report_says_so(
    signed: Copy, replay_at: ReplayAt
) -> None:
    signed.tamper("UPDATE events SET state = state || ' ' WHERE notification_id = 100")
    assert report_of(signed).ok
    shown = replay_at(signed)("verify", "--since-checkpoint").stdout
    assert "Not looked at: the events up to position 288" in shown
    assert "Not looked at: the vault's texts, the books and the projections" in shown
    assert replay_at(signed)("verify").exit_code == 1


def test_a_log_that_was_hashed_anew_is_not_the_one_that_was_signed(signed: Copy, replay_at: ReplayAt) -> None:
    signed.tamper("UPDATE events SET state = state || ' ' WHERE notification_id = 100")
    rehash(signed)
    result = replay_at(signed)("verify", "--since-checkpoint", "--json")
    assert result.exit_code == 1
    assert orjson.loads(result.stdout)["tampering"]["kind"] == "rehashed"


def test_an_end_that_was_cut_off_up_to_before_the_checkpoint_is_named(signed: Copy) -> None:
    after = report_of(signed).after
    signed.tamper(
        f"DELETE FROM events WHERE notification_id > {after - 3}", f"DELETE FROM commands WHERE position > {after - 3}"
    )
    rehash(signed)
    report = report_of(signed)
    assert any("its end is missing" in one.what for one in report.findings)
    assert report.tampering is not None
    assert report.tampering.kind == "tail_cut"


def test_a_checkpoint_that_nobody_signed_is_named_and_not_begun_at(signed: Copy) -> None:
    file = signed.settings.checkpoints / "checkpoints.jsonl"
    honest = file.read_bytes()
    forged = orjson.loads(honest.splitlines()[-1]) | {"position": 290, "hash": "00" * 32}
    file.write_bytes(honest + orjson.dumps(forged) + b"\n")
    report = report_of(signed)
    assert report.after == 288
    assert "is not signed by the key" in report.findings[0].what


def test_the_same_bytes_twice(signed: Copy, replay_at: ReplayAt) -> None:
    once, twice = (replay_at(signed)("verify", "--since-checkpoint", "--json").stdout_bytes for _ in range(2))
    assert once == twice
