"""The source that a path names, or else the live ledger: for the command line, the console and notebooks alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.settings import Settings
from replay.case.source import open_case
from replay.live import open_live
from replay.sources import Source, SourceUnavailable


@contextmanager
def open_source(path: Path | None = None, settings: Settings | None = None) -> Iterator[Source]:
    """An archive's folder, a case file, or without a path the live database: that of `settings`, else of the environment.

    Raises SourceUnavailable, saying what to do.
    """
    if path is None:
        with open_live(settings or Settings()) as live:
            yield live
    elif path.is_file():
        yield open_case(path)
    elif path.is_dir():
        # Reading Parquet takes a quarter of a second to load, which others need not wait for.
        from replay.archive.source import open_archive

        yield open_archive(path)
    else:
        raise SourceUnavailable(f"{path} is neither an archive's folder nor a case file")
