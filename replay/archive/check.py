"""Whether an archive is intact: its files byte for byte, the hash chain through them, and columns that say what the bytes say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from msgspec.structs import asdict

from ledger.errors import Corrupt
from ledger.store.log import Stored
from replay.archive import manifest as archive_manifest
from replay.archive.columns import SCHEMA, STORED, batch
from replay.archive.source import ArchiveSource
from replay.verify.checks.chain import ChainCheck
from replay.verify.findings import Finding, Findings


@dataclass(frozen=True)
class ArchiveReport:
    """`finding_count` counts all of them, `findings` are the first; `checkpoint` is the signed head that the chain led to."""

    object: Literal["archive_verification"]
    ok: bool
    archive: str
    position: int
    hash: str
    files: int
    checkpoint: dict[str, Any] | None
    finding_count: int
    findings: tuple[Finding, ...]


def check_archive(archive: ArchiveSource, on_events: Callable[[int, int], None] | None = None) -> ArchiveReport:
    """Reads the whole of it. The manifest itself, and the checkpoint's signature, were looked at when it was opened.

    Raises SourceUnavailable for a file that is no Parquet any more.
    """
    findings = Findings()
    chain = ChainCheck(findings)
    manifest = archive.manifest
    for file in manifest.files:
        if archive_manifest.sha256_of(archive.folder / file.path) != file.sha256:
            findings.add("file", f"{file.path} is not the file that was written", position=file.first)
        types: set[str] = set()
        for rows in archive.log.batches(file):
            types.update(rows.column("type").to_pylist())
            stored = [Stored(*row) for row in zip(*(rows.column(name).to_pylist() for name in STORED), strict=True)]
            for one in stored:
                chain.take(one)
            _check_columns(rows, stored, findings)
            if on_events:
                on_events(len(stored), manifest.position)
        if sorted(types) != sorted(file.types):
            findings.add("file", f"{file.path} holds other types of events than the manifest says", position=file.first)
        if chain.position != file.last or chain.hash.hex() != file.hash:
            findings.add("file", f"{file.path} does not end with the event that the manifest names", position=file.last)
    chain.end((manifest.position, bytes.fromhex(manifest.hash)))
    return ArchiveReport(
        object="archive_verification",
        ok=not findings.count,
        archive=str(archive.folder),
        position=manifest.position,
        hash=manifest.hash,
        files=len(manifest.files),
        checkpoint=None if manifest.checkpoint is None else asdict(manifest.checkpoint),
        finding_count=findings.count,
        findings=findings.sorted({}),
    )


def _check_columns(rows: pa.RecordBatch, stored: Sequence[Stored], findings: Findings) -> None:
    """The columns that the folds read are those that the stored bytes give."""
    try:
        expected = batch(stored, [one.event for one in stored])
    except Corrupt as error:
        findings.add("file", str(error), position=stored[0].position)
        return
    for name in SCHEMA.names:
        if name not in STORED and rows.column(name) != expected.column(name):
            both = zip(stored, rows.column(name).to_pylist(), expected.column(name).to_pylist(), strict=True)
            for one, here, there in both:
                if here != there:
                    what = f"its column {name} holds {here!r}, and its stored bytes give {there!r}"
                    findings.add("file", what, position=one.position, event_id=one.id)
