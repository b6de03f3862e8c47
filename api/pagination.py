"""Lists: newest first, a page at a time, continued by an opaque cursor."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator, WithJsonSchema

from api.problems import ApiProblem, invalid
from api.query import MAX_WHOLE, whole

Limit = Annotated[
    int,
    BeforeValidator(whole),
    Query(ge=1, le=100, description="How many at most."),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100}),
]
CursorText = Annotated[str, Query(min_length=1, max_length=64, description="`next_cursor` of the page before.")]

DEFAULT_LIMIT = 20
Cursor = tuple[int, ...]


def encode(cursor: Cursor) -> str:
    """A cursor as the caller sees it: whole numbers that say where a page ended."""
    return urlsafe_b64encode(".".join(map(str, cursor)).encode()).decode().rstrip("=")


def decode(text: str | None, parts: int = 1) -> Cursor | None:
    """A cursor of so many numbers. Raises 422 for one that was never answered."""
    if text is None:
        return None
    try:
        plain = urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)).decode("ascii")
        cursor = tuple(int(part) for part in plain.split("."))
        if encode(cursor) == text and len(cursor) == parts and all(abs(number) <= MAX_WHOLE for number in cursor):
            return cursor
    except (Error, ValueError):
        pass
    raise never_answered()


def never_answered() -> ApiProblem:
    """422 `validation_error`, for a cursor that no page has named."""
    return invalid("query.cursor", "must be the next_cursor of another page")


def decode_one(text: str | None) -> int | None:
    """A cursor of one number. Raises 422."""
    cursor = decode(text)
    return cursor[0] if cursor else None


def page(rows: Sequence[tuple[Cursor, Any]], limit: int) -> tuple[list[Any], dict[str, Any]]:
    """Of up to `limit` + 1 rows with their cursors: those of the page, and what the page says of the next one."""
    shown = rows[:limit]
    more = len(rows) > limit
    return [row for _, row in shown], {"has_more": more, "next_cursor": encode(shown[-1][0]) if more else None}
