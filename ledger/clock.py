"""The clock as the ledger sees it. `now` is an argument everywhere; only a clock at the edge answers this."""

from datetime import datetime, timedelta
from typing import Protocol

DAY = timedelta(hours=24)
"""A day is exactly 24 hours."""


class Clock(Protocol):
    """Something that knows the time."""

    def now(self) -> datetime:
        """The present instant, in UTC, to the microsecond."""
        ...
