"""`replay verify` of an archive and of a case file: green as they were written; whatever is changed in them is named."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import asdict

from ledger.codec import decode
from ledger.events import PayoutCharged, PayoutReleased
from ledger.store import chain
from ledger.upcasters import UPCASTERS
from replay.archive import manifest as archive_manifest
from replay.archive.source import open_archive
from replay.archive.writing import archive
from replay.case.file import CaseFile, parse, redact, render
from replay.case.making import make_case, signing_key
from replay.live import Live
from replay.values import plain
from replay.verify.archive import verify_archive
from replay.verify.case import verify_case
from replay.verify.findings import Report
from replay.verify.live import verify
from tests.properties.everything import golden
from tests.replay.archives import Log
from tests.replay.conftest import Copy, Replay
from tests.replay.forging import FORGERS_KEY, forged_archive, forgers, signed_by
from tests.replay.story import ADA, contract, payout

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


def test_what_became_of_the_texts_an_archive_does_not_say(signed: Live, folder: Path, replay: Replay) -> None:
    report, live = report_of(folder), verify(signed.database)
    assert live.texts_erased == 1
    assert (report.texts_intact, report.texts_erased) == (0, 0)
    assert report.texts_unavailable == live.texts_intact + live.texts_erased
    shown = replay("verify", "--source", str(folder)).stdout
    assert f"Texts: {report.texts_unavailable} not here\n" in shown
    assert "Not looked at: the texts: an archive holds none, so it does not say which of them were erased." in shown


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


WRONG: dict[str, Any] = {
    "amount": 1,
    "occurred_at": datetime(2020, 1, 1, tzinfo=UTC),
    "contract_id": "con_x",
    "actor": "nobody",
    "currency": None,
    "postings": [{"account": "platform:adjustments", "direction": "debit", "amount": 1, "currency": "USD"}],
}


@pytest.mark.parametrize("column", WRONG)
def test_a_column_that_does_not_say_what_the_stored_bytes_say_is_named(
    folder: Path, replay: Replay, column: str
) -> None:
    """The bytes and their chain are as they were; but folds, histories and other tools read the columns."""
    edited: list[dict[str, Any]] = []

    def edit(rows: Rows) -> None:
        row = first_release(rows)
        edited.append({**row})
        row[column] = WRONG[column]

    rewrite(folder, edit, honest=True)
    (found,) = report_of(folder).findings
    assert (found.check, found.position) == ("file", edited[0]["position"])
    assert found.event_id == f"evt_{edited[0]['stream']}_{edited[0]['version']}"
    assert found.what.startswith(f"its column {column} holds {plain(WRONG[column])!r}, and its stored bytes give")
    result = replay("verify", "--source", str(folder))
    assert result.exit_code == 1
    assert f"its column {column} holds" in result.stdout


def test_a_type_that_is_not_the_event_s_is_named_and_so_is_the_manifest(folder: Path) -> None:
    """By its type an event is folded, or left out of the fold."""
    name = rewrite(folder, lambda rows: first_release(rows).update(type="payout.lost.v1"), honest=True)
    assert {one.what for one in report_of(folder).findings} == {
        "its column type holds 'payout.lost.v1', and its stored bytes give 'payout.released.v1'",
        f"{name} holds other types of events than the manifest says",
    }


def test_a_manifest_that_leaves_out_a_type_of_event_is_named(folder: Path) -> None:
    manifest = archive_manifest.read(folder)
    first = msgspec.structs.replace(manifest.files[0], types=manifest.files[0].types[1:])
    archive_manifest.write(folder, msgspec.structs.replace(manifest, files=(first, *manifest.files[1:])))
    (found,) = report_of(folder).findings
    assert found.what == f"{first.path} holds other types of events than the manifest says"


def test_events_that_stand_in_another_file_than_the_manifest_says_are_named(folder: Path) -> None:
    manifest = archive_manifest.read(folder)
    first, second, *others = manifest.files
    shorter = msgspec.structs.replace(first, last=first.last - 1)
    longer = msgspec.structs.replace(second, first=second.first - 1)
    archive_manifest.write(folder, msgspec.structs.replace(manifest, files=(shorter, longer, *others)))
    (found,) = report_of(folder).findings
    assert (found.position, found.what) == (
        shorter.last,
        f"{first.path} does not end with the event that the manifest names",
    )


def remade(folder: Path, change: Callable[[pa.Table], pa.Table], *, columns: tuple[str, ...] | None = None) -> None:
    """Changes the table of every file, and makes the manifest fit: it says those columns."""
    manifest = archive_manifest.read(folder)
    files = []
    for one in manifest.files:
        path = folder / one.path
        pq.write_table(change(pq.read_table(path, partitioning=None)), path)
        sha256, size = archive_manifest.sha256_of(path), path.stat().st_size
        files.append(msgspec.structs.replace(one, sha256=sha256, bytes=size))
    changed = msgspec.structs.replace(manifest, files=tuple(files), columns=columns or manifest.columns)
    archive_manifest.write(folder, changed)


def recast(column: str, type_: pa.DataType | None) -> Callable[[pa.Table], pa.Table]:
    """Gives a column another type, or takes it out."""

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(column)
        return table.remove_column(at) if type_ is None else table.set_column(at, column, table[column].cast(type_))

    return change


@pytest.mark.parametrize(
    ("column", "type_", "says"),
    [
        ("amount", pa.float64(), "of type double, not int64"),
        ("occurred_at", pa.timestamp("us"), "of type timestamp[us], not timestamp[us, tz=UTC]"),
        ("state", pa.string(), "of type string, not binary"),
        ("position", pa.int32(), "of type int32, not int64"),
        ("amount", None, "is not there"),
        ("hash", None, "is not there"),
    ],
)
def test_a_column_of_another_type_or_none_is_named_and_no_traceback(
    folder: Path, replay: Replay, column: str, type_: pa.DataType | None, says: str
) -> None:
    """An amount as a fraction is equal to the whole one, until it is too large to be."""
    remade(folder, recast(column, type_))
    name, found = archive_manifest.read(folder).files[0].path, report_of(folder).findings[0]
    assert (found.check, found.what) == ("file", f"{name}: its column {column} {'is ' * bool(type_)}{says}")
    assert replay("verify", "--source", str(folder)).exit_code == 1


@pytest.mark.parametrize("column", ["state", "version", "type"])
def test_a_column_without_values_is_named_and_no_traceback(folder: Path, replay: Replay, column: str) -> None:
    def empty(table: pa.Table) -> pa.Table:
        at, type_ = table.schema.get_field_index(column), table.schema.field(column).type
        return table.set_column(at, pa.field(column, type_), pa.nulls(table.num_rows, type_))

    remade(folder, empty)
    found = report_of(folder).findings[0]
    assert found.check == "file"
    assert f"its column {column} " in found.what
    assert replay("verify", "--source", str(folder)).exit_code == 1


def test_a_column_that_an_older_version_did_not_write_is_no_finding_and_that_is_said(folder: Path) -> None:
    written = archive_manifest.read(folder).columns
    older = tuple(name for name in written if name != "returned")
    remade(folder, recast("returned", None), columns=older)
    report = report_of(folder)
    assert report.ok
    assert "the column(s) returned: the archive was written without them" in report.not_verified


def older_log() -> Log:
    """With an event whose topic is an old one."""
    events = (decode(topic, golden(topic)) for topic in ("payout.due.v1", "payout.charged.v1"))
    log = Log((asdict(event)["payout_id"], version, event) for version, event in enumerate(events, 1))
    charged = log.rows.pop()
    place = charged.position, charged.version, charged.stream, "payout.charged.v0", charged.state
    log.rows.append(charged._replace(topic=place[3], hash=chain.link(log.rows[-1].hash, *place)))
    return log


def test_columns_of_an_event_that_has_a_newer_version_now_are_no_finding_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say what the event was when it was archived; no fold reads them any more."""
    monkeypatch.setitem(UPCASTERS, "payout.charged.v0", lambda old: (PayoutCharged.TOPIC, {**old, "amount": 7}))
    archive(older_log(), tmp_path)
    assert not [one for one in report_of(tmp_path).findings if one.check == "file"]

    def as_it_was(table: pa.Table) -> pa.Table:
        """The event had no newer version yet, and its amount was read as it stands."""
        rows = [
            {**row, "type": row["topic"], "amount": json.loads(row["state"])["amount"]} for row in table.to_pylist()
        ]
        return pa.Table.from_pylist(rows, table.schema)

    remade(tmp_path, as_it_was)
    manifest = archive_manifest.read(tmp_path)
    (file,) = manifest.files
    file = msgspec.structs.replace(file, types=("payout.charged.v0", "payout.due.v1"))
    archive_manifest.write(tmp_path, msgspec.structs.replace(manifest, files=(file,)))
    report = report_of(tmp_path)
    assert not [one for one in report.findings if one.check == "file"]
    assert any("1 event(s) that have a newer version now" in one for one in report.not_verified)


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


