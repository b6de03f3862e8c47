"""What the commands of `ledger` share. What a command needs is imported when it runs, so that each starts quickly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ledger.bootstrap import Ledger
    from ledger.settings import Settings

app = typer.Typer(help="The ledger of freelance contracts.", no_args_is_help=True, pretty_exceptions_show_locals=False)


def load_settings() -> "Settings":
    from pydantic import ValidationError

    from ledger.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        for one in error.errors():
            typer.echo(f"LEDGER_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}", err=True)
        raise typer.Exit(2) from None


@contextmanager
def opened() -> Iterator["Ledger"]:
    from ledger.bootstrap import open_ledger

    with explained(), open_ledger(load_settings()) as ledger:
        yield ledger


@contextmanager
def explained() -> Iterator[None]:
    """What a person can mend is said in a line and ends the command with 1."""
    import psycopg

    from ledger.store.embedded import EmbeddedPostgresError
    from ledger.store.migrations import CannotMigrate

    try:
        yield
    except (CannotMigrate, EmbeddedPostgresError, psycopg.OperationalError) as error:
        typer.echo(f"ledger: {error}", err=True)
        raise typer.Exit(1) from None
