"""Is the log intact, asked often: goes on from where it last was, and from zero again every so often."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal

from ledger.clock import Clock
from ledger.store.checkpoints import Checkpoints
from ledger.store.log import LedgerLog
from replay.verify.checks.chain import ChainCheck
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.findings import Findings

FROM_ZERO_EVERY = timedelta(hours=1)
"""What lies before the last verified position may have been changed since: from time to time everything is read again."""
AT_MOST = 200_000
"""Events verified for one answer; a longer log takes several, and says so."""


@dataclass(frozen=True)
class Integrity:
    """`status`: `intact` up to the head, `verifying` up to `position` so far, or `broken` at `first_bad_position`.

    `hash` is the chain's head at `position`, in hex; `from_zero_at` when the present pass over the whole log began.
    """

    status: Literal["intact", "verifying", "broken"]
    position: int
    head: int
    hash: str
    checkpoints: int
    first_bad_position: int | None
    detail: str | None
    checked_at: datetime
    from_zero_at: datetime


class IntegrityWatch:
    """Verifies chain, positions, stream versions and checkpoints. One for a process; may be asked from several threads."""

    def __init__(self, log: LedgerLog, checkpoints: Checkpoints, clock: Clock) -> None:
        self._log, self._checkpoints, self._clock = log, checkpoints, clock
        self._one_at_a_time = threading.Lock()
        self._from_zero_at = datetime.min.replace(
            tzinfo=UTC
        )  # so that the first look begins, and not the server's start

    def _begin(self, now: datetime) -> None:
        self._findings = Findings()
        self._chain = ChainCheck(self._findings)
        self._kept = CheckpointCheck(self._checkpoints, self._findings)
        self._from_zero_at = now

    def look(self) -> Integrity:
        """The result as of now."""
        with self._one_at_a_time:
            now = self._clock.now()
            if now - self._from_zero_at >= FROM_ZERO_EVERY or self._findings.count:
                self._begin(now)
            self._kept.read_on()  # before the head: what is signed meanwhile may be further on than this looks
            head, head_hash = self._log.head_hash()
            rows = self._log.read_all(after=self._chain.position, until=head)
            before = self._chain.events
            for stored in islice(rows, AT_MOST):
                self._chain.take(stored)
            whole = self._chain.events - before < AT_MOST
            if whole:
                self._chain.end((head, head_hash))
            agreed = self._compare_checkpoints(whole)
            return self._result(now, head, whole, agreed)

    def _compare_checkpoints(self, whole: bool) -> int:
        """Each new checkpoint against the stored hash at its position; how many agree so far."""
        positions = [position for position in self._kept.positions() if position <= self._chain.position]
        for position, stored_hash in self._log.hashes(positions).items():
            self._kept.take(position, stored_hash)
        if whole:
            self._kept.end()
        return self._kept.agreed

    def _result(self, now: datetime, head: int, whole: bool, agreed: int) -> Integrity:
        first = self._findings.first()
        return Integrity(
            status="broken" if first else "intact" if whole else "verifying",
            position=self._chain.position,
            head=head,
            hash=self._chain.hash.hex(),
            checkpoints=agreed,
            first_bad_position=first.position if first else None,
            detail=first.what if first else None,
            checked_at=now,
            from_zero_at=self._from_zero_at,
        )
