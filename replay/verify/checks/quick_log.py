"""The log's half of the quick pass: chain, versions, checkpoints, texts, and the projections of every event (see `quick`)."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.events import EVENTS
from ledger.projections.rows import Projection, Record, Table
from ledger.store import chain
from ledger.store.log import Stored
from ledger.store.views import selected
from replay.texts import references, sealed_fields
from replay.verify.checks import reading
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.checks.quick import Amiss, Fold, is_of_every_event
from replay.verify.checks.reading import Standing
from replay.verify.checks.vault import digests_of
from replay.verify.findings import Findings

_SEALING = frozenset(topic for topic, cls in EVENTS.items() if sealed_fields(cls))
"""The events that can point to texts."""


class LogCount(NamedTuple):
    """What the log's half has seen."""

    position: int
    hash: bytes
    streams: int
    checkpoints: int
    texts_intact: int
    texts_erased: int
    rows: dict[str, int]
    """Of each of its projections."""


class QuickLog:
    """The log's half. Raises Amiss at the first thing out of order."""

    def __init__(
        self,
        projections: Sequence[Projection],
        standing: Mapping[str, Standing],
        kept: CheckpointCheck,
        found: Findings,
    ) -> None:
        """`kept`, which says what it finds to `found`: the signed checkpoints, none of them compared yet."""
        self._kept, self._found = kept, found
        self._signed = kept.positions()
        self._position, self._hash = 0, chain.START
        self._versions: dict[str, int] = {}
        self._intact = self._erased = 0
        self._folds = [Fold(one, standing) for one in projections if is_of_every_event(one)]
        self._rows = dict.fromkeys((fold.projection.name for fold in self._folds), 0)

    def take(self, connection: Connection[Any], batch: Sequence[Stored], records: list[Record]) -> None:
        """The next events of the log; `records`: the same, decoded."""
        before = self._position
        self._follow(batch)
        self._compare_checkpoints(batch, before)
        self._compare_texts(connection, records)
        for fold in self._folds:
            fold.take(records)
            for table in fold.projection.tables:
                if table.append_only:
                    self._compare_rows(connection, fold, table, before)

    def _follow(self, batch: Sequence[Stored]) -> None:
        position, head, versions, link = self._position, self._hash, self._versions, chain.link
        for place, stream, version, topic, state, hash_ in batch:
            position += 1
            if place != position or version != versions.get(stream, 0) + 1:
                raise Amiss
            head = link(head, position, version, stream, topic, state)
            if head != hash_:
                raise Amiss
            versions[stream] = version
        self._position, self._hash = position, head

    def _compare_checkpoints(self, batch: Sequence[Stored], before: int) -> None:
        while self._signed and self._signed[0] <= self._position:
            position = self._signed.pop(0)
            if position <= before:
                raise Amiss
            self._kept.take(position, batch[position - before - 1].hash)
        if self._found.count:
            raise Amiss

    def _compare_texts(self, connection: Connection[Any], records: list[Record]) -> None:
        sealed = [one for record in records if record.topic in _SEALING for one in references(record.event)]
        digests = digests_of(connection, {one.id for one in sealed})
        for one in sealed:
            digest = digests.get(one.id)
            if digest is None:
                self._erased += 1
            elif digest == one.sha256:
                self._intact += 1
            else:
                raise Amiss

    def _compare_rows(self, connection: Connection[Any], fold: Fold, table: Table, before: int) -> None:
        refolded = fold.rows.rows[table.name]
        ours = list(map(itemgetter(*table.columns), refolded.values()))
        if rows_between(connection, table, before, self._position) != ours:
            raise Amiss
        self._rows[fold.projection.name] += len(ours)
        refolded.clear()

    def end(self, connection: Connection[Any], head: tuple[int, bytes] | None) -> LogCount:
        """At the end of the log."""
        if head != (self._position, self._hash) or self._signed or reading.beyond(connection, self._position)[0]:
            raise Amiss
        for fold in self._folds:
            self._rows[fold.projection.name] += fold.compare(connection, self._position)
            for table in fold.projection.tables:
                if table.append_only and rows_between(connection, table, self._position, reading.LAST):
                    raise Amiss
        return LogCount(
            self._position, self._hash, len(self._versions), self._kept.agreed, self._intact, self._erased, self._rows
        )


def rows_between(connection: Connection[Any], table: Table, after: int, until: int) -> list[tuple[Any, ...]]:
    """Those whose position is after the one and up to the other, in order. Before the first position nothing may stand."""
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    query = (
        f"SELECT {selected(table)} FROM {table.name} t WHERE t.position > %s AND t.position <= %s ORDER BY t.position"
    )
    return cursor.execute(query.encode(), (after or reading.FIRST, until)).fetchall()
