"""The events of a source without a database, checked one by one as those of the database are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ledger.aggregates.payout import Payout
from ledger.projections import states
from ledger.projections.rows import Record, Rows
from ledger.store.log import Stored
from replay.case.file import TextStatus
from replay.verify.checks.books import Books
from replay.verify.checks.chain import LogCheck
from replay.verify.checks.tampering import Tampering
from replay.verify.findings import Findings, Report

Progress = Callable[[int, int], None]
"""Told how many further events were verified, and how many there are."""
NO_PROJECTIONS = "projections are not compared here: there are none in this source"


class Events:
    """Takes the events of a source in order, and reports what was found."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.log = LogCheck(self.findings)
        self.books = Books(self.findings)
        self._streams: set[str] = set()
        self._read = self._last = 0
        self._payouts, self._rows = states.Payouts(), Rows((states.PAYOUTS,))
        self._folded = True

    def take(self, stored: Stored) -> Record | None:
        """The next event of a whole log; answers it decoded, if it can be."""
        self._count(stored)
        record = self.log.read(stored)
        if record is not None:
            self.books.take(record)
            self._fold(record)
        return record

    def take_apart(self, stored: Stored, *, payouts: bool) -> None:
        """An event that does not stand beside the one before it. With `payouts`, the streams of payouts are whole."""
        self._count(stored)
        record = self.log.decoded(stored)
        if record is not None:
            self.books.take_apart(record, payouts=payouts)
            if payouts:
                self._fold(record)

    def _count(self, stored: Stored) -> None:
        self._read += 1
        self._streams.add(stored.stream)
        self._last = stored.position

    def _fold(self, record: Record) -> None:
        if self._folded and record.topic in states.Payouts.topics:
            try:
                self._payouts.fold(self._rows, [record])
            except Exception as error:  # noqa: BLE001 - whatever an event does to the fold, it is named
                self._folded = False
                what = f"the payout's state cannot be folded beyond this event: {error!r}"
                where = {"position": record.position, "event_id": record.id, "account": record.stream}
                self.findings.add("invariant", what, **where)

    def states(self) -> dict[str, Payout] | None:
        """The payouts by their own evolve, if all of them could be folded."""
        rows = self._rows.rows[states.PAYOUTS.name].values()
        return {row["id"]: row["state"] for row in rows} if self._folded else None

    def report(
        self,
        source: Literal["archive", "case"],
        head_hash: str,
        checkpoints: int,
        not_verified: Sequence[str],
        *,
        texts: Mapping[TextStatus, int],
        public_key: str | None,
        proved: int,
        tampering: Tampering | None = None,
    ) -> Report:
        """`texts`: how many there are of each status."""
        accounts = self.books.accounts
        return Report(
            object="verification",
            source=source,
            ok=not self.findings.count,
            after=0,
            position=self._last,
            head_hash=head_hash,
            events=self._read,
            streams=len(self._streams),
            checkpoints=checkpoints,
            public_key=public_key,
            proved=proved,
            texts_intact=texts.get("given", 0),
            texts_erased=texts.get("erased", 0),
            texts_redacted=texts.get("redacted", 0),
            texts_withheld=texts.get("withheld", 0),
            texts_unavailable=texts.get("unavailable", 0),
            accounts=len(accounts.balances),
            payouts=len(self.books.payouts.tallies),
            freelancers=len(accounts.freelancers),
            totals=accounts.totals(),
            projections=(),
            finding_count=self.findings.count,
            findings=self.findings.sorted({}),
            tampering=tampering,
            not_verified=tuple(not_verified),
        )
