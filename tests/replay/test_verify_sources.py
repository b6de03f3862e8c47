"""`replay verify` of an archive and of a case file: green as they were written; whatever is changed in them is named."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.events import PayoutReleased
from ledger.store import chain
from replay.archive import manifest as archive_manifest
from replay.archive.source import open_archive
from replay.archive.writing import archive
from replay.case.file import CaseFile, render
from replay.case.making import make_case
from replay.live import Live
from replay.verify.archive import verify_archive
from replay.verify.case import verify_case
from replay.verify.findings import Report
from replay.verify.live import verify
from tests.replay.conftest import Copy, Replay
from tests.replay.story import contract, payout

Rows = list[dict[str, Any]]


@pytest.fixture
def signed(copy: Copy) -> Iterator[Live]:
    with copy.live() as live:
        assert live.checkpoints.write(live.log, live.clock)
        yield live


# An archive


@pytest.fixture
def folder(signed: Live, tmp_path: Path) -> Path:
    made, key = tmp_path / "archive", signed.checkpoints.public_key()
    archive(signed.log, made, checkpoint=signed.checkpoints.last(), public_key=key)
    return made


def report_of(folder: Path) -> Report:
    return verify_archive(open_archive(folder))


def test_an_archive_is_verified_as_the_log_that_it_is_of(signed: Live, folder: Path) -> None:
    report, live = report_of(folder), verify(signed.database, checkpoints=signed.checkpoints)
    assert report.ok
    same = ("position", "head_hash", "events", "streams", "checkpoints", "accounts", "payouts", "freelancers", "totals")
    assert [getattr(report, name) for name in same] == [getattr(live, name) for name in same]
    assert report.projections == ()
    assert any("projections are not compared here" in one for one in report.not_verified)


def test_an_archive_of_nothing_is_verified(tmp_path: Path) -> None:
    archive_manifest.write(tmp_path, archive_manifest.Manifest(columns=()))
    report = report_of(tmp_path)
    assert (report.ok, report.events) == (True, 0)


def rewrite(folder: Path, change: Callable[[Rows], None], *, honest: bool) -> str:
    """Changes the rows of the file in which money was released first; with `honest`, the manifest says its new SHA-256."""
    manifest = archive_manifest.read(folder)
    for number, one in enumerate(manifest.files):
        path = folder / one.path
        table = pq.read_table(path, partitioning=None)
        rows = table.to_pylist()
        if any(row["topic"] == PayoutReleased.TOPIC for row in rows):
            change(rows)
            pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
            sha256 = archive_manifest.sha256_of(path) if honest else one.sha256
            files = list(manifest.files)
            files[number] = msgspec.structs.replace(one, sha256=sha256, bytes=path.stat().st_size)
            archive_manifest.write(folder, msgspec.structs.replace(manifest, files=tuple(files)))
            return one.path
    raise AssertionError("no money was released")


def one_more(state: str) -> str:
    """The event's JSON, with a minor unit more."""
    return re.sub(r'"amount":(\d+)', lambda found: f'"amount":{int(found[1]) + 1}', state)


def first_release(rows: Rows) -> dict[str, Any]:
    return next(row for row in rows if row["topic"] == PayoutReleased.TOPIC)


def test_a_file_that_is_not_the_one_of_the_manifest_is_named(folder: Path) -> None:
    name = rewrite(folder, lambda rows: None, honest=False)
    (found,) = report_of(folder).findings
    assert (found.check, found.what) == ("file", f"{name} has another SHA-256 than the manifest says")


def test_an_event_that_was_edited_is_named_although_the_manifest_was_made_anew(folder: Path) -> None:
    edited: list[int] = []

    def edit(rows: Rows) -> None:
        row = first_release(rows)
        row["state"] += b" "
        edited.append(row["position"])

    rewrite(folder, edit, honest=True)
    report = report_of(folder)
    assert (report.findings[0].check, report.findings[0].position) == ("log", edited[0])
    assert report.tampering is not None
    assert (report.tampering.kind, report.tampering.position) == ("edited", edited[0])


def test_money_that_was_made_more_is_named_although_the_chain_was_made_anew(folder: Path) -> None:
    """The signed checkpoint knows another head, and the payout never held so much."""

    def more(rows: Rows) -> None:
        head = b""
        for row, before in zip(rows, [None, *rows], strict=False):
            previous = before["hash"] if before else chain.START
            if row is first_release(rows):
                row["state"] = one_more(row["state"].decode()).encode()
            place = row["position"], row["version"], row["stream"], row["topic"], row["state"]
            if head or row is first_release(rows):
                head = row["hash"] = chain.link(head or previous, *place)

    rewrite(folder, more, honest=True)
    found = report_of(folder).findings
    assert any("more was released than was pending" in one.what and one.minor_units == 1 for one in found)


def test_a_file_full_of_something_else_is_a_finding_and_no_traceback(folder: Path, replay: Replay) -> None:
    name = archive_manifest.read(folder).files[0].path
    size = (folder / name).stat().st_size
    (folder / name).write_bytes(b"x" * size)
    result = replay("verify", "--source", str(folder))
    assert result.exit_code == 1
    assert "has another SHA-256" in result.stdout


# A case


@pytest.fixture
def case(signed: Live) -> CaseFile:
    made = make_case(signed, contract("Logo"), signed.checkpoints)
    assert made is not None
    return made


def test_a_case_is_verified_with_its_proof_and_its_payouts(case: CaseFile) -> None:
    report = verify_case(case)
    assert report.ok
    assert report.events == len(case.case.events)
    assert report.payouts >= 1
    assert report.checkpoints == 1
    assert any("whole accounts" in one for one in report.not_verified)


def test_a_case_that_is_not_what_was_signed_is_a_finding(case: CaseFile) -> None:
    released = next(one for one in case.case.events if one.topic == PayoutReleased.TOPIC)
    forged = msgspec.structs.replace(released, state=one_more(released.state))
    events = tuple(forged if one is released else one for one in case.case.events)
    report = verify_case(msgspec.structs.replace(case, case=msgspec.structs.replace(case.case, events=events)))
    assert report.findings[0].check == "file"
    assert any(one.account == payout("Logo") and one.minor_units == 1 for one in report.findings)


# The command


def test_the_command_verifies_both(folder: Path, case: CaseFile, tmp_path: Path, replay: Replay) -> None:
    file = tmp_path / "it.case.json"
    file.write_bytes(render(case))
    for source, says in ((folder, "OK: the archive's files are whole"), (file, "OK: the case is what was signed")):
        result = replay("verify", "--source", str(source))
        assert result.exit_code == 0, result.output
        assert says in result.stdout
        assert "Not looked at: projections are not compared here" in result.stdout
        once, twice = (replay("verify", "--source", str(source), "--json").stdout_bytes for _ in range(2))
        assert once == twice


@pytest.mark.parametrize("what", ["nothing.parquet", "folder", "file"])
def test_what_is_no_source_ends_with_2(what: str, tmp_path: Path, replay: Replay) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "file":
        path.write_text("hello")
    result = replay("verify", "--source", str(path))
    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert result.stdout == ""


def test_options_of_the_live_database_are_refused_for_a_source(folder: Path, replay: Replay) -> None:
    for options in (["--since-checkpoint"], ["--processes", "2"]):
        result = replay("verify", "--source", str(folder), *options)
        assert result.exit_code == 2
        assert "is for the live database" in " ".join(result.stderr.split())
