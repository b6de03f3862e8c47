"""A backup of the whole database in one file, and a manifest beside it of what the log held; and back again.

The dump is PostgreSQL's own, by the programs that come with the embedded server. The manifest's head of the chain is read in the
dump's snapshot: what is restored can be held against it.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.errors import LedgerError
from ledger.store.embedded_cluster import package_binaries

OTHER_SECRETS = {"sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
"""Options of a URL, beside the password, that PostgreSQL's programs take on the command line only."""


class BackupError(LedgerError):
    """A backup or a restore did not succeed; says what stood against it."""


class Manifest(msgspec.Struct, frozen=True):
    """The last position of the log in the backup, and the chain's head there, in hex."""

    position: int
    hash: str


def manifest_path(file: Path) -> Path:
    return file.with_name(file.name + ".manifest.json")


def back_up(owner_url: str, file: Path) -> Manifest:
    """Writes the backup and its manifest; neither may be there already. Other programs go on meanwhile."""
    if file.exists() or manifest_path(file).exists():
        raise BackupError(f"{file} is there already: name another file, or move it away first")
    with psycopg.connect(owner_url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        manifest = _head(connection)
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        snapshot = row[0] if row else ""
        try:
            file.touch(0o600, exist_ok=False)  # the names, the texts and the keys' digests are for nobody else to read
        except OSError as error:
            raise BackupError(f"{file} cannot be written: {error.strerror}") from error
        try:
            _run(
                owner_url,
                "pg_dump",
                "--format=custom",
                "--no-owner",
                "--no-privileges",
                f"--snapshot={snapshot}",
                f"--file={file}",
            )
        except BaseException:
            file.unlink(missing_ok=True)  # half a backup is none, and would stand in the way of the next
            raise
    manifest_path(file).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return manifest


def restore(owner_url: str, file: Path) -> Manifest:
    """Restores a backup into an empty database, whole or not at all, and holds the log's head against the manifest."""
    try:
        manifest = msgspec.json.decode(manifest_path(file).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise BackupError(f"the backup's manifest cannot be read ({error}): it stands beside the backup") from error
    with psycopg.connect(owner_url) as connection:
        if connection.execute("SELECT to_regclass('events')").fetchone() != (None,):
            raise BackupError("there is a ledger in this database: restore into an empty one, and nothing is lost")
    single = ("--single-transaction", "--exit-on-error")
    _run(owner_url, "pg_restore", "--no-owner", "--no-privileges", *single, str(file))
    with psycopg.connect(owner_url) as connection:
        found = _head(connection)
    if found != manifest:
        raise BackupError(f"what was restored ends at position {found.position}, the backup at {manifest.position}")
    return manifest


def _head(connection: psycopg.Connection[Any]) -> Manifest:
    row = connection.execute("SELECT position, hash FROM log_head").fetchone()
    if row is None:
        raise BackupError("the log has no head row: this is no ledger")
    return Manifest(row[0], bytes(row[1]).hex())


def _run(url: str, program: str, *arguments: str) -> None:
    """Runs one of PostgreSQL's programs on the database that the URL means, with all that the URL says.

    The password goes by the environment, where other users cannot read it.
    """
    where = conninfo_to_dict(url)
    password = where.pop("password", None)
    if shown := sorted(where.keys() & OTHER_SECRETS):
        raise BackupError(f"every user of this machine could read {', '.join(shown)} of the URL: give one without it")
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    done = subprocess.run(
        [package_binaries() / program, f"--dbname={make_conninfo('', **where)}", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-2000:]}")
