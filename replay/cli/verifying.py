"""Whether a source is intact: `replay verify`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from replay import output
from replay.case.source import read as read_case
from replay.cli.case_options import Key, key_named
from replay.cli.common import DIVERGENCE, UNUSABLE, AsJson, From, app, fail, live, without_collecting
from replay.sources import SourceUnavailable
from replay.verify import tables as verify_tables
from replay.verify.case import verify_case
from replay.verify.findings import Report
from replay.verify.live import verify as verify_all
from replay.verify.recent import verify_recent

SinceCheckpoint = Annotated[
    bool,
    typer.Option(
        "--since-checkpoint",
        help="Of the live log only what was appended since the newest signed checkpoint: its chain, for cron.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, max=2, metavar="1|2", help="For the live database; 2 where a long log and two cores are."
    ),
]


@app.command(short_help="Is all of it intact?", epilog="Example: replay verify --source /srv/archive --key public-key")
def verify(
    where: From = None,
    key: Key = None,
    since_checkpoint: SinceCheckpoint = False,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Is the log intact, and does it still give what the projections say? Exit status 1 on a divergence.

    Of an archive and a case file: all that they hold, as far as it can be verified without the database. Give --key with them:
    without it, what anybody made up and signed with a key of their own is as good.
    """
    if where is None and key is not None:
        raise typer.BadParameter("--key is for an archive or a case file: name it with --source, or leave --key out")
    if where is not None and (since_checkpoint or processes is not None):
        option = "--since-checkpoint" if since_checkpoint else "--processes"
        raise typer.BadParameter(f"{option} is for the live database: leave it out, or --source")
    trusted = key_named(key)
    with output.progress("Verifying") as further, without_collecting():
        report = _of_live(since_checkpoint, processes, further) if where is None else _of_path(where, trusted, further)
    if as_json:
        output.write(output.as_json(report))
    else:
        verify_tables.show_report(report)
    if not report.ok:
        raise typer.Exit(DIVERGENCE)


def _of_live(since_checkpoint: bool, processes: int | None, further: Callable[..., None]) -> Report:
    with live() as opened:
        if since_checkpoint:
            return verify_recent(opened.database, opened.checkpoints, on_events=further)
        return verify_all(opened.database, checkpoints=opened.checkpoints, processes=processes, on_events=further)


def _of_path(path: Path, key: str | None, further: Callable[..., None]) -> Report:
    """Unlike other commands, it opens what is not intact: to say so is its task."""
    try:
        if path.is_file():
            return verify_case(read_case(path), key=key, on_events=further)
        # Reading Parquet takes a quarter of a second to load, which others need not wait for.
        from replay.archive.source import open_archive
        from replay.verify.archive import verify_archive

        return verify_archive(open_archive(path), key=key, on_events=further)
    except SourceUnavailable as error:
        fail(str(error), UNUSABLE)
