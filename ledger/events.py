"""Every event: what is written once and is true for ever (rule 28).

A class is one version of one event; its TOPIC names both, as in `payout.charged.v1`. A released class is never changed:
a change is a new class with the next version, and an upcaster from the old one (`upcasters.py`).

Deadlines and amounts that were computed stand in the event. `next_close` and `next_release_at` say when the contract or the
payout moves by itself next, as decided then; null is never. Names, addresses and free text are `Sealed`: they stand in the vault.
"""

from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

import msgspec
from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import core_schema

from ledger import ids
from ledger.calendar import Cadence
from ledger.errors import Invalid
from ledger.money import Amount, AmountOrZero, Currency, HourlyRate
from ledger.rules import RULES

RULE_VERSION = RULES.version
"""The version of the domain rules that this code decides under."""

Kind = Literal["single_payment", "milestone", "hourly", "fixed_rate"]
Outcome = Literal["independent_contractor", "employee"]
PaySchedule = Literal["weekly", "biweekly", "semimonthly", "monthly"]
SourceType = Literal["milestone", "timesheet", "fixed_rate", "bonus", "eor_payroll"]
ReversalReason = Literal["refund", "chargeback"]
Direction = Literal["debit", "credit"]
NotificationKind = Literal["invitation", "eor_pay_schedule"]


class _Utc:
    """A datetime whose offset from UTC is zero. Checked by pydantic's core: every event has several."""

    @staticmethod
    def __get_pydantic_core_schema__(*_: object) -> core_schema.CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.datetime_schema(tz_constraint=0),
            custom_error_type="not_utc",
            custom_error_message="must be a time in UTC",
        )


Instant = Annotated[datetime, _Utc]

Minutes = Annotated[int, Field(strict=True, ge=1, le=1440)]
"""Of one time entry: a day has no more."""

WeeklyLimit = Annotated[int, Field(strict=True, ge=1, le=10_080)]
"""Minutes: a week has no more."""


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What events are made of: frozen, closed. To make one checks nothing; `require_valid` does, before it is written."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """An object of the class, whose every field is as strict as its annotation."""
        hints = get_type_hints(cls, include_extras=True)
        fields = {name: core_schema.model_field(handler.generate_schema(hints[name])) for name in cls.__struct_fields__}
        made = core_schema.is_instance_schema(cls)
        return core_schema.chain_schema([made, core_schema.model_fields_schema(fields, from_attributes=True)])


class Sealed(Value, frozen=True, kw_only=True):
    """A text in the vault: its id there, and the SHA-256 (hex) of its salt and its UTF-8 bytes."""

    id: str
    sha256: str


class Source(Value, frozen=True, kw_only=True):
    """What a payout pays for. `id` is the milestone, bonus or payroll; a cycle has only its interval."""

    type: SourceType
    id: str | None = None
    start: Instant | None = None
    end: Instant | None = None


class PayoutTerms(Value, frozen=True, kw_only=True):
    """The payout that an approval, close, bonus or payroll makes: it derives its id from what made it."""

    payout_id: str
    payee: str
    source: Source
    amount: Amount
    currency: Currency
    review_deadline: Instant | None


class MilestoneTerms(Value, frozen=True, kw_only=True):
    """A milestone as the client described it."""

    milestone_id: str
    description: Sealed
    amount: Amount


class Posting(Value, frozen=True, kw_only=True):
    """One side of a double entry, as an adjustment states it."""

    account: str
    direction: Direction
    amount: Amount
    currency: Currency


class Event(Value, frozen=True, kw_only=True):
    """What every event carries (rule 28).

    `actor` is `role:id` of who did it, `system` for what happens by itself. `occurred_at` is when it is true, `recorded_at`
    when it was written. `command_id` and `cause_id` are the command and the event that caused it.
    """

    TOPIC: ClassVar[str]
    STREAM: ClassVar[tuple[str, str]]
    """The prefix of the streams that the event stands on, and the field that names its own."""

    actor: str
    occurred_at: Instant
    recorded_at: Instant
    command_id: str
    cause_id: str | None = None
    rule_version: int = RULE_VERSION


# Client


class ClientEvent(Event, frozen=True, kw_only=True):
    """On the client's own stream."""

    STREAM = (ids.CLIENT, "client_id")

    client_id: str


