"""The quick pass of a verification: is all well? It says nothing of what is not: that is for the pass that names it.

The same checks and the same folds as there, a batch at a time: whole batches of rows are compared, and the first thing out of
order ends it. It has two halves that share nothing, so that they can run in two processes: the log's (`quick_log`), and the
money's (`quick_money`). In memory are a batch of events, the next one, and what the folds keep: the rows of all tables that are
not append-only.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import tuple_row

from ledger import postings
from ledger.codec import decode
from ledger.projections.rows import Projection, Record, Row, Rows, Table
from ledger.store.log import Stored
from ledger.store.views import selected
from replay.verify.checks.chain import is_on
from replay.verify.checks.reading import Standing

FETCHED = 5_000
"""Live rows to a round trip."""


class Amiss(Exception):
    """Something is not as it should be; what, the quick pass does not say."""


class Fold:
    """A projection, up to where it stands."""

    def __init__(self, projection: Projection, standing: Mapping[str, Standing]) -> None:
        where = standing.get(projection.name, Standing(0, None, None))
        if where.error is not None:
            raise Amiss(projection.name)
        self.projection, self.until = projection, where.position
        self.rows = Rows(projection.tables)

    def take(self, records: list[Record]) -> None:
        """The next events, of which it takes its own."""
        topics, until = self.projection.topics, self.until
        if records and records[-1].position > until:
            records = [one for one in records if one.position <= until]
        mine = records if topics is None else [one for one in records if one.topic in topics]
        if mine:
            self.projection.fold(self.rows, mine)
            for changed in self.rows.changed.values():
                changed.clear()  # nobody asks which

    def compare(self, connection: Connection[Any], position: int) -> int:
        """At the end of the log: the rows of all tables but append-only ones are the live rows; answers how many there are."""
        if self.until > position:
            raise Amiss
        tables = [table for table in self.projection.tables if not table.append_only]
        for table in tables:
            require_same(connection, table, self.rows.rows[table.name])
        return sum(len(self.rows.rows[table.name]) for table in tables)


def is_of_every_event(projection: Projection) -> bool:
    """Whether it wants every event there is. The log's half folds these, the money's the others: each has about as much to do."""
    return projection.topics is None


def records_of(batch: Sequence[Stored]) -> list[Record]:
    """The events of a batch, decoded. Raises Corrupt for one that cannot be read, Amiss for one on another's stream."""
    records, moving = [], postings.TOPICS
    for position, stream, version, topic, state, _ in batch:
        event = decode(topic, state)
        if not is_on(event, stream):
            raise Amiss
        newest = event.TOPIC
        entries = postings.entries(event) if newest in moving else []
        records.append(Record(position, stream, version, newest, event, entries))
    return records


def require_same(connection: Connection[Any], table: Table, refolded: Mapping[Any, Row]) -> None:
    """The live rows of a table are the refolded ones. Raises Amiss."""
    columns = itemgetter(*table.columns)
    key_of, state = itemgetter(*range(len(table.key))), list(table.columns).index("state") if table.state else None
    one_column = len(table.key) == 1
    seen = 0
    with connection.cursor("quick_rows", row_factory=tuple_row) as cursor:
        cursor.execute(f"SELECT {selected(table)} FROM {table.name} t".encode(), binary=True)
        while rows := cursor.fetchmany(FETCHED):
            seen += len(rows)
            for values in rows:
                key = (values[0],) if one_column else key_of(values)
                mine = refolded.get(key)
                if mine is None:
                    raise Amiss
                ours = columns(mine)
                if state is not None:
                    ours = (*ours[:state], msgspec.json.encode(ours[state]).decode(), *ours[state + 1 :])
                if ours != values:
                    raise Amiss
    if seen != len(refolded):
        raise Amiss
