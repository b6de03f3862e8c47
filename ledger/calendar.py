"""The calendar: ISO weeks and billing cycles. Pure; all instants are UTC. When what closes is in `ledger.rules`.

An interval includes its start, never its end.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from ledger.clock import DAY

Cadence = Literal["weekly", "biweekly"]

WEEK = 7 * DAY
_WEEKS = {"weekly": 1, "biweekly": 2}


def cycle_length(cadence: Cadence) -> timedelta:
    """Of a billing cycle: one week or two."""
    return WEEK * _WEEKS[cadence]


def midnight(day: date) -> datetime:
    """The first instant of a day."""
    return datetime.combine(day, time.min, UTC)


def week_of(instant: datetime) -> datetime:
    """Monday 00:00 of the ISO week that holds the instant."""
    return midnight(instant.date() - timedelta(days=instant.weekday()))


def cycle_of(anchor: datetime, cadence: Cadence, instant: datetime) -> tuple[datetime, datetime]:
    """Start and end of the billing cycle that holds the instant, counted from `anchor`, a Monday 00:00."""
    length = cycle_length(cadence)
    start = anchor + length * ((instant - anchor) // length)
    return start, start + length
