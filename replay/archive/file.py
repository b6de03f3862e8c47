"""One Parquet file of an archive on its way: under a name that no reader looks for, until it is whole and on disk."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ledger.events import Event
from ledger.store.log import Stored
from replay.archive import manifest as archive_manifest
from replay.archive.columns import SCHEMA, batch
from replay.archive.manifest import ArchiveFile

EVENTS_OF_A_GROUP = 100_000
"""Of a Parquet row group: what is kept in memory while writing, and what several readers share a file by."""
BATCH = 5_000
_REPEATED = [name for name in SCHEMA.names if name not in ("position", "state", "hash")]
"""The columns that have few values, or the same ones again and again."""


class FileWriting:
    """Events are added in the order of the log; then the file is closed, or abandoned."""

    def __init__(self, folder: Path, month: str, first: int) -> None:
        self._folder, self._month, self._first = folder, month, first
        self.events = 0
        self._types: set[str] = set()
        self._recorded_until = datetime.min.replace(tzinfo=UTC)
        self._stored: list[Stored] = []
        self._decoded: list[Event] = []
        self._batches: list[pa.RecordBatch] = []
        place = folder / f"month={month}"
        place.mkdir(exist_ok=True)
        self._temporary = place / f".events-{first:012}.tmp"
        self._writer = pq.ParquetWriter(self._temporary, SCHEMA, compression="zstd", use_dictionary=_REPEATED)

    def add(self, stored: Stored, event: Event) -> None:
        self._stored.append(stored)
        self._decoded.append(event)
        self._hash = stored.hash
        self._types.add(event.TOPIC)
        self._recorded_until = max(self._recorded_until, event.recorded_at)
        self.events += 1
        if self.events % BATCH == 0:
            self._end_batch()
        if self.events % EVENTS_OF_A_GROUP == 0:
            self._end_group()

    def close(self) -> ArchiveFile:
        """Gives the file its name: from then on it is whole."""
        self._end_batch()
        self._end_group()
        self._writer.close()
        with self._temporary.open("rb") as file:
            os.fsync(file.fileno())
        last = self._first + self.events - 1
        name = f"month={self._month}/events-{self._first:012}-{last:012}.parquet"
        path = self._temporary.replace(self._folder / name)
        archive_manifest.sync_folder(path.parent)
        archive_manifest.sync_folder(self._folder)
        return ArchiveFile(
            path=name,
            month=self._month,
            first=self._first,
            last=last,
            types=tuple(sorted(self._types)),
            recorded_until=self._recorded_until,
            bytes=path.stat().st_size,
            sha256=archive_manifest.sha256_of(path),
            hash=self._hash.hex(),
        )

    def abandon(self) -> None:
        """Whatever stopped it on its way, a full disk as well."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._temporary.unlink(missing_ok=True)

    def _end_batch(self) -> None:
        if self._stored:
            self._batches.append(batch(self._stored, self._decoded))
            self._stored, self._decoded = [], []

    def _end_group(self) -> None:
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches), row_group_size=EVENTS_OF_A_GROUP)
            self._batches = []
