"""Project, then do what is due, in the order of its time, in batches. Doing it twice, late or from two workers ends the same."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec
import structlog
from eventsourcing.persistence import PersistenceError
from psycopg import OperationalError

from ledger.clock import Clock
from ledger.commands import Command
from ledger.errors import Corrupt, Refused
from ledger.outside import Outside
from ledger.policies.deadlines import OUTSIDE, OWN, Deadline, command_of
from ledger.service import Receipt, Service
from ledger.store.agenda import Agenda
from ledger.store.checkpoints import EVERY_EVENTS, EVERY_SECONDS, CannotSign, Checkpoints
from ledger.store.clocks import TestClock
from ledger.store.database import Database
from ledger.store.log import CHANNEL
from ledger.store.views import Views

BATCH = 2_000
"""Deadlines decided in one transaction."""
POLL_SECONDS = 1.0
"""How long the worker sleeps when nothing wakes it."""
OUTSIDE_BATCH = 200
"""Questions asked before their answers are recorded: a crash asks no more than these again."""
PROJECT_LOCK, DUE_LOCK, CHECKPOINT_LOCK = 7_305_002, 7_305_003, 7_305_004
"""Advisory locks: of all workers on one database, one leads each task at a time."""
ASK_AGAIN_AFTER = timedelta(seconds=30)
"""How long an outcome that the outside world did not give is left alone."""

log = structlog.get_logger("ledger.worker")


class Worker:
    """Does by itself what time brings; `outside` is asked where somebody else decides."""

    def __init__(
        self,
        database: Database,
        service: Service,
        views: Views,
        agenda: Agenda,
        clock: Clock,
        outside: Outside,
        checkpoints: Checkpoints,
    ) -> None:
        self._database, self._service, self._views, self._agenda = database, service, views, agenda
        self._clock, self._outside, self._checkpoints = clock, outside, checkpoints
        self._in_process = {lock: threading.RLock() for lock in (PROJECT_LOCK, DUE_LOCK, CHECKPOINT_LOCK)}
        self._last_checkpoint = 0.0
        self._stopped = threading.Event()
        self._waiting: dict[tuple[str, str, str], datetime] = {}

    # One pass

    def drain(self) -> int:
        """Projects and does everything that is due at the clock's time, and answers the log position then reached.

        Waits for its turn when another worker is at it.
        """
        with self._leading(DUE_LOCK, wait=True):
            self._run()
        return self._service.log.head()

    def _run(self) -> None:
        """One pass; what comes while it goes on is done in it, at its time."""
        self._views.catch_up()
        now = self._clock.now()
        self._waiting = {key: until for key, until in self._waiting.items() if until > now}
        stuck: set[tuple[str, str, str]] = set()
        while not self._stopped.is_set():
            now = self._clock.now()
            without = self._waiting.keys() | stuck
            due = self._agenda.due(now, BATCH, kinds=(*OWN, *self._outside.kinds), without=without)
            if not due:
                return
            batch = _together(due)
            done = self._do(batch, now)
            stuck |= {_key(deadline) for deadline, moved in zip(batch, done, strict=True) if not moved}
            self._views.catch_up()

    def _do(self, batch: list[Deadline], now: datetime) -> list[bool]:
        """Which deadlines of a batch moved on. One that did not is left alone for this pass."""
        if batch[0].kind not in OUTSIDE:
            return self._decide([command_of(deadline, now) for deadline in batch])
        answers = self._outside.ask(batch, now)
        for deadline, answer in zip(batch, answers, strict=True):
            if answer is None:
                self._waiting[_key(deadline)] = now + ASK_AGAIN_AFTER
        answered = self._clock.now()  # later than `now` by as long as the answers took
        decided = iter(
            self._decide([msgspec.structs.replace(answer, now=answered) for answer in answers if answer is not None])
        )
        return [answer is not None and next(decided) for answer in answers]

    def _decide(self, commands: Sequence[Command]) -> list[bool]:
        """Decides many commands at once; if that breaks, one by one, so that one alone stands still."""
        if not commands:
            return []
        try:
            return [isinstance(one, Receipt) and bool(one.events) for one in self._service.handle_all(commands)]
        except (OperationalError, PersistenceError):
            raise
        except Exception as error:
            if len(commands) == 1:
                log.exception("a due command cannot be decided", command=type(commands[0]).__name__, error=repr(error))
                return [False]
        return [self._decide([command])[0] for command in commands]

    @contextmanager
    def _leading(self, lock: int, *, wait: bool) -> Iterator[bool]:
        """Whether this worker now leads a task; within the process, one thread at a time tries."""
        with self._in_process[lock], self._database.connection() as connection:
            how = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
            row = connection.execute(f"SELECT {how}(%s) AS got".encode(), (lock,)).fetchone()
            leads = wait or bool(row and row["got"])
            try:
                yield leads
            finally:
                if leads:
                    connection.execute("SELECT pg_advisory_unlock(%s)", (lock,))

    # The sandbox's clock

    def advance(self, to: datetime) -> datetime:
        """Moves the test clock to an instant, stopping wherever something is due; answers the time it then shows."""
        clock = self._clock
        if not isinstance(clock, TestClock):
            raise Refused("not_a_sandbox", "only the sandbox's clock can be moved")
        with self._leading(DUE_LOCK, wait=True):
            now = clock.now()
            self._run()
            while (due := self._agenda.next_after(now)) is not None and due <= to:
                clock.set(due)
                now = due
                self._run()
            clock.set(to)
            self._run()
        return clock.now()

    # For ever

    def run(self) -> None:
        """Works until stopped: projecting, doing what is due, signing checkpoints, each led by one worker at a time.

        A slow answer from outside holds up no projection, though what else is due waits for it.
        """
        beside = [
            threading.Thread(target=self._run_task, args=(PROJECT_LOCK, self._views.catch_up), daemon=True),
            threading.Thread(target=self._run_task, args=(CHECKPOINT_LOCK, self._checkpoint_in_time), daemon=True),
        ]
        for thread in beside:
            thread.start()
        self._run_task(DUE_LOCK, self._run)
        for thread in beside:
            thread.join()

    def _checkpoint_in_time(self) -> None:
        """Every 1,000 events, and at the latest 60 seconds after an event. How long is the machine's time, not the clock's."""
        last = self._checkpoints.last()
        appended = self._service.log.head() - (last.position if last else 0)
        waited = time.monotonic() - self._last_checkpoint
        if appended >= EVERY_EVENTS or (appended and waited >= EVERY_SECONDS):
            self._checkpoints.write(self._service.log, self._clock)
            self._last_checkpoint = time.monotonic()

    def _run_task(self, lock: int, task: Callable[[], object]) -> None:
        while not self._stopped.is_set():
            try:
                self._run_while_connected(lock, task)
            except (OperationalError, PersistenceError) as error:
                log.warning("the database is away; trying again", error=str(error))
            except (CannotSign, Corrupt) as error:  # which say what to do
                log.error("a pass of the worker cannot be made; trying again", error=str(error))
            except Exception:
                log.exception("a pass of the worker failed; trying again")
            self._stopped.wait(POLL_SECONDS)

    def _run_while_connected(self, lock: int, task: Callable[[], object]) -> None:
        """Woken by each append and by the time. Listens from before a pass, so that nothing appended in it is missed."""
        with self._database.connection() as listening:
            listening.execute(f"LISTEN {CHANNEL}".encode())
            try:
                while not self._stopped.is_set():
                    with self._leading(lock, wait=False) as leads:
                        if leads:
                            task()
                    for _ in listening.notifies(timeout=POLL_SECONDS, stop_after=1):
                        pass
            finally:
                if not listening.closed:
                    listening.execute("UNLISTEN *")

    def stop(self) -> None:
        """Lets `run` end after the batch it is at."""
        self._stopped.set()


def _key(deadline: Deadline) -> tuple[str, str, str]:
    return deadline.stream, deadline.kind, deadline.item


def _together(due: list[Deadline]) -> list[Deadline]:
    """The first of the due that may be handled together, in order: the ledger's own, or those of the outside world.

    What is decided may set a deadline that comes before others that wait: a close the next one, an elapsed hold the release.
    So of a freelancer, whose stream keeps the order, one instant is taken at a time.
    """
    outside = due[0].kind in OUTSIDE
    batch: list[Deadline] = []
    taken: dict[str, datetime] = {}
    for deadline in due:
        if (deadline.kind in OUTSIDE) != outside:
            break
        if outside and len(batch) == OUTSIDE_BATCH:
            break
        if outside or taken.setdefault(deadline.freelancer_id or deadline.stream, deadline.at) == deadline.at:
            batch.append(deadline)
    return batch
