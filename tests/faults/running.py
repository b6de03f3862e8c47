"""A real `ledger serve` that is killed and started again on the same data, and writers that never give up on a request.

A writer sends each request under an Idempotency-Key of its own until it has an answer, as any careful client would, and
writes down what it was told. `Audit` then compares what they were told with what is in the database.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from ledger.store.checkpoints import Checkpoints
from ledger.store.database import Database
from ledger.store.embedded import EmbeddedPostgres
from replay.verify.live import verify
from tests.databases import NO_LIMIT
from tests.processes import PATIENCE_SECONDS, PROJECT
from tests.serving import LIMITS, free_port

KEY = "operator-key-of-the-fault-tests-0123456789"
START = "2026-01-05T09:00:00Z"
PAUSE_SECONDS = 0.1


TOGETHER = ("contract.milestone_approved.v1", "payout.due.v1", "payout.released.v1", "freelancer.funds_released.v1")
"""The second follows from the first, the fourth from the third, in one transaction; and no fourth without a third."""
EFFECTS = {
    "bonuses": "contract.bonus_granted.v1",
    "withdrawals": "freelancer.withdrawal_requested.v1",
    "approve": "contract.milestone_approved.v1",
}
"""What a request to such a path leads to, once."""


class Running:
    """One `ledger serve`, killed and started as often as one likes on the same data."""

    def __init__(self, folder: Path, log: Path, settings: dict[str, str]) -> None:
        port = free_port()
        self.url, self.data_dir, self.log = f"http://127.0.0.1:{port}", folder / "data", log
        env = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")} | {
            "LEDGER_DATA_DIR": str(self.data_dir),
            "LEDGER_PORT": str(port),
            "LEDGER_SANDBOX": "1",
            "LEDGER_CLOCK_START": START,
            "LEDGER_OPERATOR_KEY": KEY,
            "LEDGER_RATE_LIMIT": str(NO_LIMIT),
            "PYTHONPATH": str(PROJECT),
            **settings,
        }
        program = [sys.executable, "-m", "tests.faults.forking"]
        with self.log.open("ab") as log:
            self._starter = subprocess.Popen(
                program, env=env, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.pid = 0
        self.start()

    def start(self) -> None:
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write("start\n")
        self._starter.stdin.flush()
        self.pid = int(self._starter.stdout.readline())

    def logged(self) -> str:
        """What the server and PostgreSQL have said."""
        logs = (self.log, self.data_dir / "server.log")
        return "".join(path.read_text(errors="replace") for path in logs if path.is_file())

    def wait_until_up(self) -> None:
        wait_for(self.is_up, "the server does not come up")

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v1/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """`kill -9`; nothing is told."""
        self._signal(signal.SIGKILL)

    def end(self) -> None:
        self._signal(signal.SIGTERM)
        self._starter.stdin.close()  # type: ignore[union-attr]
        self._starter.wait(PATIENCE_SECONDS)

    def _signal(self, number: int) -> None:
        os.kill(self.pid, number)
        wait_for(lambda: not Path(f"/proc/{self.pid}").exists(), "the server does not end")

    def postmaster(self) -> int | None:
        """The process id of PostgreSQL; None while there is none."""
        cluster = json.loads((self.data_dir / "location").read_text())["cluster"]
        try:
            return int((self.data_dir / cluster / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    def kill_postgres(self) -> None:
        pid = self.postmaster()
        assert pid is not None, "there is no PostgreSQL to kill"
        os.kill(pid, signal.SIGKILL)


@contextmanager
def running(disk: Path | None = None, log: Path | None = None, **settings: str) -> Iterator[Running]:
    """A server on data of its own, on a disk of its own if that is given; what it logs is not there."""
    place = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    data = Path(tempfile.mkdtemp(prefix="ledger-test-", dir=disk))
    data.chmod(0o755)  # the embedded server's own user must get there
    server = Running(data, log or place / "server.log", settings)
    try:
        server.wait_until_up()
        yield server
    except BaseException:
        said = server.logged()
        print(*(line[:5_000] for line in said.splitlines() if '"level": "error"' in line), said[-3_000:], sep="\n")
        raise
    finally:
        server.end()
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)


def wait_for(true: Callable[[], object], otherwise: str, seconds: float = PATIENCE_SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, f"not within {seconds:.0f} s: {otherwise}"
        time.sleep(PAUSE_SECONDS)


@dataclass(frozen=True)
class Told:
    """A request, and the answer that its sender was given first."""

    key: str
    method: str
    path: str
    api_key: str
    body: Any
    status: int
    content: bytes

    @property
    def acknowledged(self) -> bool:
        return 200 <= self.status < 300

    @property
    def kept(self) -> bool:
        """Whether it is the answer for ever."""
        return self.acknowledged or self.status == 409


@dataclass
class Notes:
    """What all senders were told, and what they should never have been."""

    told: list[Told] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Status and code of the answers that meant: again."""
    wrong: list[str] = field(default_factory=list)
    broken: int = 0
    """How many requests got no answer at all."""


