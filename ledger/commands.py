"""Every command: a wish that an aggregate decides. Frozen; carries `now` and the actor.

`now` is the clock's. `effective_at` is when the thing is to be true, where that is not now: the deadline itself for what
happens by itself (rule 29), the processor's time for what it reports (rule 24). `cause_id` is the event that led to it.
`expected_version` is what the caller last saw of the object (If-Match).
"""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from ledger.calendar import Cadence
from ledger.events import (
    Direction,
    Kind,
    MilestoneTerms,
    NotificationKind,
    Outcome,
    PayoutTerms,
    PaySchedule,
    Posting,
    ReversalReason,
    Sealed,
)

SYSTEM = "system"
"""The actor of what happens by itself."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    command_id: str
    actor: str
    now: datetime
    effective_at: datetime | None = None
    cause_id: str | None = None
    expected_version: int | None = None

    @property
    def stream(self) -> str:
        """The aggregate that decides this command: the first field of the concrete command's family."""
        raise NotImplementedError

    @property
    def at(self) -> datetime:
        """When what is decided is true."""
        return self.effective_at or self.now

    def stamp(self, occurred_at: datetime | None = None) -> dict[str, Any]:
        """The fields that every event of this command carries."""
        return {
            "actor": self.actor,
            "occurred_at": occurred_at or self.at,
            "recorded_at": self.now,
            "command_id": self.command_id,
            "cause_id": self.cause_id,
        }

    def origin(self, cause_id: str) -> dict[str, Any]:
        """What a consequence of this command inherits from it."""
        return {"command_id": self.command_id, "actor": SYSTEM, "now": self.now, "cause_id": cause_id}


# Client


class ClientCommand(Command, frozen=True, kw_only=True):
    client_id: str

    @property
    def stream(self) -> str:
        return self.client_id


class RegisterClient(ClientCommand, frozen=True, kw_only=True):
    name: Sealed
    email: Sealed


class SetBillingMethod(ClientCommand, frozen=True, kw_only=True):
    method: Sealed


class RecordConversion(ClientCommand, frozen=True, kw_only=True):
    conversion_id: str
    freelancer_id: str
    freelancer_email: Sealed


class EraseClient(ClientCommand, frozen=True, kw_only=True):
    pass


class NotePaymentOverdue(ClientCommand, frozen=True, kw_only=True):
    payout_id: str


class NotePaymentSettled(ClientCommand, frozen=True, kw_only=True):
    payout_id: str


# Freelancer


class FreelancerCommand(Command, frozen=True, kw_only=True):
    freelancer_id: str

    @property
    def stream(self) -> str:
        return self.freelancer_id


class RegisterFreelancer(FreelancerCommand, frozen=True, kw_only=True):
    name: Sealed
    email: Sealed


class SetPayoutMethod(FreelancerCommand, frozen=True, kw_only=True):
    method: Sealed


class EraseFreelancer(FreelancerCommand, frozen=True, kw_only=True):
    pass


class AwaitPayoutMethod(FreelancerCommand, frozen=True, kw_only=True):
    contract_id: str


class ReleaseFunds(FreelancerCommand, frozen=True, kw_only=True):
    payout_id: str
    contract_id: str
    amount: int
    currency: str


class ReverseFunds(ReleaseFunds, frozen=True, kw_only=True):
    reversal_id: str


class ReinstateFunds(ReleaseFunds, frozen=True, kw_only=True):
    reversal_id: str


class AdjustFunds(FreelancerCommand, frozen=True, kw_only=True):
    adjustment_id: str
    direction: Direction
    amount: int
    currency: str


class RequestWithdrawal(FreelancerCommand, frozen=True, kw_only=True):
    withdrawal_id: str
    amount: int
    currency: str


class RecordTransfer(FreelancerCommand, frozen=True, kw_only=True):
    """What the processor says of a withdrawal: `settles_at` while it is under way."""

    withdrawal_id: str
    outcome: Literal["submitted", "paid", "failed"]
    settles_at: datetime | None = None
    failure: str | None = None


# Contract


class ContractCommand(Command, frozen=True, kw_only=True):
    contract_id: str

    @property
    def stream(self) -> str:
        return self.contract_id


class OfferContract(ContractCommand, frozen=True, kw_only=True):
    client_id: str
    freelancer_id: str
    freelancer_email: Sealed
    title: Sealed
    kind: Kind
    cadence: Cadence
    currency: str
    hourly_rate: int | None = None
    weekly_limit_minutes: int | None = None
    rate: int | None = None
    milestones: tuple[MilestoneTerms, ...] = ()
    sourcing: Literal["off_platform", "marketplace"] = "off_platform"
    conversion_id: str | None = None
    classification_by: Literal["client_decision", "service"] = "client_decision"
    outcome: Outcome | None = "independent_contractor"


class AcceptOffer(ContractCommand, frozen=True, kw_only=True):
    pass


class DeclineOffer(ContractCommand, frozen=True, kw_only=True):
    reason: Sealed | None = None


class WithdrawOffer(ContractCommand, frozen=True, kw_only=True):
    reason: Sealed | None = None


