"""An archive folded by a columnar engine, and held against the live balances, or against the plain fold of its own events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ledger.events import EVENTS
from ledger.store.log import Stored
from replay.archive import columnar
from replay.archive.columns import SCHEMA
from replay.archive.engines import Engine, open_engine
from replay.archive.source import ArchiveSource
from replay.archive.writing import OtherLedger
from replay.balances import AccountTotal, CurrencyTotal, totals, trial_balance
from replay.live import Live
from replay.sources import EventSource, Progress, SourceUnavailable

Against = Literal["live", "archive"]
Key = tuple[str, str]
"""Currency and account."""


@dataclass(frozen=True)
class Difference:
    """Of one account: `refolded` and `expected` are minor units, and `minor_units` the one less the other."""

    account: str
    currency: str
    column: Literal["debits", "credits", "balance"]
    refolded: int
    expected: int
    minor_units: int


@dataclass(frozen=True)
class Refold:
    """`against` says what the archive was held against. `ok`: no account differs, and debits = credits in every currency."""

    object: Literal["refold"]
    ok: bool
    engine: Engine
    archive: str
    position: int
    hash: str
    as_of: datetime | None
    known_at: datetime | None
    against: Against
    accounts: tuple[AccountTotal, ...]
    totals: tuple[CurrencyTotal, ...]
    differences: tuple[Difference, ...]


def refold(
    archive: ArchiveSource,
    live: Live | None = None,
    *,
    engine: Engine = "duckdb",
    master: str | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    on_events: Progress | None = None,
) -> Refold:
    """Folds the archive's columns and compares: with the live balances at the archive's end, or without a live ledger with
    the plain fold of the archive's stored bytes.

    Raises OtherLedger if the archive is not of the live ledger, EngineUnavailable, and SourceUnavailable for an archive that is
    damaged, or was written by a version with other columns or older events.
    """
    archive.log.require_whole()
    if live is not None:
        _require_same(archive, live)
    accounts = fold(archive, engine=engine, master=master, as_of=as_of, known_at=known_at)
    expected = _expected(archive, live, as_of, known_at, on_events)
    sums = totals(accounts)
    differences = tuple(_differences(accounts, expected))
    return Refold(
        object="refold",
        ok=not differences and all(one.debits == one.credits for one in sums),
        engine=engine,
        archive=str(archive.folder),
        position=archive.manifest.position,
        hash=archive.manifest.hash,
        as_of=as_of,
        known_at=known_at,
        against="archive" if live is None else "live",
        accounts=accounts,
        totals=sums,
        differences=differences,
    )


def fold(
    archive: ArchiveSource,
    *,
    engine: Engine = "duckdb",
    master: str | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> tuple[AccountTotal, ...]:
    """Every account that was posted to by then, by currency, then account."""
    if missing := set(SCHEMA.names) - set(archive.manifest.columns):
        raise SourceUnavailable(
            f"the archive {archive.folder} was written without the column(s) {', '.join(sorted(missing))}: archive anew,"
            " into another folder"
        )
    _require_newest(archive)
    if not archive.paths:
        return ()
    with open_engine(engine, archive.paths, master) as compute:
        found = compute(columnar.accounts(as_of=as_of, known_at=known_at))
    names, amounts = ("currency", "account"), ("debits", "credits")
    columns = [found[name].to_pylist() for name in names] + [map(int, found[name].to_pylist()) for name in amounts]
    return tuple(
        AccountTotal(account, currency, debits, credits, credits - debits)
        for currency, account, debits, credits in sorted(zip(*columns, strict=True))
    )


def _require_newest(archive: ArchiveSource) -> None:
    """The posting rules go by the newest version of an event, and so do the columns of an archive when it is written."""
    if old := sorted({name for file in archive.manifest.files for name in file.types} - set(EVENTS)):
        raise SourceUnavailable(
            f"the archive {archive.folder} holds columns of events that have a newer version now ({', '.join(old)}): archive"
            " anew, into another folder"
        )


def _require_same(archive: ArchiveSource, live: Live) -> None:
    position, head = archive.manifest.position, archive.manifest.hash
    if position and live.log.hashes([position]).get(position, b"").hex() != head:
        raise OtherLedger(
            f"the archive {archive.folder} is not of this ledger, whose hash chain is another at position {position}:"
            " check LEDGER_DATABASE_URL or LEDGER_DATA_DIR, or compare with --against archive"
        )


def _expected(
    archive: ArchiveSource,
    live: Live | None,
    as_of: datetime | None,
    known_at: datetime | None,
    on_events: Progress | None,
) -> Mapping[Key, Mapping[str, int]]:
    """What each account must come to; of the live balances where they stand at the archive's end, else folded."""
    position = archive.manifest.position
    if live is not None and as_of is None and known_at is None:
        stands_at, rows = live.reader.trial_balance()
        if stands_at == position:
            return {(currency, account): {"balance": balance} for account, currency, balance in rows}
    log: EventSource = archive.log if live is None else _UpTo(live.log, position)
    found = trial_balance(log, as_of=as_of, known_at=known_at, on_events=on_events)
    return {(one.currency, one.account): _columns(one) for one in found.accounts}


def _columns(one: AccountTotal) -> dict[str, int]:
    return {"debits": one.debits, "credits": one.credits, "balance": one.balance}


def _differences(accounts: tuple[AccountTotal, ...], expected: Mapping[Key, Mapping[str, int]]) -> Iterator[Difference]:
    found = {(one.currency, one.account): _columns(one) for one in accounts}
    nothing = dict.fromkeys(("debits", "credits", "balance"), 0)
    columns = {column for sums in expected.values() for column in sums} or {"balance"}
    for key in sorted(found.keys() | expected.keys()):
        currency, account = key
        for column in ("debits", "credits", "balance"):
            if column in columns:
                refolded, other = found.get(key, nothing)[column], expected.get(key, nothing)[column]
                if refolded != other:
                    yield Difference(account, currency, column, refolded, other, refolded - other)


class _UpTo:
    """A log as it was when it ended at a position."""

    def __init__(self, log: EventSource, position: int) -> None:
        self._log, self._position = log, position

    def head(self) -> int:
        return self._position

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        return self._log.read_all(after=after, until=self._position if until is None else min(until, self._position))

    def find(self, stream: str, version: int) -> Stored | None:
        found = self._log.find(stream, version)
        return found if found is not None and found.position <= self._position else None
