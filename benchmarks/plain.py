"""Figures of ours alone: what one command takes, and how fast events are decoded and folded."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr

from benchmarks.catch_up import append
from benchmarks.histories import history, sealed
from benchmarks.measure import Fact, Report, settle_memory, timed
from benchmarks.server import Server
from ledger import commands as c
from ledger.aggregates import State, evolve
from ledger.bootstrap import Ledger
from ledger.codec import decode, encode
from ledger.ids import derive
from ledger.settings import Settings


def run(server: Server, report: Report, *, events: int, commands: int) -> None:
    """Decodes and folds in memory, then sends single commands to a ledger on a database."""
    made = history(events)
    _in_memory(report, [(new.stream, new.event.TOPIC, encode(new.event)) for new in made])
    with server.open(server.create("commands")) as database, TemporaryDirectory() as folder:
        url = SecretStr(database.url)
        settings = Settings(
            database_url=url, data_dir=Path(folder), sandbox=True, clock_start=made[-1].event.recorded_at
        )
        ledger = Ledger(settings, database)
        append(ledger.log, made)
        del made
        settle_memory()
        ledger.views.prepare()
        ledger.worker.drain()
        _one_by_one(report, ledger, commands)


def _in_memory(report: Report, stored: list[tuple[str, str, bytes]]) -> None:
    def decoding() -> None:
        for _, topic, state in stored:
            decode(topic, state)

    decoded = [(stream, decode(topic, state)) for stream, topic, state in stored]

    def folding() -> None:
        states: dict[str, State] = {}
        for stream, event in decoded:
            states[stream] = evolve(stream, states.get(stream), event)

    settle_memory()
    report.facts.append(Fact("decoded", len(stored) / _fastest(decoding), "events/s"))
    report.facts.append(Fact("folded into states", len(stored) / _fastest(folding), "events/s"))


def _fastest(work: Callable[[], None]) -> float:
    """Of five times: what is done in memory alone is only ever slowed down by others."""
    seconds = []
    for _ in range(5):
        with timed() as clock:
            work()
        seconds.append(clock.seconds)
    return min(seconds)


def _one_by_one(report: Report, ledger: Ledger, commands: int) -> None:
    """Registers clients and gives them billing methods: each a command of its own, then all that the worker does about it."""
    handled, drained = [], []
    for number in range(commands):
        client = derive("cli", "one by one", str(number))
        meta: dict[str, Any] = {"actor": f"client:{client}", "now": ledger.clock.now(), "client_id": client}
        text = sealed(client)
        for command in (
            c.RegisterClient(command_id=f"cmd_r{number}", name=text, email=text, **meta),
            c.SetBillingMethod(command_id=f"cmd_b{number}", method=text, **meta),
        ):
            with timed() as clock:
                ledger.service.handle(command)
            handled.append(clock.seconds)
            with timed() as clock:
                ledger.worker.drain()
            drained.append(clock.seconds)
    report.facts.append(Fact("one command, Service.handle", median(handled) * 1_000, "ms"))
    report.facts.append(Fact("all that it causes, Worker.drain", median(drained) * 1_000, "ms"))
