"""The books, kept a second time from the events alone: accounts and payouts together, event by event."""

from collections.abc import Callable, Mapping

from ledger.aggregates.payout import Payout
from ledger.projections.rows import Record
from replay.verify.checks.accounts import AccountCheck
from replay.verify.checks.payouts import PayoutCheck
from replay.verify.findings import Findings


class Books:
    """Every invariant of `domain.md`'s last section that the events alone can break."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.accounts = AccountCheck(findings)
        self.payouts = PayoutCheck(findings)

    def take(self, record: Record) -> None:
        """The next event, which is named where it cannot follow on those before it."""
        self._try(record, self.accounts.take, self.payouts.take)

    def take_apart(self, record: Record, *, payouts: bool) -> None:
        """An event of a source that does not hold whole accounts: that its debits are its credits; and its payout, if asked."""
        self._try(record, self.accounts.post, *((self.payouts.take,) if payouts else ()))

    def _try(self, record: Record, *takes: Callable[[Record], None]) -> None:
        for take in takes:
            try:
                take(record)
            except Exception as error:  # noqa: BLE001 - an event that nothing can be made of is what is looked for
                what = f"the event cannot follow on what is before it: {error!r}"
                where = {"position": record.position, "event_id": record.id, "account": record.stream}
                self._findings.add("invariant", what, **where)

    def end(self, position: int, states: Mapping[str, Payout] | None) -> None:
        """`states`: the payouts refolded up to this position by their own evolve, where there are such."""
        self.payouts.end(states)
        self.accounts.end(position)
