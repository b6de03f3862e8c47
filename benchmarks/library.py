"""The same work, done as the eventsourcing library documents it: its ProjectionRunner, and its Application with Aggregates."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import JSONTranscoder, Mapper, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from ledger import postings
from ledger.policies.unit import NewEvent
from ledger.postings import Entry
from ledger.projections import PROJECTIONS
from ledger.projections.rows import Record
from ledger.store.database import Database
from ledger.store.log import LedgerMapper
from ledger.store.views import fold_into, wanted


def environment(url: str, ids: str = "text") -> dict[str, str]:
    """The library's settings for a database; all others stay as the library has them."""
    parameters = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "ORIGINATOR_ID_TYPE": ids,
        "POSTGRES_DBNAME": str(parameters["dbname"]),
        "POSTGRES_HOST": str(parameters["host"]),
        "POSTGRES_PORT": str(parameters["port"]),
        "POSTGRES_USER": str(parameters["user"]),
        "POSTGRES_PASSWORD": str(parameters["password"]),
    }


# Projecting


class Events(Application[str]):
    """The library's application and recorder on the table that they make, `library_events`.

    The mapper is the ledger's: the library's own does not carry our events, and ours is the faster one.
    """

    name = "library"

    def construct_mapper(self) -> Mapper[str]:
        return LedgerMapper(JSONTranscoder())


def copy_events(database: Database, after: int, until: int) -> None:
    """Fills the library's table with the same events: the same bytes, streams, versions and positions."""
    Events(environment(database.url)).close()
    database.execute("TRUNCATE library_events")
    database.execute(
        "INSERT INTO library_events (originator_id, originator_version, topic, state, notification_id)"
        " SELECT originator_id, originator_version, topic, state, notification_id FROM events"
        " WHERE notification_id > %s AND notification_id <= %s",
        (after, until),
    )