class Sender:
    """Sends each request until it is answered; 429, 503, 409 `idempotency_in_progress` and no answer mean: again."""

    def __init__(self, url: str, notes: Notes, name: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, limits=LIMITS)
        self._notes, self._name, self._numbers = notes, name, count(1)
        self.stopped = threading.Event()

    def send(self, method: str, path: str, api_key: str, body: Any = None) -> Told | None:
        """None when it was stopped before there was an answer."""
        key = self.new_key()
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            answer = self.once(method, path, api_key, body, key)
            if answer is not None and self._is_final(answer):
                told = Told(key, method, path, api_key, body, answer.status_code, answer.content)
                self._notes.told.append(told)
                return told
            if self.stopped.wait(PAUSE_SECONDS):
                return None
        raise AssertionError(f"{method} {path} has no answer after {PATIENCE_SECONDS:.0f} s; {self._notes.wrong[-3:]}")

    def new_key(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    def once(self, method: str, path: str, api_key: str, body: Any, key: str) -> httpx.Response | None:
        headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": key}
        try:
            return self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            self._notes.broken += 1
            return None

    def clock(self) -> datetime | None:
        """What the server's clock shows; None when it does not say."""
        try:
            answer = self._http.get("/v1/test-clock", headers={"Authorization": f"Bearer {KEY}"})
        except httpx.TransportError:
            return None
        return datetime.fromisoformat(answer.json()["now"]) if answer.is_success else None

    def ok(self, method: str, path: str, api_key: str = KEY, body: Any = None) -> Any:
        """The JSON of an answer that must be 2xx."""
        told = self.send(method, path, api_key, body)
        assert told is not None
        assert told.acknowledged, told
        return json.loads(told.content)

    def _is_final(self, answer: httpx.Response) -> bool:
        code = answer.json().get("code", "") if answer.content else ""
        if answer.status_code in (429, 503):
            if answer.status_code != 429:
                self._notes.refused.append((answer.status_code, code))
            if not answer.headers.get("retry-after", "").isdigit():
                self._notes.wrong.append(f"{answer.status_code} {code} without Retry-After")
            return False
        if code == "idempotency_in_progress":
            return False
        if answer.status_code >= 500:
            self._notes.wrong.append(f"{answer.status_code} {code} {answer.request.method} {answer.request.url.path}")
            return False
        return True

    def close(self) -> None:
        self._http.close()


@dataclass
class Cast:
    """Who the writers act for. `projects` are milestone contracts, one for each writer; the hourly one they share."""

    client_key: str
    freelancer: str
    freelancer_key: str
    projects: list[str]
    hourly: str


def cast(sender: Sender, projects: int) -> Cast:
    """A client who pays, a freelancer who can be paid, and contracts between them."""
    people = {}
    for role, method, token in (
        ("client", "billing-method", "pm_card_visa"),
        ("freelancer", "payout-method", "ba_test"),
    ):
        who = sender.ok("POST", f"/v1/{role}s", body={"name": role.title(), "email": f"{role}@example.com"})["id"]
        key = sender.ok("POST", "/v1/api-keys", body={"role": role, "party_id": who})["key"]
        sender.ok("PUT", f"/v1/{role}s/{who}/{method}", key, {"token": token})
        people[role] = who, key
    client_key, (freelancer, freelancer_key) = people["client"][1], people["freelancer"]

    def contract(**terms: Any) -> str:
        offer = {"freelancer_email": "freelancer@example.com", "title": "Work", "cadence": "weekly", "currency": "USD"}
        made: str = sender.ok("POST", "/v1/contracts", client_key, {**offer, **terms})["id"]
        sender.ok("POST", f"/v1/contracts/{made}/accept", freelancer_key, {})
        return made

    first = [{"description": "First", "amount": 100}]
    made = [contract(kind="milestone", milestones=first) for _ in range(projects)]
    return Cast(client_key, freelancer, freelancer_key, made, contract(kind="hourly", hourly_rate=6_000))


class Writers:
    """As many threads as there are projects, each writing all the time: commands of one event and of many."""

    def __init__(self, url: str, cast: Cast, notes: Notes, *, name: str, clock: bool = True) -> None:
        self._cast, self._notes = cast, notes
        self._senders = [Sender(url, notes, f"{name}-{number}") for number in range(len(cast.projects))]
        self._clock = clock
        self._threads = [
            threading.Thread(target=self._write, args=(number, sender, Random(f"{name} {number}")), daemon=True)
            for number, sender in enumerate(self._senders)
        ]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for sender in self._senders:
            sender.stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive(), "a writer hangs"
        for sender in self._senders:
            sender.close()

    def _write(self, number: int, sender: Sender, random: Random) -> None:
        try:
            while not sender.stopped.is_set():
                doing = random.choice((self._project, self._bonus, self._bonus, self._withdraw, self._time))
                doing(number, sender, random)
        except Exception as error:  # noqa: BLE001 - the test is told
            self._notes.wrong.append(f"writer {number}: {error!r}")

    def _project(self, number: int, sender: Sender, random: Random) -> None:
        """A milestone from its description to its payout: the approval is a command of several events on two streams."""
        cast, path = self._cast, f"/v1/contracts/{self._cast.projects[number]}/milestones"
        made = sender.send("POST", path, cast.client_key, {"description": "More", "amount": random.randint(1, 900)})
        if made is None or not made.acknowledged:
            return
        milestone = f"{path}/{json.loads(made.content)['id']}"
        for step, key in (("activate", cast.client_key), ("submit", cast.freelancer_key), ("approve", cast.client_key)):
            told = sender.send("POST", f"{milestone}/{step}", key, {})
            if told is None or not told.acknowledged:
                return

    def _bonus(self, number: int, sender: Sender, random: Random) -> None:
        path = f"/v1/contracts/{self._cast.hourly}/bonuses"
        sender.send("POST", path, self._cast.client_key, {"amount": random.randint(1, 99), "note": "thanks"})

    def _withdraw(self, number: int, sender: Sender, random: Random) -> None:
        path = f"/v1/freelancers/{self._cast.freelancer}/withdrawals"
        sender.send("POST", path, self._cast.freelancer_key, {"amount": random.randint(1, 50), "currency": "USD"})

    def _time(self, number: int, sender: Sender, random: Random) -> None:
        """Moves the clock on, so that reviews end, cycles close and money is released while everybody writes."""
        if not self._clock or number:
            return
        shown = sender.clock()
        if shown is not None:
            later = shown + timedelta(hours=random.choice((1, 9, 30)))
            sender.send("POST", "/v1/test-clock/advance", KEY, {"to": later.isoformat()})


class Audit:
    """What the writers were told, against the database. The server must be at rest or between requests."""

    def __init__(self, url: str, data_dir: Path) -> None:
        self._url, self._data_dir = url, data_dir

    def check(self, told: list[Told]) -> None:
        """Every acknowledged event is there, no batch is half, every command has one effect, and nothing else happened."""
        with psycopg.connect(self._url, row_factory=dict_row) as connection:
            keys = {row["key"]: row for row in connection.execute("SELECT * FROM idempotency")}
            done = {row["command_id"]: row["position"] for row in connection.execute("SELECT * FROM commands")}
            events = connection.execute(
                "SELECT notification_id AS position, topic, convert_from(state, 'UTF8')::json ->> 'command_id' AS command"
                " FROM events ORDER BY notification_id"
            ).fetchall()
        positions = [row["position"] for row in events]
        assert positions == list(range(1, len(events) + 1)), "the log has a gap"
        batches: dict[str, list[dict[str, Any]]] = {}
        for row in events:
            batches.setdefault(row["command"], []).append(row)
        for command, position in done.items():
            batch = [row["position"] for row in batches[command]]
            assert batch == list(range(position - len(batch) + 1, position + 1)), f"a half batch of {command}"
        self._whole(events)
        for one in told:
            if one.acknowledged:
                kept = keys[one.key]
                assert kept["status"] == one.status, f"another answer is kept: {one}"
                if writes_events(one):
                    assert kept["command_id"] in done, f"acknowledged, and not there: {one}"
                    assert_effect(batches[kept["command_id"]], one)
        unknown = set(done) - {row["command_id"] for row in keys.values()}
        assert not unknown, f"commands that nobody sent under these ids: {unknown}"

    @staticmethod
    def _whole(events: list[dict[str, Any]]) -> None:
        """What is decided together stands together: an approval with its payout, a release with the freelancer's funds."""
        of = {topic: Counter(row["command"] for row in events if row["topic"] == topic) for topic in TOGETHER}
        for first, then in (TOGETHER[:2], TOGETHER[2:], TOGETHER[:1:-1]):
            assert of[first] <= of[then], f"{first} without {then}"

    def verify(self) -> None:
        """Projections and refold agree, the chain and its checkpoints hold, and so do the rules of the money."""
        database = Database(self._url)
        try:
            report = verify(database, checkpoints=Checkpoints(self._data_dir / "checkpoints"))
        finally:
            database.close()
        assert report.ok, report.findings


def writes_events(told: Told) -> bool:
    """A key, and the clock, are no events."""
    return told.path not in ("/v1/api-keys", "/v1/test-clock/advance")


def assert_effect(batch: list[dict[str, Any]], told: Told) -> None:
    """What was asked for happened, once."""
    last = told.path.rsplit("/", 1)[-1]
    if last in EFFECTS:
        found = [row for row in batch if row["topic"] == EFFECTS[last]]
        assert len(found) == 1, f"{len(found)} of {EFFECTS[last]} for {told}"


def database_of(data_dir: Path) -> EmbeddedPostgres:
    """The same embedded server as the running one's, joined as one more user."""
    return EmbeddedPostgres(data_dir)
