"""What the fields of requests may hold. Strict: nothing is converted, nothing is trimmed, nothing is guessed."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema

from ledger.ids import kind_of
from ledger.money import CURRENCIES, Amount, AmountOrZero, Currency, HourlyRate
from ledger.processors.mail import is_address

__all__ = ["Amount", "AmountOrZero", "HourlyRate"]

MAX_TITLE, MAX_TEXT, MAX_EMAIL, MAX_TOKEN, MAX_ID = 200, 10_000, 254, 255, 64
FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Instants and dates of a request lie in these years."""
MAX_DEPTH = 8
"""How deep the answers to a questionnaire may nest."""

_NO_NUL = r"^[^\x00]*$"
_EMAIL = r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"
_ID = re.compile(r"[a-z]{3}_[a-z2-7]{20}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_id(text: str, prefix: str) -> bool:
    """Whether a text can be an id of that kind; what cannot be one names nothing."""
    return _ID.fullmatch(text) is not None and kind_of(text) == prefix


def _in_range(value: Any, year: int) -> Any:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return value


def parse_instant(value: Any) -> datetime:
    """RFC 3339 with a zone, to the microsecond; answers UTC. Raises ValueError."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with its zone, such as 2026-01-05T09:00:00Z")
    try:
        instant = datetime.fromisoformat(value.upper())
        return _in_range(instant, instant.year).astimezone(UTC)  # type: ignore[no-any-return]
    except OverflowError:
        raise ValueError("is no instant of the calendar") from None


def _one_address(value: str) -> str:
    if not is_address(value):
        raise ValueError("must be one e-mail address, such as ada@example.com")
    return value


def parse_date(value: Any) -> date:
    """A date, YYYY-MM-DD. Raises ValueError."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("must be a date, such as 2026-01-05")
    day = date.fromisoformat(value)
    return _in_range(day, day.year)  # type: ignore[no-any-return]


def _shallow(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"must not nest deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        for name, item in value.items():
            _shallow(name, depth + 1)
            _shallow(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _shallow(item, depth + 1)
    elif isinstance(value, str) and "\x00" in value:
        raise ValueError("must not hold the character U+0000")


def _answers(value: Any) -> Any:
    if not isinstance(value, str | list | dict) or not value:
        raise ValueError("must be an object, a list or a text that says something")
    _shallow(value)
    if len(orjson.dumps(value).decode()) > MAX_TEXT:
        raise ValueError(f"must have at most {MAX_TEXT} characters, written as JSON")
    return value


Title = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=MAX_TITLE, pattern=_NO_NUL)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=MAX_TEXT, pattern=_NO_NUL)]
Token = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=MAX_TOKEN, pattern=_NO_NUL)]
Email = Annotated[
    str,
    StringConstraints(strict=True, min_length=3, max_length=MAX_EMAIL, pattern=_EMAIL),
    AfterValidator(_one_address),
]
Reference = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=MAX_ID, pattern=_NO_NUL)]
"""The id of another object. One of the wrong form names nothing, like one that does not exist."""

Instant = Annotated[datetime, BeforeValidator(parse_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[date, BeforeValidator(parse_date), WithJsonSchema({"type": "string", "format": "date"})]
Money = Annotated[Currency, WithJsonSchema({"type": "string", "enum": sorted(CURRENCIES)})]
Answers = Annotated[
    Any,
    AfterValidator(_answers),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string", "maxLength": 1000}},
                {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string", "maxLength": 50}},
                {"type": "string", "minLength": 1, "maxLength": 4000},
            ]
        }
    ),
]
