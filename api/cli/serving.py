"""`ledger serve` and `ledger worker`: the processes that run."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import app, opened
from api.cli.logs import configure_logging

if TYPE_CHECKING:
    from ledger.bootstrap import Ledger

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
    with opened() as ledger:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ledger.worker.stop())
        ledger.worker.run()


def _serve(workers: bool) -> None:
    import structlog
    import uvicorn

    from api.app import create_app

    configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # uvicorn first ends the requests under way, then raises the signal again
    with opened() as ledger:
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
        with working(ledger, workers):
            uvicorn.Server(config).run()
        application.state.desk.idempotency.close()


def _leave(*_: object) -> None:
    """Unwinds, so that everything that was opened is closed."""
    raise SystemExit(0)


@contextmanager
def working(ledger: "Ledger", workers: bool) -> Iterator[None]:
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
