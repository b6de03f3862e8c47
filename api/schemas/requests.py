"""The bodies of requests. Unknown fields are refused; amounts are integers of the currency's minor unit."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.fields import (
    Amount,
    AmountOrZero,
    Answers,
    Day,
    Email,
    HourlyRate,
    Instant,
    Money,
    Reference,
    Text,
    Title,
    Token,
)
from ledger.calendar import Cadence
from ledger.events import Direction, Minutes, Outcome, PaySchedule, ReversalReason, WeeklyLimit
from ledger.store.keys import Role

MAX_MILESTONES = 200
MAX_POSTINGS = 100


class Body(BaseModel):
    """What every body is: strict and closed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def example(**fields: Any) -> ConfigDict:
    """A body as the OpenAPI document shows it."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


class Nothing(Body):
    """A body that says nothing: `{}`, or none at all."""


class NewParty(Body):
    model_config = example(name="Ada Byron", email="ada@example.com")

    name: Text
    email: Email


class PaymentMethod(Body):
    """The processor's token of a payment method.

    Sandbox: `pm_card_visa` pays, `pm_card_chargeDeclined` declines; `ba_test` pays after 24 hours, `ba_test_fails` fails then.
    """

    model_config = example(token="pm_card_visa")

    token: Token


class NewApiKey(Body):
    """`party_id` for a client's or freelancer's key, and for no other."""

    model_config = example(role="auditor")

    role: Role
    party_id: Reference | None = None

    @model_validator(mode="after")
    def _bound(self) -> Self:
        if (self.role in ("client", "freelancer")) != (self.party_id is not None):
            raise ValueError("party_id is needed for the roles client and freelancer, and for no other")
        return self


class NewConversion(Body):
    model_config = example(client_id="cli_aaaaaaaaaaaaaaaaaaaa", freelancer_email="ada@example.com")

    client_id: Reference
    freelancer_email: Email


# Offers


class ClientDecision(Body):
    by: Literal["client_decision"]
    outcome: Outcome


class ByService(Body):
    by: Literal["service"]


Classification = Annotated[ClientDecision | ByService, Field(discriminator="by")]


class NewMilestone(Body):
    model_config = example(description="First draft", amount=50_000)

    description: Text
    amount: Amount


OFFERED = {
    "freelancer_email": "ada@example.com",
    "title": "A website",
    "cadence": "weekly",
    "currency": "USD",
}


class Offer(Body):
    """What offers of every kind say."""

    freelancer_email: Email
    title: Title
    cadence: Cadence
    currency: Money
    sourcing: Literal["off_platform", "marketplace"] = "off_platform"
    conversion_id: Reference | None = None
    classification: Classification = ClientDecision(by="client_decision", outcome="independent_contractor")


class SinglePaymentOffer(Offer):
    model_config = example(**OFFERED, kind="single_payment", amount=50_000)

    kind: Literal["single_payment"]
    amount: Amount


class MilestoneOffer(Offer):
    model_config = example(**OFFERED, kind="milestone", milestones=[{"description": "First draft", "amount": 50_000}])

    kind: Literal["milestone"]
    milestones: Annotated[list[NewMilestone], Field(min_length=1, max_length=MAX_MILESTONES)]


class HourlyOffer(Offer):
    model_config = example(**OFFERED, kind="hourly", hourly_rate=6_000, weekly_limit_minutes=2_400)

    kind: Literal["hourly"]
    hourly_rate: HourlyRate
    weekly_limit_minutes: WeeklyLimit | None = None


class FixedRateOffer(Offer):
    model_config = example(**OFFERED, kind="fixed_rate", rate=80_000)

    kind: Literal["fixed_rate"]
    rate: Amount


AnyOffer = Annotated[SinglePaymentOffer | MilestoneOffer | HourlyOffer | FixedRateOffer, Field(discriminator="kind")]


# Contracts


class Reason(Body):
    model_config = example(reason="We have agreed to stop here")

    reason: Text | None = None


class Message(Body):
    model_config = example(message="Here is the draft")

    message: Text | None = None


class NewTimeEntry(Body):
    model_config = example(date="2026-01-05", minutes=90, memo="Review")

    date: Day
    minutes: Minutes
    memo: Text | None = None


class TimeCorrection(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"minutes": 60}], "minProperties": 1})

    minutes: Minutes | None = None
    memo: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.minutes is None and self.memo is None:
            raise ValueError("minutes or memo is needed")
        return self


class NewBonus(Body):
    model_config = example(amount=10_000, note="thank you")

    amount: Amount
    note: Text | None = None


class Questionnaire(Body):
    model_config = example(answers={"other_clients": "yes"})

    answers: Answers


class Recommendation(Body):
    model_config = example(outcome="independent_contractor", reasons="They have other clients and their own tools")

    outcome: Outcome
    reasons: Text


class Decision(Body):
    model_config = example(outcome="independent_contractor")

    outcome: Outcome


class EmployerOfRecord(Body):
    model_config = example(name="Payroll Ltd", pay_schedule="monthly")

    name: Text
    pay_schedule: PaySchedule


class NewPayroll(Body):
    model_config = example(amount=400_000, period_start="2026-01-01", period_end="2026-01-31")

    amount: Amount
    period_start: Day
    period_end: Day

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.period_end < self.period_start:
            raise ValueError("period_end must not be before period_start")
        return self


# Payouts and funds


class NewObjection(Body):
    model_config = example(reason="The hours differ from what we agreed")

    reason: Text


class Reduction(Body):
    """`amount` is the new amount, not the difference."""

    model_config = example(amount=20_000)

    amount: AmountOrZero


class NewReversal(Body):
    model_config = example(amount=10_000, reason="refund")

    amount: Amount
    reason: ReversalReason


class NewWithdrawal(Body):
    model_config = example(amount=10_000, currency="USD")

    amount: Amount
    currency: Money


class NewPosting(Body):
    account: Annotated[str, Field(strict=True, min_length=1, max_length=64)]
    direction: Direction
    amount: Amount
    currency: Money


class NewAdjustment(Body):
    """Postings balance for each currency: debits = credits."""

    model_config = example(
        reason="The charge was recorded twice",
        corrects_event_id="evt_pay_aaaaaaaaaaaaaaaaaaaa_3",
        postings=[
            {"account": "fre_aaaaaaaaaaaaaaaaaaaa:available", "direction": "debit", "amount": 700, "currency": "USD"},
            {"account": "platform:adjustments", "direction": "credit", "amount": 700, "currency": "USD"},
        ],
    )

    reason: Text
    corrects_event_id: Annotated[str, Field(strict=True, min_length=1, max_length=64)]
    postings: Annotated[list[NewPosting], Field(min_length=2, max_length=MAX_POSTINGS)]
    effective_at: Instant | None = None


class ClockAdvance(Body):
    model_config = example(to="2026-01-05T12:00:00Z")

    to: Instant
