"""Projections folded anew, compared with the live ones and put in their place: what changes, before anything is changed.

The one part of `replay` that writes, and only what can be made anew: the log is read.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from psycopg import Connection
from psycopg.rows import DictRow

from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection, Table
from ledger.store.rebuild import OnBatch, Shadow, count, differing, open_shadow

KEPT = 500
"""How many differing rows a report names, the first of each projection; all are counted. Accounts are all named."""

What = Literal["added", "removed", "different"]


@dataclass(frozen=True)
class ColumnChange:
    """A column, or a field of a state as `state.status`; what it holds live, and folded anew."""

    column: str
    live: Any
    rebuilt: Any


@dataclass(frozen=True)
class RowChange:
    """`added`: the live table lacks the row; `removed`: no event makes it; `different`: in these columns."""

    projection: str
    key: dict[str, Any]
    what: What
    columns: tuple[ColumnChange, ...]


@dataclass(frozen=True)
class AccountChange:
    """An account whose live balance is not the log's. Minor units; `difference` is what the swap adds to it.

    Null where what stands live is no whole number of minor units.
    """

    account: str
    currency: str
    live: int | None
    rebuilt: int
    difference: int | None


@dataclass(frozen=True)
class Rebuilt:
    """A projection folded anew up to `position`, `rows` of it. `error` names the event that it cannot be folded beyond."""

    name: str
    position: int
    rows: int
    added: int
    removed: int
    different: int
    error: str | None


@dataclass(frozen=True)
class Rebuild:
    """`resumed_from`: the position that an earlier run had come to; 0 for a fold from the first event."""

    object: Literal["rebuild"]
    dry_run: bool
    swapped: bool
    resumed_from: int
    difference_count: int
    projections: tuple[Rebuilt, ...]
    accounts: tuple[AccountChange, ...]
    rows: tuple[RowChange, ...]

    @property
    def ok(self) -> bool:
        """Swapped, or nothing would change."""
        return self.swapped or not (self.difference_count or any(one.error for one in self.projections))


def rebuild(
    owner_url: str,
    projections: Sequence[Projection] = PROJECTIONS,
    *,
    dry_run: bool = False,
    anew: bool = False,
    on_events: OnBatch | None = None,
    before_swap: Callable[[Rebuild], None] | None = None,
) -> Rebuild:
    """Folds projections beside the live ones, compares both at one position, and unless `dry_run` swaps them.

    Readers, writers and the worker go on meanwhile. A run that was killed is gone on with; `anew` begins at the first event.
    `before_swap` is told what will change. Where an event cannot be folded nothing is swapped. Raises
    `ledger.store.shadow_schema.CannotRebuild`, having changed nothing.
    """
    with open_shadow(owner_url, projections, anew=anew) as shadow:
        resumed_from = min(where.position for where in shadow.standing().values())
        shadow.fold(on_events)
        found = _compared(shadow, projections, dry_run, resumed_from)
        if before_swap:
            before_swap(found)
        if dry_run:
            shadow.drop()
            return found
        if any(one.error for one in found.projections):
            return found
        shadow.swap()
    return replace(found, swapped=True)


def _compared(shadow: Shadow, projections: Sequence[Projection], dry_run: bool, resumed_from: int) -> Rebuild:
    """Everything at one position each, in one snapshot. A projection that cannot be folded is not compared."""
    rebuilt, accounts, rows = [], list[AccountChange](), list[RowChange]()
    with shadow.level() as connection:
        standing = shadow.standing()
        for projection in projections:
            position, error = standing[projection.name]
            counts: dict[What, int] = {"added": 0, "removed": 0, "different": 0}
            named = 0
            for table in projection.tables:
                for change in () if error else changes(connection, projection, table):
                    counts[change.what] += 1
                    if "balance" in table.columns:
                        accounts.append(_account(change))
                    elif (named := named + 1) <= KEPT:
                        rows.append(change)
            size = sum(count(connection, table) for table in projection.tables)
            rebuilt.append(Rebuilt(projection.name, position, size, **counts, error=error))
    total = sum(one.added + one.removed + one.different for one in rebuilt)
    return Rebuild("rebuild", dry_run, False, resumed_from, total, tuple(rebuilt), tuple(accounts), tuple(rows))


def changes(connection: Connection[DictRow], projection: Projection, table: Table) -> Iterator[RowChange]:
    """The rows of a table that are not the same live and anew, by key. A row that only reads the same is the same:
    a field that a stored state lacks counts as its default, which is how readers read it.
    """
    for live, rebuilt in differing(connection, table):
        here = rebuilt or live or {}
        key = {column: _value(table.columns[column], here[column]) for column in table.key}
        before, after = _readable(table, live), _readable(table, rebuilt)
        columns = tuple(
            ColumnChange(name, before.get(name), after.get(name))
            for name in {**before, **after}
            if name not in key and before.get(name) != after.get(name)
        )
        if live is None or rebuilt is None:
            yield RowChange(projection.name, key, "removed" if rebuilt is None else "added", columns)
        elif columns:
            yield RowChange(projection.name, key, "different", columns)


def _readable(table: Table, row: dict[str, Any] | None) -> dict[str, Any]:
    """The columns of a row, a state by its fields; nothing of a row that is not there."""
    found: dict[str, Any] = {}
    for column in table.columns if row else ():
        value = (row or {})[column]
        if table.columns[column] == "json":
            found.update((f"{column}.{name}", field) for name, field in _fields(table.state, value).items())
        else:
            found[column] = _value(table.columns[column], value)
    return found


def _value(type_: str, value: Any) -> Any:
    """Instants as everywhere else, with Z."""
    return re.sub(r"\+00:00$", "Z", value) if type_ == "timestamptz" and value else value


def _fields(type_: Any, state: Any) -> dict[str, Any]:
    """Of a state as it is read, with what it has beyond that. What cannot be read stands as it is."""
    raw = state if isinstance(state, dict) else {"": state}
    try:
        read = msgspec.to_builtins(msgspec.convert(state, type_))
    except msgspec.ValidationError:
        return raw
    return {**raw, **read}


def _account(change: RowChange) -> AccountChange:
    (balance,) = change.columns
    live = 0 if change.what == "added" else balance.live
    whole = live if isinstance(live, int) else None
    rebuilt = 0 if change.what == "removed" else balance.rebuilt
    return AccountChange(
        **change.key, live=whole, rebuilt=rebuilt, difference=None if whole is None else rebuilt - whole
    )
