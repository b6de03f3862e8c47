"""Where shadow tables stand while they are folded: who may make them, one rebuild at a time, and that all of it is one making."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

import ledger
from ledger.errors import LedgerError
from ledger.projections.rows import Projection
from ledger.store import shadow_tables
from ledger.store.migrations import MIGRATION_LOCK
from ledger.store.shadow_tables import LIVE, SHADOW

REBUILD_LOCK = 7_305_005
"""Advisory lock: one rebuild at a time."""
WAIT_FOR_REBUILD_MS = 5_000
"""The session of a rebuild that was killed may take a moment to end."""


class CannotRebuild(LedgerError):
    """What stands against it, and what to do."""


def require_rights(owner: Connection[DictRow], projections: Sequence[Projection]) -> None:
    """Raises CannotRebuild where there is nothing to replace, or this role does not own it."""
    tables = [f"{LIVE}.{table.name}" for projection in projections for table in projection.tables]
    found = owner.execute(
        "SELECT t.name, to_regclass(t.name) IS NULL AS missing, pg_has_role(c.relowner, 'USAGE')"
        " AND has_database_privilege(current_database(), 'CREATE') AND has_schema_privilege(%s, 'CREATE') AS may"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, number)"
        " LEFT JOIN pg_class c ON c.oid = to_regclass(t.name) ORDER BY t.number",
        (LIVE, tables),
    ).fetchall()
    if missing := [row["name"] for row in found if row["missing"]]:
        raise CannotRebuild(
            f"the database {owner.info.dbname} lacks {', '.join(missing)}: LEDGER_OWNER_URL must lead to the ledger's own, and"
            " `ledger migrate` must have run"
        )
    if not all(row["may"] for row in found):
        raise CannotRebuild(
            f"the role {owner.info.user} may not replace the projections' tables, which belong to another: set"
            " LEDGER_OWNER_URL to the owner's URL of this database"
        )


def require_alone(owner: Connection[DictRow]) -> None:
    """Takes the lock, which this session holds to its end. Raises CannotRebuild where another one has it."""
    owner.execute(f"SET lock_timeout = {WAIT_FOR_REBUILD_MS}".encode())
    try:
        owner.execute("SELECT pg_advisory_lock(%s)", (REBUILD_LOCK,))
    except psycopg.errors.LockNotAvailable as error:
        raise CannotRebuild("another rebuild is running on this database: wait for its end") from error
    finally:
        owner.execute("SET lock_timeout = 0")


def prepare(owner: Connection[DictRow], projections: Sequence[Projection]) -> None:
    """Makes the shadow tables, all of them or none; takes those of an earlier run as they are. Raises CannotRebuild."""
    names = sorted(projection.name for projection in projections)
    known = {row["name"] for row in owner.execute(f"SELECT name FROM {LIVE}.projections".encode())}
    if missing := sorted(set(names) - known):
        raise CannotRebuild(
            f"there is nothing yet of {', '.join(missing)} to compare with: let `ledger serve` run first"
        )
    with owner.transaction():
        owner.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        if _exists(owner):
            require_same_making(owner, names)
            return
        owner.execute(f"CREATE SCHEMA {SHADOW}".encode())
        owner.execute(
            f"CREATE TABLE {SHADOW}.making AS SELECT %s::text[] AS projections, %s::text AS program,"
            f" array(SELECT name FROM {LIVE}.migrations ORDER BY name) AS migrations".encode(),
            (names, program()),
        )
        owner.execute(f"CREATE TABLE {SHADOW}.projections (LIKE {LIVE}.projections INCLUDING ALL)".encode())
        for projection in projections:
            for table in projection.tables:
                shadow_tables.create(owner, table.name)


def require_same_making(owner: Connection[DictRow], names: Sequence[str]) -> None:
    """Raises CannotRebuild where the shadow tables are of other projections, migrations or another program than these.

    What one program began to fold, another must not go on with: the rows would be of neither.
    """
    _require_ours(owner)
    made = owner.execute(
        f"SELECT m.*, array(SELECT name FROM {LIVE}.migrations ORDER BY name) AS applied FROM {SHADOW}.making m".encode()
    ).fetchone()
    if made is None or made["projections"] != list(names):
        other = ", ".join(made["projections"]) if made else "nothing"
        what = f"an earlier run began to rebuild {other}"
    elif made["migrations"] != made["applied"]:
        what = f"the database has been migrated to {made['applied'][-1]} since an earlier run began at {made['migrations'][-1]}"
    elif made["program"] != program():
        what = "an earlier run was begun by another version of the program"
    else:
        return
    raise CannotRebuild(f"{what}: begin at the first event with `replay rebuild --anew`")


@cache
def program() -> str:
    """A digest of the code that rows are made by."""
    root = Path(ledger.__file__).parent
    digest = sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def drop(owner: Connection[DictRow]) -> None:
    """Leaves nothing behind. Raises CannotRebuild for a schema of that name that is somebody else's."""
    if _exists(owner):
        _require_ours(owner)
        owner.execute(f"DROP SCHEMA {SHADOW} CASCADE".encode())


def _exists(owner: Connection[DictRow]) -> bool:
    return owner.execute("SELECT FROM pg_namespace WHERE nspname = %s", (SHADOW,)).fetchone() is not None


def _require_ours(owner: Connection[DictRow]) -> None:
    if owner.execute("SELECT to_regclass(%s) AS table", (f"{SHADOW}.making",)).fetchone() == {"table": None}:
        raise CannotRebuild(f"the schema {SHADOW} is not of this program's making: rename it, or drop it")
