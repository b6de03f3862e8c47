"""A live table against its refolded rows: which rows are missing, which nothing makes, which columns differ and by how much."""

from collections.abc import Iterator
from decimal import Decimal
from operator import itemgetter
from typing import Any

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.postings import BUCKETS
from ledger.projections.rows import Key, Row, Table
from ledger.store.views import selected
from replay.values import plain
from replay.verify.findings import Findings

FETCHED = 2_000
"""Live rows to a round trip."""

MONEY = frozenset(
    {
        *("balance", *BUCKETS, *(f"{bucket}_change" for bucket in BUCKETS)),
        *("due_amount", "charged", "released", "returned", "reversed_before", "reversed_after"),
        *("hourly_rate", "rate"),
    }
)
"""Columns, and fields of states, that hold minor units."""


class Comparison:
    """Of one table of a projection. `touched`: the position of the event that last changed a row."""

    def __init__(self, projection: str, table: Table, touched: dict[Key, int], findings: Findings) -> None:
        self._projection, self._table, self._touched, self._findings = projection, table, touched, findings
        self._values = itemgetter(*table.columns)

    def run(self, live: Iterator[tuple[Any, ...]], refolded: dict[Key, Row]) -> None:
        """Compares every live row; takes from `refolded` what it finds there, so that what stays is missing."""
        width = len(self._table.key)
        try:
            for values in live:
                key = values[:width]
                mine = refolded.pop(key, None)
                if mine is None:
                    row = dict(zip(self._table.columns, values, strict=True))
                    self._say("no event makes this row", key, live=self._shown(row))
                elif self._stored(mine) != values:
                    self._compare(key, values, mine)
        except psycopg.DataError as error:
            what = f"a row of {self._table.name} holds what no projection wrote: {str(error).strip()}"
            self._findings.add("projection", what, projection=self._projection)
            return
        for key, mine in refolded.items():
            self._say("the row is missing", key, refolded=self._shown(mine))

    def _stored(self, mine: Row) -> tuple[Any, ...]:
        """The row as it was written."""
        values: tuple[Any, ...] = self._values(mine)
        if self._table.state is None:
            return values
        return tuple(msgspec.json.encode(v).decode() if type(v) is self._table.state else v for v in values)

    def _compare(self, key: Key, values: tuple[Any, ...], mine: Row) -> None:
        for (column, type_), live in zip(self._table.columns.items(), values, strict=True):
            if type_ == "json":
                for name, there, ours in _state_differences(self._table.state, live, mine[column]):
                    self._differs(key, f"{column}.{name}" if name else column, there, ours, mine)
            elif live != mine[column]:
                self._differs(key, column, live, mine[column], mine)

    def _differs(self, key: Key, column: str, live: Any, refolded: Any, mine: Row) -> None:
        name = column.rpartition(".")[2]
        there, ours = _minor(live), _minor(refolded)
        difference = None if name not in MONEY or there is None or ours is None else there - ours
        bucket = name.removesuffix("_change")
        account = f"{mine.get('payee', key[0])}:{bucket}" if bucket in BUCKETS else None
        values = {"column": column, "live": _value(live), "refolded": _value(refolded), "minor_units": difference}
        self._say("the column differs", key, account=account, **values)

    def _say(self, what: str, key: Key, account: str | None = None, **values: Any) -> None:
        named = dict(zip(self._table.key, key, strict=True))
        where = {"position": self._touched.get(key, named.get("position")), "account": named.get("account", account)}
        text = " ".join(str(plain(part)) for part in key)
        self._findings.add("projection", what, projection=self._projection, key=text, **where, **values)

    def _shown(self, row: Row) -> dict[str, Any]:
        """A whole row, without its state, which says the same at length."""
        return {column: _value(row[column]) for column, type_ in self._table.columns.items() if type_ != "json"}


def live_rows(
    connection: Connection[Any], table: Table, after: int | None = None, until: int | None = None
) -> Iterator[tuple[Any, ...]]:
    """Every live row, or those whose position is after the one and up to the other; read as they are compared."""
    where = "" if after is None else " WHERE t.position > %s AND t.position <= %s"
    parameters = () if after is None else (after, until)
    with connection.cursor("live_rows", row_factory=tuple_row) as cursor:
        cursor.itersize = FETCHED
        cursor.execute(f"SELECT {selected(table)} FROM {table.name} t{where}".encode(), parameters, binary=True)
        yield from cursor


def _state_differences(type_: Any, live: str, mine: Any) -> Iterator[tuple[str, Any, Any]]:
    """Field by field. A field that the live state lacks counts as its default, which is how readers read it."""
    try:
        decoded, raw = msgspec.json.decode(live, type=type_), msgspec.json.decode(live)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        yield "", f"unreadable: {error}", "readable"
        return
    fields = msgspec.structs.fields(type_)
    for field in fields:
        there, ours = getattr(decoded, field.name), getattr(mine, field.name)
        if there != ours:
            yield field.name, there, ours
    for unknown in sorted(raw.keys() - {field.encode_name for field in fields}):
        yield unknown, raw[unknown], None


def _minor(value: Any) -> int | None:
    """A whole number as such; None for anything else, which is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    whole = isinstance(value, int) or (value.is_finite() and value == value.to_integral_value())
    return int(value) if whole else None


def _value(value: Any) -> Any:
    """What a report can hold of it: text for what JSON has no word for."""
    if isinstance(value, Decimal):
        whole = _minor(value)
        return str(value) if whole is None else whole
    return msgspec.to_builtins(value)
