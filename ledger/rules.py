"""The numbers of the domain's rules, as one value: what a decision is made under. Pure; all instants are UTC.

Deciders and policies take it as an argument; the ledger runs under `RULES`. Another value is for asking what would have been:
nothing that is decided under it is ever stored. A rule that changes is a new `version`, which every event carries (rule 28).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.calendar import WEEK, Cadence, cycle_of
from ledger.clock import DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    version: int = 1
    review_weekly: timedelta = 7 * DAY
    """How long submitted work may be reviewed on a weekly contract (rule 10)."""
    review_biweekly: timedelta = 14 * DAY
    close_after_cycle: timedelta = timedelta(hours=12)
    """From the end of a cycle, Monday 00:00, to its close (rules 14, 17)."""
    cycle_review: timedelta = 4 * DAY
    """From the close to Friday 12:00 (rule 17)."""
    hold: timedelta = 4 * DAY
    """From the charge to the release at the earliest (rule 22)."""
    retry_after: timedelta = DAY
    """From a failed charge to the next attempt (rule 24)."""
    scheduled_attempts: int = 10
    """After so many failures of a payout none is scheduled any more (rule 24)."""
    suspending_failure: int = 5
    """With this failure of a payout the contract is suspended (rule 24)."""

    def review_window(self, cadence: Cadence) -> timedelta:
        """How long submitted work may be reviewed (rule 10)."""
        return self.review_weekly if cadence == "weekly" else self.review_biweekly

    def close_of(self, cycle_end: datetime) -> datetime:
        """When a cycle closes."""
        return cycle_end + self.close_after_cycle

    def lock_of(self, week: datetime) -> datetime:
        """When the timesheet of the week starting then is locked: Monday 12:00 after it (rule 14)."""
        return self.close_of(week + WEEK)

    def next_cycle_close(self, anchor: datetime, cadence: Cadence, instant: datetime) -> datetime:
        """The first close strictly after the instant (rule 20: a grant at the close itself waits for the next one)."""
        _, end = cycle_of(anchor, cadence, max(instant - self.close_after_cycle, anchor))
        return self.close_of(end)


RULES = Rules()
"""The rules of the domain page."""
