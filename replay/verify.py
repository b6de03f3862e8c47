"""Is the log intact, and does it still give what the projections say? One pass over it, in one snapshot of the database."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection, Record
from ledger.store.checkpoints import Checkpoints
from ledger.store.database import Database
from ledger.store.log import Stored
from replay.checks import tampering
from replay.checks.accounts import AccountCheck
from replay.checks.chain import LogCheck
from replay.checks.checkpoints import CheckpointCheck
from replay.checks.payouts import PayoutCheck
from replay.checks.projections import ProjectionCheck, Standing
from replay.checks.tampering import Tampering
from replay.checks.vault import TextCheck
from replay.findings import Findings, Report

BATCH = 5_000
"""Events to a round trip."""

Progress = Callable[[int, int], None]
"""Told how many further events were verified, and how many there are."""


def verify(
    database: Database,
    *,
    checkpoints: Checkpoints | None = None,
    projections: Sequence[Projection] = PROJECTIONS,
    on_events: Progress | None = None,
) -> Report:
    """Everything of `domain.md`'s last section, over the whole log. The report is the same for the same database.

    `checkpoints`: signed heads of the chain, kept outside the database, that the log must still lead to.
    Reads one snapshot, in a read-only transaction: what is written meanwhile neither waits for it nor disturbs it.
    Each projection is compared where it stands, so one that lags behind the log is no finding.
    """
    findings = Findings()
    kept = CheckpointCheck(checkpoints, findings)  # read before the snapshot: none of them is newer than it
    with database.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _Verification(connection, projections, findings, kept).run(on_events)


class _Verification:
    def __init__(
        self, connection: Connection[Any], projections: Sequence[Projection], findings: Findings, kept: CheckpointCheck
    ) -> None:
        self._connection, self._findings, self._checkpoints = connection, findings, kept
        self._log = LogCheck(findings)
        self._cut = False
        self._texts = TextCheck(findings)
        self._accounts = AccountCheck(findings)
        self._payouts = PayoutCheck(findings)
        self._projections = ProjectionCheck(connection, projections, _standing(connection), findings)

    def run(self, on_events: Progress | None) -> Report:
        head = _head(self._connection)
        for batch in _batches(self._connection):
            records = [record for stored in batch if (record := self._read(stored)) is not None]
            for record in records:
                self._take(record)
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

    def _take(self, record: Record) -> None:
        for check in (self._accounts, self._payouts):
            try:
                check.take(record)
            except Exception as error:  # noqa: BLE001 - an event that nothing can be made of is what is looked for
                what = f"the event cannot follow on what is before it: {error!r}"
                where = {"position": record.position, "event_id": record.id, "account": record.stream}
                self._findings.add("invariant", what, **where)
        self._projections.take(record)

    def _end(self, head: tuple[int, bytes] | None) -> Report:
        position = self._log.position
        states = self._projections.rows_of("payouts", position)
        self._payouts.end(None if states is None else {row["id"]: row["state"] for row in states})
        self._accounts.end(position)
        self._checkpoints.end()
        self._end_of_commands(position)
        counts = self._projections.end(position)
        named = _event_ids(self._connection, self._findings.unnamed())
        return Report(
            object="verification",
            ok=not self._findings.count,
            position=position,
            head_hash=self._log.hash.hex(),
            events=self._log.events,
            streams=len(self._log.versions),
            checkpoints=self._checkpoints.agreed,
            texts_intact=self._texts.intact,
            texts_erased=self._texts.erased,
            accounts=len(self._accounts.balances),
            payouts=len(self._payouts.tallies),
            freelancers=len(self._accounts.freelancers),
            totals=self._accounts.totals(),
            projections=counts,
            finding_count=self._findings.count,
            findings=self._findings.sorted(named),
            tampering=self._tampering(head),
        )

    def _tampering(self, head: tuple[int, bytes] | None) -> Tampering | None:
        """What was done to the log. A row that was changed says more than a head or a checkpoint that no longer fits."""
        broken, last = self._log.broken_at, self._log.position
        if broken is not None:
            rows = (stored for batch in _batches(self._connection, broken - 1) for stored in batch)
            return tampering.at_break(broken, self._log.intact_hash, rows)
        if head is not None and head[0] < last:
            return tampering.beyond_head(head[0])
        if self._cut or self._checkpoints.positions() or (head is not None and head[0] > last):
            return tampering.tail_cut(last)
        if self._checkpoints.disagreed_at is not None:
            return tampering.rehashed(self._checkpoints.agreed_to, self._checkpoints.disagreed_at)
        return None

    def _end_of_commands(self, position: int) -> None:
        """A command that reached beyond the end of the log says that events were cut off there."""
        query = "SELECT count(*), max(position) FROM commands WHERE position > %s"
        row = self._connection.cursor(row_factory=tuple_row).execute(query, (position,)).fetchone()
        if row and row[0]:
            self._cut = True
            what = f"{row[0]} command(s) reached up to position {row[1]}: the end of the log is missing"
            self._findings.add("log", what, position=position + 1)


def _head(connection: Connection[Any]) -> tuple[int, bytes] | None:
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    row = cursor.execute("SELECT position, hash FROM log_head").fetchone()
    return (row[0], bytes(row[1])) if row else None


def _standing(connection: Connection[Any]) -> dict[str, Standing]:
    cursor = connection.cursor(row_factory=tuple_row)
    rows = cursor.execute("SELECT name, position, error, error_position FROM projections ORDER BY name")
    return {name: Standing(position, error, at) for name, position, error, at in rows}


def _batches(connection: Connection[Any], after: int = -(2**63)) -> Iterator[list[Stored]]:
    """The log, whatever its positions are."""
    while True:
        rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
            "SELECT notification_id, originator_id, originator_version, topic, state, hash FROM events"
            " WHERE notification_id > %s ORDER BY notification_id LIMIT %s",
            (after, BATCH),
        )
        batch = [Stored(*row) for row in rows]
        if not batch:
            return
        yield batch
        after = batch[-1].position


def _event_ids(connection: Connection[Any], positions: set[int]) -> dict[int, str]:
    rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
        "SELECT notification_id, originator_id, originator_version, topic, state, hash FROM events"
        " WHERE notification_id = ANY(%s)",
        (sorted(positions),),
    )
    return {stored.position: stored.id for stored in (Stored(*row) for row in rows)}
