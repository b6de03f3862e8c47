"""Is the log intact, and does it still give what the projections say? In one snapshot of the database.

A quick pass asks whether all is well, in one process or two; where it is not, a thorough pass reads everything once more and
names what is wrong. So what is found, and how it is said, does not depend on how many processes there were.
"""

from collections.abc import Callable, Sequence
from typing import Any

from psycopg import Connection

from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection, Record
from ledger.store.checkpoints import Checkpoints
from ledger.store.database import Database
from ledger.store.log import Stored
from replay.verify.checks import diagnosis, reading
from replay.verify.checks.books import Books
from replay.verify.checks.chain import LogCheck
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.checks.projections import ProjectionCheck
from replay.verify.checks.quick_pass import quick_pass
from replay.verify.checks.vault import TextCheck
from replay.verify.findings import Findings, Report

Progress = Callable[[int, int], None]
"""Told how many further events were verified, and how many there are."""


def verify(
    database: Database,
    *,
    checkpoints: Checkpoints | None = None,
    projections: Sequence[Projection] = PROJECTIONS,
    processes: int | None = 1,
    on_events: Progress | None = None,
) -> Report:
    """Everything of `domain.md`'s last section, over the whole log. The report is the same for the same database.

    `checkpoints`: signed heads of the chain, kept outside the database, that the log must still lead to.
    `processes`: 1 or 2; None: 2 where there are so many cores and the log is long enough for it.
    Reads one snapshot, in a read-only transaction: what is written meanwhile neither waits for it nor disturbs it.
    Each projection is compared where it stands, so one that lags behind the log is no finding.
    """
    findings = Findings()
    kept = CheckpointCheck(checkpoints, findings)  # read before the snapshot: none of them is newer than it
    if not findings.count:
        well = quick_pass(database, projections, kept, processes=processes, on_events=on_events)
        if well is not None:
            return well
    with reading.snapshot(database) as connection:
        return _Verification(connection, projections, findings, kept).run(on_events)


class _Verification:
    """The thorough pass: reads everything and names what is wrong."""

    def __init__(
        self, connection: Connection[Any], projections: Sequence[Projection], findings: Findings, kept: CheckpointCheck
    ) -> None:
        self._connection, self._findings, self._checkpoints = connection, findings, kept
        self._log = LogCheck(findings)
        self._texts = TextCheck(findings)
        self._books = Books(findings)
        self._projections = ProjectionCheck(connection, projections, reading.standing(connection), findings)

    def run(self, on_events: Progress | None) -> Report:
        head = reading.head_of(self._connection)
        for batch in reading.batches(self._connection):
            records = [record for stored in batch if (record := self._read(stored)) is not None]
            for record in records:
                self._books.take(record)
                self._projections.take(record)
            self._texts.take(self._connection, records)
            self._projections.end_of_batch(self._log.position)
            if on_events:
                on_events(len(batch), head[0] if head else self._log.events)
        self._log.end(head)
        return self._end(head)

    def _read(self, stored: Stored) -> Record | None:
        record = self._log.read(stored)
        self._checkpoints.take(self._log.position, self._log.hash)
        return record

    def _end(self, head: tuple[int, bytes] | None) -> Report:
        position = self._log.position
        states = self._projections.rows_of("payouts", position)
        self._books.end(position, None if states is None else {row["id"]: row["state"] for row in states})
        self._checkpoints.end()
        cut = diagnosis.commands_beyond(self._connection, position, self._findings)
        counts = self._projections.end(position)
        named = reading.event_ids(self._connection, self._findings.unnamed())
        accounts, payouts = self._books.accounts, self._books.payouts
        return Report(
            object="verification",
            source="live",
            ok=not self._findings.count,
            after=0,
            position=position,
            head_hash=self._log.hash.hex(),
            events=self._log.events,
            streams=len(self._log.versions),
            checkpoints=self._checkpoints.agreed,
            texts_intact=self._texts.intact,
            texts_erased=self._texts.erased,
            accounts=len(accounts.balances),
            payouts=len(payouts.tallies),
            freelancers=len(accounts.freelancers),
            totals=accounts.totals(),
            projections=counts,
            finding_count=self._findings.count,
            findings=self._findings.sorted(named),
            tampering=diagnosis.done_to(self._connection, self._log, self._checkpoints, head, cut=cut),
            not_verified=(),
        )
