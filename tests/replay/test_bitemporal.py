"""What was true and what was believed: a late webhook, a late worker and a correction show up differently in the two times.

The same questions over HTTP and to `replay`, of one story:

    05 10:00  the processor charges          known on the 6th, when its webhook comes
    09 10:00  the hold has elapsed: released known on the 12th, when the worker comes back
    10 00:00  a correction takes effect      known on the 13th, when it is approved
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from api.cli.logs import configure_logging
from ledger import commands as c
from ledger.bootstrap import Ledger, open_ledger
from ledger.projections.rows import Rows
from ledger.projections.statements import TABLE, Statements
from ledger.store.funds import Line
from ledger.store.log import Stored
from ledger.store.views import record_of
from replay.cli import app
from replay.explain import explain
from replay.history import made_by
from replay.scan import Scan
from replay.times import AtTimes
from tests.api.world import OPERATOR_KEY, Web, served
from tests.databases import Server, sandbox
from tests.play import Play

BEFORE, CHARGED, WEBHOOK, RELEASED, CORRECTED = (
    "2026-01-05T09:30:00Z",
    "2026-01-05T10:00:00Z",
    "2026-01-06T09:00:00Z",
    "2026-01-09T10:00:00Z",
    "2026-01-10T00:00:00Z",
)
WORKER, APPROVED = "2026-01-12T09:00:00Z", "2026-01-13T09:00:00Z"


@dataclass
class Story:
    web: Web
    freelancer: str
    contract: str
    payout: str
    environment: dict[str, str]

    def ask(self, path: str, **times: str) -> Any:
        return self.web.ok("GET", path, params=times)

    def balance(self, **times: str) -> tuple[int, ...] | None:
        """Pending, available and in transit; None where there was no money yet. The command line must say the same."""
        found = self.ask(f"/v1/freelancers/{self.freelancer}/balance", **times)
        told = self.replay("balance", self.freelancer, **times)
        for bucket in ("pending", "available", "in_transit"):
            assert found[bucket] == told[bucket]
        if not found["pending"]:
            return None
        return tuple(found[bucket][0]["amount"] for bucket in ("pending", "available", "in_transit"))

    def replay(self, command: str, *arguments: str, **times: str) -> Any:
        options = [part for name, time in times.items() for part in (f"--{name.replace('_', '-')}", time)]
        result = CliRunner().invoke(app, [command, *arguments, *options, "--json"], env=self.environment)
        assert result.exit_code == 0, result.output
        return orjson.loads(result.stdout)


def clock_to(ledger: Ledger, play: Play, instant: str) -> None:
    """Time goes on while nobody works."""
    play.up = False
    play.advance(datetime.fromisoformat(instant))


@pytest.fixture(scope="module", autouse=True)
def _logging() -> None:
    """As a server logs, on standard error: what `replay` writes is read from standard output."""
    configure_logging()


@pytest.fixture(scope="module")
def story(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    url, folder = server.create(), tmp_path_factory.mktemp("bitemporal")
    settings = sandbox(url, folder).model_copy(update={"operator_key": SecretStr(OPERATOR_KEY)})
    with open_ledger(settings) as ledger:
        play = Play(ledger, up=False)
        contract = play.active("single_payment", amount=50_000)
        play.submit(contract)
        play.approve(contract)
        (payout,) = play.payout_ids(contract)
        play.run(c.RequestCharge, "system", payout_id=payout)
        clock_to(ledger, play, WEBHOOK)
        paid = {"attempt": 1, "reference": "ch_late", "effective_at": datetime.fromisoformat(CHARGED)}
        play.run(c.RecordCharge, "processor", payout_id=payout, **paid)
        clock_to(ledger, play, WORKER)
        play.worker_returns()
        play.advance(datetime.fromisoformat(APPROVED))
        play.adjust(
            f"{play.freelancer}:available", "platform:adjustments", 1_000, stated_at=datetime.fromisoformat(CORRECTED)
        )
        play.advance(timedelta(days=1))
        with served(ledger) as address:
            web = Web(address, ledger)
            environment = {"LEDGER_DATABASE_URL": url, "LEDGER_DATA_DIR": str(folder)}
            yield Story(web, play.freelancer, contract, payout, environment)
            web.http.close()
    server.drop(url)


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no .env


PENDING, RELEASED_ALL, PUT_RIGHT = (50_000, 0, 0), (0, 50_000, 0), (0, 49_000, 0)


@pytest.mark.parametrize(
    ("instant", "true", "believed"),
    [
        (BEFORE, None, None),
        (CHARGED, PENDING, None),
        (WEBHOOK, PENDING, PENDING),
        (RELEASED, RELEASED_ALL, PENDING),
        (CORRECTED, PUT_RIGHT, PENDING),
        (WORKER, PUT_RIGHT, RELEASED_ALL),
        (APPROVED, PUT_RIGHT, PUT_RIGHT),
    ],
)
def test_what_was_true_and_what_was_believed_at_the_same_instant(
    story: Story, instant: str, true: Any, believed: Any
) -> None:
    assert story.balance(as_of=instant) == true
    assert story.balance(known_at=instant) == believed


def test_what_was_believed_on_one_day_about_another(story: Story) -> None:
    assert story.balance(as_of=CORRECTED, known_at=WEBHOOK) == PENDING
    assert story.balance(as_of=CORRECTED, known_at=WORKER) == RELEASED_ALL
    assert story.balance(as_of=CORRECTED, known_at=APPROVED) == PUT_RIGHT
    assert story.balance(as_of=WEBHOOK, known_at=APPROVED) == PENDING
    assert story.balance(as_of=CHARGED, known_at=BEFORE) is None


def test_a_trial_balance_is_asked_in_both_times(story: Story) -> None:
    for instant, true, believed in (
        (CHARGED, {"processor": -50_000, "pending": 50_000}, {}),
        (RELEASED, {"processor": -50_000, "available": 50_000}, {"processor": -50_000, "pending": 50_000}),
        (
            CORRECTED,
            {"processor": -50_000, "available": 49_000, "adjustments": 1_000},
            {"processor": -50_000, "pending": 50_000},
        ),
    ):
        assert trial_balance(story, as_of=instant) == true
        assert trial_balance(story, known_at=instant) == believed
    assert trial_balance(story, as_of=CORRECTED, known_at=WORKER) == {"processor": -50_000, "available": 50_000}


def trial_balance(story: Story, **times: str) -> dict[str, int]:
    """The balances that are not zero, by the last word of the account."""
    found = story.ask("/v1/audit/trial-balance", **times)
    assert found["balanced"]
    told = story.replay("trial-balance", **times)
    accounts = {one["account"]: one["balance"] for one in found["accounts"]}
    assert accounts == {one["account"]: one["balance"] for one in told["accounts"]}
    return {account.rpartition(":")[2]: balance for account, balance in accounts.items() if balance}


def test_a_statement_is_as_it_would_have_been_written_then(story: Story) -> None:
    for known_at, expected in (
        (BEFORE, []),
        (WEBHOOK, [("charge", 50_000, 0)]),
        (WORKER, [("charge", 50_000, 0), ("release", 0, 50_000)]),
        (APPROVED, [("charge", 50_000, 0), ("release", 0, 50_000), ("adjustment", 0, 49_000)]),
    ):
        path = f"/v1/freelancers/{story.freelancer}/balance-transactions"
        found = story.ask(path, known_at=known_at)["data"][::-1]
        assert [(line["type"], line["pending"], line["available"]) for line in found] == expected
        told = story.replay("statement", story.freelancer, known_at=known_at)["lines"]
        assert [(line["type"], line["pending"], line["available"]) for line in told] == expected
    whole = story.ask(path, **{"from": RELEASED, "to": CORRECTED, "known_at": WEBHOOK})
    assert whole["data"] == []
    assert [whole[side]["pending"] for side in ("opening", "closing")] == [[{"amount": 50_000, "currency": "USD"}]] * 2


def test_a_statement_says_when_money_was_to_be_available_by_what_was_known_then(story: Story) -> None:
    path = f"/v1/freelancers/{story.freelancer}/balance-transactions"
    (line,) = story.ask(path, known_at=WEBHOOK)["data"]
    assert line["available_on"] == RELEASED


def test_a_history_tells_what_had_occurred_and_what_was_known(story: Story) -> None:
    path = f"/v1/audit/contracts/{story.contract}/history"

    def types(**times: str) -> list[str]:
        return [event["type"] for event in story.ask(path, **times)["data"] if event["entries"]]

    assert types() == types(as_of=RELEASED) == ["payout.charged.v1", "payout.released.v1"]
    assert types(known_at=RELEASED) == ["payout.charged.v1"]
    assert types(as_of=CHARGED) == ["payout.charged.v1"]
    assert types(known_at=CHARGED) == types(as_of=RELEASED, known_at=CHARGED) == []


def test_an_explanation_is_the_one_that_would_have_been_given(story: Story) -> None:
    path = f"/v1/payouts/{story.payout}/explain"
    told = {
        instant: tuple(story.ask(path, **{time: instant})["status"] for time in ("as_of", "known_at"))
        for instant in (CHARGED, WEBHOOK, RELEASED, WORKER)
    }
    assert told == {
        CHARGED: ("pending", "due"),
        WEBHOOK: ("pending", "pending"),
        RELEASED: ("released", "pending"),
        WORKER: ("released", "released"),
    }
    (release,) = story.ask(path, known_at=WEBHOOK)["awaited"]
    assert (release["what"], release["until"]) == ("release", RELEASED)
    assert {rule["number"] for rule in release["rules"]} == {22, 23}
    assert all(rule["text"] for rule in release["rules"])
    (late,) = story.ask(path, known_at=RELEASED)["awaited"]
    assert "as soon as that is recorded" in late["text"]
    assert story.ask(path)["awaited"] == []


def test_before_there_was_a_payout_there_is_nothing_to_explain(story: Story) -> None:
    for time in ("as_of", "known_at"):
        story.web.refused(
            404, "not_found", "GET", f"/v1/payouts/{story.payout}/explain", params={time: "2026-01-05T08:59:59Z"}
        )


@pytest.mark.parametrize(
    "path",
    [
        "/v1/freelancers/{freelancer}/balance-transactions",
        "/v1/payouts/{payout}/explain",
        "/v1/audit/contracts/{contract}/history",
        "/v1/audit/trial-balance",
    ],
)
def test_what_will_be_known_in_the_future_nobody_is_told(story: Story, path: str) -> None:
    where = path.format(freelancer=story.freelancer, payout=story.payout, contract=story.contract)
    for times in ({"known_at": "2100-01-01T00:00:00Z"}, {"known_at": "yesterday"}):
        story.web.refused(422, "validation_error", "GET", where, params=times)


# Of a long history: what was believed at an instant is what the ledger then would have said


class Then:
    """The log as far as it had been recorded by an instant."""

    def __init__(self, log: list[Stored], instant: datetime) -> None:
        self._log = [stored for stored in log if stored.event.recorded_at <= instant]

    def head(self) -> int:
        return self._log[-1].position if self._log else 0

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        return (one for one in self._log if after < one.position <= (until or self.head()))

    def find(self, stream: str, version: int) -> Stored | None:
        return next((one for one in self._log if (one.stream, one.version) == (stream, version)), None)


@pytest.fixture
def instants(past: Ledger) -> list[datetime]:
    random, log = Random(3), list(past.log.read_all())
    return [random.choice(log).event.recorded_at - random.choice((0, 1)) * timedelta(microseconds=1) for _ in range(8)]


def test_every_explanation_as_known_then_is_what_the_log_of_then_gives(past: Ledger, instants: list[datetime]) -> None:
    log = list(past.log.read_all())
    payouts = sorted({stored.stream for stored in log if stored.stream.startswith("pay_")})
    explained = 0
    for instant in instants:
        then = Scan(Then(log, instant))
        known = AtTimes(past.reader, known_at=instant)
        for payout in payouts:
            given = explain(known, payout, instant)
            assert given == explain(then, payout, instant)
            explained += given is not None
    assert explained > len(payouts)


def test_every_payout_can_be_explained_as_of_every_instant(past: Ledger, instants: list[datetime]) -> None:
    """An event that occurred before what it follows from, as a late webhook's, leaves no gap that nothing can be made of."""
    payouts = {stored.stream for stored in past.log.read_all() if stored.stream.startswith("pay_")}
    explained = 0
    for payout in sorted(payouts):
        views = past.reader.history(payout_id=payout)
        for at in {*instants, *(view.event.occurred_at for view in (*made_by(past.reader, views), *views))}:
            given = explain(AtTimes(past.reader, as_of=at), payout, at)
            if given is not None:
                assert all(step["occurred_at"] <= at.isoformat().replace("+00:00", "Z") for step in given["steps"])
                explained += 1
    assert explained > len(payouts)


