"""An embedded PostgreSQL: the same server as anyone's, without anyone having to install or start it.

    with EmbeddedPostgres(Path(".ledger")) as postgres:
        psycopg.connect(postgres.url)

Every process that opens the same data directory shares one server. It is started by the first and stops about two
seconds after the last has left, by `stop()`, by ending, or by being killed. `ledger.store.supervisor` runs it.

What a user sees when the server or its supervisor is killed: every connection breaks, and within a second or two new
ones succeed again at the same URL; a transaction whose commit was acknowledged is there.
"""

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

from ledger.store.embedded_cluster import ADMIN, APPLICATION, OWNER
from ledger.store.embedded_folder import EmbeddedPostgresError, Folder, is_still, open_private, read_private, try_lock
from ledger.store.supervisor import FAILED, HELD_BY_ANOTHER, SERVING

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

START_SECONDS = 60.0
POLL_SECONDS = 0.03
WATCH_SECONDS = 1.0
LONGEST_WATCH_SECONDS = 30.0

logger = logging.getLogger(__name__)


class EmbeddedPostgres:
    """One PostgreSQL for one data directory, shared by every process that opens it."""

    def __init__(self, data_dir: Path) -> None:
        """Name the data directory; nothing happens before `start`."""
        self._folder = Folder(Path(data_dir).expanduser().resolve())
        self._users_lock: int | None = None
        self._urls: dict[str, str] = {}
        self._left = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Return when the server accepts connections: made if new, started if at rest, joined if it runs.

        Again is harmless. Raises EmbeddedPostgresError if that cannot be done within START_SECONDS.
        """
        if self._users_lock is not None:
            return
        deadline = time.monotonic() + START_SECONDS
        try:
            self._users_lock = join_users(self._folder, deadline)
            self._urls = reach_server(self._folder, deadline)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedPostgresError(
                    f"starting PostgreSQL in {self._folder.path}", str(error),
                    "Name a data directory that this user may write to: one made by another user stays theirs.",
                ) from error  # fmt: skip
            raise
        self._left = threading.Event()
        self._watcher = threading.Thread(
            target=watch_supervisor, args=(self._folder, os.fstat(self._users_lock), self._left),
            name="embedded-postgres-watcher", daemon=True,
        )  # fmt: skip
        self._watcher.start()

    def stop(self) -> None:
        """Leave; the server stops when the last process has left. Harmless before a start and when repeated."""
        self._left.set()
        if self._watcher is not None:
            self._watcher.join(timeout=2.0)  # it sleeps, or it is starting a supervisor, which will find nobody and end
            self._watcher = None
        if self._users_lock is not None:
            os.close(self._users_lock)  # not LOCK_UN, which would also let go for a forked child that shares the lock
            self._users_lock = None
        self._urls = {}

    @property
    def url(self) -> str:
        """The database `ledger`, as the role `ledger`, which owns it and is no superuser."""
        return self._url_of(OWNER)

    @property
    def application_url(self) -> str:
        """The database `ledger`, as the role `ledger_app`, which owns nothing and may do what it was granted."""
        return self._url_of(APPLICATION)

    @property
    def admin_url(self) -> str:
        """The database `postgres`, as the superuser: for tests and maintenance."""
        return self._url_of(ADMIN)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _url_of(self, role: str) -> str:
        if role not in self._urls:
            raise EmbeddedPostgresError(
                "naming the URL of the embedded PostgreSQL", "it is not started", "Call start() first, or use `with`."
            )
        return self._urls[role]


def join_users(folder: Folder, deadline: float) -> int:
    """Hold users.lock, shared; waits while a server that nobody used is being stopped."""
    while True:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.path.stat().st_mode & 0o002:
            raise EmbeddedPostgresError(
                f"keeping a database in {folder.path}", "everyone may write to that folder",
                "Name a folder of its own, for instance one inside it.",
            )  # fmt: skip
        descriptor = open_private(folder.users_lock)
        if try_lock(descriptor, fcntl.LOCK_SH) and is_still(folder.users_lock, os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"joining the server of {folder.path}", f"it has been stopping for {START_SECONDS:.0f} s",
                f"Its log is {folder.log}.",
            )  # fmt: skip
        time.sleep(POLL_SECONDS)


def reach_server(folder: Folder, deadline: float) -> dict[str, str]:
    """See to it that there is a supervisor until the server answers; the URL for each role."""
    while True:
        if not is_supervised(folder):
            launch_supervisor(folder, deadline)
        against = "its supervisor is still making it"
        if urls := read_urls(folder):
            try:
                psycopg.connect(urls[OWNER], connect_timeout=5).close()
            except psycopg.OperationalError as error:
                against = str(error)
            else:
                return urls
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"reaching the server of {folder.path}", f"{against}\nIts log ends:\n{folder.log_tail()}",
                "If it is recovering after a crash, start again: it goes on from where it is.",
            )  # fmt: skip
        time.sleep(POLL_SECONDS)


def read_urls(folder: Folder) -> dict[str, str]:
    """The URL for each role, once the supervisor has written where the server is."""
    location, passwords = read_private(folder.location), read_private(folder.credentials)
    if location is None or passwords is None:
        return {}
    host = quote(location["socket_dir"], safe="/")
    return {
        role: f"postgresql://{role}:{quote(passwords[role])}@/{database}?host={host}&port=5432"
        for role, database in ((OWNER, OWNER), (APPLICATION, OWNER), (ADMIN, ADMIN))
    }


def is_supervised(folder: Folder) -> bool:
    """Whether some supervisor holds its lock; looking takes the lock for an instant, which a supervisor waits out."""
    descriptor = open_private(folder.supervisor_lock)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def launch_supervisor(folder: Folder, deadline: float) -> None:
    """Start a supervisor in a session of its own, out of reach of Ctrl-C; returns once the server is ready."""
    package_root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), package_root)))
    try:
        started = subprocess.run(
            [sys.executable, "-P", "-m", "ledger.store.supervisor", str(folder.path)],
            cwd="/", env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            start_new_session=True, check=False, timeout=max(1.0, deadline - time.monotonic()),
        )  # fmt: skip
    except subprocess.TimeoutExpired as expired:
        raise EmbeddedPostgresError(
            f"starting PostgreSQL in {folder.path}", f"it is not ready yet; its log ends:\n{folder.log_tail()}",
            "If it is recovering after a crash, start again: it goes on from where it is.",
        ) from expired  # fmt: skip
    outcome, *reasons = json.loads(started.stdout) if started.stdout else (FAILED,)
    if outcome in (SERVING, HELD_BY_ANOTHER):
        return
    if len(reasons) == 3:
        raise EmbeddedPostgresError(*reasons)
    raise EmbeddedPostgresError(
        f"starting the supervisor of {folder.path}", f"it died: {started.stderr}\nIts log ends:\n{folder.log_tail()}",
        "Start again; if that does not help, the lines above name what is missing.",
    )  # fmt: skip


def watch_supervisor(folder: Folder, users_file: os.stat_result, left: threading.Event) -> None:
    """Until this user has left, or the folder is gone: replace a supervisor that was killed."""
    pause = WATCH_SECONDS
    while not left.wait(pause) and is_still(folder.users_lock, users_file):
        try:
            if not is_supervised(folder):
                launch_supervisor(folder, time.monotonic() + START_SECONDS)
            pause = WATCH_SECONDS
        except (EmbeddedPostgresError, OSError) as error:
            pause = min(2 * pause, LONGEST_WATCH_SECONDS)
            logger.error("the embedded PostgreSQL of %s is down, next attempt in %.0f s: %s", folder.path, pause, error)
