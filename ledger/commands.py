"""Every command: a wish that an aggregate decides. Frozen; carries `now` and the actor.

`now` is the clock's. `effective_at` is when the thing is to be true, where that is not now: the deadline itself for what
happens by itself (rule 29), the processor's time for what it reports (rule 24). `cause_id` is the event that led to it.
`expected_version` is what the caller last saw of the object (If-Match).
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

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


@dataclass(frozen=True, kw_only=True)
class Command:
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


@dataclass(frozen=True, kw_only=True)
class ClientCommand(Command):
    client_id: str

    @property
    def stream(self) -> str:
        return self.client_id


@dataclass(frozen=True, kw_only=True)
class RegisterClient(ClientCommand):
    name: Sealed
    email: Sealed


@dataclass(frozen=True, kw_only=True)
class SetBillingMethod(ClientCommand):
    method: Sealed


@dataclass(frozen=True, kw_only=True)
class RecordConversion(ClientCommand):
    conversion_id: str
    freelancer_id: str
    freelancer_email: Sealed


@dataclass(frozen=True, kw_only=True)
class EraseClient(ClientCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class NotePaymentOverdue(ClientCommand):
    payout_id: str


@dataclass(frozen=True, kw_only=True)
class NotePaymentSettled(ClientCommand):
    payout_id: str


# Freelancer


@dataclass(frozen=True, kw_only=True)
class FreelancerCommand(Command):
    freelancer_id: str

    @property
    def stream(self) -> str:
        return self.freelancer_id


@dataclass(frozen=True, kw_only=True)
class RegisterFreelancer(FreelancerCommand):
    name: Sealed
    email: Sealed


@dataclass(frozen=True, kw_only=True)
class SetPayoutMethod(FreelancerCommand):
    method: Sealed


@dataclass(frozen=True, kw_only=True)
class EraseFreelancer(FreelancerCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class AwaitPayoutMethod(FreelancerCommand):
    contract_id: str


@dataclass(frozen=True, kw_only=True)
class ReleaseFunds(FreelancerCommand):
    payout_id: str
    contract_id: str
    amount: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class ReverseFunds(ReleaseFunds):
    reversal_id: str


@dataclass(frozen=True, kw_only=True)
class ReinstateFunds(ReleaseFunds):
    reversal_id: str


@dataclass(frozen=True, kw_only=True)
class AdjustFunds(FreelancerCommand):
    adjustment_id: str
    direction: Direction
    amount: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class RequestWithdrawal(FreelancerCommand):
    withdrawal_id: str
    amount: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class RecordTransfer(FreelancerCommand):
    """What the processor says of a withdrawal: `settles_at` while it is under way."""

    withdrawal_id: str
    outcome: Literal["submitted", "paid", "failed"]
    settles_at: datetime | None = None
    failure: str | None = None


# Contract


@dataclass(frozen=True, kw_only=True)
class ContractCommand(Command):
    contract_id: str

    @property
    def stream(self) -> str:
        return self.contract_id


@dataclass(frozen=True, kw_only=True)
class OfferContract(ContractCommand):
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


@dataclass(frozen=True, kw_only=True)
class AcceptOffer(ContractCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class DeclineOffer(ContractCommand):
    reason: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class WithdrawOffer(ContractCommand):
    reason: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class ConfirmPayoutMethod(ContractCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class AnswerQuestionnaire(ContractCommand):
    answers: Sealed


@dataclass(frozen=True, kw_only=True)
class RecommendClassification(ContractCommand):
    outcome: Outcome
    reasons: Sealed


@dataclass(frozen=True, kw_only=True)
class DecideClassification(ContractCommand):
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class SetEmployerOfRecord(ContractCommand):
    eor_id: str
    name: Sealed
    pay_schedule: PaySchedule


@dataclass(frozen=True, kw_only=True)
class RecordPayroll(ContractCommand):
    payroll_id: str
    amount: int
    period_start: date
    period_end: date


@dataclass(frozen=True, kw_only=True)
class CompleteContract(ContractCommand):
    reason: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class SuspendContract(ContractCommand):
    payout_id: str


@dataclass(frozen=True, kw_only=True)
class ResumeContract(ContractCommand):
    """Resume it if none of its payouts is due or failed; otherwise nothing happens."""


@dataclass(frozen=True, kw_only=True)
class AddMilestone(ContractCommand):
    milestone_id: str
    description: Sealed
    amount: int
    requested: bool


@dataclass(frozen=True, kw_only=True)
class MilestoneCommand(ContractCommand):
    milestone_id: str


@dataclass(frozen=True, kw_only=True)
class ApproveMilestoneRequest(MilestoneCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class DeclineMilestoneRequest(MilestoneCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class ActivateMilestone(MilestoneCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class SubmitMilestone(MilestoneCommand):
    message: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class ApproveMilestone(MilestoneCommand):
    message: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class RequestChanges(MilestoneCommand):
    message: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class LapseReview(MilestoneCommand):
    """The review deadline `effective_at` has come."""


@dataclass(frozen=True, kw_only=True)
class LogTime(ContractCommand):
    entry_id: str
    date: date
    minutes: int
    memo: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class CorrectTime(ContractCommand):
    entry_id: str
    minutes: int | None = None
    memo: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class RemoveTime(ContractCommand):
    entry_id: str


@dataclass(frozen=True, kw_only=True)
class GrantBonus(ContractCommand):
    bonus_id: str
    amount: int
    note: Sealed | None = None


@dataclass(frozen=True, kw_only=True)
class CloseContract(ContractCommand):
    """The close `effective_at` has come: lock the week, bill the cycle, invoice the bonuses."""


@dataclass(frozen=True, kw_only=True)
class NoteNotification(ContractCommand):
    kind: NotificationKind
    about: str


# Payout


@dataclass(frozen=True, kw_only=True)
class PayoutCommand(Command):
    payout_id: str

    @property
    def stream(self) -> str:
        return self.payout_id


@dataclass(frozen=True, kw_only=True)
class OpenPayout(PayoutCommand):
    contract_id: str
    client_id: str
    freelancer_id: str
    terms: PayoutTerms


@dataclass(frozen=True, kw_only=True)
class RequestCharge(PayoutCommand):
    """Attempt the charge: because its time has come, there is a new billing method, or an operator says so (rule 24)."""

    because: Literal["schedule", "billing_method", "operator"] = "schedule"


@dataclass(frozen=True, kw_only=True)
class RecordCharge(PayoutCommand):
    """What the processor says of an attempt, at `effective_at`: paid under `reference`, or failed with a reason."""

    attempt: int
    reference: str | None = None
    failure: str | None = None
    final: bool = False


@dataclass(frozen=True, kw_only=True)
class ReleasePayout(PayoutCommand):
    """Let the hold elapse and the money be released, as far as both are due by `effective_at`."""


@dataclass(frozen=True, kw_only=True)
class RaiseObjection(PayoutCommand):
    reason: Sealed


@dataclass(frozen=True, kw_only=True)
class WithdrawObjection(PayoutCommand):
    pass


@dataclass(frozen=True, kw_only=True)
class ReducePayout(PayoutCommand):
    refund_id: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class ReversePayout(PayoutCommand):
    reversal_id: str
    amount: int
    reason: ReversalReason


@dataclass(frozen=True, kw_only=True)
class ReinstateReversal(PayoutCommand):
    reversal_id: str


@dataclass(frozen=True, kw_only=True)
class RecordRefund(PayoutCommand):
    refund_id: str
    reference: str


# Adjustment


@dataclass(frozen=True, kw_only=True)
class AdjustmentCommand(Command):
    """`person` is who holds the operator's key."""

    adjustment_id: str
    person: str

    @property
    def stream(self) -> str:
        return self.adjustment_id


@dataclass(frozen=True, kw_only=True)
class ProposeAdjustment(AdjustmentCommand):
    reason: Sealed
    corrects_event_id: str
    postings: tuple[Posting, ...]
    stated_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ApproveAdjustment(AdjustmentCommand):
    pass
