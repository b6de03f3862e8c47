"""Runs the quick pass on a snapshot: in this process, or its halves in two, of which `python -m` this module is the second."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from psycopg import Connection

from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection
from ledger.store.database import Database
from replay.verify.checks import reading
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.checks.quick import Amiss, records_of
from replay.verify.checks.quick_log import LogCount, QuickLog
from replay.verify.checks.quick_money import MoneyCount, QuickMoney
from replay.verify.checks.reading import Standing
from replay.verify.findings import Findings, ProjectionCount, Report

Progress = Callable[[int, int], None]
SECOND_FROM = 50_000
"""Events: in the second that another process takes to begin, one alone verifies about as many."""


class _Asked(msgspec.Struct, frozen=True):
    """What the second process is told, on its standard input."""

    url: str
    snapshot: str
    projections: list[str]


def quick_pass(
    database: Database,
    projections: Sequence[Projection],
    kept: CheckpointCheck,
    *,
    processes: int | None,
    on_events: Progress | None,
) -> Report | None:
    """The report of a database in which all is well; None: not all is, or it cannot be told.

    `processes`: 1 or 2, or None for 2 where the log is long enough; projections that are not the ledger's are verified in one.
    """
    try:
        with reading.snapshot(database) as connection:
            return _Pass(database, connection, projections, kept).run(processes, on_events)
    except Exception:  # noqa: BLE001 - whatever it is, the thorough pass says it
        return None


class _Pass:
    def __init__(
        self, database: Database, connection: Connection[Any], projections: Sequence[Projection], kept: CheckpointCheck
    ) -> None:
        self._database, self._connection, self._projections = database, connection, projections
        self._standing, self._head = reading.standing(connection), reading.head_of(connection)
        if any(where.error is not None for where in self._standing.values()):
            raise Amiss
        found = Findings()
        self._log = QuickLog(projections, self._standing, kept.again(found), found)
        self._name = reading.name_of(connection)

    def run(self, processes: int | None, on_events: Progress | None) -> Report:
        if processes is None:
            processes = 2 if self._head and self._head[0] >= SECOND_FROM and (os.cpu_count() or 1) > 1 else 1
        if processes == 1 or any(one not in PROJECTIONS for one in self._projections):
            money = QuickMoney(self._projections, self._standing)
            log = self._run(money, on_events)
            return _report(log, money.end(self._connection, log.position), self._projections, self._standing)
        with _second(self._database.url, self._name, self._projections) as second:
            log = self._run(None, on_events)
            counted = msgspec.json.decode(second.communicate()[0], type=MoneyCount)
        return _report(log, counted, self._projections, self._standing)

    def _run(self, money: QuickMoney | None, on_events: Progress | None) -> LogCount:
        """The log's half; and on the same batches the money's, if that is not another's task."""
        with reading.ahead(self._database, self._name) as batches:
            for batch in batches:
                records = records_of(batch)
                self._log.take(self._connection, batch, records)
                if money is not None:
                    money.take(records)
                if on_events:
                    on_events(len(batch), self._head[0] if self._head else batch[-1].position)
        return self._log.end(self._connection, self._head)


def _report(
    log: LogCount, money: MoneyCount, projections: Sequence[Projection], standing: Mapping[str, Standing]
) -> Report:
    rows = {one.name: log.rows.get(one.name, 0) + money.rows.get(one.name, 0) for one in projections}
    until = {one.name: standing[one.name].position if one.name in standing else 0 for one in projections}
    return Report(
        object="verification",
        source="live",
        ok=True,
        after=0,
        position=log.position,
        head_hash=log.hash.hex(),
        events=log.position,
        streams=log.streams,
        checkpoints=log.checkpoints,
        texts_intact=log.texts_intact,
        texts_erased=log.texts_erased,
        accounts=money.accounts,
        payouts=money.payouts,
        freelancers=money.freelancers,
        totals=money.totals,
        projections=tuple(ProjectionCount(name, until[name], count) for name, count in rows.items()),
        finding_count=0,
        findings=(),
        tampering=None,
        not_verified=(),
    )


# The second process


@contextmanager
def _second(url: str, name: str, projections: Sequence[Projection]) -> Iterator["subprocess.Popen[bytes]"]:
    """The money's half, in a process of its own that ends with this block. Its answer is on its standard output."""
    asked = msgspec.json.encode(_Asked(url, name, [one.name for one in projections]))
    command = [sys.executable, "-m", __name__]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
    ) as second:
        try:
            assert second.stdin is not None
            second.stdin.write(asked)
            second.stdin.close()
            second.stdin = None
            yield second
        finally:
            second.kill()


def _money(asked: _Asked) -> MoneyCount:
    database = Database(asked.url, read_only=True)
    try:
        projections = [one for one in PROJECTIONS if one.name in asked.projections]
        with reading.snapshot(database, asked.snapshot) as connection:
            money = QuickMoney(projections, reading.standing(connection))
            with reading.ahead(database, asked.snapshot) as batches:
                for batch in batches:
                    money.take(records_of(batch))
            return money.end(connection, reading.last_of(connection))
    finally:
        database.close()


if __name__ == "__main__":
    gc.disable()
    sys.stdout.buffer.write(msgspec.json.encode(_money(msgspec.json.decode(sys.stdin.buffer.read(), type=_Asked))))
