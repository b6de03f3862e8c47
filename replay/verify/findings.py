"""What a verification has to say: findings, in the order of the log, and the report that they are part of."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from replay.verify.checks.tampering import Tampering

Check = Literal["file", "log", "text", "invariant", "projection"]
ORDER: dict[str, int] = {"file": -1, "log": 0, "text": 1, "invariant": 2, "projection": 3}
"""At one position the cause comes before what follows from it."""
KEPT = 500
"""How many findings a report names, the first ones; all are counted."""


@dataclass(frozen=True)
class Finding:
    """One divergence.

    `position` and `event_id`: the event that it stands at, or that last touched the row. `account`: the account, stream or
    vault id that it is about. `minor_units`: by how much, live less refolded, or what is there less what should be.
    A projection's finding names the row's `key`, the `column`, and both values.
    """

    check: Check
    what: str
    position: int | None = None
    event_id: str | None = None
    account: str | None = None
    minor_units: int | None = None
    projection: str | None = None
    key: str | None = None
    column: str | None = None
    live: Any = None
    refolded: Any = None

    @property
    def place(self) -> tuple[Any, ...]:
        """What is wrong with the log itself, or its files, comes first, as the rest may follow from it; then by position.

        Those without a position are last, but for what is wrong with a whole file. Rows are compared in no order, so they are
        put into one by their names.
        """
        unplaced, position = self.position is None and self.check != "file", self.position or 0
        names = (self.projection, self.key, self.column) if self.check == "projection" else ()
        return (
            self.check not in ("file", "log"),
            unplaced,
            position,
            ORDER[self.check],
            *(name or "" for name in names),
        )


class Findings:
    """Collects them; however many there are, the first ones are kept."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Finding] = []
        self._said: set[tuple[str, str]] = set()

    def add(self, check: Check, what: str, **where: Any) -> None:
        self.count += 1
        self._kept.append(Finding(check, what, **where))
        if len(self._kept) > 4 * KEPT:
            self._kept = sorted(self._kept, key=lambda one: one.place)[:KEPT]

    def once(self, invariant: str, about: str, what: str, **where: Any) -> None:
        """An invariant that broke: said of each object once, where it first broke."""
        if (invariant, about) not in self._said:
            self._said.add((invariant, about))
            self.add("invariant", what, account=about, **where)

    def first(self) -> Finding | None:
        """What is wrong first."""
        return min(self._kept, key=lambda one: one.place, default=None)

    def unnamed(self) -> set[int]:
        """The positions of kept findings whose event is not named yet."""
        return {one.position for one in self._kept if one.position is not None and one.event_id is None}

    def sorted(self, event_ids: dict[int, str]) -> tuple[Finding, ...]:
        """The first findings, in order; `event_ids` names the events at positions."""
        named = (
            replace(one, event_id=event_ids.get(one.position))
            if one.event_id is None and one.position is not None
            else one
            for one in self._kept
        )
        return tuple(sorted(named, key=lambda one: one.place)[:KEPT])


@dataclass(frozen=True)
class ProjectionCount:
    """A projection that was refolded up to its own position, and how many rows that made."""

    name: str
    position: int
    rows: int


@dataclass(frozen=True)
class Total:
    """All that was ever debited and credited in a currency, in minor units."""

    currency: str
    debits: int
    credits: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that was verified, and what diverged. `head_hash` is the chain's, in hex, to be kept by an auditor.

    Texts: `intact` are those that their events were written with, `erased` those that the ledger has erased. What a source does
    not hold is neither: `redacted` was taken out of a case, `withheld` is a token of a payment method, which no case holds, and
    of an `unavailable` one it is not known what became of it, as it is of an archive.
    `after`: the position behind which verifying began, 0 for the whole log. `not_verified`: what was not looked at, and why.
    `public_key`: the one, in hex, that a case or the checkpoint of an archive is signed with, None where nothing is signed;
    `proved`: how many events are shown to stand in a log whose head that key signed. Both are None of the live ledger, whose
    key is known.
    """

    object: Literal["verification"]
    source: Literal["live", "archive", "case"]
    ok: bool
    after: int
    position: int
    head_hash: str
    events: int
    streams: int
    checkpoints: int
    public_key: str | None = None
    proved: int | None = None
    texts_intact: int
    texts_erased: int
    texts_redacted: int = 0
    texts_withheld: int = 0
    texts_unavailable: int = 0
    accounts: int
    payouts: int
    freelancers: int
    totals: tuple[Total, ...]
    projections: tuple[ProjectionCount, ...]
    finding_count: int
    findings: tuple[Finding, ...]
    tampering: Tampering | None
    """What was done to the log, if anything was."""
    not_verified: tuple[str, ...]
