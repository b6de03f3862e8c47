"""The calendar of the rules: ISO weeks, billing cycles, closes. Pure; all instants are UTC.

An interval includes its start, never its end.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from ledger.clock import DAY

Cadence = Literal["weekly", "biweekly"]

WEEK = 7 * DAY
CLOSE_AFTER_CYCLE = timedelta(hours=12)
"""A cycle closes on the Monday 12:00 that follows it."""
CYCLE_REVIEW = 4 * DAY
"""From the close to Friday 12:00 (rule 17)."""
HOLD = 4 * DAY
"""From the charge to the release at the earliest (rule 22)."""
RETRY_AFTER = DAY
"""From a failed charge to the next attempt (rule 24)."""

_WEEKS = {"weekly": 1, "biweekly": 2}


def review_window(cadence: Cadence) -> timedelta:
    """How long submitted work may be reviewed (rule 10)."""
    return WEEK * _WEEKS[cadence]


def midnight(day: date) -> datetime:
    """The first instant of a day."""
    return datetime.combine(day, time.min, UTC)


def week_of(instant: datetime) -> datetime:
    """Monday 00:00 of the ISO week that holds the instant."""
    return midnight(instant.date() - timedelta(days=instant.weekday()))


def lock_of(week: datetime) -> datetime:
    """When the timesheet of the week starting then is locked: Monday 12:00 after it (rule 14)."""
    return week + WEEK + CLOSE_AFTER_CYCLE


def cycle_of(anchor: datetime, cadence: Cadence, instant: datetime) -> tuple[datetime, datetime]:
    """Start and end of the billing cycle that holds the instant, counted from `anchor`, a Monday 00:00."""
    length = review_window(cadence)
    start = anchor + length * ((instant - anchor) // length)
    return start, start + length


def close_of(cycle_end: datetime) -> datetime:
    """When a cycle closes: 12 hours after its end."""
    return cycle_end + CLOSE_AFTER_CYCLE


def next_cycle_close(anchor: datetime, cadence: Cadence, instant: datetime) -> datetime:
    """The first close strictly after the instant (rule 20: a grant at the close itself waits for the next one)."""
    _, end = cycle_of(anchor, cadence, max(instant - CLOSE_AFTER_CYCLE, anchor))
    return close_of(end)
