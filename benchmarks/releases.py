"""Releasing payouts that are due: the worker's way against one `repository.get` and `save` for each."""

from datetime import datetime
from itertools import count
from typing import Any

from benchmarks import library
from benchmarks.catch_up import append
from benchmarks.histories import payouts_to_release
from benchmarks.measure import Report, compared, in_turns, settle_memory, timed
from benchmarks.server import Server
from ledger.policies.deadlines import RELEASE, command_of
from ledger.projections.deadlines import Deadlines
from ledger.service import Receipt, Service
from ledger.store.agenda import Agenda
from ledger.store.log import LedgerLog
from ledger.store.views import Views
from ledger.worker import BATCH


class Releases:
    """Payouts that wait for Friday, in a database of which each turn gets a copy. Projecting is on neither side."""

    def __init__(self, server: Server, at: datetime, payouts: int, library_payouts: int) -> None:
        self._server, self._at, self._payouts, self._library_payouts = server, at, payouts, library_payouts
        self._numbers = count()

    def ours(self) -> float:
        """Payouts a second: the agenda, the decisions on payout and freelancer, and the log, in the worker's batches."""
        name = f"releases_{next(self._numbers)}"
        with self._server.open(self._server.create(name, template="releases")) as database:
            log = LedgerLog(database)
            agenda = Agenda(database, Views(log, (Deadlines(),)))
            service = Service(log, agenda.due_before)
            released = 0
            with timed() as clock:
                due = agenda.due(self._at, self._payouts, kinds=(RELEASE,), without=())
                for start in range(0, len(due), BATCH):
                    done = service.handle_all([command_of(one, self._at) for one in due[start : start + BATCH]])
                    released += sum(isinstance(one, Receipt) and bool(one.events) for one in done)
        self._server.drop(name)
        if released != self._payouts:
            raise AssertionError(f"{released} of {self._payouts} payouts were released")
        return released / clock.seconds

    def library(self) -> float:
        """Payouts a second: each got with its freelancer, of whom every one has two as in ours, and both saved."""
        name = f"library_releases_{next(self._numbers)}"
        app = library.Payouts(library.environment(self._server.create(name), ids="uuid"))
        try:
            stamps = [self._stamp(number) for number in range(self._library_payouts)]
            payouts = [app.charged(stamp, self._at) for stamp in stamps]
            registered = [app.registered({name: stamp[name] for name in library.STAMP}) for stamp in stamps[::2]]
            freelancers = [registered[number // 2] for number in range(len(payouts))]
            with timed() as clock:
                for payout, freelancer, stamp in zip(payouts, freelancers, stamps, strict=True):
                    app.release(payout, freelancer, stamp, self._at)
            if any(app.repository.get(payout).released != library.AMOUNT for payout in payouts[:10]):
                raise AssertionError("the library's payouts were not released")
        finally:
            app.close()
        self._server.drop(name)
        return len(payouts) / clock.seconds

    def _stamp(self, number: int) -> dict[str, Any]:
        """What every event of a payout carries, as long as it is in the ledger's."""
        return {
            "actor": "system", "occurred_at": self._at, "recorded_at": self._at,
            "command_id": f"cmd_{number:020}", "cause_id": f"evt_pay_{number:020}_3", "contract_id": f"con_{number:020}",
            "client_id": f"cli_{number:020}", "freelancer_id": f"fre_{number:020}", "payee": f"fre_{number:020}",
            "currency": "USD",
        }  # fmt: skip


def run(server: Server, report: Report, *, payouts: int, library_payouts: int, repeat: int) -> None:
    """Makes a week of contracts and releases their payouts."""
    events, at = payouts_to_release(payouts)
    with server.open(server.create("releases")) as database:
        log = LedgerLog(database)
        append(log, events)
        views = Views(log, (Deadlines(),))
        views.prepare()
        views.catch_up()
        database.execute("VACUUM ANALYZE")
    del events
    settle_memory()
    both = Releases(server, at, payouts, library_payouts)
    ours, theirs = in_turns(repeat, both.ours, both.library)
    alternative = "its Aggregates got and saved, payout by payout"
    report.ratios.append(compared("payouts are released", "payouts/s", ours, theirs, alternative, target=15))
