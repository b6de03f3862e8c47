"""Is what was appended since the newest signed checkpoint intact: cheap enough to ask every few minutes.

Nothing is remembered between two calls: the checkpoints are what was verified before, signed by whoever keeps the ledger.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.store import chain
from ledger.store.checkpoints import Checkpoints
from ledger.store.database import Database
from ledger.store.log import Stored
from replay.verify.checks import diagnosis, reading
from replay.verify.checks.chain import LogCheck
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.findings import Findings, Report
from replay.verify.live import Progress

BOOKS = "the vault's texts, the books and the projections: `replay verify` looks at all of them"


def verify_recent(database: Database, checkpoints: Checkpoints, *, on_events: Progress | None = None) -> Report:
    """The chain, the versions and the head from the newest checkpoint on whose signature verifies; from zero without one.

    That the events up to there are still those that were signed is not looked at, but for the last one: its hash is the one that
    was signed. A checkpoint that is not signed by the ledger's key, or that the log does not reach, is a finding.
    """
    findings = Findings()
    newest = CheckpointCheck(checkpoints, findings).newest()
    with reading.snapshot(database) as connection:
        after, hash_ = _start(connection, newest.position) if newest else (0, chain.START)
        log = LogCheck(findings, after, hash_)
        kept = CheckpointCheck.of([newest] if newest else [], findings)
        head = reading.head_of(connection)
        kept.take(after, hash_)
        _read(connection, log, max((head[0] if head else after) - after, 0), on_events)
        log.end(head)
        kept.end()
        cut = diagnosis.commands_beyond(connection, log.position, findings)
        named = reading.event_ids(connection, findings.unnamed())
        return Report(
            object="verification",
            source="live",
            ok=not findings.count,
            after=after,
            position=log.position,
            head_hash=log.hash.hex(),
            events=log.events,
            streams=len(log.versions),
            checkpoints=kept.agreed,
            texts_intact=0,
            texts_erased=0,
            accounts=0,
            payouts=0,
            freelancers=0,
            totals=(),
            projections=(),
            finding_count=findings.count,
            findings=findings.sorted(named),
            tampering=diagnosis.done_to(connection, log, kept, head, cut=cut),
            not_verified=(
                *((f"the events up to position {after}, but for the hash of the last",) if after else ()),
                BOOKS,
            ),
        )


def _start(connection: Connection[Any], position: int) -> tuple[int, bytes]:
    """The last event up to a position, and its hash: of a log whose end is missing, the end that it has now."""
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    row = cursor.execute(
        "SELECT notification_id, hash FROM events WHERE notification_id <= %s ORDER BY notification_id DESC LIMIT 1",
        (position,),
    ).fetchone()
    return row or (0, chain.START)


def _read(connection: Connection[Any], log: LogCheck, total: int, on_events: Progress | None) -> None:
    after = log.position
    for batch in reading.batches(connection, after):
        if after:
            _know_versions(connection, log, batch, after)
        for stored in batch:
            log.read(stored)
        if on_events:
            on_events(len(batch), total)


def _know_versions(connection: Connection[Any], log: LogCheck, batch: Sequence[Stored], after: int) -> None:
    """At which version the streams of a batch were, up to where verifying began."""
    streams = {stored.stream for stored in batch} - log.versions.keys()
    rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
        "SELECT originator_id, max(originator_version) FROM events"
        " WHERE originator_id = ANY(%s) AND notification_id <= %s GROUP BY originator_id",
        (sorted(streams), after),
    )
    log.versions.update(rows.fetchall())
