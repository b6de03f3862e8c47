"""Is an archive intact: its files, their columns, and the log in them, as `replay.verify.live` asks of the live one.

There is no other check of an archive. It has no projections.
"""

from collections.abc import Sequence

import pyarrow as pa

from ledger.projections.rows import Record
from ledger.store.log import Stored
from replay.archive.columns import STORED
from replay.archive.manifest import ArchiveFile, sha256_of, signer
from replay.archive.source import ArchiveLog, ArchiveSource
from replay.sources import SourceUnavailable
from replay.texts import references
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.checks.columns import ColumnCheck
from replay.verify.checks.signer import check_signer
from replay.verify.checks.source_events import NO_PROJECTIONS, Events, Progress
from replay.verify.checks.tampering import Tampering, at_break
from replay.verify.findings import Report

NO_TEXTS = "the texts: an archive holds none, so it does not say which of them were erased"
UNSIGNED = "whose log this is: nothing in this archive is signed"


def verify_archive(archive: ArchiveSource, *, key: str | None = None, on_events: Progress | None = None) -> Report:
    """Its files against its manifest, then the log in them: chain, versions, the signed checkpoint, every invariant.

    The typed columns must say what the stored bytes say. The manifest itself, and the checkpoint's signature, were looked at
    when it was opened. `key`: the public key, in hex, that must have signed it, up to its end; whoever rewrites an archive signs
    it with a key of their own. Raises SourceUnavailable for a file that is the one of the manifest and cannot be read; one that
    is not is a finding.
    """
    return _Verification(archive, key, on_events).run()


class _Verification:
    def __init__(self, archive: ArchiveSource, key: str | None, on_events: Progress | None) -> None:
        self._archive, self._manifest, self._key, self._on_events = archive, archive.manifest, key, on_events
        self._log = ArchiveLog(archive.folder, archive.manifest, as_it_is=True)
        self._events = Events()
        self._findings = self._events.findings
        signed = self._manifest.checkpoint
        self._checkpoints = CheckpointCheck.of([signed] if signed else [], self._findings)
        self._columns = ColumnCheck(self._findings, self._manifest.columns)
        self._texts = 0

    def run(self) -> Report:
        whole, unknown = self._compare_files(), self._compare_key()
        log = self._events.log
        try:
            for file in self._manifest.files:
                self._read(file)
        except _Unreadable:
            pass
        except Exception as error:
            if whole:
                raise
            # anything may stand in a file that is not the archive's
            self._findings.add("file", str(error), position=log.position + 1)
        log.end((self._manifest.position, bytes.fromhex(self._manifest.hash)))
        self._checkpoints.end()
        self._events.books.end(log.position, self._events.states())
        return self._events.report(
            "archive",
            log.hash.hex(),
            self._checkpoints.agreed,
            [*self._left_out(), *unknown],
            texts={"unavailable": self._texts},
            public_key=signer(self._manifest),
            proved=self._checkpoints.agreed_to,
            tampering=self._tampering(),
        )

    def _compare_files(self) -> bool:
        """Whether every file is the one that the manifest names."""
        whole = True
        for one, path in zip(self._manifest.files, self._archive.paths, strict=True):
            if sha256_of(path) != one.sha256:
                whole = False
                self._findings.add("file", f"{one.path} has another SHA-256 than the manifest says", position=one.first)
        return whole

    def _compare_key(self) -> list[str]:
        """What the trusted key has not signed is a finding; without one, answers what could not be looked at."""
        signed, by = self._manifest.checkpoint, signer(self._manifest)
        if signed is None or by is None:
            if self._key is None:
                return [UNSIGNED]
            what = "nothing in it is signed, with the key that was asked for or another: do not trust it"
            self._findings.add("file", what)
            return []
        unknown = check_signer(by, self._key, self._findings)
        if left := self._manifest.position - signed.position:
            if self._key is None:
                unknown.append(
                    f"whose the {left} event(s) after position {signed.position} are: no checkpoint signs them"
                )
            else:
                what = f"no checkpoint signs the {left} event(s) from here on: do not trust them, or run `replay archive` again"
                self._findings.add("file", what, position=signed.position + 1)
        return unknown

    def _read(self, file: ArchiveFile) -> None:
        if not self._columns.begin(file, self._log.schema(file)):
            raise _Unreadable
        for rows in self._log.batches(file):
            self._take(file, rows)
            if self._on_events:
                self._on_events(rows.num_rows, self._manifest.position)
        log = self._events.log
        if self._columns.types != set(file.types):
            self._say(file, file.first, "holds other types of events than the manifest says")
        if (log.position, log.hash.hex()) != (file.last, file.hash):
            self._say(file, file.last, "does not end with the event that the manifest names")

    def _say(self, file: ArchiveFile, position: int, what: str) -> None:
        self._findings.add("file", f"{file.path} {what}", position=position)

    def _take(self, file: ArchiveFile, rows: pa.RecordBatch) -> None:
        if empty := [name for name in STORED if rows.column(name).null_count]:
            self._say(file, self._events.log.position + 1, f"lacks values: its column {empty[0]} has rows without one")
            raise _Unreadable
        stored = [Stored(*row) for row in zip(*(rows.column(name).to_pylist() for name in STORED), strict=True)]
        records = [self._event(one) for one in stored]
        self._columns.take(rows, (record and (one, record.event) for one, record in zip(stored, records, strict=True)))

    def _event(self, stored: Stored) -> Record | None:
        record = self._events.take(stored)
        self._checkpoints.take(self._events.log.position, self._events.log.hash)
        if record is not None:
            self._texts += len(references(record.event))
        return record

    def _left_out(self) -> Sequence[str]:
        left_out = [NO_PROJECTIONS, NO_TEXTS]
        if self._columns.unwritten and self._manifest.files:
            names = ", ".join(self._columns.unwritten)
            left_out.append(f"the column(s) {names}: the archive was written without them")
        if outdated := self._columns.outdated:
            left_out.append(
                f"the columns of {outdated} event(s) that have a newer version now: archive anew to fold them"
            )
        return left_out

    def _tampering(self) -> Tampering | None:
        """What was done to the log, where its chain shows it."""
        log = self._events.log
        if log.broken_at is None:
            return None
        try:
            rows = self._log.read_all(after=log.broken_at - 1)
            return at_break(log.broken_at, log.intact_hash, rows)
        except SourceUnavailable:
            return None


class _Unreadable(Exception):
    """A file without a column that the log is read from: nothing is read from there on. It has been said."""
