"""The columnar fold of a Parquet archive, against the eventsourcing library's reading and decoding of the same events.

Both sides are open before the clock runs. Ours: the Ibis expressions are compiled, and DuckDB goes from the Parquet files to a
table of the debits and credits of every account. The library's: its application's recorder and its own mapper and transcoder,
reading and decoding only, as `benchmarks.verifying` has it; over a stretch, since it would take minutes over all.

The archive is a real one, written by `replay archive`'s function from `benchmarks.repeating`: its first million events are like
its second.
"""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from benchmarks.measure import Fact, Report, compared, in_turns, settle_memory, timed
from benchmarks.repeating import Repeating, write
from benchmarks.server import Server
from benchmarks.verifying import WAYS, Verifying
from replay.archive.columnar import accounts
from replay.archive.engines import open_engine
from replay.archive.refold import fold
from replay.archive.source import ArchiveLog, ArchiveSource, ColumnScan, open_archive
from replay.archive.writing import archive
from replay.balances import trial_balance

NAME = "columnar"
FOLDS = 10
"""To a turn: one takes less than a tenth of a second, the library's turn more than one."""
PROJECT = Path(__file__).parents[1]


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
    log = Repeating(events, until=largest)
    events = log.turned  # where a file ends
    with TemporaryDirectory(prefix="ledger-benchmark-") as name, server.open(server.create(NAME)) as database:
        write(database, log, stretch)
        folder = Path(name)
        with timed() as clock:
            archive(log, folder)
        report.facts.append(Fact("archived to Parquet", largest / clock.seconds, "events/s"))
        del log
        settle_memory()
        whole = open_archive(folder)
        few = first(whole, events)
        _require_right(few)

        library = Verifying(database, stretch)
        with open_engine("duckdb", few.paths) as compute:

            def ours() -> float:
                with timed() as clock:
                    for _ in range(FOLDS):
                        compute(accounts())
                return FOLDS * events / clock.seconds

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
