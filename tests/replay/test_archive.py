"""An archive: the log's events in Parquet files by month, as they stood, readable as the log is; a kill loses nothing."""

import fcntl
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace
from typer.testing import CliRunner

from benchmarks.histories import history
from ledger.codec import decode
from ledger.errors import Corrupt
from ledger.events import EVENTS
from ledger.store.log import Stored
from replay.archive import manifest as archive_manifest
from replay.archive.columns import AMOUNTS, NAMES
from replay.archive.source import open_archive
from replay.archive.writing import Archived, OtherLedger, archive
from replay.cli import app
from replay.live import Live
from replay.scan import Scan
from replay.sources import SourceUnavailable
from replay.texts import Absent
from replay.verify.archive import verify_archive
from tests.properties.everything import golden
from tests.replay.archives import Log, log_of
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, BOB, contract, payout
from tests.replay.test_cli import OUTPUTS

READING = {
    name: arguments for name, arguments in OUTPUTS.items() if arguments[0] in ("balance", "trial-balance", "explain")
}
HISTORIES = {name: arguments for name, arguments in OUTPUTS.items() if arguments[0] == "history"}


@pytest.fixture(scope="session")
def made() -> Log:
    """A few months of a marketplace."""
    return Log((new.stream, new.version, new.event) for new in history(1_500))


def rows(folder: Path) -> list[Stored]:
    return list(open_archive(folder).log.read_all())


# What is archived


def test_the_archive_is_the_log_byte_for_byte(live: Live, tmp_path: Path) -> None:
    archive(live.log, tmp_path)
    assert rows(tmp_path) == list(live.log.read_all())
    assert verify_archive(open_archive(tmp_path)).ok


def test_files_lie_by_month_and_each_month_is_one_stretch_of_positions(made: Log, tmp_path: Path) -> None:
    archive(made, tmp_path, events_of_a_file=400)
    files = open_archive(tmp_path).manifest.files
    assert len({one.month for one in files}) > 1
    assert [one.month for one in files] == sorted(one.month for one in files)
    assert files[0].first == 1
    assert all(after.first == before.last + 1 for before, after in pairwise(files))
    for one in files:
        events = [stored.event for stored in made.read_all(after=one.first - 1, until=one.last)]
        assert {f"{event.recorded_at:%Y-%m}" for event in events} == {one.month}
        assert one.path == f"month={one.month}/events-{one.first:012}-{one.last:012}.parquet"
        assert len(events) <= 400


def test_an_event_recorded_a_little_earlier_than_the_one_before_it_stays_in_its_place(tmp_path: Path) -> None:
    """Two processes take commands by their own clocks: around midnight of a month's end their events interleave."""
    charged = decode("payout.charged.v1", golden("payout.charged.v1"))
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    seconds = (-2, -1, 1, -1, 2)
    log = log_of([replace(charged, recorded_at=midnight + timedelta(seconds=one)) for one in seconds])
    archive(log, tmp_path)
    opened = open_archive(tmp_path)
    assert [(one.month, one.first, one.last) for one in opened.manifest.files] == [("2026-01", 1, 2), ("2026-02", 3, 5)]
    assert rows(tmp_path) == log.rows
    assert opened.clock.now() == midnight + timedelta(seconds=2)


def test_every_event_of_every_version_has_typed_columns(tmp_path: Path) -> None:
    events = [decode(topic, golden(topic)) for topic in sorted(EVENTS)]
    archive(log_of(events), tmp_path)
    found = [row for path in open_archive(tmp_path).paths for row in pq.read_table(path, partitioning=None).to_pylist()]
    assert sorted(row["type"] for row in found) == sorted(EVENTS)
    for event, row in zip(events, found, strict=True):
        fields = asdict(event)
        for name in (*AMOUNTS, *(one for one in NAMES if isinstance(fields.get(one), str)), "actor", "occurred_at"):
            assert row[name] == fields.get(name), (event.TOPIC, name)
        stated = [asdict(posting) for posting in fields["postings"]] if "postings" in fields else None
        assert row["postings"] == stated


def test_amounts_and_times_have_types(made: Log, tmp_path: Path) -> None:
    archive(made, tmp_path)
    schema = pq.read_schema(open_archive(tmp_path).paths[0])
    assert {schema.field(name).type for name in (*AMOUNTS, "position", "version")} == {pa.int64()}
    assert {schema.field(name).type for name in ("occurred_at", "recorded_at")} == {pa.timestamp("us", tz="UTC")}
    assert not [field.name for field in schema if pa.types.is_floating(field.type)]


