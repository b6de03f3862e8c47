"""The only place that builds the whole."""

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.clock import Clock
from ledger.outside import Outside
from ledger.processors.mail import FolderMailer, Mailer, SmtpMailer
from ledger.processors.protocol import Processor
from ledger.processors.simulated import SimulatedProcessor
from ledger.service import Service
from ledger.settings import Settings
from ledger.store.agenda import Agenda
from ledger.store.checkpoints import Checkpoints
from ledger.store.clocks import SystemClock, TestClock
from ledger.store.database import Database
from ledger.store.embedded import EmbeddedPostgres
from ledger.store.log import LedgerLog
from ledger.store.migrations import migrate
from ledger.store.reader import Reader
from ledger.store.vault import Vault
from ledger.store.views import Views
from ledger.worker import Worker


class Ledger:
    """The parts of one ledger on one database. Build it with `open_ledger`."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.clock: Clock = SystemClock()
        if settings.sandbox:
            self.clock = TestClock(database, settings.clock_start or self.clock.now())
        self.log = LedgerLog(database)
        self.views = Views(self.log)
        self.agenda = Agenda(database, self.views)
        self.vault = Vault(database)
        self.service = Service(self.log, self.agenda.due_before)
        self.reader = Reader(self.log)
        self.outside = Outside(
            self.log,
            self.vault,
            _processor(settings, database, self.clock),
            _mailer(settings),
        )
        self.checkpoints = Checkpoints(settings.checkpoints)
        self.worker = Worker(
            database, self.service, self.views, self.agenda, self.clock, self.outside, self.checkpoints
        )

    def settle(self, position: int) -> int:
        """After a write that reached `position`: in the sandbox, does all that it causes at this instant.

        Answers the position that covers it; in production that is the command's own.
        """
        return self.worker.drain() if self.settings.sandbox else position


def _processor(settings: Settings, database: Database, clock: Clock) -> Processor | None:
    if settings.sandbox:
        return SimulatedProcessor(database, clock)
    if settings.stripe_secret_key is not None:
        from ledger.processors.stripe import StripeProcessor  # here, because only who uses Stripe waits for its library

        return StripeProcessor(settings.stripe_secret_key.get_secret_value(), clock, settings.stripe_api_base)
    return None


def _mailer(settings: Settings) -> Mailer:
    if settings.smtp_url is not None:
        return SmtpMailer(settings.smtp_url.get_secret_value())
    return FolderMailer(settings.data_dir / "outbox")


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database of the settings, migrated; the embedded server runs as long as somebody has it open."""
    with urls(settings) as (owner_url, application_url):
        migrate(owner_url, application_url)
        database = Database(application_url, patience=False)
        try:
            yield database
        finally:
            database.close()


@contextmanager
def urls(settings: Settings) -> Iterator[tuple[str, str]]:
    """Where the database is: for its owner, who migrates, and for the application, which may only append.

    On a database of your own both are one URL unless `owner_url` is set.
    """
    if settings.database_url is None:
        with EmbeddedPostgres(settings.data_dir) as embedded:
            yield embedded.url, embedded.application_url
    else:
        application_url = settings.database_url.get_secret_value()
        yield (settings.owner_url.get_secret_value() if settings.owner_url else application_url), application_url


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """A ledger that is ready: migrated, its projections prepared."""
    with open_database(settings) as database:
        ledger = Ledger(settings, database)
        ledger.views.prepare()
        yield ledger
