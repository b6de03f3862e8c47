"""What a projection sees of its tables: rows by key, in memory. Where they come from and go to is the store's business."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from ledger.events import Event
from ledger.postings import Entry

Key = tuple[Any, ...]
Row = dict[str, Any]


class Table(NamedTuple):
    """A table of a projection. `columns` maps names to PostgreSQL types, the key's first.

    `state`: the type of the `state` column, where there is one. `group`: how many key columns name an ordered group of rows,
    of which a new row may change the later ones; 0 where rows stand alone. `append_only`: rows are never read back or changed.
    """

    name: str
    key: tuple[str, ...]
    columns: dict[str, str]
    state: Any = None
    group: int = 0
    append_only: bool = False

    def key_of(self, row: Row) -> Key:
        return tuple([row[column] for column in self.key])


class Record(NamedTuple):
    """An event as projections get it. `entries`: what it posts, by the posting rules."""

    position: int
    stream: str
    version: int
    topic: str
    event: Event
    id: str
    entries: list[Entry]


class Rows:
    """The rows that a batch needs, and what it makes of them."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = {table.name: table for table in tables}
        self.rows: dict[str, dict[Key, Row]] = {name: {} for name in self.tables}
        self.changed: dict[str, dict[Key, None]] = {name: {} for name in self.tables}
        """In the order of the first change: rows are written as they came, which keeps an index's pages together."""
        self._groups: dict[str, dict[Key, list[Key]]] = {name: {} for name in self.tables}

    def get(self, table: str, key: Key) -> Row | None:
        return self.rows[table].get(key)

    def load(self, table: str, row: Row) -> None:
        """Takes in a stored row."""
        self._keep(self.tables[table], row)

    def put(self, table: str, row: Row) -> None:
        """A new or changed row."""
        self.changed[table][self._keep(self.tables[table], row)] = None

    def delete(self, table: str, key: Key) -> None:
        """A row that is gone, whether or not it was loaded."""
        self.rows[table].pop(key, None)
        self.changed[table][key] = None

    def _keep(self, table: Table, row: Row) -> Key:
        key = table.key_of(row)
        rows = self.rows[table.name]
        if table.group and key not in rows:
            insort(self._groups[table.name].setdefault(key[: table.group], []), key)
        rows[key] = row
        return key

    def before(self, table: str, key: Key) -> Row | None:
        """The row of the key's group that comes just before it."""
        keys = self._groups[table].get(key[: self.tables[table].group], [])
        at = bisect_left(keys, key)
        return self.rows[table][keys[at - 1]] if at else None

    def after(self, table: str, key: Key) -> Iterator[Row]:
        """The rows of the key's group that come after it."""
        keys = self._groups[table].get(key[: self.tables[table].group], [])
        for later in keys[bisect_left(keys, key) :]:
            if later != key:
                yield self.rows[table][later]


class Needs(NamedTuple):
    """What must be loaded before a batch can be folded: keys by table, and for ordered groups the earliest new key of each."""

    keys: dict[str, set[Key]]
    groups: dict[str, dict[Key, Key]]


class Projection(Protocol):
    """Events to rows, pure. Folding the same events from zero gives the same rows."""

    @property
    def name(self) -> str: ...

    @property
    def tables(self) -> tuple[Table, ...]: ...

    @property
    def topics(self) -> frozenset[str] | None:
        """The events it is made of; None: all."""
        ...

    def needs(self, records: list[Record]) -> Needs: ...

    def fold(self, rows: Rows, records: list[Record]) -> None: ...


NOTHING = Needs({}, {})