def test_texts_that_were_taken_out_of_a_case_are_counted_as_redacted_and_not_as_erased(
    case: CaseFile, tmp_path: Path, replay: Replay
) -> None:
    whole, without = verify_case(case), verify_case(redact(case, ("name",)))
    assert (whole.texts_redacted, whole.texts_erased) == (0, 0)
    assert without.ok
    assert without.texts_redacted > 0
    assert without.texts_intact == whole.texts_intact - without.texts_redacted
    assert (without.texts_erased, without.texts_withheld) == (0, whole.texts_withheld)
    (tmp_path / "it.case.json").write_bytes(render(redact(case, ("name",))))
    shown = replay("verify", "--source", str(tmp_path / "it.case.json")).stdout
    assert (
        f"Texts: {without.texts_intact} intact, {without.texts_redacted} redacted, {without.texts_withheld} withheld,"
        " 0 erased\n"
    ) in shown
    assert "Not looked at: the texts that are not in the file" in shown


def test_what_was_erased_before_a_case_was_made_is_counted_as_erased(copy: Copy) -> None:
    copy.tamper(f"DELETE FROM vault WHERE owner = '{ADA}'")
    with copy.live() as live:
        made = make_case(live, contract("Logo"), live.checkpoints, redacted=("name", "message"))
    assert made is not None
    report = verify_case(made)
    assert report.texts_erased == 3  # her name, her address, and the one that the offer was sent to
    assert report.texts_redacted > 0


