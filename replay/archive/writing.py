"""Writing an archive: the log's new events, appended to Parquet files by month, so that a kill at any point loses nothing.

A file is written under another name, reaches the disk, is renamed, and only then named by the manifest: what is not named
there is removed by the next run. Every event is checked against the hash chain on its way.

A file's `month` is that in which the log stood: the latest `recorded_at` up to there. That time comes from the clock of the
process that took the command, before the log gave the event its position, so that with several processes a neighbour may carry
a time a little earlier. Going by the latest keeps every month one stretch of positions that is never opened again; each event's
own `recorded_at` stands in its column.

The texts of the vault are not archived: an archive outlives the erasure of a party (rule 28), so it must not hold what is erased.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from msgspec.structs import asdict, replace

from ledger.errors import Corrupt, LedgerError
from ledger.store import chain
from ledger.store.checkpoints import Checkpoint
from ledger.store.log import Stored
from replay.archive import manifest as archive_manifest
from replay.archive.columns import SCHEMA
from replay.archive.file import FileWriting
from replay.archive.manifest import ArchiveFile, Manifest
from replay.sources import EventSource, SourceUnavailable

EVENTS_OF_A_FILE = 1_000_000
"""At most; a month has as many files as it needs."""
_LOCK = ".lock"

Progress = Callable[[int, int], None]
"""Told how many further events were archived, and how many there are to archive."""


class OtherLedger(LedgerError):
    """The archive does not go on where this log does: what was tried, what stood against it, what to do."""


@dataclass(frozen=True)
class Archived:
    """What a run did. `hash` is the chain's head at `position`, in hex; `checkpoint` is the signed head in the manifest."""

    object: Literal["archive"]
    folder: str
    position: int
    hash: str
    added: int
    files: tuple[str, ...]
    checkpoint: dict[str, Any] | None


def archive(
    log: EventSource,
    folder: Path,
    *,
    until: int | None = None,
    checkpoint: Checkpoint | None = None,
    public_key: bytes | None = None,
    on_events: Progress | None = None,
    events_of_a_file: int = EVENTS_OF_A_FILE,
) -> Archived:
    """Appends what the log has and the archive has not, up to `until` or the log's head; the folder is made if need be.

    With a `checkpoint`, signed with `public_key` (32 raw bytes), up to its position; it stands in the manifest afterwards. Raises
    OtherLedger; Corrupt where the log's chain is broken; SourceUnavailable for a folder that is no archive or cannot be written.
    """
    try:
        with _locked(folder):
            before = manifest = _begin(folder)
            _require_same(log, manifest, folder)
            if checkpoint is not None:
                until = checkpoint.position
            writing = _Writing(log, folder, manifest, log.head() if until is None else until, on_events)
            for file in writing.files(events_of_a_file):
                manifest = replace(manifest, files=(*manifest.files, file), position=file.last, hash=file.hash)
                archive_manifest.write(folder, manifest)
            if checkpoint is not None and manifest.checkpoint != checkpoint:
                manifest = _signed(manifest, checkpoint, public_key)
                archive_manifest.write(folder, manifest)
    except (OSError, pa.ArrowException) as error:
        raise SourceUnavailable(
            f"the archive {folder} cannot be written: {error}; once it can, run `replay archive` again: it goes on"
            " where it was"
        ) from error
    return Archived(
        object="archive",
        folder=str(folder),
        position=manifest.position,
        hash=manifest.hash,
        added=manifest.position - before.position,
        files=tuple(one.path for one in manifest.files[len(before.files) :]),
        checkpoint=None if manifest.checkpoint is None else asdict(manifest.checkpoint),
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time; the lock goes with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    if not archive_manifest.is_archive(folder) and any(one.name != _LOCK for one in folder.iterdir()):
        raise SourceUnavailable(f"{folder} is no archive and not empty: name a new folder, or that of an archive")
    with (folder / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceUnavailable(f"another `replay archive` is writing to {folder}: wait for its end") from error
        yield


def _begin(folder: Path) -> Manifest:
    """The manifest, made if there is none. What a killed run left behind is removed: nothing that the manifest names."""
    if not archive_manifest.is_archive(folder):
        archive_manifest.write(folder, Manifest(columns=tuple(SCHEMA.names)))
    manifest = archive_manifest.read(folder)
    if manifest.columns != tuple(SCHEMA.names):
        raise SourceUnavailable(
            f"the archive {folder} has other columns than this version writes: archive anew, into another folder"
        )
    named = {one.path for one in manifest.files}
    for path in (*folder.glob("month=*/events-*.parquet"), *folder.glob("month=*/.events-*.tmp")):
        if str(path.relative_to(folder)) not in named:
            path.unlink()
    return manifest


def _require_same(log: EventSource, manifest: Manifest, folder: Path) -> None:
    """The archive's last event is the log's at that position, byte for byte: their chains are one up to there."""
    if manifest.position:
        last = next(log.read_all(after=manifest.position - 1, until=manifest.position), None)
        if last is None:
            raise OtherLedger(
                f"the archive {folder} ends at position {manifest.position}, and this log before it, at {log.head()}:"
                " it is of another ledger, or the end of this log was cut off; check LEDGER_DATABASE_URL or"
                " LEDGER_DATA_DIR, and run `replay verify`"
            )
        if last.hash.hex() != manifest.hash:
            raise OtherLedger(
                f"the archive {folder} is not of this ledger: their hash chains differ at position"
                f" {manifest.position}; name its own folder, or if it is of this ledger, run `replay verify`"
            )


def _signed(manifest: Manifest, checkpoint: Checkpoint, public_key: bytes | None) -> Manifest:
    if (checkpoint.position, checkpoint.hash) != (manifest.position, manifest.hash):
        raise Corrupt(
            f"a signed checkpoint states another head at position {checkpoint.position} than the log has at"
            f" {manifest.position}: run `replay verify`"
        )
    return replace(manifest, checkpoint=checkpoint, public_key=(public_key or b"").hex())


class _Writing:
    """The events after a manifest's, checked against the chain and cut into files: at the end of a month, or when one is full."""

    def __init__(
        self, log: EventSource, folder: Path, manifest: Manifest, until: int, on_events: Progress | None
    ) -> None:
        self._log, self._folder, self._until, self._on_events = log, folder, until, on_events
        self._position, self._hash = manifest.position, bytes.fromhex(manifest.hash)
        self._month = manifest.files[-1].month if manifest.files else ""
        self._events = until - manifest.position

    def files(self, events_of_a_file: int) -> Iterator[ArchiveFile]:
        """Each file once it stands in its place, on disk."""
        file: FileWriting | None = None
        try:
            for stored in self._log.read_all(after=self._position, until=self._until):
                self._check(stored)
                event = stored.event
                month = max(self._month, f"{event.recorded_at:%Y-%m}")
                if file is not None and (month != self._month or file.events == events_of_a_file):
                    yield file.close()
                    file = None
                self._month = month
                if file is None:
                    file = FileWriting(self._folder, month, stored.position)
                file.add(stored, event)
                if self._on_events:
                    self._on_events(1, self._events)
            if file is not None:
                yield file.close()
                file = None
        finally:
            if file is not None:
                file.abandon()

    def _check(self, stored: Stored) -> None:
        self._position += 1
        link = chain.link(self._hash, self._position, stored.version, stored.stream, stored.topic, stored.state)
        if (stored.position, stored.hash) != (self._position, link):
            raise Corrupt(
                f"the log's hash chain is broken at position {self._position}: it is archived up to the file before;"
                " run `replay verify`"
            )
        self._hash = link
