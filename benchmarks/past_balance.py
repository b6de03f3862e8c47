"""The balance of one freelancer among 100,000 at a past instant, against the balance now: both from an index.

A few hundred freelancers' histories are appended and folded by the projections themselves; then their statement lines and
balances are copied under other ids until there are enough: each of them has lived one of those histories. Rows lie in the table
in the order of time, so that a freelancer's are spread over all of it.
"""

import random
from datetime import datetime
from statistics import median
from typing import Any

from benchmarks.catch_up import append
from benchmarks.histories import CONTRACTS_OF_A_FREELANCER, START, WEEK, Market
from benchmarks.measure import Fact, Report, in_turns, timed
from benchmarks.server import Server
from ledger.projections.balances import Balances
from ledger.projections.statements import Statements
from ledger.store.database import Database
from ledger.store.log import LedgerLog
from ledger.store.reader import Reader
from ledger.store.views import Views

TEMPLATES = 200
"""Freelancers whose histories are decided and folded."""
EVENTS_OF_A_CONTRACT = 25
ASKED = 1_000
"""Freelancers whose balance is asked for in a turn."""

_COPY = "'fre_' || substr(md5({id} || n), 1, 20)"
_LINES = (
    "INSERT INTO statement_lines SELECT "
    + _COPY.format(id="freelancer_id")
    + ", currency, occurred_at, position + n * %(head)s,"
    " recorded_at, type, subject, pending_change, available_change, in_transit_change, pending, available, in_transit"
    " FROM statement_lines CROSS JOIN generate_series(1, %(copies)s) AS n ORDER BY occurred_at, n"
)
_BALANCES = (
    "INSERT INTO balances SELECT "
    + _COPY.format(id="split_part(account, ':', 1)")
    + " || ':' || split_part(account, ':', 2),"
    " currency, balance FROM balances CROSS JOIN generate_series(1, %(copies)s) AS n WHERE account LIKE 'fre\\_%%'"
)


class PastBalance:
    """Both questions, to the same freelancers; the past instants lie anywhere in their histories."""

    def __init__(self, database: Database, end: datetime) -> None:
        self._reader = Reader(LedgerLog(database))
        rows = database.fetch("SELECT freelancer_id AS id, count(*) AS n FROM statement_lines GROUP BY 1 ORDER BY 1")
        self.freelancers, self.lines = [row["id"] for row in rows], sum(row["n"] for row in rows)
        self._random = random.Random(7)
        self._span = end - START

    def now(self) -> float:
        """Balances a second."""
        return self._asked(lambda freelancer: self._reader.balance(freelancer))

    def past(self) -> float:
        """Balances a second, each as of another instant."""
        return self._asked(lambda freelancer: self._reader.balance(freelancer, as_of=self.instant()))

    def instant(self) -> datetime:
        return START + self._random.random() * self._span

    def _asked(self, ask: Any) -> float:
        asked = self._random.sample(self.freelancers, min(ASKED, len(self.freelancers)))
        with timed() as clock:
            for freelancer in asked:
                ask(freelancer)
        return len(asked) / clock.seconds


def run(server: Server, report: Report, *, freelancers: int, repeat: int) -> None:
    """Makes so many freelancers, then asks for balances now and at past instants, in turns."""
    templates = min(TEMPLATES, freelancers)
    with server.open(server.create("past_balance")) as database:
        end = _fold(database, templates)
        _multiply(database, freelancers)
        both = PastBalance(database, end)
        past, now = in_turns(repeat, both.past, both.now)
    report.facts += [
        Fact("freelancers with statements", len(both.freelancers), "freelancers"),
        Fact("their statement lines", both.lines, "lines"),
        Fact("the balance now", median(1_000 / rate for rate in now), "ms"),
        Fact("the balance at a past instant", median(1_000 / rate for rate in past), "ms"),
        Fact("a past instant against now", median(b / a for a, b in zip(past, now, strict=True)), "times (at most 3)"),
    ]


def _fold(database: Database, freelancers: int) -> datetime:
    """The histories of so many freelancers, appended and folded; answers when they end."""
    market = Market(seed=7)
    contracts = freelancers * CONTRACTS_OF_A_FREELANCER
    for number in range(contracts):
        market.at(START + number * WEEK * 4 / contracts, market.open_contract(number))
    market.run(events=contracts * EVENTS_OF_A_CONTRACT)
    log = LedgerLog(database)
    append(log, market.unit.events)
    views = Views(log, (Balances(), Statements()))
    views.prepare()
    views.catch_up()
    return market.now


def _multiply(database: Database, freelancers: int) -> None:
    """Copies what was folded until there are so many freelancers."""
    found = database.fetch("SELECT count(DISTINCT freelancer_id) AS n, max(position) AS head FROM statement_lines")[0]
    copies = max(1, freelancers // found["n"])
    for query in (_LINES, _BALANCES):
        database.execute(query, {"copies": copies, "head": found["head"]})
    database.execute("VACUUM ANALYZE statement_lines, balances")