class ClientRegistered(ClientEvent, frozen=True, kw_only=True):
    TOPIC = "client.registered.v1"
    name: Sealed
    email: Sealed


class BillingMethodSet(ClientEvent, frozen=True, kw_only=True):
    """`overdue`: the payouts whose charge had failed by then; each is attempted at once (rule 24)."""

    TOPIC = "client.billing_method_set.v1"
    method: Sealed
    overdue: tuple[str, ...]


class ConversionRecorded(ClientEvent, frozen=True, kw_only=True):
    """The client may hire this freelancer off the platform although they met on it (rule 2)."""

    TOPIC = "client.conversion_recorded.v1"
    conversion_id: str
    freelancer_id: str
    freelancer_email: Sealed


class ClientErased(ClientEvent, frozen=True, kw_only=True):
    """The texts of the client in the vault are erased (rule 28): history stays whole, and shows that this happened."""

    TOPIC = "client.erased.v1"


class PaymentOverdue(ClientEvent, frozen=True, kw_only=True):
    """A payout's charge has failed for the first time."""

    TOPIC = "client.payment_overdue.v1"
    payout_id: str


class PaymentSettled(ClientEvent, frozen=True, kw_only=True):
    """A payout that was overdue has been charged."""

    TOPIC = "client.payment_settled.v1"
    payout_id: str


# Freelancer


class FreelancerEvent(Event, frozen=True, kw_only=True):
    """On the freelancer's own stream, which decides withdrawals."""

    STREAM = (ids.FREELANCER, "freelancer_id")

    freelancer_id: str


class FreelancerRegistered(FreelancerEvent, frozen=True, kw_only=True):
    TOPIC = "freelancer.registered.v1"
    name: Sealed
    email: Sealed


class PayoutMethodSet(FreelancerEvent, frozen=True, kw_only=True):
    """`contracts`: the accepted contracts that waited for it (rule 1)."""

    TOPIC = "freelancer.payout_method_set.v1"
    method: Sealed
    contracts: tuple[str, ...]


class FreelancerErased(FreelancerEvent, frozen=True, kw_only=True):
    """The texts of the freelancer in the vault are erased (rule 28): history stays whole, and shows that this happened."""

    TOPIC = "freelancer.erased.v1"


class PayoutMethodAwaited(FreelancerEvent, frozen=True, kw_only=True):
    """A contract was accepted before there was a payout method (rule 1)."""

    TOPIC = "freelancer.payout_method_awaited.v1"
    contract_id: str


class FundsEvent(FreelancerEvent, frozen=True, kw_only=True):
    """What the payout's event of the same transaction did to what the freelancer can withdraw."""

    payout_id: str
    contract_id: str
    amount: Amount
    currency: Currency


class FundsReleased(FundsEvent, frozen=True, kw_only=True):
    TOPIC = "freelancer.funds_released.v1"


class FundsReversed(FundsEvent, frozen=True, kw_only=True):
    TOPIC = "freelancer.funds_reversed.v1"
    reversal_id: str


class FundsReinstated(FundsEvent, frozen=True, kw_only=True):
    TOPIC = "freelancer.funds_reinstated.v1"
    reversal_id: str


class FundsAdjusted(FreelancerEvent, frozen=True, kw_only=True):
    """An approved adjustment credited or debited what is available (rule 27)."""

    TOPIC = "freelancer.funds_adjusted.v1"
    adjustment_id: str
    direction: Direction
    amount: Amount
    currency: Currency


class WithdrawalEvent(FreelancerEvent, frozen=True, kw_only=True):
    withdrawal_id: str
    amount: Amount
    currency: Currency


class WithdrawalRequested(WithdrawalEvent, frozen=True, kw_only=True):
    """The amount has left what is available and is in transit (rule 25)."""

    TOPIC = "freelancer.withdrawal_requested.v1"
    method: Sealed


class WithdrawalSubmitted(WithdrawalEvent, frozen=True, kw_only=True):
    """The processor has taken the transfer; its outcome is asked for at `settles_at`."""

    TOPIC = "freelancer.withdrawal_submitted.v1"
    settles_at: Instant


