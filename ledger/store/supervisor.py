"""The small detached process that keeps one PostgreSQL running for one data directory.

Started by `ledger.store.embedded` as `python -m ledger.store.supervisor DATA_DIR`, never by hand. It alone holds
`supervisor.lock`, makes the cluster if there is none, runs the server as its child, starts it again when it dies, and
stops it when no process has held `users.lock` for GRACE_SECONDS, or when the data directory was deleted.

When it is killed itself, Linux tells the server to shut down at once (elsewhere the server goes on alone); the users
notice and start another supervisor, which first ends whatever is left of the server.
"""

import ctypes
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ledger.store.embedded_cluster import SOCKET_FILE, Cluster, open_cluster, server_environment
from ledger.store.embedded_folder import EmbeddedPostgresError, Folder, is_root, is_still, open_private, try_lock

SERVING, HELD_BY_ANOTHER, FAILED = "serving", "held by another", "failed"

GRACE_SECONDS = 1.5
TICK_SECONDS = 0.25
STARTING_TICK_SECONDS = 0.02
RESTART_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)  # before the first restart, the second, and so on
STEADY_SECONDS = 30.0  # a server that lived this long begins again with the first of them
GENTLE_SECONDS, ENDING_SECONDS = 10.0, 30.0
READY_LINE = 7  # of postmaster.pid, counted from 0
LOG_BYTES = 10_000_000

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}


class Supervisor:
    """Runs the server of one cluster until nobody uses it."""

    def __init__(self, folder: Folder, cluster: Cluster, users_lock: int) -> None:
        self._folder = folder
        self._cluster = cluster
        self._users_lock = users_lock
        self._users_file = os.fstat(users_lock)
        self._told_to_stop = False
        self._idle_since: float | None = None
        self._wakeup, waker = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake up: the server's end is seen by poll()
        for told in (signal.SIGTERM, signal.SIGINT):
            signal.signal(told, self._stop_later)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve; `ready` is called once, at the first time that the server accepts connections.

        Raises EmbeddedPostgresError if it dies before that, as then it is not worth trying again.
        """
        end_processes(self._cluster, gently=True)
        server, started, announced, failures = self._launch(), time.monotonic(), False, 0
        try:
            while not self._must_stop():
                if server.poll() is not None:
                    if not announced:
                        raise self._died_at_once(server)
                    failures = 0 if time.monotonic() - started > STEADY_SECONDS else failures
                    pause = RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)]
                    say(f"the server ended with {server.returncode}; starting it again in {pause} s")
                    self._wait(pause)
                    end_processes(self._cluster, gently=False)
                    server, started, failures = self._launch(), time.monotonic(), failures + 1
                elif not announced and is_accepting(self._cluster, server.pid):
                    ready()
                    announced = True
                self._wait(TICK_SECONDS if announced else STARTING_TICK_SECONDS)
                bound_log(self._folder)
        finally:
            shut_down(server)
            end_processes(self._cluster, gently=False)
            self._cluster.remove_socket_dir()

    def _launch(self) -> subprocess.Popen[bytes]:
        forget_dead_owner(self._cluster.path / "postmaster.pid")
        forget_dead_owner(self._cluster.socket_dir / f"{SOCKET_FILE}.lock")
        self._cluster.make_socket_dir()
        socket_dir = str(self._cluster.socket_dir).replace('"', '""')
        settings = {
            **SETTINGS,
            "cluster_name": self._cluster.name,
            "unix_socket_directories": f'"{socket_dir}"',
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        account = self._cluster.account
        return subprocess.Popen(
            [self._cluster.binaries / "postgres", "-D", self._cluster.path, *arguments],
            cwd="/", env=server_environment(), stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=follow_parent_into_death(),
            user=account.uid if is_root() else None,
            group=account.gid if is_root() else None,
            extra_groups=[] if is_root() else None,
        )  # fmt: skip

    def _died_at_once(self, server: subprocess.Popen[bytes]) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"starting PostgreSQL on {self._cluster.path}",
            f"it ended with {server.returncode}, saying:\n{self._folder.log_tail()}",
            f"Put right what these lines name (often: a full disk), then start again. The log is {self._folder.log}.",
        )  # fmt: skip

    def _must_stop(self) -> bool:
        """Whether it was told to, the folder is gone, or nobody has used it for a while.

        In the last case the lock is kept: nobody may join a server that is being stopped.
        """
        if self._told_to_stop or not is_still(self._folder.users_lock, self._users_file):
            return True
        if not try_lock(self._users_lock, fcntl.LOCK_EX):
            self._idle_since = None
            return False
        now = time.monotonic()
        self._idle_since = now if self._idle_since is None else self._idle_since
        if now - self._idle_since >= GRACE_SECONDS:
            return True
        fcntl.flock(self._users_lock, fcntl.LOCK_UN)
        return False

    def _stop_later(self, *_: object) -> None:
        self._told_to_stop = True

    def _wait(self, seconds: float) -> None:
        """Sleep, but wake when the server ends or a signal comes."""
        woken, _, _ = select.select([self._wakeup], [], [], seconds)
        if woken:
            os.read(self._wakeup, 4096)


# --- the server's processes -----------------------------------------------------------------------------------------


def follow_parent_into_death() -> Callable[[], None] | None:
    """What the child does before it becomes `postgres`: ask Linux for a fast shutdown (SIGINT) when we die."""
    if sys.platform != "linux":
        return None
    prctl, parent, set_parent_death_signal = ctypes.CDLL(None).prctl, os.getpid(), 1

    def ask() -> None:
        prctl(set_parent_death_signal, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def is_accepting(cluster: Cluster, pid: int) -> bool:
    """Whether `postmaster.pid` is this server's and says so; a client's own attempt is the final proof."""
    try:
        lines = (cluster.path / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > READY_LINE and lines[0] == str(pid) and lines[READY_LINE].strip() == "ready"


def shut_down(server: subprocess.Popen[bytes]) -> None:
    """Fast, and if that takes too long immediate, which the next start recovers from; harmless if it has ended."""
    for order, patience_seconds in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        server.send_signal(order)
        try:
            server.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            say(f"the server is still there {patience_seconds} s after {order.name}")
        else:
            return


def end_processes(cluster: Cluster, *, gently: bool) -> None:
    """End what is left of this cluster's server: backends without a postmaster keep its memory, and it from starting.

    Gently means a fast shutdown first, for a server that lost only its supervisor.
    """
    begun = time.monotonic()
    while pids := processes_of(cluster):
        waited = time.monotonic() - begun
        if waited > ENDING_SECONDS:
            raise EmbeddedPostgresError(
                f"ending the former server of {cluster.path}", f"processes {pids} survive kill -9",
                "They most likely wait for a disk that does not answer. Look at the disk, or restart the machine.",
            )  # fmt: skip
        order = signal.SIGINT if gently and waited < GENTLE_SECONDS else signal.SIGKILL
        for pid in pids:
            try:
                os.kill(pid, order)
            except ProcessLookupError:
                continue  # it has just ended, which is what we want
        time.sleep(0.05)


def processes_of(cluster: Cluster) -> list[int]:
    """The postmaster (by its argument) and its children (by their title); zombies have neither."""
    name = re.escape(cluster.name)
    ours = re.compile(rf"^postgres: {name}: |postgres .*\bcluster_name={name}\b")
    return [pid for pid, command in command_lines() if ours.search(command)]


def command_lines() -> Iterator[tuple[int, str]]:
    if not Path("/proc/self/cmdline").exists():
        listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
        for line in listed.stdout.splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command.strip()
        return
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                raw = Path("/proc", entry, "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it has ended meanwhile, or it is a stranger's
            yield int(entry), raw.replace(b"\0", b" ").decode(errors="replace")


def forget_dead_owner(lock_file: Path) -> None:
    """Remove a lock file whose process id now belongs to something that is no PostgreSQL, as after a reboot.

    PostgreSQL would take that process for a living server. Where the id is free or a PostgreSQL's, it judges itself.
    """
    try:
        owner = lock_file.read_text().split("\n", 1)[0].lstrip("-")
    except FileNotFoundError:
        return
    commands = dict(command_lines())
    if owner.isdigit() and int(owner) in commands and "postgres" not in commands[int(owner)]:
        lock_file.unlink()


# --- the process ----------------------------------------------------------------------------------------------------


def say(message: str) -> None:
    sys.stderr.write(f"supervisor [{os.getpid()}] {message}\n")
    sys.stderr.flush()


def bound_log(folder: Folder) -> None:
    """Move a full log aside. Lines written between the copy and the cut are lost; all writers append."""
    if os.fstat(2).st_size > LOG_BYTES:
        shutil.copyfile(folder.log, folder.log.with_suffix(".log.1"))
        os.ftruncate(2, 0)


def detach(folder: Folder) -> None:
    """Leave the starter's terminal, pipes and current folder; its session was left by `start_new_session`."""
    log = open_private(folder.log, os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)
    os.chdir("/")
    os.umask(0o077)


