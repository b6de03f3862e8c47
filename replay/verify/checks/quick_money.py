"""The money's half of the quick pass: the invariants, and the projections of contracts, payouts and accounts (see `quick`)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import Connection

from ledger.projections.rows import Projection, Record
from replay.verify.checks.accounts import AccountCheck
from replay.verify.checks.payouts import PayoutCheck
from replay.verify.checks.quick import Amiss, Fold, is_of_every_event
from replay.verify.checks.reading import Standing
from replay.verify.findings import Findings, Total


class MoneyCount(NamedTuple):
    """What this half has seen."""

    accounts: int
    payouts: int
    freelancers: int
    totals: tuple[Total, ...]
    rows: dict[str, int]
    """Of each of its projections."""


class QuickMoney:
    """This half. Raises Amiss, or whatever an event raises that nothing can be made of."""

    def __init__(self, projections: Sequence[Projection], standing: Mapping[str, Standing]) -> None:
        self._findings = Findings()
        self._accounts, self._payouts = AccountCheck(self._findings), PayoutCheck(self._findings)
        self._folds = [Fold(one, standing) for one in projections if not is_of_every_event(one)]

    def take(self, records: list[Record]) -> None:
        """The next events."""
        take_account, take_payout = self._accounts.take, self._payouts.take
        for record in records:
            take_account(record)
            take_payout(record)
        if self._findings.count:
            raise Amiss
        for fold in self._folds:
            fold.take(records)

    def end(self, connection: Connection[Any], position: int) -> MoneyCount:
        """At the end of the log: compares with the live tables."""
        self._payouts.end(self._states(position))
        self._accounts.end(position)
        if self._findings.count:
            raise Amiss
        rows = {fold.projection.name: fold.compare(connection, position) for fold in self._folds}
        accounts = self._accounts
        counts = len(accounts.balances), len(self._payouts.tallies), len(accounts.freelancers)
        return MoneyCount(*counts, accounts.totals(), rows)

    def _states(self, position: int) -> dict[str, Any] | None:
        for fold in self._folds:
            if fold.projection.name == "payouts" and fold.until >= position:
                return {row["id"]: row["state"] for row in fold.rows.rows["payouts"].values()}
        return None
