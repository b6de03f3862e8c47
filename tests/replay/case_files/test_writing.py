"""Making a case file: what it is signed with, how far its proof leads, and what is refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ledger.store.checkpoints import Checkpoints, sign
from replay.case import proof as case_proof
from replay.case.file import canonical, parse, render
from replay.case.making import make_case
from replay.case.opening import reopen
from replay.live import Live
from tests.replay.case_files.conftest import KEPT, KEPT_KEY, give_key, offline, opened
from tests.replay.conftest import Copy, Replay
from tests.replay.story import contract, payout


def test_a_dash_is_the_standard_output(replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = replay("case", contract("Logo"), "-o", "-")
    assert shown.exit_code == 0
    assert parse(shown.stdout_bytes).case.contract_id == contract("Logo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("con_x",), 2, "there is no contract con_x"),
        (("con_../../etc/passwd",), 2, "there is no contract"),
        ((payout("Logo"),), 2, "give an id like con_"),
        (("hello",), 2, "No such command"),
        ((contract("Logo"), "--known-at", "2026-01-01T00:00:00Z"), 2, "at these times there is no contract"),
        ((contract("Logo"), "--as-of", "yesterday"), 2, "is not an RFC 3339 time"),
        (("open",), 2, "Missing argument"),
    ],
)
def test_a_case_that_cannot_be_made_says_why(
    replay: Replay, arguments: tuple[str, ...], status: int, says: str
) -> None:
    result = replay("case", *arguments)
    assert result.exit_code == status
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_case_overwrites_nothing(case: Callable[..., Path], replay: Replay) -> None:
    file = case("Held")
    before = file.read_bytes()
    for arguments in (("case", contract("Logo")), ("case", "redact", str(file), "--names")):
        result = replay(*arguments, "-o", str(file))
        assert result.exit_code == 2
        assert "is there already" in result.stderr
    assert replay("case", "open", str(file), "--as-test", str(file)).exit_code == 2
    assert replay("case", contract("Logo"), "-o", str(file / "below")).exit_code == 2
    assert file.read_bytes() == before


def test_without_the_ledger_s_key_no_case_is_made_and_no_other_key_either(
    copy: Copy, replay_at: Callable[[Copy], Replay]
) -> None:
    public = give_key(copy.settings.checkpoints)
    (public.parent / "signing-key").unlink()
    result = replay_at(copy)("case", contract("Logo"))
    assert result.exit_code == 2
    assert "LEDGER_CHECKPOINT_DIR" in result.stderr
    assert public.read_text().strip() == KEPT_KEY.public_key().public_bytes_raw().hex()
    assert not (public.parent / "signing-key").exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET state = state || ' '::bytea WHERE originator_id = '{logo}' AND originator_version = 1",
        "UPDATE events SET hash = sha256(hash) WHERE notification_id = 100",
        "UPDATE vault SET text = 'another' WHERE text = 'Ada'",
    ],
)
def test_of_a_ledger_that_was_tampered_with_no_case_is_made(
    copy: Copy, replay_at: Callable[[Copy], Replay], statement: str
) -> None:
    replay = replay_at(copy)
    assert replay("case", contract("Logo")).exit_code == 0
    copy.tamper(statement.format(logo=contract("Logo")))
    result = replay("case", contract("Logo"))
    if "notification_id = 100" in statement:  # of another's event nothing but its leaf is looked at
        assert result.exit_code == 0
    else:
        assert result.exit_code == 1
        assert "run `replay verify`" in result.stderr
        assert result.stdout == ""


def signed_at(live: Live, folder: Path, positions: tuple[int, ...]) -> Checkpoints:
    """Checkpoints at these positions."""
    give_key(folder)
    hashes = live.log.hashes(positions)
    lines = [sign(KEPT_KEY, position, head.hex(), "2026-03-09T12:30:00Z") for position, head in hashes.items()]
    (folder / "checkpoints.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return Checkpoints(folder)


def test_events_are_led_to_the_next_checkpoint_of_each(live: Live, tmp_path: Path) -> None:
    positions = (50, 100, 200, live.log.head())
    file = make_case(live, contract("Code"), signed_at(live, tmp_path, positions))
    assert file is not None
    opening = reopen(parse(render(file)))
    assert opening.checkpoints == positions
    assert opening.proved == len(opening.events)
    whole = (live.log.head() - file.case.events[0].position + 1) - len(opening.events)
    assert sum(len(run.leaves) // 64 for run in file.case.proof) < whole


def test_an_event_too_far_from_a_checkpoint_is_linked_and_that_is_said(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_proof, "MAX_RUN", 30)
    file = make_case(live, contract("Code"), signed_at(live, tmp_path / "keys", (50, 100, 200, live.log.head())))
    assert file is not None
    opening = reopen(parse(render(file)))
    assert 0 < opening.proved < len(opening.events)
    (tmp_path / "far.case.json").write_bytes(render(file))
    shown = offline("case", "open", tmp_path / "far.case.json").stdout
    assert f"{opening.proved} of {len(opening.events)} events stand in the log" in shown
    assert "rest on the signature of this file" in shown


def test_the_dearest_ways_are_left_out_first(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = signed_at(live, tmp_path, (50, 100, 200, live.log.head()))
    whole = make_case(live, contract("Code"), checkpoints)
    assert whole is not None
    lengths = sorted(len(run.leaves) // 64 for run in whole.case.proof)
    monkeypatch.setattr(case_proof, "MAX_LEAVES", sum(lengths[:-1]))
    less = make_case(live, contract("Code"), checkpoints)
    assert less is not None
    assert sorted(len(run.leaves) // 64 for run in less.case.proof) == lengths[:-1]
    assert reopen(less).ok


def test_what_is_signed_is_canonical_json() -> None:
    """As RFC 8785 has it for what stands in a case: keys sorted, no spaces, only what must be escaped is."""
    value = {"b": [1, -(10**30), True, None], "a": 'é"\\\n\x1f\u2028', "": {}}
    assert (
        canonical(value)
        == '{"":{},"a":"é\\"\\\\\\n\\u001f\u2028","b":[1,-1000000000000000000000000000000,true,null]}'.encode()
    )


def test_a_case_can_be_made_from_an_archive(
    shared: Copy, replay: Replay, case: Callable[..., Path], tmp_path: Path
) -> None:
    """With the ledger's key and checkpoints at hand; the texts are not in an archive, and that is what it says."""
    folder, file = tmp_path / "archive", tmp_path / "from-archive.case.json"
    assert replay("archive", str(folder)).exit_code == 0
    result = replay("case", contract("Logo"), "--source", str(folder), "-o", str(file))
    assert result.exit_code == 0, result.output
    here, there = opened(file), opened(case("Logo"))
    assert set(here["texts"]) == {"unavailable", "withheld"}
    for field in ("position", "proved", "payouts", "accounts", "result_sha256"):
        assert here[field] == there[field]
    assert "(unavailable)" in offline("case", "open", file).stdout
    assert "(unavailable)" in offline("history", contract("Logo"), "--source", file).stdout


def test_an_output_that_cannot_be_written_ends_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from replay.cli import app; app()", "case", "redact", "--names"]
    command.append(str(KEPT / "adjustment.case.json"))
    with Path("/dev/full").open("wb") as full:
        answer = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert answer.returncode == 2
    assert answer.stderr.startswith("replay: the standard output cannot be written")
