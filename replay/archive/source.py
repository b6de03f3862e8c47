"""An archive as a source: every command reads it as it reads the live database, in bounded memory, with no database at all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ledger.store.log import Stored
from ledger.store.reader import EventView, view_of
from replay.archive import manifest as archive_manifest
from replay.archive.columns import SCHEMA, STORED
from replay.archive.manifest import ArchiveFile, Manifest, sha256_of
from replay.scan import Scan
from replay.sources import SourceUnavailable
from replay.texts import Absent, Revealed

BATCH = 5_000
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""What time it is in an archive of nothing."""


Chooser = Callable[[pa.Table], pa.ChunkedArray]
"""Says of each of some rows whether it is wanted; null is no."""


class ArchiveLog:
    """The events of an archive, as they stood in the log.

    Raises SourceUnavailable for a file that cannot be read, or is not the one of the manifest: of what is damaged, Parquet may
    give fewer rows and no error. With `as_it_is`, only for one that cannot be read.
    """

    def __init__(self, folder: Path, manifest: Manifest, *, as_it_is: bool = False) -> None:
        self._folder, self._manifest = folder, manifest
        self._unchecked = set() if as_it_is else {one.path for one in manifest.files}

    def head(self) -> int:
        """The position of the last event; 0 when there is none."""
        return self._manifest.position

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        """Every event after a position, in order, and up to `until`; a few thousand are in memory at a time."""
        until = self.head() if until is None else until
        for file in self._manifest.files:
            if file.last > after and file.first <= until:
                for stored in self._read(file, after):
                    if stored.position > until:
                        return
                    if stored.position > after:
                        yield stored

    def find(self, stream: str, version: int) -> Stored | None:
        """One event by its place. Nothing is sorted by stream: that column is looked through, file by file."""

        def there(rows: pa.Table) -> pa.ChunkedArray:
            return pc.and_(pc.equal(rows["stream"], stream), pc.equal(rows["version"], version))

        return next(self.chosen(("stream", "version"), there), None)

    def chosen(self, columns: Sequence[str], wanted: Chooser, *, after: int = 0) -> Iterator[Stored]:
        """The events after a position that `wanted` says yes to, in order; of the others only these columns are read."""
        for file in self._manifest.files:
            if file.last > after:
                with self._opened(file) as opened:
                    for group in _groups(opened, file, after):
                        rows = opened.read_row_group(group, columns=["position", *columns])
                        mask = pc.and_kleene(wanted(rows), pc.greater(rows["position"], after))
                        if pc.any(mask).as_py():
                            found = opened.read_row_group(group, columns=list(STORED)).filter(mask)
                            yield from map(Stored, *(found[name].to_pylist() for name in STORED))

    def require_whole(self) -> None:
        """Every file is the one of the manifest."""
        for file in self._manifest.files:
            self._require_whole(file)

    def schema(self, file: ArchiveFile) -> pa.Schema:
        """The columns that a file has, and their types."""
        with self._opened(file) as opened:
            return opened.schema_arrow

    def batches(
        self, file: ArchiveFile, columns: Sequence[str] = SCHEMA.names, *, after: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a file, a few thousand at a time, from the row group on in which a position after that stands."""
        with self._opened(file) as opened:
            groups = _groups(opened, file, after)
            yield from opened.iter_batches(BATCH, row_groups=groups, columns=list(columns), use_threads=False)

    def _read(self, file: ArchiveFile, after: int) -> Iterator[Stored]:
        for batch in self.batches(file, STORED, after=after):
            yield from map(Stored, *(batch.column(name).to_pylist() for name in STORED))

    @contextmanager
    def _opened(self, file: ArchiveFile) -> Iterator[pq.ParquetFile]:
        path = self._folder / file.path
        self._require_whole(file)
        try:
            with pq.ParquetFile(path, pre_buffer=False) as opened:
                yield opened
        except (OSError, pa.ArrowException) as error:
            said = " ".join(str(error).split())
            raise SourceUnavailable(f"the archive's file {path} cannot be read: {said}; archive anew") from error

    def _require_whole(self, file: ArchiveFile) -> None:
        """Once: a file is never changed after it was written."""
        if file.path in self._unchecked:
            path = self._folder / file.path
            try:
                is_whole = sha256_of(path) == file.sha256
            except OSError as error:
                raise SourceUnavailable(f"the archive's file {path} cannot be read: {error}; archive anew") from error
            if not is_whole:
                raise SourceUnavailable(
                    f"the archive's file {path} is damaged, its SHA-256 is not the manifest's: put it back, or archive anew"
                )
            self._unchecked.discard(file.path)


def _groups(opened: pq.ParquetFile, file: ArchiveFile, after: int) -> list[int]:
    """The row groups in which there is a position after that: positions have no gaps."""
    groups, last = [], file.first - 1
    for group in range(opened.num_row_groups):
        last += opened.metadata.row_group(group).num_rows
        if last > after:
            groups.append(group)
    return groups


class ColumnScan(Scan):
    """Histories by the typed columns: only events that belong to them are read and decoded."""

    def __init__(self, log: ArchiveLog) -> None:
        super().__init__(log)
        self._archive = log

    def events(
        self,
        *,
        after: int = 0,
        topic: str | None = None,
        contract_id: str | None = None,
        payout_id: str | None = None,
        party_id: str | None = None,
        limit: int,
    ) -> list[EventView]:
        """Events after a position, oldest first; of a party, those that name it as client or freelancer."""
        given = {"type": topic, "contract_id": contract_id, "payout_id": payout_id}
        named = {name: value for name, value in given.items() if value is not None}
        parties = ("client_id", "freelancer_id") if party_id is not None else ()

        def wanted(rows: pa.Table) -> pa.ChunkedArray:
            masks = [pc.equal(rows[name], value) for name, value in named.items()]
            if parties:
                masks.append(reduce(pc.or_kleene, (pc.equal(rows[name], party_id) for name in parties)))
            return reduce(pc.and_kleene, masks, pc.is_valid(rows["position"]))

        return list(islice(map(view_of, self._archive.chosen((*named, *parties), wanted, after=after)), limit))


class NoTexts:
    """The vault stays where the ledger is: an archive outlives the erasure of a party, so it holds no text (rule 28)."""

    def reveal(self, ids: Iterable[str]) -> Revealed:
        """None of them is here; whether the ledger has it or has erased it, the archive does not know."""
        return dict.fromkeys(ids, Absent.UNAVAILABLE)


class _StoppedClock(NamedTuple):
    at: datetime

    def now(self) -> datetime:
        return self.at


class ArchiveSource(NamedTuple):
    """An archive, for reading. `clock` stands at the latest time that an event was recorded at."""

    folder: Path
    manifest: Manifest
    log: ArchiveLog
    reader: ColumnScan
    vault: NoTexts
    clock: _StoppedClock

    @property
    def paths(self) -> list[Path]:
        """The Parquet files, in the order of the log."""
        return [self.folder / one.path for one in self.manifest.files]


def open_archive(folder: Path) -> ArchiveSource:
    """An archive that `replay archive` wrote. Raises SourceUnavailable, saying what is wrong with it."""
    manifest = archive_manifest.read(folder)
    log = ArchiveLog(folder, manifest)
    recorded_until = max((one.recorded_until for one in manifest.files), default=_NEVER)
    return ArchiveSource(folder, manifest, log, ColumnScan(log), NoTexts(), _StoppedClock(recorded_until))
