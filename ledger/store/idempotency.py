"""Idempotency keys: which command stands behind a key, and the answer it got. Kept for ever.

A key is claimed before its command runs. The claim is an advisory lock of the database, so it ends with the process that
holds it. The command's id follows from the key and its request, so whoever claims the key after a crash, of this process or of
PostgreSQL, carries on the same command, also where the row of the claim was lost with it.
"""

import threading
from hashlib import sha256
from typing import NamedTuple

import orjson
import psycopg
from psycopg.rows import DictRow

from ledger.ids import COMMAND, derive
from ledger.store.database import Database, Silent

LOCKS = "ledger: idempotency locks"
"""How the connection that holds the locks is named in pg_stat_activity."""


class KeyInProgress(Exception):
    """Another request under the same key is being carried out."""


class KeyReused(Exception):
    """The key was used before for something else."""


class Kept(NamedTuple):
    """An answer as it was given."""

    status: int
    headers: dict[str, str]
    body: bytes


class Claim(NamedTuple):
    """The right to carry out a command under its id, or, where there is one, the answer that it got."""

    owner: str
    key: str
    fingerprint: bytes
    command_id: str
    kept: Kept | None


class Idempotency:
    """The keys of one database. One connection of its own holds the locks of all claims of this process.

    Nobody waits longer than the database's `wait_seconds` for it to be free, to be opened, or to answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mutex = threading.Lock()
        self._running: set[tuple[str, str]] = set()
        self._locks: psycopg.Connection[DictRow] | None = None
        self._suspect = False
        """Whether a claim could not be ended: the next one opens another connection, and the locks end with this one."""

    def claim(self, owner: str, key: str, fingerprint: bytes) -> Claim:
        """Claims a key of `owner` for the request with that SHA-256.

        Raises KeyInProgress or KeyReused, or psycopg.OperationalError. `release` must follow a claim.
        """
        self._lock(owner, key)
        try:
            return self._look_up(owner, key, fingerprint)
        except BaseException:
            self.release(owner, key)
            raise

    def keep(self, claim: Claim, answer: Kept) -> None:
        """From now on this is the answer, whether or not the row of the claim outlived a crash of PostgreSQL."""
        self._database.execute(
            "INSERT INTO idempotency AS i (owner, key, fingerprint, command_id, status, headers, body)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (owner, key) DO UPDATE"
            " SET status = excluded.status, headers = excluded.headers, body = excluded.body WHERE i.status IS NULL",
            (*claim[:4], answer.status, orjson.dumps(answer.headers).decode(), answer.body),
        )

    def forget(self, claim: Claim) -> None:
        """Nothing was done under the key: it is free again."""
        self._database.execute(
            "DELETE FROM idempotency WHERE owner = %s AND key = %s AND status IS NULL", (claim.owner, claim.key)
        )

    def release(self, owner: str, key: str) -> None:
        """Ends a claim."""
        if not self._mutex.acquire(timeout=self._database.wait_seconds):
            self._suspect = True
            self._running.discard((owner, key))
            return
        try:
            if self._locks is not None:
                self._locks.execute("SELECT pg_advisory_unlock(%s)", (_lock_of(owner, key),))
        except psycopg.Error:
            self._drop_locks()
        finally:
            self._running.discard((owner, key))
            self._mutex.release()

    def close(self) -> None:
        """Ends every claim of this process."""
        with self._mutex:
            self._drop_locks()

    def _lock(self, owner: str, key: str) -> None:
        if not self._mutex.acquire(timeout=self._database.wait_seconds):
            raise Silent("the connection that holds the locks of Idempotency-Keys is not free")
        try:
            if (owner, key) in self._running or not self._try_lock(_lock_of(owner, key)):
                raise KeyInProgress
            self._running.add((owner, key))
        finally:
            self._mutex.release()

    def _try_lock(self, number: int) -> bool:
        """Under the mutex. One lost connection is replaced; with it went the locks of this process, not their commands."""
        if self._suspect:
            self._drop_locks()
        if self._locks is not None:
            try:
                return self._try_lock_on(self._locks, number)
            except Silent:
                self._drop_locks()
                raise
            except psycopg.OperationalError:
                self._drop_locks()
        self._locks = self._database.connect(LOCKS)
        return self._try_lock_on(self._locks, number)

    def _try_lock_on(self, locks: psycopg.Connection[DictRow], number: int) -> bool:
        row = locks.execute("SELECT pg_try_advisory_lock(%s) AS got", (number,)).fetchone()
        return bool(row and row["got"])

    def _drop_locks(self) -> None:
        self._suspect = False
        if self._locks is not None:
            self._locks.close()
            self._locks = None

    def _look_up(self, owner: str, key: str, fingerprint: bytes) -> Claim:
        command_id = derive(COMMAND, owner, key, fingerprint.hex())
        with self._database.connection() as connection, connection.transaction():
            # Waiting for no disk is safe: a row that a crash of PostgreSQL takes away is made again, with the same id.
            connection.execute("SET LOCAL synchronous_commit = off")
            connection.execute(
                "INSERT INTO idempotency (owner, key, fingerprint, command_id) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (owner, key, fingerprint, command_id),
            )
            (row,) = connection.execute("SELECT * FROM idempotency WHERE owner = %s AND key = %s", (owner, key))
        if bytes(row["fingerprint"]) != fingerprint:
            raise KeyReused
        kept = None if row["status"] is None else Kept(row["status"], row["headers"], bytes(row["body"]))
        return Claim(owner, key, fingerprint, row["command_id"], kept)


def fingerprint_of(method: str, path: str, body: bytes) -> bytes:
    """What makes two requests under one key the same: their method, path and body."""
    parts = (method.encode(), path.encode("utf-8", "surrogatepass"), body)
    return sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def _lock_of(owner: str, key: str) -> int:
    """The number of the advisory lock of a key: 64 bits of a hash; two keys that share it only wait for each other."""
    return int.from_bytes(sha256(f"idempotency\0{owner}\0{key}".encode()).digest()[:8], "big", signed=True)
