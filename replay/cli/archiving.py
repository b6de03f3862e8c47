"""Archives: `replay archive` writes one, `replay run` refolds one of any size."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ledger.store.embedded_folder import Folder
from replay import output
from replay.cli.common import (
    DIVERGENCE,
    UNUSABLE,
    AsCsv,
    AsJson,
    AsOf,
    From,
    KnownAt,
    app,
    fail,
    live,
    require_one_format,
    settings,
    signed_head,
    source,
)

# What archives are read and written with is imported by the commands that need it: it takes every other command a second.


@app.command(
    short_help="Append the log's new events to Parquet",
    epilog="Example: replay archive /srv/archive",
)
def archive(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The archive; a new or empty folder begins one.")],
    as_json: AsJson = False,
) -> None:
    """Appends the log's new events to Parquet files by month, with a signed checkpoint; stopped half way, the next run goes on.

    The texts of the vault are not archived: an archive outlives their erasure. `replay verify --source FOLDER --key FILE`
    verifies one.
    """
    from replay.archive.tables import show_archived
    from replay.archive.writing import archive as write

    with live() as opened, output.progress("Archiving") as further:
        signed, key = signed_head(opened), opened.checkpoints.public_key()
        found = write(opened.log, folder, checkpoint=signed, public_key=key, on_events=further)
    if as_json:
        output.write(output.as_json(found))
    else:
        show_archived(found)


REFOLD_COLUMNS = ("account", "currency", "column", "refolded", "expected", "minor_units")


@app.command(
    short_help="Refold an archive, and compare",
    epilog="Example: replay run --source /srv/archive --engine spark --master spark://spark.example:7077",
)
def run(
    where: From = None,
    engine: Annotated[str, typer.Option(metavar="duckdb|spark", help="What folds the archive.")] = "duckdb",
    master: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Of the Spark cluster; its workers read the archive by the same path. None: here."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="live|archive",
            help="Compare with the live ledger, or with the plain fold of the archive's events. None: live, if there is one.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Refolds an archive by the posting rules on DuckDB or Spark, and compares every account. Exit status 1 on a difference."""
    from replay.archive.engines import ENGINES
    from replay.archive.refold import refold
    from replay.archive.source import ArchiveSource
    from replay.archive.tables import show_refold

    require_one_format(as_json, as_csv)
    if engine not in ENGINES:
        raise typer.BadParameter(f"there is no engine {engine!r}: choose {' or '.join(ENGINES)}")
    if against not in (None, "live", "archive"):
        raise typer.BadParameter(f"nothing can be compared with {against!r}: choose live or archive")
    if master is not None and engine != "spark":
        raise typer.BadParameter("--master is of Spark: give --engine spark as well")
    if where is None:
        fail("name the archive with --source: the folder that `replay archive` wrote", UNUSABLE)
    if where.is_file():
        fail(f"{where} is no archive: name the folder that `replay archive` wrote", UNUSABLE)
    with ExitStack() as stack:
        opened = stack.enter_context(source(where))
        assert isinstance(opened, ArchiveSource), "a folder is nothing else"
        ledger = stack.enter_context(live()) if against == "live" or (against is None and _is_there()) else None
        further = stack.enter_context(output.progress("Folding"))
        found = refold(opened, ledger, engine=engine, master=master, as_of=as_of, known_at=known_at, on_events=further)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        rows = [tuple(getattr(one, name) for name in REFOLD_COLUMNS) for one in found.differences]
        output.write(output.as_csv(REFOLD_COLUMNS, rows))
    else:
        show_refold(found)
    if not found.ok:
        raise typer.Exit(DIVERGENCE)


def _is_there() -> bool:
    """Whether the environment names a ledger: that it cannot be read is then an error, and no reason to look elsewhere."""
    known = settings()
    return known.database_url is not None or Folder(known.data_dir.expanduser().resolve()).location.exists()
