"""API keys: made, found, listed, revoked. Only a digest of a key is ever stored."""

import hmac
import secrets as randomness
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, NamedTuple, get_args

from psycopg.rows import DictRow

from ledger import ids
from ledger.errors import NotFound
from ledger.store.database import Database

Role = Literal["client", "freelancer", "auditor", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

PREFIX_LENGTH = 12
SECRET_BYTES = 30
USE_NOTED_EVERY = timedelta(minutes=1)
"""How exact `last_used_at` is: noting every use would make every read a write."""


class ApiKey(NamedTuple):
    """What is known of a key. `party_id` binds a client's or freelancer's; `person` holds an operator's or auditor's."""

    id: str
    prefix: str
    role: Role
    party_id: str | None
    person: str | None
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class Keys:
    """The keys of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        key_id: str,
        role: Role,
        *,
        party_id: str | None,
        person: str | None,
        created_by: str,
        now: datetime,
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is nowhere afterwards. The same `key_id` again replaces a text that nobody got."""
        prefix = ids.encode(randomness.token_bytes(16))[:PREFIX_LENGTH]
        text = f"lk_{prefix}_{randomness.token_urlsafe(SECRET_BYTES)}"
        rows = self._database.fetch(
            "INSERT INTO api_keys (id, prefix, digest, role, party_id, person, created_by, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET prefix = excluded.prefix, digest = excluded.digest RETURNING *",
            (key_id, prefix, digest(text), role, party_id, person, created_by, now),
        )
        return _key(rows[0]), text

    def find(self, text: str, now: datetime) -> ApiKey | None:
        """The key with that text, unless it was revoked. Notes its use."""
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != "lk" or not text.isascii():
            return None
        rows = self._database.fetch("SELECT * FROM api_keys WHERE prefix = %s AND revoked_at IS NULL", (parts[1],))
        if not rows or not hmac.compare_digest(bytes(rows[0]["digest"]), digest(text)):
            return None
        key = _key(rows[0])
        if key.last_used_at is None or abs(now - key.last_used_at) >= USE_NOTED_EVERY:
            self._database.execute("UPDATE api_keys SET last_used_at = %s WHERE id = %s", (now, key.id))
        return key

    def list(self, *, before: int | None = None, limit: int) -> list[tuple[int, ApiKey]]:
        """Keys, revoked ones too, newest first, each with its number; those with a number below `before`."""
        rows = self._database.fetch(
            "SELECT * FROM api_keys WHERE number < coalesce(%s, 9223372036854775807) ORDER BY number DESC LIMIT %s",
            (before, limit),
        )
        return [(row["number"], _key(row)) for row in rows]

    def get(self, key_id: str) -> ApiKey:
        """Raises NotFound."""
        rows = self._database.fetch("SELECT * FROM api_keys WHERE id = %s", (key_id,))
        if not rows:
            raise NotFound(f"API key {key_id}")
        return _key(rows[0])

    def revoke(self, key_id: str, now: datetime) -> ApiKey:
        """From now on it opens nothing; again changes nothing. Raises NotFound."""
        self._database.execute(
            "UPDATE api_keys SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL", (now, key_id)
        )
        return self.get(key_id)

    def revoke_all(self, party_id: str, now: datetime) -> int:
        """Revokes every key of a party; how many opened something until now."""
        revoke = "UPDATE api_keys SET revoked_at = %s WHERE party_id = %s AND revoked_at IS NULL RETURNING id"
        return len(self._database.fetch(revoke, (now, party_id)))


def digest(text: str) -> bytes:
    """What is stored of a key: 30 random bytes need no slow hash."""
    return sha256(text.encode()).digest()


def _key(row: DictRow) -> ApiKey:
    return ApiKey(**{name: row[name] for name in ApiKey._fields})
