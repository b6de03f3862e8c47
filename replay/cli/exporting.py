"""The log, for other programs: `replay export`."""

from pathlib import Path
from typing import Annotated

import typer

from replay import output
from replay.cli.common import UNUSABLE, app, fail, live
from replay.export import lines


@app.command(short_help="The log, for another program", epilog="Example: replay export log.jsonl")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there.")],
) -> None:
    """The whole log as lines of JSON, byte for byte, for a verifier of your own; the chain's head is signed as well."""
    with live() as read, output.progress("Exporting") as further:
        try:
            with file.open("xb") as target:
                target.writelines(lines(read.log, further))
            read.checkpoints.write(read.log, read.clock)
        except FileExistsError:
            fail(f"{file} is there already: name another file", UNUSABLE)
        except OSError as error:
            fail(f"the export cannot be written: {error}", UNUSABLE)
