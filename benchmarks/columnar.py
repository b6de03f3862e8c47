"""The columnar fold of a Parquet archive, against the eventsourcing library's reading and decoding of the same events.

Both sides are open before the clock runs. Ours: the Ibis expressions are compiled, and DuckDB goes from the Parquet files to a
table of the debits and credits of every account. The library's: its application's recorder and its own mapper and transcoder,
reading and decoding only, as `benchmarks.verifying` has it; over a stretch, since it would take minutes over all.

The archive is a real one, written by `replay archive`'s function from a log that goes on by repeating: the same market again a
year later, with other ids. So its first million events are like its second, and an archive of any size can be had.
"""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace

from benchmarks.catch_up import append
from benchmarks.histories import history
from benchmarks.measure import Fact, Report, compared, in_turns, settle_memory, timed
from benchmarks.server import Server
from benchmarks.verifying import WAYS, Verifying
from ledger.codec import encode
from ledger.store import chain
from ledger.store.log import LedgerLog, Stored
from replay.archive.columnar import accounts
from replay.archive.engines import open_engine
from replay.archive.refold import fold
from replay.archive.source import ArchiveLog, ArchiveSource, ColumnScan, open_archive
from replay.archive.writing import archive
from replay.balances import trial_balance

NAME = "columnar"
PROJECT = Path(__file__).parents[1]
OF_A_MARKET = 200_000
"""Events until the market begins again."""
_ID = re.compile(rb"(?<![a-z])(cli|fre|con|pay)_(?=[a-z2-7]{20})")


class Repeating:
    """A log of any length: a history again and again, each time a year later and between other parties."""

    def __init__(self, made: Sequence[Any], events: int) -> None:
        self._rows = [(new.stream, new.version, new.event.TOPIC, encode(new.event)) for new in made]
        self._events = events
        years = {new.event.recorded_at.year for new in made}
        if years != {2026}:
            raise ValueError(f"the history runs through {years}: it can only be repeated within one year")

    def head(self) -> int:
        return self._events

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        """From the beginning only: the chain is made on the way."""
        if after:
            raise ValueError("it can only be read from its beginning")
        head = chain.START
        for position, (stream, version, topic, state) in enumerate(self._all(), 1):
            if position > (self._events if until is None else until):
                return
            head = chain.link(head, position, version, stream, topic, state)
            yield Stored(position, stream, version, topic, state, head)

    def _all(self) -> Iterator[tuple[str, int, str, bytes]]:
        yield from self._rows
        for turn in range(1, 1 + self._events // len(self._rows)):
            tag, year = rf"\g<1>_{turn:02}".encode(), b'"%d-' % (2026 + turn)
            for stream, version, topic, state in self._rows:
                kind, _, rest = stream.partition("_")
                yield f"{kind}_{turn:02}{rest}", version, topic, _ID.sub(tag, state.replace(b'"2026-', year))

    def find(self, stream: str, version: int) -> Stored | None:
        raise NotImplementedError("nothing is looked up in a log that is made on the way")


def first(whole: ArchiveSource, events: int) -> ArchiveSource:
    """The archive as it was when it held so many events: the files up to there, of which one has to end there."""
    files = tuple(one for one in whole.manifest.files if one.last <= events)
    if files[-1].last != events:
        raise ValueError(f"no file ends with event {events}")
    manifest = replace(whole.manifest, files=files, position=files[-1].last, hash=files[-1].hash, checkpoint=None)
    log = ArchiveLog(whole.folder, manifest)
    return whole._replace(manifest=manifest, log=log, reader=ColumnScan(log))


def run(server: Server, report: Report, *, events: int, largest: int, stretch: int, repeat: int) -> None:
    """Writes an archive of `largest` events, and folds its first `events` of them against the library; then more and more."""
    turns = -(-events // OF_A_MARKET)
    made = history(events // turns)[: events // turns]
    events = turns * len(made)  # so that a file ends there
    with TemporaryDirectory(prefix="ledger-benchmark-") as name, server.open(server.create(NAME)) as database:
        append(LedgerLog(database), made[:stretch])
        folder = Path(name)
        with timed() as clock:
            archive(Repeating(made, largest), folder)
        report.facts.append(Fact("archived to Parquet", largest / clock.seconds, "events/s"))
        del made
        settle_memory()
        whole = open_archive(folder)
        few = first(whole, events)
        _require_right(few)

        library = Verifying(database, stretch)
        with open_engine("duckdb", few.paths) as compute:

            def ours() -> float:
                with timed() as clock:
                    compute(accounts())
                return events / clock.seconds

            rates = in_turns(repeat, ours, *library.ways())
        library.close()
        what = f"fold of a Parquet archive of {events:,} events"
        for theirs, alternative, target in zip(rates[1:], WAYS, (200, None, None), strict=True):
            report.ratios.append(compared(what, "events/s", rates[0], theirs, alternative, target=target))
        for size in sorted({size for size in (events, 2 * events, largest) if size <= largest}):
            _larger(report, folder, size)


def _require_right(few: ArchiveSource) -> None:
    if fold(few) != trial_balance(few.log).accounts:
        raise AssertionError("the columnar fold and the plain one came to different balances")


def _larger(report: Report, folder: Path, events: int) -> None:
    """A fold in a process of its own: what it takes, and how much memory that process ever had."""
    command = [sys.executable, "-m", "benchmarks.columnar", str(folder), str(events)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    size = f"{events / 1e6:g}M events" if events >= 100_000 else f"{events:,} events"
    report.facts.append(Fact(f"fold of {size}", measured["seconds"] * 1e9 / events, "ns/event"))
    report.facts.append(Fact(f"fold of {size}, its process at most", measured["peak_bytes"] / 2**20, "MiB"))


def peak_bytes() -> int:
    """The most memory that this process has had; of what started it nothing is counted."""
    status = Path("/proc/self/status")
    if status.exists():
        kilobytes = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if kilobytes:
            return int(kilobytes[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def main(folder: str, events: str) -> None:
    """Folds the first events of an archive, twice: the first time only warms up."""
    with open_engine("duckdb", first(open_archive(Path(folder)), int(events)).paths) as compute:
        compute(accounts())
        with timed() as clock:
            compute(accounts())
        print(json.dumps({"seconds": clock.seconds, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