def test_the_texts_of_a_case_that_was_made_from_an_archive_are_not_here(signed: Live, folder: Path) -> None:
    made = make_case(open_archive(folder), contract("Logo"), signed.checkpoints)
    assert made is not None
    report = verify_case(made)
    assert (report.ok, report.texts_intact, report.texts_erased) == (True, 0, 0)
    assert report.texts_unavailable > 0
    assert report.texts_withheld > 0


def test_a_case_that_is_not_what_was_signed_is_a_finding(case: CaseFile) -> None:
    released = next(one for one in case.case.events if one.topic == PayoutReleased.TOPIC)
    forged = msgspec.structs.replace(released, state=one_more(released.state))
    events = tuple(forged if one is released else one for one in case.case.events)
    report = verify_case(msgspec.structs.replace(case, case=msgspec.structs.replace(case.case, events=events)))
    assert report.findings[0].check == "file"
    assert any(one.account == payout("Logo") and one.minor_units == 1 for one in report.findings)


# Whose key it is


def written(case: CaseFile, file: Path) -> Path:
    file.write_bytes(render(case))
    return file


@pytest.fixture
def forged(signed: Live, tmp_path: Path) -> dict[str, Path]:
    """An archive and a case without a proof, made by somebody who has the log and not its key."""
    folder = forged_archive(signed.log, tmp_path / "forged")
    made = make_case(open_archive(folder), contract("Logo"), forgers(tmp_path / "forger"))
    assert made is not None
    assert made.case.proof == ()
    return {"archive": folder, "case": written(made, tmp_path / "forged.case.json")}


@pytest.fixture
def genuine(folder: Path, case: CaseFile, tmp_path: Path) -> dict[str, Path]:
    return {"archive": folder, "case": written(case, tmp_path / "genuine.case.json")}


BOTH = pytest.mark.parametrize("what", ["archive", "case"])


@BOTH
def test_a_forgery_is_found_by_the_ledger_s_key(
    forged: dict[str, Path], signed: Live, replay: Replay, what: str
) -> None:
    public = str(signed.checkpoints.folder / "public-key")
    result = replay("verify", "--source", str(forged[what]), "--key", public, "--json")
    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    (found,) = report["findings"]
    assert (found["check"], found["position"]) == ("file", None)
    assert found["what"] == f"it is signed by another key, {FORGERS_KEY}: do not trust it"
    assert report["public_key"] == FORGERS_KEY
    shown = replay("verify", "--source", str(forged[what]), "--key", public).stdout
    assert "NOT OK: 1 divergence(s)" in shown
    assert FORGERS_KEY in shown


@BOTH
def test_a_forgery_says_without_a_key_who_signed_it_and_that_nobody_knows_whose_key_that_is(
    forged: dict[str, Path], replay: Replay, what: str
) -> None:
    """It is whole in itself: nothing in it can show that it is another's."""
    shown = replay("verify", "--source", str(forged[what])).stdout
    assert f"Signed by: {FORGERS_KEY}\n" in shown
    assert "Not looked at: whose key this is" in shown
    assert "compare it with the ledger's public key, or give --key" in shown
    report = json.loads(replay("verify", "--source", str(forged[what]), "--json").stdout)
    assert report["public_key"] == FORGERS_KEY
    assert sum("whose key this is" in one for one in report["not_verified"]) == 1


