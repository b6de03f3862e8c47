"""The data directory of an embedded PostgreSQL: the names in it, its locks, and files that only its owner may read.

    users.lock        every process that uses the server holds it shared
    supervisor.lock   the supervisor holds it alone
    credentials       the passwords of the three roles (JSON, 0600), made once
    location          which cluster is this folder's, where it is and where its socket is (JSON)
    cluster-<id>/     the cluster; it is under /var/lib/ledger instead where its account cannot reach this folder
    server.log        what the server and its supervisor say, bounded together with server.log.1

Locks are `flock`s: the kernel drops them however their process ends.
"""

import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL could not do what was asked: what was tried, what stood against it, what to do."""

    def __init__(self, tried: str, against: str, remedy: str) -> None:
        super().__init__(f"{tried} failed: {against.strip()}\n{remedy}")
        self.tried = tried
        self.against = against
        self.remedy = remedy


@dataclass(frozen=True)
class Folder:
    """A data directory and the names in it."""

    path: Path

    @property
    def users_lock(self) -> Path:
        return self.path / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def credentials(self) -> Path:
        return self.path / "credentials"

    @property
    def location(self) -> Path:
        return self.path / "location"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def digest(self) -> str:
        return digest(str(self.path))

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of the log, for an error's text."""
        if not self.log.exists():
            return "(no log)"
        with self.log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 8_000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def is_root() -> bool:
    return os.geteuid() == 0


def digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def open_private(path: Path, flags: int = 0) -> int:
    """Open or create a file that only the folder's owner may read; root gives it to that owner."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    if is_root():
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, -1)
    return descriptor


def write_private(path: Path, content: dict[str, str]) -> None:
    """Write JSON so that a reader sees either the old file or the whole new one, also after a power cut."""
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(open_private(temporary, os.O_TRUNC), "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def read_private(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a JSON object")
    return {str(key): str(value) for key, value in content.items()}


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take `fcntl.LOCK_SH` or `LOCK_EX` if it is free now."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_still(path: Path, opened: os.stat_result) -> bool:
    """Whether the path names the file that was opened; not so once someone has deleted the folder."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (opened.st_dev, opened.st_ino)