class WithdrawalPaid(WithdrawalEvent, frozen=True, kw_only=True):
    TOPIC = "freelancer.withdrawal_paid.v1"


class WithdrawalFailed(WithdrawalEvent, frozen=True, kw_only=True):
    """The transfer failed: the amount is available again."""

    TOPIC = "freelancer.withdrawal_failed.v1"
    failure: str


# Contract


class ContractEvent(Event, frozen=True, kw_only=True):
    """On the contract's stream."""

    STREAM = (ids.CONTRACT, "contract_id")

    contract_id: str
    client_id: str
    freelancer_id: str


class ClosingContractEvent(ContractEvent, frozen=True, kw_only=True):
    """One after which the contract's next close may be another."""

    next_close: Instant | None = None


class ContractOffered(ContractEvent, frozen=True, kw_only=True):
    """`amount` is the hourly rate (hourly) or the rate for a cycle (fixed rate); fixed-price work has milestones."""

    TOPIC = "contract.offered.v1"
    freelancer_email: Sealed
    title: Sealed
    kind: Kind
    cadence: Cadence
    currency: Currency
    hourly_rate: HourlyRate | None = None
    weekly_limit_minutes: WeeklyLimit | None = None
    rate: Amount | None = None
    milestones: tuple[MilestoneTerms, ...] = ()
    sourcing: Literal["off_platform", "marketplace"]
    conversion_id: str | None = None
    classification_by: Literal["client_decision", "service"]
    outcome: Outcome | None