class BalancesView(PostgresTrackingRecorder):
    """One table of balances; a transaction an event, with its tracking record."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        table = Identifier(self.datastore.schema), Identifier("library_balances")
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {}.{} (account text, currency text, balance numeric NOT NULL,"
                " PRIMARY KEY (account, currency))"
            ).format(*table)
        )
        self._add = SQL(
            "INSERT INTO {}.{} AS b VALUES (%s, %s, %s)"
            " ON CONFLICT (account, currency) DO UPDATE SET balance = b.balance + excluded.balance"
        ).format(*table)

    def add(self, entries: Sequence[Entry], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            for entry in entries:
                cursor.execute(self._add, (entry.account, entry.currency, entry.credit), prepare=True)


class AllView(PostgresTrackingRecorder):
    """The ledger's own six projections, given one event; a transaction an event, with its tracking record."""

    def take(self, record: Record, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            for projection in PROJECTIONS:
                fold_into(cursor.connection, projection, wanted(projection, [record]))


class Stopwatch:
    """From the first event that a runner hands over to the end of the last."""

    def __init__(self, last: int) -> None:
        self.last, self.events, self.seconds = last, 0, 0.0
        self.done = threading.Event()
        self._started = 0.0

    def __enter__(self) -> None:
        if not self.events:
            self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.events += 1
        self.seconds = time.perf_counter() - self._started

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


class Balances(Projection[BalancesView]):
    """Subscribed to the events that move money, and no others."""

    name = "library_balances"
    topics = tuple(sorted(postings.TOPICS))
    stopwatch: ClassVar[Stopwatch]

    def process_event(self, domain_event: NewEvent, tracking: Tracking) -> None:
        with self.stopwatch:
            self.view.add(postings.entries(domain_event.event), tracking)
        if tracking.notification_id == self.stopwatch.last:
            self.stopwatch.done.set()


class BalancesOfAll(Balances):
    """Subscribed to every event, so that its position follows the log; those that move no money are only tracked."""

    name = "library_balances"
    topics = ()


class All(Projection[AllView]):
    """All six projections, subscribed to every event."""

    name = "library_all"
    stopwatch: ClassVar[Stopwatch]

    def process_event(self, domain_event: NewEvent, tracking: Tracking) -> None:
        event = domain_event.event
        with self.stopwatch:
            record = Record(
                tracking.notification_id, domain_event.stream, domain_event.version, event.TOPIC, event,
                postings.entries(event),
            )  # fmt: skip
            self.view.take(record, tracking)
        if tracking.notification_id == self.stopwatch.last:
            self.stopwatch.done.set()


def project(database: Database, projection: type[Balances] | type[All], last: int, timeout: float = 600.0) -> Stopwatch:
    """Runs the library's ProjectionRunner over its table until the event at `last` has been processed."""
    view: type[Any] = BalancesView if issubclass(projection, Balances) else AllView
    projection.stopwatch = Stopwatch(last)
    with ProjectionRunner(
        application_class=Events, projection_class=projection, view_class=view, env=environment(database.url)
    ) as runner:
        while not projection.stopwatch.done.wait(0.2):
            timeout -= 0.2
            if runner.is_interrupted.is_set() or timeout < 0:
                break  # leaving the runner raises what stopped it
    if not projection.stopwatch.done.is_set():
        raise TimeoutError(f"{projection.name} has not reached position {last}")
    return projection.stopwatch


def prepare(database: Database, projection: type[Balances] | type[All]) -> None:
    """Empties what the library's projections wrote before; its balances begin with those that the ledger has now."""
    database.execute("DROP TABLE IF EXISTS library_balances, library_balances_tracking, library_all_tracking")
    if issubclass(projection, Balances):
        BalancesView(database.datastore, tracking_table_name="library_balances_tracking").create_table()
        database.execute("INSERT INTO library_balances SELECT account, currency, balance FROM balances")


# Deciding

AMOUNT = 50_000
STAMP = ("actor", "occurred_at", "recorded_at", "command_id", "cause_id", "freelancer_id")
"""What every event of a freelancer carries."""


class Payout(Aggregate):
    """A payout with the fields and the life of the ledger's, in the library's explicit style."""

    class Event(Aggregate.Event):
        actor: str
        occurred_at: datetime
        recorded_at: datetime
        command_id: str
        cause_id: str
        contract_id: str
        client_id: str
        freelancer_id: str
        payee: str
        currency: str

    class Due(Event, Aggregate.Created):
        source: dict[str, str]
        amount: int
        review_deadline: datetime

    class ChargeRequested(Event):
        attempt: int
        key: str
        amount: int
        method: dict[str, str]

        def apply(self, aggregate: Any) -> None:
            aggregate.attempt = self.attempt

    class Charged(Event):
        attempt: int
        amount: int
        reference: str
        hold_until: datetime
        release_at: datetime

        def apply(self, aggregate: Any) -> None:
            aggregate.pending, aggregate.release_at = self.amount, self.release_at

    class HoldElapsed(Event):
        next_release_at: datetime

        def apply(self, aggregate: Any) -> None:
            aggregate.hold_elapsed = True

    class Released(Event):
        amount: int

        def apply(self, aggregate: Any) -> None:
            aggregate.pending -= self.amount
            aggregate.released += self.amount

    def __init__(self, contract_id: str, client_id: str, freelancer_id: str, payee: str, currency: str) -> None:
        self.contract_id, self.client_id, self.freelancer_id = contract_id, client_id, freelancer_id
        self.payee, self.currency = payee, currency
        self.attempt = self.pending = self.released = 0
        self.release_at: datetime | None = None
        self.hold_elapsed = False

    def release(self, stamp: dict[str, Any], now: datetime) -> None:
        if self.release_at is not None and now >= self.release_at and self.pending:
            self.trigger_event(self.HoldElapsed, **stamp, next_release_at=self.release_at)
            self.trigger_event(self.Released, **stamp, amount=self.pending)


class Freelancer(Aggregate):
    """A freelancer with the fields and the life of the ledger's: the withdrawals of released money are decided here."""

    class Event(Aggregate.Event):
        actor: str
        occurred_at: datetime
        recorded_at: datetime
        command_id: str
        cause_id: str
        freelancer_id: str

    class Registered(Event, Aggregate.Created):
        name: dict[str, str]
        email: dict[str, str]

    class PayoutMethodSet(Event):
        method: dict[str, str]
        contracts: tuple[str, ...]

        def apply(self, aggregate: Any) -> None:
            aggregate.method = self.method

    class FundsReleased(Event):
        payout_id: str
        contract_id: str
        amount: int
        currency: str

        def apply(self, aggregate: Any) -> None:
            aggregate.available[self.currency] = aggregate.available.get(self.currency, 0) + self.amount

    def __init__(self, freelancer_id: str, name: dict[str, str], email: dict[str, str]) -> None:
        self.freelancer_id, self.name, self.email = freelancer_id, name, email
        self.method: dict[str, str] | None = None
        self.available: dict[str, int] = {}

    def receive(self, stamp: dict[str, Any], payout: Payout) -> None:
        what = {"payout_id": str(payout.id), "contract_id": payout.contract_id, "currency": payout.currency}
        self.trigger_event(self.FundsReleased, **stamp, **what, amount=AMOUNT)


class Payouts(Application[UUID]):
    """The library's application with its own mapper, transcoder and recorder, as it comes."""

    name = "library_payouts"

    def registered(self, stamp: dict[str, Any]) -> UUID:
        """A freelancer with a payout method; `stamp` is what each of its events carries."""
        text = {"id": f"vlt_{0:020}", "sha256": "0" * 64}
        freelancer = Freelancer._create(Freelancer.Registered, id=uuid4(), **stamp, name=text, email=text)
        freelancer.trigger_event(Freelancer.PayoutMethodSet, **stamp, method=text, contracts=())
        self.save(freelancer)
        return freelancer.id

    def charged(self, stamp: dict[str, Any], at: datetime) -> UUID:
        """A payout that is charged and waits for its release; `stamp` is what each of its events carries."""
        source = {"type": "fixed_rate", "start": at.isoformat(), "end": at.isoformat()}
        payout = Payout._create(Payout.Due, id=uuid4(), **stamp, source=source, amount=AMOUNT, review_deadline=at)
        key, method = f"{payout.id}:1", {"id": stamp["contract_id"], "sha256": "0" * 64}
        payout.trigger_event(Payout.ChargeRequested, **stamp, attempt=1, key=key, amount=AMOUNT, method=method)
        charge = {"attempt": 1, "amount": AMOUNT, "reference": f"ch_{key}", "hold_until": at, "release_at": at}
        payout.trigger_event(Payout.Charged, **stamp, **charge)
        self.save(payout)
        return payout.id

    def release(self, payout_id: UUID, freelancer_id: UUID, stamp: dict[str, Any], now: datetime) -> None:
        """What the library's documentation has a command do: get, decide, save, both aggregates in one transaction."""
        payout: Payout = self.repository.get(payout_id)
        payout.release(stamp, now)
        freelancer: Freelancer = self.repository.get(freelancer_id)
        freelancer.receive({name: stamp[name] for name in STAMP}, payout)
        self.save(payout, freelancer)
