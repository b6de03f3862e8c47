"""Commands for whoever runs the ledger: migrate the database, erase a party's personal data, back up, restore."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.common import app, explained, load_settings
from api.cli.logs import configure_logging
from ledger.settings import Settings


@app.command()
def migrate() -> None:
    """Apply the database migrations that are missing. Every other command does so too, where it may."""
    from ledger.bootstrap import urls
    from ledger.store import migrations

    with explained(), urls(load_settings()) as (owner_url, application_url):
        applied = migrations.migrate(owner_url, application_url)
    typer.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date")


@app.command()
def erase(party: Annotated[str, typer.Argument(help="cli_… or fre_…")]) -> None:
    """Erase a party's names, addresses, tokens and texts, and revoke its keys; history stays whole. It cannot be undone."""
    from ledger import commands as c
    from ledger import ids
    from ledger.bootstrap import open_ledger, urls
    from ledger.commands import Command
    from ledger.errors import NotFound
    from ledger.store.erasure import erase_texts
    from ledger.store.keys import Keys

    configure_logging()
    settings = load_settings()
    with explained(), ExitStack() as stack:
        owner_url, _ = stack.enter_context(urls(settings))
        ledger = stack.enter_context(open_ledger(settings))
        now = ledger.clock.now()
        origin: dict[str, Any] = {
            "command_id": ids.derive(ids.COMMAND, "erase", party),
            "actor": "operator:command line",
            "now": now,
        }
        commands: dict[str, Command] = {
            ids.CLIENT: c.EraseClient(**origin, client_id=party),
            ids.FREELANCER: c.EraseFreelancer(**origin, freelancer_id=party),
        }
        command = commands.get(ids.kind_of(party))
        if command is None:
            raise typer.BadParameter("is the id of a client (cli_…) or a freelancer (fre_…)", param_hint="PARTY")
        try:
            ledger.settle(ledger.service.handle(command).position)
        except NotFound as error:
            # somebody who was invited and has never registered has an address here
            if not ledger.vault.is_identified(party):
                raise typer.BadParameter(str(error), param_hint="PARTY") from None
        revoked = Keys(ledger.database).revoke_all(party, now)
        erased = erase_texts(owner_url, party)
    typer.echo(f"erased {erased} texts of {party} and revoked {revoked} keys; its history stays, without them")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The file to write; a manifest is written beside it.")]) -> None:
    """Back the whole database up into one file, while everything goes on."""
    from ledger.bootstrap import urls
    from ledger.store.backup import BackupError, back_up

    with explained(), urls(load_settings()) as (owner_url, _):
        try:
            manifest = back_up(owner_url, file)
        except BackupError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
    typer.echo(f"{file} holds the log up to position {manifest.position}, chain head {manifest.hash}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `ledger backup` wrote; its manifest stands beside it.")],
) -> None:
    """Restore a backup into an empty database, and verify what was restored: exit status 1 if anything is wrong."""
    from ledger.bootstrap import urls
    from ledger.store.backup import BackupError
    from ledger.store.backup import restore as restore_file
    from ledger.store.migrations import migrate

    settings = load_settings()
    with explained(), urls(settings) as (owner_url, application_url):
        try:
            manifest = restore_file(owner_url, file)
        except BackupError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
        migrate(owner_url, application_url)
        typer.echo(f"restored the log up to position {manifest.position}, chain head {manifest.hash}")
        _verify(settings)


def _verify(settings: Settings) -> None:
    """What `replay verify` says, for people."""
    from replay.live import open_live
    from replay.verify.live import verify

    with open_live(settings) as live:
        report = verify(live.database, checkpoints=live.checkpoints)
    typer.echo("verified: intact" if report.ok else f"NOT intact: {len(report.findings)} findings; run `replay verify`")
    if not report.ok:
        raise typer.Exit(1)
