"""The typed columns of an archive, which folds, histories and other tools read: they say what the stored bytes say."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from ledger.events import Event
from ledger.store.log import Stored
from ledger.upcasters import UPCASTERS
from replay.archive.columns import SCHEMA, STORED, batch
from replay.archive.manifest import ArchiveFile
from replay.values import plain
from replay.verify.findings import Findings

Decoded = tuple[Stored, Event]


class ColumnCheck:
    """Goes file by file. `written`: the columns that the archive's version wrote; one that it did not know is not missing."""

    def __init__(self, findings: Findings, written: Sequence[str]) -> None:
        self._findings = findings
        self._expected = [name for name in SCHEMA.names if name in written or name in STORED]
        self._compared: list[str] = []
        self.types: set[str] = set()
        """Of the events of the file, by its column."""
        self.unwritten = [name for name in SCHEMA.names if name not in self._expected]
        self.outdated = 0
        """How many events have columns of a version that is not the newest any more: they are neither compared nor folded."""

    def begin(self, file: ArchiveFile, schema: pa.Schema) -> bool:
        """The next file: whether its stored columns can be read. A column that is not there, or of another type, is named."""
        wrong = {name: what for name in self._expected if (what := _wrong(schema, name))}
        for name, what in wrong.items():
            self._findings.add("file", f"{file.path}: its column {name} {what}", position=file.first)
        self._compared = [name for name in self._expected if name not in STORED and name not in wrong]
        self.types = set()
        return not wrong.keys() & set(STORED)

    def take(self, rows: pa.RecordBatch, decoded: Iterable[Decoded | None]) -> None:
        """Some rows of the file; `decoded` are their events, None where one cannot be read."""
        types: list[Any] = rows.column("type").to_pylist() if "type" in self._compared else [None] * rows.num_rows
        self.types.update(types)
        known = [self._comparable(one, type_) for one, type_ in zip(decoded, types, strict=True)]
        pairs = [one for one in known if one is not None]
        stored, events = [one for one, _ in pairs], [event for _, event in pairs]
        here, there = rows.filter(pa.array([one is not None for one in known], pa.bool_())), batch(stored, events)
        for name in self._compared:
            if here.column(name) != there.column(name):
                self._compare(name, stored, here.column(name), there.column(name))

    def _comparable(self, one: Decoded | None, type_: str | None) -> Decoded | None:
        if one is not None and type_ == one[0].topic and type_ in UPCASTERS:
            self.outdated += 1
            return None
        return one

    def _compare(self, name: str, stored: Sequence[Stored], here: pa.Array, there: pa.Array) -> None:
        for one, holds, gives in zip(stored, here.to_pylist(), there.to_pylist(), strict=True):
            if holds != gives:
                what = f"its column {name} holds {plain(holds)!r}, and its stored bytes give {plain(gives)!r}"
                self._findings.add("file", what, position=one.position, event_id=one.id)


def _wrong(schema: pa.Schema, name: str) -> str | None:
    times, type_ = schema.names.count(name), SCHEMA.field(name).type
    if times != 1:
        return f"is there {times} times" if times else "is not there"
    found = schema.field(name).type
    return None if found == type_ else f"is of type {found}, not {type_}"
