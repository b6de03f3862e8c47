"""Is an archive intact: its files, and the log in them, as `replay.verify.live` asks of the live one; it has no projections."""

from replay.archive.manifest import sha256_of
from replay.archive.source import ArchiveSource
from replay.sources import SourceUnavailable
from replay.verify.checks.chain import LogCheck
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.checks.source_events import NO_PROJECTIONS, Events, Progress
from replay.verify.checks.tampering import Tampering, at_break
from replay.verify.findings import Findings, Report

NO_TEXTS = "texts: an archive holds none"
TOLD_EVERY = 1_000
"""Events."""


def verify_archive(archive: ArchiveSource, *, on_events: Progress | None = None) -> Report:
    """Its files against its manifest, then the log in them: chain, versions, the signed checkpoint, every invariant.

    Raises SourceUnavailable for a file that is the one of the manifest and cannot be read; one that is not is a finding.
    """
    events = Events()
    signed = archive.manifest.checkpoint
    kept = CheckpointCheck.of([signed] if signed else [], events.findings)
    whole = _compare_files(archive, events.findings)
    head = archive.log.head()
    try:
        for number, stored in enumerate(archive.log.read_all(), 1):
            events.take(stored)
            kept.take(events.log.position, events.log.hash)
            if on_events and number % TOLD_EVERY == 0:
                on_events(TOLD_EVERY, head)
    except Exception as error:
        if whole:
            raise
        # anything may stand in a file that is not the archive's
        events.findings.add("file", str(error), position=events.log.position + 1)
    events.log.end((head, bytes.fromhex(archive.manifest.hash)))
    kept.end()
    events.books.end(events.log.position, events.states())
    done = _tampering(archive, events.log)
    left_out = (NO_PROJECTIONS, NO_TEXTS)
    return events.report("archive", events.log.hash.hex(), kept.agreed, left_out, tampering=done)


def _compare_files(archive: ArchiveSource, findings: Findings) -> bool:
    """Whether every file is the one that the manifest names."""
    whole = True
    for one, path in zip(archive.manifest.files, archive.paths, strict=True):
        if sha256_of(path) != one.sha256:
            whole = False
            findings.add("file", f"{one.path} has another SHA-256 than the manifest says", position=one.first)
    return whole


def _tampering(archive: ArchiveSource, log: LogCheck) -> Tampering | None:
    """What was done to the log, where its chain shows it."""
    if log.broken_at is None:
        return None
    try:
        rows = archive.log.read_all(after=log.broken_at - 1)
        return at_break(log.broken_at, log.intact_hash, rows)
    except SourceUnavailable:
        return None
