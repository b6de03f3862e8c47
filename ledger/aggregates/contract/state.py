"""A contract's state: what its deciders know."""

from datetime import date, datetime
from typing import Literal

import msgspec

from ledger.calendar import Cadence
from ledger.errors import NotFound
from ledger.events import Kind, Outcome, PaySchedule

Status = Literal["invited", "accepted", "active", "suspended", "completed", "declined", "withdrawn"]
MilestoneStatus = Literal["requested", "planned", "active", "submitted", "approved"]

FIXED_PRICE: tuple[Kind, ...] = ("single_payment", "milestone")


class Milestone(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    position: int
    description: str
    amount: int
    status: MilestoneStatus
    submissions: int = 0
    review_deadline: datetime | None = None
    lapsed: bool = False
    """Its last submission was approved by silence."""
    approved_at: datetime | None = None
    payout_id: str | None = None


class TimeEntry(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    date: date
    week: datetime
    minutes: int
    memo: str | None = None
    locked: bool = False


class Timesheet(msgspec.Struct, frozen=True, kw_only=True):
    """A locked week, priced; billed with its cycle."""

    week: datetime
    minutes: int
    amount: int
    billed: bool = False


class Bonus(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    amount: int
    note: str | None
    granted_at: datetime
    invoice_at: datetime
    payout_id: str | None = None


class Span(msgspec.Struct, frozen=True):
    """While the contract was active: from `start`, up to but not including `end`."""

    start: datetime
    end: datetime | None = None


class EmployerOfRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    pay_schedule: PaySchedule


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts are minor units of `currency`; texts are vault ids."""

    id: str
    version: int
    status: Status
    client_id: str
    freelancer_id: str
    freelancer_email: str
    title: str
    kind: Kind
    cadence: Cadence
    currency: str
    hourly_rate: int | None = None
    weekly_limit_minutes: int | None = None
    rate: int | None = None
    sourcing: str
    conversion_id: str | None = None
    offered_at: datetime
    # what must be known before it is active
    payout_method_on_file: bool = False
    classification_by: str
    questionnaire: str | None = None
    recommendation: Outcome | None = None
    recommendation_reasons: str | None = None
    outcome: Outcome | None = None
    eor: EmployerOfRecord | None = None
    # when it was active
    anchor: datetime | None = None
    """The Monday from which billing cycles are counted."""
    activated_at: datetime | None = None
    completed_at: datetime | None = None
    spans: tuple[Span, ...] = ()
    # the work
    milestones: tuple[Milestone, ...] = ()
    entries: tuple[TimeEntry, ...] = ()
    timesheets: tuple[Timesheet, ...] = ()
    bonuses: tuple[Bonus, ...] = ()
    payouts: tuple[str, ...] = ()
    closed_through: datetime | None = None
    """The end of the last billing cycle that was closed."""
    next_close: datetime | None = None
    untold: dict[str, str] = {}
    """By kind of notification, the event that somebody has not been told of yet."""

    @property
    def through_eor(self) -> bool:
        """Everything of an employee is paid through the Employer of Record (rule 4)."""
        return self.outcome == "employee"

    @property
    def ready(self) -> bool:
        """Accepted, with all that an active contract needs (rules 1, 3)."""
        classified = self.outcome is not None and (self.eor is not None or not self.through_eor)
        return self.status == "accepted" and self.payout_method_on_file and classified


def milestone_of(state: Contract, milestone_id: str) -> Milestone:
    """Raises NotFound."""
    for milestone in state.milestones:
        if milestone.id == milestone_id:
            return milestone
    raise NotFound(f"milestone {milestone_id} of contract {state.id}")


def entry_of(state: Contract, entry_id: str) -> TimeEntry:
    """Raises NotFound."""
    for entry in state.entries:
        if entry.id == entry_id:
            return entry
    raise NotFound(f"time entry {entry_id} of contract {state.id}")
