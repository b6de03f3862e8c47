"""A table beside a live one, of exactly its making: columns, constraints, indexes, triggers, grants, under the same names.

Read from the catalog, so that it is what the migrations made, whichever they were. In two schemas names can be the same, and
`ALTER TABLE … SET SCHEMA` takes indexes, constraints and triggers along.
"""

from typing import Any

from psycopg import Connection, sql
from psycopg.rows import tuple_row

LIVE, SHADOW = "public", "rebuild"


def create(connection: Connection[Any], table: str) -> None:
    """The empty table, with the constraints that rows are found by; `complete` adds the rest when it has been filled.

    Within the caller's transaction; it leaves `search_path` as SHADOW before LIVE there.
    """
    (kind, options, owner) = _rows(
        connection,
        "SELECT relpersistence, reloptions, pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::regclass",
        (f"{LIVE}.{table}",),
    )[0]
    constraints = _definitions(
        connection,
        "SELECT conname, pg_get_constraintdef(oid, true) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'x', 'f') ORDER BY contype = 'f', conname",
        table,
    )
    create_table = "CREATE UNLOGGED TABLE" if kind == "u" else "CREATE TABLE"
    _run(connection, f"{create_table} {SHADOW}.{table} (LIKE {LIVE}.{table} INCLUDING ALL EXCLUDING INDEXES)")
    for option in options or ():
        _run(connection, f"ALTER TABLE {SHADOW}.{table} SET ({option})")
    for name, definition in constraints:
        _run(connection, f'ALTER TABLE {SHADOW}.{table} ADD CONSTRAINT "{name}" {definition}')
    connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(_name(SHADOW, table), sql.Identifier(owner)))


def complete(connection: Connection[Any], table: str) -> None:
    """Makes the indexes that are still missing, and tells the planner what is in the table: once it has been filled."""
    indexes = _definitions(
        connection,
        "SELECT c.relname, pg_get_indexdef(c.oid, 0, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid)"
        " ORDER BY c.relname",
        table,
    )
    known = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s::regclass"
    made = {name for (name,) in _rows(connection, known, (f"{SHADOW}.{table}",))}
    for name, definition in indexes:
        if name not in made:
            _run(connection, definition)
    _run(connection, f"ANALYZE {SHADOW}.{table}")


def replace(connection: Connection[Any], table: str) -> None:
    """Puts the shadow in the live table's place, with its triggers, grants and comment as they are now.

    The caller holds the live table's lock. Triggers come last: they are for what happens to the live table.
    """
    shadow = _name(SHADOW, table)
    where = (f"{LIVE}.{table}",)
    triggers = _definitions(
        connection,
        "SELECT tgname, pg_get_triggerdef(oid, true) FROM pg_trigger"
        " WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname",
        table,
    )
    grants = _rows(
        connection,
        "SELECT grantee, coalesce(pg_get_userbyid(nullif(grantee, 0)), ''), privilege_type, is_grantable"
        " FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass",
        where,
    )
    ((comment,),) = _rows(connection, "SELECT obj_description(%s::regclass, 'pg_class')", where)
    for grantee, name, privilege, grantable in grants:
        whom = sql.Identifier(name) if grantee else sql.SQL("PUBLIC")
        how = sql.SQL(" WITH GRANT OPTION" if grantable and grantee else "")
        connection.execute(sql.SQL("GRANT {} ON {} TO {}{}").format(sql.SQL(privilege), shadow, whom, how))
    if comment is not None:
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(shadow, sql.Literal(comment)))
    _run(connection, f"DROP TABLE {LIVE}.{table}")
    _run(connection, f"ALTER TABLE {SHADOW}.{table} SET SCHEMA {LIVE}")
    for _, definition in triggers:
        _run(connection, definition)


def _definitions(connection: Connection[Any], query: str, table: str) -> list[tuple[str, str]]:
    """Names and definitions of what belongs to a live table, written so that they make the same of its shadow.

    Printed while only LIVE is on the search path, the table's name has no schema; then it is the shadow's that is found first.
    """
    _run(connection, f"SET LOCAL search_path = {LIVE}")
    found = _rows(connection, query, (f"{LIVE}.{table}",))
    _run(connection, f"SET LOCAL search_path = {SHADOW}, {LIVE}")
    return [(name, definition) for name, definition in found]


def _run(connection: Connection[Any], statement: str) -> None:
    """A statement of names that are this program's or the catalog's own."""
    connection.execute(statement.encode())


def _name(schema: str, table: str) -> sql.Identifier:
    return sql.Identifier(schema, table)


def _rows(connection: Connection[Any], query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return connection.cursor(row_factory=tuple_row).execute(query.encode(), parameters).fetchall()