class ConfirmPayoutMethod(ContractCommand, frozen=True, kw_only=True):
    pass


class AnswerQuestionnaire(ContractCommand, frozen=True, kw_only=True):
    answers: Sealed


class RecommendClassification(ContractCommand, frozen=True, kw_only=True):
    outcome: Outcome
    reasons: Sealed


class DecideClassification(ContractCommand, frozen=True, kw_only=True):
    outcome: Outcome


class SetEmployerOfRecord(ContractCommand, frozen=True, kw_only=True):
    eor_id: str
    name: Sealed
    pay_schedule: PaySchedule


class RecordPayroll(ContractCommand, frozen=True, kw_only=True):
    payroll_id: str
    amount: int
    period_start: date
    period_end: date


class CompleteContract(ContractCommand, frozen=True, kw_only=True):
    reason: Sealed | None = None


class SuspendContract(ContractCommand, frozen=True, kw_only=True):
    payout_id: str


class ResumeContract(ContractCommand, frozen=True, kw_only=True):
    """Resume it if none of its payouts is due or failed; otherwise nothing happens."""


class AddMilestone(ContractCommand, frozen=True, kw_only=True):
    milestone_id: str
    description: Sealed
    amount: int
    requested: bool


class MilestoneCommand(ContractCommand, frozen=True, kw_only=True):
    milestone_id: str


class ApproveMilestoneRequest(MilestoneCommand, frozen=True, kw_only=True):
    pass


class DeclineMilestoneRequest(MilestoneCommand, frozen=True, kw_only=True):
    pass


class ActivateMilestone(MilestoneCommand, frozen=True, kw_only=True):
    pass


class SubmitMilestone(MilestoneCommand, frozen=True, kw_only=True):
    message: Sealed | None = None


class ApproveMilestone(MilestoneCommand, frozen=True, kw_only=True):
    message: Sealed | None = None


class RequestChanges(MilestoneCommand, frozen=True, kw_only=True):
    message: Sealed | None = None


class LapseReview(MilestoneCommand, frozen=True, kw_only=True):
    """The review deadline `effective_at` has come."""


class LogTime(ContractCommand, frozen=True, kw_only=True):
    entry_id: str
    date: date
    minutes: int
    memo: Sealed | None = None


class CorrectTime(ContractCommand, frozen=True, kw_only=True):
    entry_id: str
    minutes: int | None = None
    memo: Sealed | None = None


class RemoveTime(ContractCommand, frozen=True, kw_only=True):
    entry_id: str


class GrantBonus(ContractCommand, frozen=True, kw_only=True):
    bonus_id: str
    amount: int
    note: Sealed | None = None


class CloseContract(ContractCommand, frozen=True, kw_only=True):
    """The close `effective_at` has come: lock the week, bill the cycle, invoice the bonuses."""


class NoteNotification(ContractCommand, frozen=True, kw_only=True):
    kind: NotificationKind
    about: str


# Payout


class PayoutCommand(Command, frozen=True, kw_only=True):
    payout_id: str

    @property
    def stream(self) -> str:
        return self.payout_id


class OpenPayout(PayoutCommand, frozen=True, kw_only=True):
    contract_id: str
    client_id: str
    freelancer_id: str
    terms: PayoutTerms


class RequestCharge(PayoutCommand, frozen=True, kw_only=True):
    """Attempt the charge: because its time has come, there is a new billing method, or an operator says so (rule 24)."""

    because: Literal["schedule", "billing_method", "operator"] = "schedule"


class RecordCharge(PayoutCommand, frozen=True, kw_only=True):
    """What the processor says of an attempt, at `effective_at`: paid under `reference`, or failed with a reason."""

    attempt: int
    reference: str | None = None
    failure: str | None = None
    final: bool = False


class ReleasePayout(PayoutCommand, frozen=True, kw_only=True):
    """Let the hold elapse and the money be released, as far as both are due by `effective_at`."""


class RaiseObjection(PayoutCommand, frozen=True, kw_only=True):
    reason: Sealed


class WithdrawObjection(PayoutCommand, frozen=True, kw_only=True):
    pass


class ReducePayout(PayoutCommand, frozen=True, kw_only=True):
    refund_id: str
    amount: int


class ReversePayout(PayoutCommand, frozen=True, kw_only=True):
    reversal_id: str
    amount: int
    reason: ReversalReason


class ReinstateReversal(PayoutCommand, frozen=True, kw_only=True):
    reversal_id: str


class RecordRefund(PayoutCommand, frozen=True, kw_only=True):
    refund_id: str
    reference: str


# Adjustment


class AdjustmentCommand(Command, frozen=True, kw_only=True):
    """`person` is who holds the operator's key."""

    adjustment_id: str
    person: str

    @property
    def stream(self) -> str:
        return self.adjustment_id


class ProposeAdjustment(AdjustmentCommand, frozen=True, kw_only=True):
    reason: Sealed
    corrects_event_id: str
    postings: tuple[Posting, ...]
    stated_at: datetime | None = None


class ApproveAdjustment(AdjustmentCommand, frozen=True, kw_only=True):
    pass
