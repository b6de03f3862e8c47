"""Folding projections anew and putting them in place: `replay rebuild`, the one command that writes, and never to the log."""

import sys
from contextlib import ExitStack
from typing import Annotated

import psycopg
import typer

from ledger.bootstrap import urls
from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection
from ledger.store.shadow_schema import CannotRebuild
from replay import output, rebuild_tables
from replay.cli.common import DIVERGENCE, UNUSABLE, AsJson, app, fail, live, settings
from replay.rebuild import Rebuild
from replay.rebuild import rebuild as rebuild_all

NAMES = tuple(projection.name for projection in PROJECTIONS)


def _complete(incomplete: str) -> list[str]:
    return [name for name in NAMES if name.startswith(incomplete)]


@app.command(short_help="Fold projections anew", epilog="Example: replay rebuild balances --dry-run")
def rebuild(
    projection: Annotated[
        str | None,
        typer.Argument(help=f"One of {', '.join(NAMES)}; all of them without one.", autocompletion=_complete),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare, swap nothing, leave nothing behind.")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Forget what an earlier run left: begin at the first event.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fold projections anew beside the live tables, show what would change, then swap; reads and writes go on.

    A run that was killed is gone on with. Needs the owner's rights: LEDGER_OWNER_URL, on a database of your own. Exit status 1
    when a dry run found differences, or an event cannot be folded.
    """
    chosen = _chosen(projection)
    with ExitStack() as stack:
        stack.enter_context(live())  # says what is wrong where there is no ledger
        owner_url, _ = stack.enter_context(urls(settings()))
        bar = stack.enter_context(ExitStack())
        further = bar.enter_context(output.progress("Folding beside the live tables"))

        def show(found: Rebuild) -> None:
            bar.close()
            if not as_json:
                rebuild_tables.show_changes(found)
                sys.stdout.flush()  # it is seen before anything is swapped, through a pipe too

        try:
            found = rebuild_all(owner_url, chosen, dry_run=dry_run, anew=anew, on_events=further, before_swap=show)
        except CannotRebuild as error:
            fail(str(error), UNUSABLE)
        except psycopg.OperationalError as error:
            fail(f"the database was lost, as its owner: {str(error).strip()}. Run this again: it goes on", UNUSABLE)
    if as_json:
        output.write(output.as_json(found))
    else:
        rebuild_tables.show_verdict(found)
    if not found.ok:
        raise typer.Exit(DIVERGENCE)


def _chosen(name: str | None) -> tuple[Projection, ...]:
    if name is not None and name not in NAMES:
        raise typer.BadParameter(
            f"there is no projection {name!r}: choose of {', '.join(NAMES)}", param_hint="PROJECTION"
        )
    return tuple(one for one in PROJECTIONS if name in (None, one.name))