def test_every_statement_as_known_then_is_the_fold_of_the_log_of_then(past: Ledger, instants: list[datetime]) -> None:
    log = list(past.log.read_all())
    lines = 0
    for instant in instants:
        rows = Rows([TABLE])
        Statements().fold(rows, [record_of(one) for one in Then(log, instant).read_all() if one.topic in TOPICS])
        for freelancer in sorted({stored.stream for stored in log if stored.stream.startswith("fre_")}):
            folded = [row for row in rows.rows[TABLE.name].values() if row["freelancer_id"] == freelancer]
            folded.sort(key=lambda row: (row["occurred_at"], row["position"], row["currency"]))
            found = past.reader.lines(freelancer, known_at=instant, limit=10_000)[::-1]
            assert [without_date(one) for one in found] == folded
            lines += len(found)
            for since in (None, instant, instant - timedelta(days=3)):
                known = past.reader.before(freelancer, since, instant)
                assert known.available == last_of(folded, since, "available")
                assert known.pending == last_of(folded, since, "pending")
    assert lines > 0


TOPICS = Statements.topics


def without_date(line: Line) -> dict[str, Any]:
    row = line._asdict()
    del row["available_on"]
    return row


def last_of(folded: list[dict[str, Any]], since: datetime | None, bucket: str) -> dict[str, int]:
    return {row["currency"]: row[bucket] for row in folded if since is None or row["occurred_at"] < since}