def test_no_text_of_the_vault_is_archived(live: Live, shared: Copy, tmp_path: Path) -> None:
    """An archive outlives the erasure of a party (rule 28)."""
    archive(live.log, tmp_path)
    with psycopg.connect(shared.admin_url) as connection:
        texts = [text for (text,) in connection.execute("SELECT text FROM vault WHERE length(text) > 5").fetchall()]
    assert len(texts) > 20
    found = [pq.read_table(path, partitioning=None).to_pylist() for path in open_archive(tmp_path).paths]
    assert not [text for text in texts if text in str(found)]
    assert open_archive(tmp_path).vault.reveal(["vlt_x"]) == {"vlt_x": Absent.UNAVAILABLE}


# Appending


def test_a_second_run_adds_nothing_and_changes_no_byte(made: Log, tmp_path: Path) -> None:
    archive(made, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = archive(made, tmp_path)
    assert (again.added, again.files, again.position) == (0, (), made.head())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@settings(max_examples=25, deadline=None)
@given(
    ends=st.lists(st.integers(0, 400), max_size=4).map(sorted),
    stops=st.lists(st.integers(1, 400), max_size=3),
    size=st.integers(20, 200),
)
def test_however_often_it_is_run_and_stopped_every_event_is_there_once(
    made: Log, ends: list[int], stops: list[int], size: int
) -> None:
    log = made.up_to(400)

    class Stopped(Exception):
        pass

    def run(shorter: Log, stop_after: int | None) -> Archived:
        seen = iter(range(1, 401))

        def stop(*_: int) -> None:
            if next(seen) == stop_after:
                raise Stopped

        return archive(shorter, folder, events_of_a_file=size, on_events=stop)

    with TemporaryDirectory() as name:
        folder = Path(name)
        for end in ends:
            run(log.up_to(end), None)
            assert rows(folder) == log.rows[:end]
        for stop in stops:
            try:
                run(log, stop)
            except Stopped:
                found = rows(folder)
                assert found == log.rows[: len(found)]
        run(log, None)
        assert rows(folder) == log.rows
        assert len(list(folder.rglob("*.parquet"))) == len(open_archive(folder).manifest.files)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _archive_and_die(log: Log, folder: Path, after: int, where: str) -> None:
    """In a process of its own: archives until `where` has happened `after` times, and is killed there."""
    times = iter(range(1, 1_000_000))

    def count(*_: Any) -> None:
        if next(times) == after:
            _die()

    if where == "an event":
        archive(log, folder, events_of_a_file=100, on_events=count)
        return
    write = archive_manifest.write

    def dying(*arguments: Any) -> None:
        if where == "a file was renamed":  # and the manifest does not name it yet
            count()
        write(*arguments)
        if where == "a file was named":
            count()

    archive_manifest.write = dying
    archive(log, folder, events_of_a_file=100)


@pytest.mark.parametrize(
    ("where", "after"), [("an event", 1), ("an event", 250), ("a file was renamed", 3), ("a file was named", 3)]
)
def test_killed_it_goes_on_with_no_event_missing_or_twice(made: Log, tmp_path: Path, where: str, after: int) -> None:
    log = made.up_to(500)
    process = multiprocessing.get_context("spawn").Process(target=_archive_and_die, args=(log, tmp_path, after, where))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    found = rows(tmp_path)
    assert found == log.rows[: len(found)] != log.rows
    archive(log, tmp_path, events_of_a_file=100)
    assert rows(tmp_path) == log.rows
    on_disk = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    named = {one.path for one in open_archive(tmp_path).manifest.files}
    assert on_disk == named | {archive_manifest.NAME, ".lock"}


def _archive_where_no_file_can_grow(log: Log, folder: Path, said: Path) -> None:
    """In a process of its own: as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        archive(log, folder, events_of_a_file=200)
    except SourceUnavailable as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        said.write_text(str(error))


def test_when_the_disk_is_full_it_says_so_and_goes_on_later(made: Log, tmp_path: Path) -> None:
    folder, said = tmp_path / "archive", tmp_path / "said"
    archive(made.up_to(100), folder)
    arguments = (made, folder, said)
    process = multiprocessing.get_context("spawn").Process(target=_archive_where_no_file_can_grow, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert "cannot be written" in said.read_text()
    assert "run `replay archive` again" in said.read_text()
    found = rows(folder)
    assert found == made.rows[: len(found)] != made.rows
    assert not list(folder.rglob("*.tmp"))
    archive(made, folder)
    assert rows(folder) == made.rows


def test_only_one_writes_at_a_time(made: Log, tmp_path: Path) -> None:
    archive(made.up_to(100), tmp_path)
    with (tmp_path / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SourceUnavailable, match="another `replay archive` is writing"):
            archive(made, tmp_path)
    assert archive(made, tmp_path).added == made.head() - 100


# What is refused


def test_the_archive_of_another_ledger_is_refused_and_stays_as_it_is(made: Log, tmp_path: Path) -> None:
    other = Log((new.stream, new.version, new.event) for new in history(600, seed=8))
    archive(other.up_to(300), tmp_path)
    with pytest.raises(OtherLedger, match="is not of this ledger: their hash chains differ at position 300"):
        archive(made, tmp_path)
    assert rows(tmp_path) == other.rows[:300]


def test_a_log_that_was_cut_off_is_refused(made: Log, tmp_path: Path) -> None:
    archive(made, tmp_path)
    with pytest.raises(OtherLedger, match="ends at position"):
        archive(made.up_to(made.head() - 1), tmp_path)


def test_a_log_whose_chain_is_broken_is_archived_up_to_the_file_before(made: Log, tmp_path: Path) -> None:
    tampered = made.up_to(500)
    tampered.rows[249] = tampered.rows[249]._replace(state=tampered.rows[249].state.replace(b"2026", b"2025", 1))
    with pytest.raises(Corrupt, match="broken at position 250"):
        archive(tampered, tmp_path, events_of_a_file=100)
    end = open_archive(tmp_path).log.head()
    assert 200 <= end < 250
    assert rows(tmp_path) == made.rows[:end]


def test_a_folder_of_something_else_is_refused(made: Log, tmp_path: Path) -> None:
    (tmp_path / "month=2026-01").mkdir()
    keep = tmp_path / "month=2026-01" / "events-of-somebody.parquet"
    keep.write_bytes(b"precious")
    with pytest.raises(SourceUnavailable, match="no archive and not empty"):
        archive(made, tmp_path)
    assert keep.read_bytes() == b"precious"


def test_a_place_that_cannot_be_written_is_said(made: Log, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceUnavailable, match="cannot be written"):
        archive(made, tmp_path / "file" / "archive")


Change = Callable[[dict[str, Any]], object]
CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    "a newer format": (lambda it: it.update(version=2), "version 2"),
    "another format": (lambda it: it.update(format="parquet"), "'parquet'"),
    "a missing field": (lambda it: it.pop("files"), "cannot be read|contradicts"),
    "another head": (lambda it: it.update(hash="00" * 32), "its files end at position"),
    "another end": (lambda it: it.update(position=7), "its files end at position"),
    "a gap": (lambda it: it["files"].pop(0), "holds positions"),
    "a way out": (lambda it: it["files"][0].update(path="../../etc/passwd"), "is no name of a file"),
    "a file that is not there": (
        lambda it: it["files"][0].update(path="month=2026-01/events-000000000001-000000000009.parquet"),
        "put it back",
    ),
    "a file of another size": (lambda it: it["files"][0].update(bytes=1), "has .* bytes, not 1"),
    "no number": (lambda it: it.update(position="many"), "cannot be read"),
    "a forged checkpoint": (lambda it: it["checkpoint"].update(at="2027-01-01T00:00:00Z"), "the signature"),
    "a checkpoint of another chain": (lambda it: it["checkpoint"].update(hash="00" * 32), "of another chain"),
    "another key": (lambda it: it.update(public_key="00" * 32), "the signature"),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_a_manifest_that_contradicts_itself_is_refused(archived: Path, replay: Replay, what: str) -> None:
    change, says = CONTRADICTIONS[what]
    manifest = orjson.loads((archived / "archive.json").read_bytes())
    change(manifest)
    (archived / "archive.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(SourceUnavailable, match=says):
        open_archive(archived)
    result = replay("trial-balance", "--source", str(archived))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


# Reading


@given(after=st.integers(0, 450), until=st.none() | st.integers(0, 450))
@settings(max_examples=40, deadline=None)
def test_any_stretch_of_it_is_that_of_the_log(few: tuple[Log, Path], after: int, until: int | None) -> None:
    log, folder = few
    assert list(open_archive(folder).log.read_all(after=after, until=until)) == log.rows[after:until]


@pytest.fixture(scope="session")
def few(made: Log, tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, Path]:
    folder = tmp_path_factory.mktemp("few")
    archive(made.up_to(400), folder, events_of_a_file=90)
    return made.up_to(400), folder


def test_an_event_is_found_by_its_place(few: tuple[Log, Path]) -> None:
    log, folder = few
    opened = open_archive(folder).log
    for stored in (log.rows[0], log.rows[200], log.rows[-1]):
        assert opened.find(stored.stream, stored.version) == stored
    assert opened.find(log.rows[0].stream, 999) is None
    assert opened.find("con_nowhere", 1) is None


SUBJECTS: tuple[dict[str, str], ...] = (
    {},
    {"topic": "payout.charged.v1"},
    {"topic": "nonsense"},
    {"contract_id": contract("Code")},
    {"payout_id": payout("Refunded")},
    {"party_id": ADA},
    {"party_id": BOB, "topic": "freelancer.funds_released.v1"},
    {"party_id": BOB, "contract_id": contract("Logo")},
)


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
@pytest.mark.parametrize("after", [0, 40])
@pytest.mark.parametrize("limit", [3, 10_000])
def test_histories_by_column_are_those_of_looking_at_each_event_and_of_the_live_index(
    live: Live, tmp_path: Path, subject: dict[str, str], after: int, limit: int
) -> None:
    archive(live.log, tmp_path, events_of_a_file=60)
    opened = open_archive(tmp_path)
    found = opened.reader.events(after=after, limit=limit, **subject)
    assert found == Scan(opened.log).events(after=after, limit=limit, **subject)
    assert found == live.reader.events(after=after, limit=limit, **subject)


# The command line


@pytest.fixture
def archived(shared: Copy, replay: Replay, tmp_path: Path) -> Path:
    """The story, archived."""
    result = replay("archive", str(tmp_path / "archive"))
    assert result.exit_code == 0, result.output
    return tmp_path / "archive"


def offline(*arguments: str) -> Any:
    """Where no ledger is."""
    return CliRunner().invoke(app, list(arguments), env={"LEDGER_DATABASE_URL": None, "LEDGER_DATA_DIR": "nowhere"})


@pytest.mark.parametrize("name", READING)
def test_an_archive_answers_as_the_live_ledger_does(archived: Path, replay: Replay, name: str) -> None:
    there = offline(*READING[name], "--source", str(archived))
    assert there.exit_code == 0, there.output
    assert there.stdout == replay(*READING[name]).stdout


def _without_texts(value: Any) -> Any:
    """As the archive knows it: no text is there, the token of a payment method as little as any other."""
    if isinstance(value, dict):
        if "vault_id" in value:
            return {"vault_id": value["vault_id"]}
        return {key: _without_texts(item) for key, item in value.items()}
    return [_without_texts(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("subject", [ADA, BOB, contract("Code"), contract("Site"), payout("Refunded"), payout("Logo")])
def test_a_history_is_that_of_the_live_ledger_without_its_texts(archived: Path, replay: Replay, subject: str) -> None:
    there = offline("history", subject, "--json", "--source", str(archived))
    assert there.exit_code == 0, there.output
    assert '"erased": true' not in there.stdout  # which an archive does not know
    if "vault_id" in there.stdout:
        assert '"unavailable": true' in there.stdout or '"withheld": true' in there.stdout
    assert _without_texts(orjson.loads(there.stdout)) == _without_texts(
        orjson.loads(replay("history", subject, "--json").stdout)
    )


@pytest.mark.parametrize("name", HISTORIES)
def test_every_form_of_a_history_can_be_had_of_an_archive(archived: Path, name: str) -> None:
    there = offline(*HISTORIES[name], "--source", str(archived))
    assert there.exit_code == 0, there.output
    assert there.stdout == offline(*HISTORIES[name], "--source", str(archived)).stdout


def test_the_archive_carries_a_signed_checkpoint_of_its_end(archived: Path, shared: Copy, live: Live) -> None:
    manifest = archive_manifest.read(archived)
    assert manifest.checkpoint is not None
    assert (manifest.checkpoint.position, manifest.checkpoint.hash) == (manifest.position, manifest.hash)
    assert manifest.position == live.log.head()
    assert manifest.public_key == (shared.folder / "checkpoints" / "public-key").read_text().strip()


def test_archiving_twice_says_that_nothing_was_added(archived: Path, replay: Replay) -> None:
    again = orjson.loads(replay("archive", str(archived), "--json").stdout)
    assert (again["added"], again["files"]) == (0, [])
    assert again["checkpoint"]["position"] == again["position"]


def test_an_archive_is_verified_without_a_ledger(archived: Path) -> None:
    result = offline("verify", "--source", str(archived))
    assert result.exit_code == 0, result.output
    assert "OK: the archive's files are whole" in result.stdout
    assert orjson.loads(offline("verify", "--source", str(archived), "--json").stdout)["finding_count"] == 0


def test_a_text_is_not_here_and_nobody_says_that_it_was_erased(archived: Path) -> None:
    for command in ("history", "step"):
        shown = offline(command, contract("Logo"), "--source", str(archived), "--json").stdout
        assert '"erased": true' not in shown
        assert '"unavailable": true' in shown
    told = offline("history", contract("Logo"), "--source", str(archived)).stdout
    assert "title: (unavailable)" in told
    assert "(erased)" not in told


def test_a_file_that_is_damaged_ends_with_2(archived: Path) -> None:
    path = archived / archive_manifest.read(archived).files[0].path
    path.write_bytes(bytes(len(path.read_bytes())))
    result = offline("trial-balance", "--source", str(archived))
    assert result.exit_code == 2
    assert "is damaged" in result.stderr


@pytest.fixture(scope="session")
def small(made: Log, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Stored], Path]:
    folder = tmp_path_factory.mktemp("small")
    archive(made.up_to(60), folder)
    return made.up_to(60).rows, folder


@given(place=st.integers(0, 1_000_000), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None)
@example(place=5, bit=0)
def test_a_flipped_bit_is_an_error_or_changes_no_event(small: tuple[list[Stored], Path], place: int, bit: int) -> None:
    """Never fewer events, nor others: the size is the manifest's, so only reading can tell."""
    written, folder = small
    path = folder / archive_manifest.read(folder).files[0].path
    whole = path.read_bytes()
    at = place % len(whole)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    try:
        with suppress(SourceUnavailable):
            assert rows(folder) == written
        with suppress(SourceUnavailable):
            assert open_archive(folder).log.find(written[40].stream, written[40].version) == written[40]
        assert not verify_archive(open_archive(folder)).ok
    finally:
        path.write_bytes(whole)


def test_the_archive_of_another_ledger_ends_with_1(replay: Replay, made: Log, tmp_path: Path) -> None:
    archive(made.up_to(100), tmp_path / "other")
    result = replay("archive", str(tmp_path / "other"))
    assert result.exit_code == 1
    assert "is not of this ledger" in result.stderr


def test_an_unknown_id_in_an_archive_ends_with_2(archived: Path) -> None:
    for arguments in (("history", "con_x"), ("explain", "pay_x"), ("balance", "fre_x")):
        result = offline(*arguments, "--source", str(archived))
        assert result.exit_code == 2
        assert arguments[1] in result.stderr


def test_a_case_is_not_folded_in_columns_and_that_is_all_that_is_said(replay: Replay, tmp_path: Path) -> None:
    assert replay("case", contract("Logo"), "-o", str(tmp_path / "case.json")).exit_code == 0
    result = offline("run", "--source", str(tmp_path / "case.json"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no archive" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_archive_of_nothing_can_be_read(tmp_path: Path) -> None:
    archive(Log(()), tmp_path)
    assert rows(tmp_path) == []
    assert verify_archive(open_archive(tmp_path)).ok
    result = offline("trial-balance", "--source", str(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    assert orjson.loads(result.stdout)["accounts"] == []


def test_a_folder_that_is_no_archive_ends_with_2(tmp_path: Path) -> None:
    for command in ("trial-balance", "verify"):
        result = offline(command, "--source", str(tmp_path))
        assert result.exit_code == 2
        assert "it has no archive.json: name the folder that `replay archive` wrote" in result.stderr
