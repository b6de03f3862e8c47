"""One run of the demo: the server is started, the quarter played with progress, its result shown."""

import secrets
import time
from datetime import datetime
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from api.demo import report
from api.demo.cast import JOBS
from api.demo.client import Api
from api.demo.market import END, START, Market, Operators
from api.demo.server import HOST, DemoError, Server, serving
from api.demo.stories import all_stories
from ledger.clock import DAY
from replay.values import instant


def run(*, stay: bool, port: int | None, contracts: int, seed: int, data_dir: Path | None) -> bool:
    """Whether `replay verify` found everything in order. `stay`: serve on, until interrupted or the server ends.

    Raises Refusal for a step that was not accepted, DemoError where the demo cannot go on.
    """
    errors, began = report.console(stderr=True), time.monotonic()
    errors.print("Starting the ledger on an empty database …")
    operator_key = secrets.token_urlsafe(24)
    settings = {"LEDGER_OPERATOR_KEY": operator_key, "LEDGER_CLOCK_START": instant(START)}
    with serving(data_dir, port, settings) as server:
        api = Api(HOST, server.port, f"demo-{seed}")
        market = Market(api, _operators(server, api, operator_key), seed)
        all_stories(market, JOBS[:contracts])
        started = time.monotonic()
        _play(market)
        played_in = time.monotonic() - started
        pending = report.show_all(market)
        intact = report.show_verdict(server)
        report.show_pace(market, contracts, played_in, time.monotonic() - began)
        if stay:
            report.show_addresses(server, market, pending)
            _wait(server)
        api.close()
    return intact


def _operators(server: Server, api: Api, first: str) -> Operators:
    """A second person who operates is made on the command line: no key over HTTP makes another person's (rule 27)."""
    made = server.run("api.cli", "keys", "create", "--role", "operator")
    if made.returncode:
        raise DemoError(f"`ledger keys create --role operator` failed: {made.stderr.strip()[-500:]}")
    auditor = api.post("/v1/api-keys", first, {"role": "auditor"})["key"]
    return Operators(first, made.stdout.strip(), auditor)


def _play(market: Market) -> None:
    """With progress on standard error: a bar on a terminal, a line for each month elsewhere."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[events]:>6,} events"), TimeElapsedColumn(),
    )  # fmt: skip
    errors = report.console(stderr=True)
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as progress:
        bar = progress.add_task(f"{START:%a %d %b %Y}", total=(END - START) / DAY, events=0)
        month = START.month

        def seen(now: datetime) -> None:
            nonlocal month
            if not errors.is_terminal and now.month != month:
                errors.print(f"{now:%Y-%m-%d}  {market.api.position:>6,} events")
                month = now.month
            day, done = f"{now:%a %d %b %Y}", (now - START) / DAY
            progress.update(bar, description=day, completed=done, events=market.api.position)

        market.play(seen)


def _wait(server: Server) -> None:
    try:
        status = server.wait()
    except KeyboardInterrupt:
        return
    raise DemoError(f"the server ended with status {status}:\n{server.log_tail()}")
