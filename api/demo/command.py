"""`ledger demo`: a quarter of a small marketplace, played over HTTP against a server of its own.

What a run needs is imported when it runs, so that the other commands start quickly.
"""

import signal
from pathlib import Path
from typing import Annotated

import typer

MOST_CONTRACTS = 40


def demo(
    exit_: Annotated[bool, typer.Option("--exit", help="End after the report, instead of serving on.")] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free one; none: 8000 where that is free.")
    ] = None,
    contracts: Annotated[int, typer.Option(min=1, max=MOST_CONTRACTS, help="How many contracts.")] = MOST_CONTRACTS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same quarter.")] = 7,
    data_dir: Annotated[
        Path | None, typer.Option(help="A new or empty folder to keep; none: a temporary one, removed at the end.")
    ] = None,
) -> None:
    """Play a quarter of a small marketplace over HTTP, show what the ledger says of it, and serve on."""
    from http.client import HTTPException

    from rich.markup import escape

    from api.demo.client import Refusal
    from api.demo.report import console
    from api.demo.run import run
    from api.demo.server import DemoError

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        intact = run(stay=not exit_, port=port, contracts=contracts, seed=seed, data_dir=data_dir)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (Refusal, DemoError, OSError, HTTPException) as error:
        console(stderr=True).print(f"[bold red]The demo stopped:[/] {escape(str(error) or type(error).__name__)}")
        raise typer.Exit(1) from None
    if not intact:
        raise typer.Exit(1)


def _leave(number: int, _: object) -> None:
    """Unwinds, so that the server is stopped and the temporary folder removed."""
    raise SystemExit(128 + number)
