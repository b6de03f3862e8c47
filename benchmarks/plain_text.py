"""hledger and beancount compute the balances from the same postings as ours does, side by side, of what `replay export` writes.

Ours decodes the events and folds them; theirs read the file, check it, and sum. All three must agree to the minor unit.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from beancount import loader
from beancount.core.data import Transaction

from benchmarks.histories import history
from benchmarks.measure import Fact, Report, in_turns, settle_memory, timed
from ledger.codec import encode
from ledger.store.log import Stored
from replay.amounts import exponent
from replay.balances import movements, trial_balance
from replay.export import beancount as export_beancount
from replay.export import hledger as export_hledger

Balances = dict[tuple[str, str], int]
"""By account and currency: debits less credits, in minor units; what stands at nothing is left out."""
UNIT = "postings/s"


class Made:
    """A history in memory, as a log."""

    def __init__(self, events: int) -> None:
        self._stored = [
            Stored(position, new.stream, new.version, new.event.TOPIC, encode(new.event), b"")
            for position, new in enumerate(history(events), 1)
        ]

    def head(self) -> int:
        return len(self._stored)

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        yield from self._stored[after:until]

    def find(self, stream: str, version: int) -> Stored | None:
        return next((one for one in self._stored if (one.stream, one.version) == (stream, version)), None)


def run(report: Report, *, events: int, repeat: int) -> None:
    """Adds how many postings each takes in a second; where hledger is not installed, says so."""
    log = Made(events)
    postings = sum(len(entries) for _, entries in movements(log, log.head(), None, None, None))
    with TemporaryDirectory() as folder:
        journal, beans = Path(folder, "ledger.journal"), Path(folder, "ledger.beancount")
        journal.write_text("".join(export_hledger.lines(log)), encoding="utf-8")
        beans.write_text("".join(export_beancount.lines(log)), encoding="utf-8")
        contenders: dict[str, Callable[[], Balances]] = {"ours": lambda: of_ours(log)}
        hledger = shutil.which("hledger")
        if hledger is None:
            print("balances by hledger: it is not installed here (Debian: apt-get install hledger)", flush=True)
        else:
            contenders["hledger"] = lambda: of_hledger(hledger, journal)
        contenders["beancount"] = lambda: of_beancount(beans)
        _require_agreement({name: compute() for name, compute in contenders.items()})
        settle_memory()
        rates = in_turns(repeat, *(_rate(compute, postings) for compute in contenders.values()))
    for name, turns in zip(contenders, rates, strict=True):
        report.facts.append(Fact(f"balances by {name}, of {postings:,}", median(turns), UNIT))


def _rate(compute: Callable[[], Balances], postings: int) -> Callable[[], float]:
    def rate() -> float:
        with timed() as clock:
            compute()
        return postings / clock.seconds

    return rate


def _require_agreement(found: dict[str, Balances]) -> None:
    for name, balances in found.items():
        differing = {key for key, _ in balances.items() ^ found["ours"].items()}
        if differing:
            raise AssertionError(f"{name} does not come to our balances: {sorted(differing)[:3]}")


def of_ours(log: Made) -> Balances:
    """Decoded and folded."""
    accounts = trial_balance(log).accounts
    return {(one.account, one.currency): -one.balance for one in accounts if one.balance}


def of_hledger(program: str, journal: Path) -> Balances:
    """Its answer as JSON; what that takes to read is not ours to leave out, and little."""
    command = [program, "-f", str(journal), "balance", "--flat", "--output-format", "json"]
    rows, _ = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    found: Balances = {}
    for _, account, _, sums in rows:
        for one in sums:
            currency, quantity = one["acommodity"], one["aquantity"]
            scale = exponent(currency) - quantity["decimalPlaces"]
            found[account, currency] = quantity["decimalMantissa"] * 10**scale
    return {key: amount for key, amount in found.items() if amount}


def of_beancount(file: Path) -> Balances:
    """Loaded, checked, and its transactions summed. As a string: of a file, beancount would keep what it made of it."""
    entries, errors, _ = loader.load_string(file.read_text(encoding="utf-8"))
    if errors:
        raise AssertionError(f"beancount does not accept the export: {errors[0]}")
    found: Balances = {}
    for entry in entries:
        for posting in entry.postings if isinstance(entry, Transaction) else ():
            key = export_beancount.account_of(posting.account), posting.units.currency
            amount = int(posting.units.number.scaleb(exponent(posting.units.currency)))
            found[key] = found.get(key, 0) + amount
    return {key: amount for key, amount in found.items() if amount}
