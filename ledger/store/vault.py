"""The vault of rule 28: names, e-mail addresses and free text, outside the events that point to them.

An event carries the id and SHA-256(salt ‖ UTF-8 text); the salt is here. Erasing a row leaves history whole and verifiable.
"""

import os
import secrets as randomness
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg

from ledger import ids
from ledger.events import Sealed
from ledger.store.database import Database

SALT_BYTES = 16
LONGEST_KEY = 500
"""Characters of a name by which an id is looked up; of a longer one it is the hash."""


class Secret(NamedTuple):
    """A text on its way into the vault; it is stored in the transaction of the event that points to it."""

    sealed: Sealed
    owner: str
    salt: bytes
    text: str


def digest(salt: bytes, text: str) -> str:
    """What an event carries of a text, in hex."""
    return sha256(salt + text.encode()).hexdigest()


class Vault:
    def __init__(self, database: Database) -> None:
        self._database = database

    def seal(self, text: str, owner: str) -> Secret:
        """A sealed text of `owner`, a party's id. Nothing is stored yet: hand it over with the command."""
        salt = os.urandom(SALT_BYTES)
        identifier = ids.of(ids.VAULT, os.urandom(16))
        return Secret(Sealed(id=identifier, sha256=digest(salt, text)), owner, salt, text)

    def reveal(self, identifiers: Iterable[str | None]) -> dict[str, str]:
        """Texts by vault id; those that were erased are absent."""
        wanted = sorted({one for one in identifiers if one})
        if not wanted:
            return {}
        rows = self._database.fetch("SELECT id, text FROM vault WHERE id = ANY(%s)", (wanted,))
        return {row["id"]: row["text"] for row in rows}

    def identify(self, kind: str, name: str) -> str:
        """The id behind an e-mail address (kind `cli`, `fre`) or an employer's name (`eor`), made at its first mention.

        Neither case nor surrounding space matters. There may be no account under it yet.
        """
        key = name.strip().lower()
        if len(key) > LONGEST_KEY:  # more than an index holds
            key = sha256(key.encode()).hexdigest()
        with self._database.connection() as connection:
            select = "SELECT id FROM identities WHERE kind = %s AND name = %s"
            found = connection.execute(select, (kind, key)).fetchone()
            if found is None:
                new = ids.of(kind, randomness.token_bytes(16))
                insert = (
                    "INSERT INTO identities (kind, name, id) VALUES (%s, %s, %s) ON CONFLICT (kind, name) DO NOTHING"
                )
                connection.execute(insert, (kind, key, new))
                found = connection.execute(select, (kind, key)).fetchone()
        if found is None:
            raise LookupError(f"no id was made for a name of kind {kind}")
        return str(found["id"])

    def is_identified(self, identifier: str) -> bool:
        """Whether an id stands for a name that was ever mentioned."""
        select = "SELECT 1 FROM identities WHERE kind = %s AND id = %s"
        return bool(self._database.fetch(select, (ids.kind_of(identifier), identifier)))


def store(connection: psycopg.Connection[Any], secrets: Sequence[Secret]) -> None:
    """Writes sealed texts, within the caller's transaction."""
    if secrets:
        rows = [(secret.sealed.id, secret.owner, secret.salt, secret.text) for secret in secrets]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO vault (id, owner, salt, text) VALUES (%s, %s, %s, %s)", rows)
