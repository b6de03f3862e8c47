"""What a projection sees of its tables: rows by key, in memory. Where they come from and go to is the store's business."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from ledger.events import Event
from ledger.ids import event_id
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


def key_getter(table: Table) -> Callable[[Row], Key]:
    """What reads the key of a table's row."""
    if len(table.key) > 1:
        return itemgetter(*table.key)
    (column,) = table.key
    return lambda row: (row[column],)


class Record(NamedTuple):
    """An event as projections get it. `entries`: what it posts, by the posting rules."""

    position: int
    stream: str
    version: int
    topic: str
    event: Event
    entries: list[Entry]

    @property
    def id(self) -> str:
        """The event's."""
        return event_id(self.stream, self.version)


class Rows:
    """The rows that a batch needs, and what it makes of them."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = {table.name: table for table in tables}
        self.rows: dict[str, dict[Key, Row]] = {name: {} for name in self.tables}
        self.changed: dict[str, dict[Key, None]] = {name: {} for name in self.tables}
        """In the order of the first change: rows are written as they came, which keeps an index's pages together."""
        self._key_of = {name: key_getter(table) for name, table in self.tables.items()}
        self._groups: dict[str, dict[Key, list[Key]]] = {name: {} for name in self.tables}
        """Of tables with ordered groups: the keys of each, in order."""

    def get(self, table: str, key: Key) -> Row | None:
        return self.rows[table].get(key)

    def load(self, table: str, row: Row) -> None:
        """Takes in a stored row."""
        key = self._key_of[table](row)
        if self.tables[table].group:
            self._place(table, key)
        self.rows[table][key] = row

    def put(self, table: str, row: Row) -> None:
        """A new or changed row; a new one of an ordered group is inserted instead, into its place."""
        key = self._key_of[table](row)
        self.rows[table][key] = row
        self.changed[table][key] = None

    def put_all(self, table: str, rows: Sequence[Row]) -> None:
        """What `put` does with each."""
        made = dict(zip(map(self._key_of[table], rows), rows, strict=True))
        self.rows[table].update(made)
        self.changed[table].update(dict.fromkeys(made))

    def delete(self, table: str, key: Key) -> None:
        """A row that is gone, whether or not it was loaded."""
        self.rows[table].pop(key, None)
        self.changed[table][key] = None

    def insert(self, table: str, row: Row) -> tuple[Row | None, list[Row]]:
        """A new row of an ordered group, or another with its key; answers the one just before it there, and those after it."""
        key, kept = self._key_of[table](row), self.rows[table]
        keys, at = self._place(table, key)
        kept[key] = row
        self.changed[table][key] = None
        return kept[keys[at - 1]] if at else None, [kept[later] for later in keys[at + 1 :]]

    def _place(self, table: str, key: Key) -> tuple[list[Key], int]:
        """The keys of the key's group, with it among them, and where."""
        keys = self._groups[table].setdefault(key[: self.tables[table].group], [])
        at = len(keys) if not keys or keys[-1] < key else bisect_left(keys, key)
        if at == len(keys) or keys[at] != key:
            keys.insert(at, key)
        return keys, at


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
