"""Whether the log is intact: `replay verify`."""

import typer

from replay import output, tables
from replay.cli.common import DIVERGENCE, AsJson, app, live, without_collecting
from replay.verify import verify as verify_all


@app.command(short_help="Is all of it intact?", epilog="Example: replay verify --json > verification.json")
def verify(as_json: AsJson = False) -> None:
    """Is the log intact, and does it still give what the projections say? Exit status 1 on a divergence."""
    with live() as read, output.progress("Verifying") as further, without_collecting():
        report = verify_all(read.database, checkpoints=read.checkpoints, on_events=further)
    if as_json:
        output.write(output.as_json(report))
    else:
        tables.show_report(report)
    if not report.ok:
        raise typer.Exit(DIVERGENCE)
