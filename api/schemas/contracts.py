"""Answers about contracts and what they hold. Amounts are minor units of `currency`."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from api.schemas.answers import Shape
from ledger.aggregates.contract.state import MilestoneStatus, Status
from ledger.calendar import Cadence
from ledger.events import Kind, Outcome, PaySchedule


class MilestoneOut(Shape):
    id: str
    object: Literal["milestone"]
    contract_id: str
    position: int
    description: str | None
    amount: int
    currency: str
    status: MilestoneStatus
    submissions: int
    review_deadline: datetime | None
    approved_at: datetime | None
    approved_by_silence: bool
    payout_id: str | None


class TimeEntryOut(Shape):
    id: str
    object: Literal["time_entry"]
    contract_id: str
    date: date
    week: datetime = Field(description="The Monday on which its week starts.")
    minutes: int
    memo: str | None
    locked: bool


class TimesheetOut(Shape):
    week: datetime
    minutes: int
    amount: int
    currency: str
    billed: bool


class BonusOut(Shape):
    id: str
    object: Literal["bonus"]
    contract_id: str
    amount: int
    currency: str
    note: str | None
    granted_at: datetime
    invoice_at: datetime
    payout_id: str | None


class ClassificationOut(Shape):
    by: Literal["client_decision", "service"]
    outcome: Outcome | None
    answers: Any | None
    recommendation: Outcome | None
    recommendation_reasons: str | None


class EmployerOfRecordOut(Shape):
    id: str
    object: Literal["employer_of_record"]
    name: str | None
    pay_schedule: PaySchedule


class ContractOut(Shape):
    id: str
    object: Literal["contract"]
    version: int
    status: Status
    archived: bool
    client_id: str
    freelancer_id: str
    freelancer_email: str | None
    title: str | None
    kind: Kind
    cadence: Cadence
    currency: str
    amount: int | None = Field(description="Of a single payment.")
    hourly_rate: int | None
    weekly_limit_minutes: int | None
    rate: int | None
    sourcing: Literal["off_platform", "marketplace"]
    conversion_id: str | None
    classification: ClassificationOut
    employer_of_record: EmployerOfRecordOut | None
    milestones: list[MilestoneOut]
    time_entries: list[TimeEntryOut]
    timesheets: list[TimesheetOut]
    bonuses: list[BonusOut]
    payout_ids: list[str]
    next_close: datetime | None
    offered_at: datetime
    activated_at: datetime | None
    completed_at: datetime | None


class PayrollOut(Shape):
    id: str
    object: Literal["eor_payroll"]
    contract_id: str
    payout_id: str
    amount: int
    currency: str
    period_start: date
    period_end: date