def test_a_case_without_a_proof_is_not_said_to_stand_in_the_chain(
    forged: dict[str, Path], genuine: dict[str, Path], replay: Replay
) -> None:
    shown = replay("verify", "--source", str(forged["case"])).stdout
    assert "its events stand in the chain" not in shown
    count = len(parse(forged["case"].read_bytes()).case.events)
    assert f"Not looked at: the way of {count} event(s) to a signed checkpoint" in shown
    assert (
        f"OK: the case is what was signed, and every invariant of its payouts holds; that {count} of its {count} events"
        " stand in the chain is the signer's word."
    ) in shown
    shown = replay("verify", "--source", str(genuine["case"])).stdout
    assert "OK: the case is what was signed, its events stand in the chain, and every invariant" in shown


@BOTH
def test_what_the_ledger_s_key_signed_is_no_finding_and_nothing_is_left_to_compare(
    genuine: dict[str, Path], signed: Live, replay: Replay, what: str
) -> None:
    file = signed.checkpoints.folder / "public-key"
    key = file.read_text().strip()
    for given in (str(file), key, key.upper()):
        result = replay("verify", "--source", str(genuine[what]), "--key", given, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        assert (report["ok"], report["public_key"]) == (True, key)
        assert not any("whose key this is" in one for one in report["not_verified"])
        assert report["proved"] == report["events"]


def test_a_key_that_is_written_otherwise_is_the_same_key(folder: Path) -> None:
    manifest = archive_manifest.read(folder)
    key = manifest.public_key
    assert key is not None
    archive_manifest.write(folder, msgspec.structs.replace(manifest, public_key=key.upper()))
    report = verify_archive(open_archive(folder), key=key)
    assert (report.ok, report.public_key) == (True, key)


def test_an_archive_without_a_checkpoint_says_that_nothing_in_it_is_signed(folder: Path, replay: Replay) -> None:
    """It names a key all the same; whoever takes a checkpoint out must not get past --key."""
    manifest = archive_manifest.read(folder)
    archive_manifest.write(folder, msgspec.structs.replace(manifest, checkpoint=None))
    report = report_of(folder)
    assert (report.ok, report.public_key, report.proved) == (True, None, 0)
    assert any("nothing in this archive is signed" in one for one in report.not_verified)
    assert not any("whose key this is" in one for one in report.not_verified)
    assert "Signed by: nobody\n" in replay("verify", "--source", str(folder)).stdout
    (found,) = verify_archive(open_archive(folder), key=manifest.public_key).findings
    assert (found.check, found.what) == (
        "file",
        "nothing in it is signed, with the key that was asked for or another: do not trust it",
    )


def test_events_after_the_last_signed_checkpoint_of_an_archive_are_anybody_s(
    signed: Live, folder: Path, tmp_path: Path
) -> None:
    """As a run that was killed leaves them, or a forger who goes on from where the ledger signed."""
    manifest = archive_manifest.read(folder)
    log = Log(())
    log.rows = list(signed.log.read_all())
    first = signed_by(signing_key(signed, signed.checkpoints), log.up_to(manifest.files[0].last))
    archive(log, tmp_path / "killed", checkpoint=first, public_key=signed.checkpoints.public_key())
    archive(log, tmp_path / "killed")
    report = report_of(tmp_path / "killed")
    left = log.head() - first.position
    assert (report.ok, report.proved) == (True, first.position)
    assert f"whose the {left} event(s) after position {first.position} are: no checkpoint signs them" in (
        report.not_verified
    )
    (found,) = verify_archive(open_archive(tmp_path / "killed"), key=report.public_key).findings
    assert (found.check, found.position) == ("file", first.position + 1)
    assert found.what == (
        f"no checkpoint signs the {left} event(s) from here on: do not trust them, or run `replay archive` again"
    )


def test_who_signed_a_case_is_not_said_where_nobody_signed_it(case: CaseFile) -> None:
    changed = msgspec.structs.replace(case, case=msgspec.structs.replace(case.case, rule_version=7))
    report = verify_case(changed, key=case.signature.key)
    assert report.findings[0].what.startswith("the signature is not that of this case")
    assert report.public_key is None


def test_the_key_of_the_live_ledger_is_known_and_none_is_taken(replay: Replay) -> None:
    result = replay("verify", "--key", FORGERS_KEY)
    assert result.exit_code == 2
    assert "--key is for an archive or a case file: name it with --source" in " ".join(result.stderr.split())


@BOTH
def test_what_is_no_key_is_refused(genuine: dict[str, Path], replay: Replay, what: str) -> None:
    for nonsense in ("hello", "zz" * 32):
        assert replay("verify", "--source", str(genuine[what]), "--key", nonsense).exit_code == 2


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