class OfferAccepted(ContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.offer_accepted.v1"
    payout_method_on_file: bool


class OfferDeclined(ContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.offer_declined.v1"
    reason: Sealed | None = None


class OfferWithdrawn(ContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.offer_withdrawn.v1"
    reason: Sealed | None = None


class PayoutMethodConfirmed(ContractEvent, frozen=True, kw_only=True):
    """The freelancer of an accepted contract now has a payout method (rule 1)."""

    TOPIC = "contract.payout_method_confirmed.v1"


class QuestionnaireAnswered(ContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.questionnaire_answered.v1"
    answers: Sealed


class ClassificationRecommended(ContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.classification_recommended.v1"
    outcome: Outcome
    reasons: Sealed


class ClassificationDecided(ContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.classification_decided.v1"
    outcome: Outcome


class EmployerOfRecordSet(ContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.employer_of_record_set.v1"
    eor_id: str
    name: Sealed
    pay_schedule: PaySchedule


class ContractActivated(ClosingContractEvent, frozen=True, kw_only=True):
    """`anchor`: the Monday from which billing cycles are counted."""

    TOPIC = "contract.activated.v1"
    anchor: Instant


class ContractSuspended(ClosingContractEvent, frozen=True, kw_only=True):
    """A payout's charge has failed for the fifth time (rule 24)."""

    TOPIC = "contract.suspended.v1"
    payout_id: str


class ContractResumed(ClosingContractEvent, frozen=True, kw_only=True):
    """None of the contract's payouts is due or failed any more (rule 24)."""

    TOPIC = "contract.resumed.v1"


class ContractCompleted(ClosingContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.completed.v1"
    reason: Sealed | None = None


class MilestoneEvent(ContractEvent, frozen=True, kw_only=True):
    milestone_id: str


class MilestoneAdded(MilestoneEvent, frozen=True, kw_only=True):
    """`requested`: by the freelancer, and not part of the contract until the client approves (rule 8)."""

    TOPIC = "contract.milestone_added.v1"
    position: int
    description: Sealed
    amount: Amount
    requested: bool


class MilestoneRequestApproved(MilestoneEvent, frozen=True, kw_only=True):
    TOPIC = "contract.milestone_request_approved.v1"


class MilestoneRequestDeclined(MilestoneEvent, frozen=True, kw_only=True):
    TOPIC = "contract.milestone_request_declined.v1"


class MilestoneActivated(MilestoneEvent, frozen=True, kw_only=True):
    TOPIC = "contract.milestone_activated.v1"


class MilestoneSubmitted(MilestoneEvent, frozen=True, kw_only=True):
    TOPIC = "contract.milestone_submitted.v1"
    message: Sealed | None = None
    review_deadline: Instant


class ChangesRequested(MilestoneEvent, frozen=True, kw_only=True):
    TOPIC = "contract.changes_requested.v1"
    message: Sealed | None = None


class MilestoneApproved(MilestoneEvent, frozen=True, kw_only=True):
    """By the client, or `by_silence` as of the review deadline (rule 12)."""

    TOPIC = "contract.milestone_approved.v1"
    by_silence: bool
    message: Sealed | None = None
    payout: PayoutTerms


class TimeLogged(ClosingContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.time_logged.v1"
    entry_id: str
    date: date
    minutes: Minutes
    memo: Sealed | None = None


class TimeCorrected(ClosingContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.time_corrected.v1"
    entry_id: str
    minutes: Minutes
    memo: Sealed | None = None


class TimeRemoved(ClosingContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.time_removed.v1"
    entry_id: str


class TimesheetLocked(ClosingContractEvent, frozen=True, kw_only=True):
    """The week starting at `week` can no longer be corrected; `amount` is its price, rounded once (rules 14, 15)."""

    TOPIC = "contract.timesheet_locked.v1"
    week: Instant
    minutes: int
    amount: AmountOrZero


class CycleClosed(ClosingContractEvent, frozen=True, kw_only=True):
    """A billing cycle of time or of a fixed rate was closed; null `payout`: it came to nothing (rules 15, 16, 17)."""

    TOPIC = "contract.cycle_closed.v1"
    start: Instant
    end: Instant
    payout: PayoutTerms | None


class BonusGranted(ClosingContractEvent, frozen=True, kw_only=True):
    """`invoice_at`: the close at which it is charged (rule 20)."""

    TOPIC = "contract.bonus_granted.v1"
    bonus_id: str
    amount: Amount
    note: Sealed | None = None
    invoice_at: Instant


class BonusInvoiced(ClosingContractEvent, frozen=True, kw_only=True):
    TOPIC = "contract.bonus_invoiced.v1"
    bonus_id: str
    payout: PayoutTerms


class PayrollRecorded(ContractEvent, frozen=True, kw_only=True):
    """The Employer of Record ran its payroll (rule 4)."""

    TOPIC = "contract.payroll_recorded.v1"
    payroll_id: str
    period_start: date
    period_end: date
    payout: PayoutTerms


class NotificationSent(ContractEvent, frozen=True, kw_only=True):
    """An e-mail was handed to the mail system; `about` is the event it tells of."""

    TOPIC = "contract.notification_sent.v1"
    kind: NotificationKind
    about: str


# Payout


class PayoutEvent(Event, frozen=True, kw_only=True):
    """On a payout's stream. `payee` is the freelancer, or the Employer of Record of a payroll (rule 4)."""

    STREAM = (ids.PAYOUT, "payout_id")

    payout_id: str
    contract_id: str
    client_id: str
    freelancer_id: str
    payee: str
    currency: Currency


class PayoutDue(PayoutEvent, frozen=True, kw_only=True):
    TOPIC = "payout.due.v1"
    source: Source
    amount: Amount
    review_deadline: Instant | None


class ChargeRequested(PayoutEvent, frozen=True, kw_only=True):
    """An attempt is in flight, under `key`: the processor is asked under it until it gives an outcome (rule 24)."""

    TOPIC = "payout.charge_requested.v1"
    attempt: int
    key: str
    amount: Amount
    method: Sealed


class PayoutCharged(PayoutEvent, frozen=True, kw_only=True):
    """`occurred_at` is the processor's time; `release_at` is null under an open objection (rules 21 to 23)."""

    TOPIC = "payout.charged.v1"
    attempt: int
    amount: Amount
    reference: str
    hold_until: Instant
    release_at: Instant | None
    next_release_at: Instant | None


class ChargeFailed(PayoutEvent, frozen=True, kw_only=True):
    """`next_attempt_at` is null when none is scheduled: the decline is final, or it was the tenth (rule 24)."""

    TOPIC = "payout.charge_failed.v1"
    attempt: int
    failure: str
    final: bool
    next_attempt_at: Instant | None


class HoldElapsed(PayoutEvent, frozen=True, kw_only=True):
    TOPIC = "payout.hold_elapsed.v1"
    next_release_at: Instant | None


class PayoutReleased(PayoutEvent, frozen=True, kw_only=True):
    """`amount` has moved from pending to available (rule 23)."""

    TOPIC = "payout.released.v1"
    amount: Amount


class ObjectionRaised(PayoutEvent, frozen=True, kw_only=True):
    TOPIC = "payout.objection_raised.v1"
    reason: Sealed
    next_release_at: Instant | None


class ObjectionWithdrawn(PayoutEvent, frozen=True, kw_only=True):
    TOPIC = "payout.objection_withdrawn.v1"
    release_at: Instant | None
    next_release_at: Instant | None


class PayoutReduced(PayoutEvent, frozen=True, kw_only=True):
    """The freelancer settled the objection for `amount`; `returned` goes back to the client (rule 18)."""

    TOPIC = "payout.reduced.v1"
    refund_id: str
    amount: AmountOrZero
    returned: Amount
    release_at: Instant | None
    next_release_at: Instant | None


class PayoutReversed(PayoutEvent, frozen=True, kw_only=True):
    """Charged money was taken back, from pending and from available as stated (rule 26)."""

    TOPIC = "payout.reversed.v1"
    reversal_id: str
    reason: ReversalReason
    from_pending: AmountOrZero
    from_available: AmountOrZero
    ends_objection: bool
    release_at: Instant | None
    next_release_at: Instant | None


class ReversalReinstated(PayoutEvent, frozen=True, kw_only=True):
    """A chargeback was won: the money is back where it was taken from (rule 26)."""

    TOPIC = "payout.reversal_reinstated.v1"
    reversal_id: str
    to_pending: AmountOrZero
    to_available: AmountOrZero
    release_at: Instant | None
    next_release_at: Instant | None


class RefundPaid(PayoutEvent, frozen=True, kw_only=True):
    """The processor has sent a reduction or a refund back to the client."""

    TOPIC = "payout.refund_paid.v1"
    refund_id: str
    amount: Amount
    reference: str


# Adjustment


class AdjustmentEvent(Event, frozen=True, kw_only=True):
    """On the adjustment's stream. `person` is who holds the operator's key (rule 27)."""

    STREAM = (ids.ADJUSTMENT, "adjustment_id")

    adjustment_id: str
    person: str


class AdjustmentProposed(AdjustmentEvent, frozen=True, kw_only=True):
    TOPIC = "adjustment.proposed.v1"
    reason: Sealed
    corrects_event_id: str
    postings: tuple[Posting, ...]
    effective_at: Instant | None


class AdjustmentApproved(AdjustmentEvent, frozen=True, kw_only=True):
    """`occurred_at` is the stated instant, or that of the approval."""

    TOPIC = "adjustment.approved.v1"
    postings: tuple[Posting, ...]


def _leaves(cls: type[Event]) -> list[type[Event]]:
    here = [cls] if "TOPIC" in vars(cls) else []
    return here + [leaf for child in cls.__subclasses__() for leaf in _leaves(child)]


EVENTS: dict[str, type[Event]] = {cls.TOPIC: cls for cls in _leaves(Event)}
"""Every event class by its topic. A stored topic is looked up here and nowhere else."""


_VALIDATE = {cls: TypeAdapter(cls, config=ConfigDict(strict=True)).validator.validate_python for cls in EVENTS.values()}


def require_valid(event: Event) -> None:
    """Raises Invalid for an event with fields that are not what their annotations say."""
    try:
        _VALIDATE[type(event)](event)
    except ValidationError as error:
        said = ((".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors())
        wrong = (f"{where}: {what}" for where, what in said)
        raise Invalid("; ".join(wrong)) from error


def stream_of(event: Event) -> str:
    """The stream that an event names as its own."""
    return str(getattr(event, event.STREAM[1]))


def sealed_in(value: Any) -> list[Sealed]:
    """Every vault reference inside an event or a value."""
    if isinstance(value, Sealed):
        return [value]
    if isinstance(value, Value):
        return [found for name in value.__struct_fields__ for found in sealed_in(getattr(value, name))]
    if isinstance(value, tuple):
        return [found for item in value for found in sealed_in(item)]
    return []
