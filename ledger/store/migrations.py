"""Bringing a database up to date, as its owner: forward-only migrations, then what the application role may do."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ledger.errors import LedgerError

MIGRATION_LOCK = 7_305_001
"""Advisory lock under which migrations run, so that two processes that start at once migrate once."""


class CannotMigrate(LedgerError):
    """The database lacks migrations that this role may not apply."""


def migrate(owner_url: str, application_url: str) -> list[str]:
    """Applies the migrations that are missing, in order, and answers their names.

    Where the application runs as another role than the owner, that role is made if need be and granted what it needs. Raises
    CannotMigrate when something is missing and `owner_url` is not the owner's.
    """
    with psycopg.connect(owner_url, autocommit=True) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        known = _applied(connection)
        missing = [script for script in _scripts() if script.name not in known]
        try:
            if not known:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
                )
            for script in missing:
                connection.execute(script.read_text(encoding="utf-8").encode())
                connection.execute("INSERT INTO migrations (name) VALUES (%s)", (script.name,))
        except psycopg.errors.InsufficientPrivilege as error:
            names = ", ".join(script.name for script in missing)
            raise CannotMigrate(
                f"the database lacks {names}, and this role may not apply them ({error.diag.message_primary}):"
                " set LEDGER_OWNER_URL to the owner's URL and run `ledger migrate`"
            ) from error
        application = conninfo_to_dict(application_url)
        if application.get("user") != conninfo_to_dict(owner_url).get("user"):
            _grant(connection, str(application["user"]), str(application.get("password") or ""))
    return [script.name for script in missing]


def _scripts() -> list[Traversable]:
    found = files("ledger.store").joinpath("sql").iterdir()
    return sorted((file for file in found if file.name[:4].isdigit()), key=lambda file: file.name)


def _applied(connection: psycopg.Connection[Any]) -> set[str]:
    if connection.execute("SELECT to_regclass('migrations')").fetchone() == (None,):
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM migrations").fetchall()}


def _grant(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    name = sql.Identifier(role)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
    grants = files("ledger.store").joinpath("sql", "grants.sql").read_text(encoding="utf-8")
    connection.execute(sql.SQL(grants).format(application=name))
