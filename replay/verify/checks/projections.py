"""Every projection folded from zero, up to where it stands, and compared with its live tables row by row, column by column.

Rows are kept in memory until their table is compared; those of append-only tables only until the end of their batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import Connection

from ledger.projections.rows import Key, Projection, Record, Row, Rows, Table
from replay.verify.checks.reading import Standing
from replay.verify.checks.rows import Comparison, live_rows
from replay.verify.findings import Findings, ProjectionCount

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


class _Fold:
    """One projection on its way."""

    def __init__(self, projection: Projection, until: int) -> None:
        self.projection, self.until = projection, until
        self.rows = Rows(projection.tables)
        self.touched: dict[str, dict[Key, int]] = {table.name: {} for table in projection.tables}
        self.count = 0
        self.broken = False
        self.kept = [table for table in projection.tables if not table.append_only]
        self.streamed = [table for table in projection.tables if table.append_only]

        self._tracked = [(self.rows.changed[table.name], self.touched[table.name]) for table in self.kept]

    def take(self, record: Record) -> None:
        self.projection.fold(self.rows, [record])
        for changed, touched in self._tracked:
            if changed:
                for key in changed:
                    touched[key] = record.position
                changed.clear()


class ProjectionCheck:
    def __init__(
        self,
        connection: Connection[Any],
        projections: Sequence[Projection],
        standing: Mapping[str, Standing],
        findings: Findings,
    ) -> None:
        self._connection, self._findings = connection, findings
        self._folds = [_Fold(one, standing[one.name].position if one.name in standing else 0) for one in projections]
        self._routes: dict[str, list[_Fold]] = {}
        self._compared = _LOWEST
        for name, where in sorted(standing.items()):
            if where.error is not None:
                what = f"the projection has stopped: {where.error}"
                findings.add("projection", what, position=where.error_position, projection=name)

    def take(self, record: Record) -> None:
        routes = self._routes.get(record.topic)
        if routes is None:
            routes = self._routes[record.topic] = [
                fold for fold in self._folds if fold.projection.topics is None or record.topic in fold.projection.topics
            ]
        for fold in routes:
            if record.position <= fold.until and not fold.broken:
                try:
                    fold.take(record)
                except Exception as error:  # noqa: BLE001 - whatever an event does to a projection, only that one stops
                    fold.broken = True
                    what = f"the projection cannot be refolded beyond this event: {error!r}"
                    where = {"position": record.position, "event_id": record.id, "projection": fold.projection.name}
                    self._findings.add("projection", what, **where)

    def end_of_batch(self, position: int) -> None:
        """Compares the rows that are not needed any more: of append-only tables, up to this position."""
        self._compare_streamed(position)

    def rows_of(self, name: str, until: int) -> Iterable[Row] | None:
        """The refolded rows of a projection's first table, where it could be folded up to that position."""
        for fold in self._folds:
            if fold.projection.name == name and not fold.broken and fold.until >= until:
                return fold.rows.rows[fold.projection.tables[0].name].values()
        return None

    def end(self, head: int) -> tuple[ProjectionCount, ...]:
        """Compares what is left, and answers what was refolded."""
        self._compare_streamed(_HIGHEST)
        for fold in self._folds:
            if fold.until > head:
                what = f"the projection stands at {fold.until}, beyond the end of the log at {head}"
                self._findings.add("projection", what, position=head + 1, projection=fold.projection.name)
            if not fold.broken:
                for table in fold.kept:
                    self._compare(fold, table)
        return tuple(ProjectionCount(fold.projection.name, fold.until, fold.count) for fold in self._folds)

    def _compare_streamed(self, position: int) -> None:
        for fold in self._folds:
            for table in fold.streamed:
                if not fold.broken:
                    self._compare(fold, table, self._compared, position)
                fold.rows.rows[table.name].clear()
                fold.rows.changed[table.name].clear()
        self._compared = position

    def _compare(self, fold: _Fold, table: Table, after: int | None = None, until: int | None = None) -> None:
        refolded = fold.rows.rows[table.name]
        fold.count += len(refolded)
        comparison = Comparison(fold.projection.name, table, fold.touched[table.name], self._findings)
        comparison.run(live_rows(self._connection, table, after, until), refolded)