def take_supervisor_lock(folder: Folder) -> int | None:
    """The lock, or None if another supervisor has it; users look at it for an instant now and then."""
    descriptor = open_private(folder.supervisor_lock)
    for _ in range(10):
        if try_lock(descriptor, fcntl.LOCK_EX):
            return descriptor
        time.sleep(0.02)
    os.close(descriptor)
    return None


def supervise(folder: Folder, report: Callable[..., None]) -> None:
    """Take the lock and serve to the end, reporting once how the start went."""
    lock = take_supervisor_lock(folder)
    if lock is None:
        report(HELD_BY_ANOTHER)
        return
    users_lock = open_private(folder.users_lock)
    try:
        Supervisor(folder, open_cluster(folder), users_lock).run(lambda: report(SERVING))
    except EmbeddedPostgresError as error:
        say(str(error))
        report(FAILED, error.tried, error.against, error.remedy)
    except Exception as error:
        say(f"gives up: {error!r}")
        report(FAILED, f"supervising PostgreSQL for {folder.path}", repr(error), f"The log is {folder.log}.")
        raise
    finally:
        os.close(lock)  # before users.lock: whoever waits to join must find the place of the supervisor free


def main() -> int:
    """Fork the supervisor proper, and end when it has said how its start went: one JSON list on standard output."""
    folder = Folder(Path(sys.argv[1]))
    reader, writer = os.pipe()
    if os.fork() > 0:
        os.close(writer)
        with os.fdopen(reader) as answer:
            sys.stdout.write(answer.read())
        return 0
    os.close(reader)
    detach(folder)
    answer = os.fdopen(writer, "w")

    def report(*said: str) -> None:
        if not answer.closed:  # the starter hears the first report only; what comes later is in the log
            json.dump(said, answer)
            answer.close()

    supervise(folder, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
