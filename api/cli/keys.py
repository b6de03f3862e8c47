"""`ledger keys`: API keys made, listed and revoked from the command line."""

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import app, opened

if TYPE_CHECKING:
    from ledger.bootstrap import Ledger
    from ledger.store.keys import Keys

keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@keys.command("create")
def create_key(
    role: Annotated[str, typer.Option(help="client, freelancer, auditor or operator")],
    party: Annotated[str | None, typer.Option(help="The client's or freelancer's id.")] = None,
    person: Annotated[
        str | None, typer.Option(help="per_…: an operator who has a key already. None: a new one.")
    ] = None,
) -> None:
    """Make a key and show it, this once. A new operator's key is a new person's (rule 27)."""
    from secrets import token_bytes

    from ledger import ids
    from ledger.store.keys import ROLES

    role_ = next((one for one in ROLES if one == role), None)
    if role_ is None:
        raise typer.BadParameter(f"must be one of {', '.join(ROLES)}", param_hint="--role")
    bound = role_ in ("client", "freelancer")
    if bound != (party is not None):
        raise typer.BadParameter(
            "is needed for the roles client and freelancer, and for no other", param_hint="--party"
        )
    if person is not None and (bound or not person.startswith(f"{ids.PERSON}_")):
        raise typer.BadParameter("is the per_… id of an operator or auditor", param_hint="--person")
    if not bound:
        person = person or ids.of(ids.PERSON, token_bytes(16))
    with opened() as ledger:
        if party is not None and not _is_party(ledger, role_, party):
            raise typer.BadParameter(f"names no {role_}", param_hint="--party")
        key_id = ids.of(ids.API_KEY, token_bytes(16))
        now = ledger.clock.now()
        key, text = _keys(ledger).create(
            key_id, role_, party_id=party, person=person, created_by="command line", now=now
        )
    typer.echo(text)
    typer.echo(f"{key.id} is a key of {key.party_id or key.person} ({key.role}); it is not shown again.", err=True)


@keys.command("list")
def list_keys() -> None:
    """List the keys, revoked ones too, newest first."""
    with opened() as ledger:
        before: int | None = None
        while rows := _keys(ledger).list(before=before, limit=100):
            before = rows[-1][0]
            for _, key in rows:
                state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "valid"
                used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
                typer.echo(
                    f"{key.id}  {key.role:<10}  {key.party_id or key.person}  lk_{key.prefix}_…  used {used}  {state}"
                )


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="key_…, as `ledger keys list` shows it.")]) -> None:
    """Revoke a key: it opens nothing any more."""
    from ledger.errors import NotFound

    with opened() as ledger:
        try:
            key = _keys(ledger).revoke(key_id, ledger.clock.now())
        except NotFound as error:
            raise typer.BadParameter(str(error), param_hint="KEY_ID") from None
    typer.echo(f"{key.id} is revoked")


def _keys(ledger: "Ledger") -> "Keys":
    from ledger.store.keys import Keys

    return Keys(ledger.database)


def _is_party(ledger: "Ledger", role: str, party: str) -> bool:
    state = ledger.reader.client(party) if role == "client" else ledger.reader.freelancer(party)
    return state is not None
