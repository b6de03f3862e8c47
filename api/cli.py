"""The command `ledger`. What a command needs is imported when it runs, so that each starts quickly."""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli_operations import backup, erase, restore
from api.demo import demo

if TYPE_CHECKING:
    from ledger.bootstrap import Ledger
    from ledger.settings import Settings
    from ledger.store.keys import Keys

app = typer.Typer(help="The ledger of freelance contracts.", no_args_is_help=True, pretty_exceptions_show_locals=False)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")
for command in (erase, backup, restore, demo):
    app.command()(command)

SHUTDOWN_SECONDS = 15
"""How long requests under way may take to end after SIGTERM: longer than any of them may wait for a lock."""


@app.command()
def serve(workers: Annotated[bool, typer.Option(help="Also do what time brings, in this process.")] = True) -> None:
    """Serve the API; with workers, policies and projections run in the same process."""
    _serve(workers)


@app.command()
def worker() -> None:
    """Run a worker alone: policies and projections. Of several on one database, one works at a time."""
    configure_logging()
    with _open() as ledger:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ledger.worker.stop())
        ledger.worker.run()


@app.command()
def migrate() -> None:
    """Apply the database migrations that are missing. Every other command does so too, where it may."""
    from ledger.bootstrap import urls
    from ledger.store import migrations

    with _explained(), urls(load_settings()) as (owner_url, application_url):
        applied = migrations.migrate(owner_url, application_url)
    typer.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date")


# Keys


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
        person = person or f"{ids.PERSON}_{ids.encode(token_bytes(16))}"
    with _open() as ledger:
        if party is not None and not _is_party(ledger, role_, party):
            raise typer.BadParameter(f"names no {role_}", param_hint="--party")
        key_id = f"{ids.API_KEY}_{ids.encode(token_bytes(16))}"
        now = ledger.clock.now()
        key, text = _keys(ledger).create(
            key_id, role_, party_id=party, person=person, created_by="command line", now=now
        )
    typer.echo(text)
    typer.echo(f"{key.id} is a key of {key.party_id or key.person} ({key.role}); it is not shown again.", err=True)


@keys.command("list")
def list_keys() -> None:
    """List the keys, revoked ones too, newest first."""
    with _open() as ledger:
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

    with _open() as ledger:
        try:
            key = _keys(ledger).revoke(key_id, ledger.clock.now())
        except NotFound as error:
            raise typer.BadParameter(str(error), param_hint="KEY_ID") from None
    typer.echo(f"{key.id} is revoked")


# What the commands share


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
def _open() -> Iterator["Ledger"]:
    from ledger.bootstrap import open_ledger

    with _explained(), open_ledger(load_settings()) as ledger:
        yield ledger


@contextmanager
def _explained() -> Iterator[None]:
    """What a person can mend is said in a line and ends the command with 1."""
    import psycopg

    from ledger.store.embedded import EmbeddedPostgresError
    from ledger.store.migrations import CannotMigrate

    try:
        yield
    except (CannotMigrate, EmbeddedPostgresError, psycopg.OperationalError) as error:
        typer.echo(f"ledger: {error}", err=True)
        raise typer.Exit(1) from None


def _keys(ledger: "Ledger") -> "Keys":
    from ledger.store.keys import Keys

    return Keys(ledger.database)


def _is_party(ledger: "Ledger", role: str, party: str) -> bool:
    state = ledger.reader.client(party) if role == "client" else ledger.reader.freelancer(party)
    return state is not None


class _Unfailing(io.TextIOBase):
    """Standard error; a line that it cannot take is lost: a full disk under the log must end no request and no worker."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure_logging() -> None:
    """JSON lines on standard error. Tracebacks show code, never values."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(_Unfailing()),  # type: ignore[arg-type]  # all it needs is write, flush
    )


def _serve(workers: bool) -> None:
    import structlog
    import uvicorn

    from api.app import create_app

    configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # uvicorn first ends the requests under way, then raises the signal again
    with _open() as ledger:
        settings = ledger.settings
        if rights := ledger.database.rights_beyond_need():
            structlog.get_logger("api").warning(
                "this role may do more to the log than append: run `ledger migrate` with LEDGER_OWNER_URL, then serve"
                " with a LEDGER_DATABASE_URL of another role",
                rights=rights,
            )
        application = create_app(ledger)
        config = uvicorn.Config(
            application,
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        with _working(ledger, workers):
            uvicorn.Server(config).run()
        application.state.desk.idempotency.close()


def _leave(*_: object) -> None:
    """Unwinds, so that everything that was opened is closed."""
    raise SystemExit(0)


@contextmanager
def _working(ledger: "Ledger", workers: bool) -> Iterator[None]:
    """A worker in a thread of its own, while the server runs. If it dies, the process does: it must not be missed.

    What was written before the server started is projected first: nobody has to wait for it.
    """
    if not workers:
        yield
        return
    ledger.views.catch_up()
    thread = threading.Thread(target=_work, args=(ledger,), name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ledger.worker.stop()
        thread.join(SHUTDOWN_SECONDS)


def _work(ledger: "Ledger") -> None:
    import structlog

    try:
        ledger.worker.run()
    except BaseException:
        structlog.get_logger("api").exception("the worker died: this process ends")
        os.kill(os.getpid(), signal.SIGTERM)
        raise
