"""Answers about payouts, balances, statements and withdrawals. Amounts are minor units of `currency`."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from api.schemas.answers import MoneyOf, Page, Shape
from ledger.aggregates.contract.state import Status
from ledger.aggregates.payout import Status as PayoutStatus
from ledger.events import ReversalReason, SourceType


class SourceOut(Shape):
    type: SourceType
    id: str | None
    start: datetime | None
    end: datetime | None


class ObjectionOut(Shape):
    id: str
    object: Literal["objection"]
    payout_id: str
    status: Literal["open", "withdrawn", "settled"]
    at: datetime
    ended_at: datetime | None
    reason: str | None


class ReversalOut(Shape):
    id: str
    object: Literal["reversal"]
    payout_id: str
    reason: ReversalReason
    amount: int
    currency: str
    from_pending: int
    from_available: int
    at: datetime
    reinstated_at: datetime | None


class RefundOut(Shape):
    id: str
    object: Literal["refund"]
    amount: int
    currency: str
    paid_at: datetime | None


class PayoutOut(Shape):
    id: str
    object: Literal["payout"]
    version: int
    status: PayoutStatus
    contract_id: str
    client_id: str
    freelancer_id: str
    payee: str = Field(description="The freelancer, or the Employer of Record of a payroll.")
    source: SourceOut
    amount: int
    currency: str
    due_amount: int
    charged_amount: int
    pending_amount: int
    released_amount: int
    due_at: datetime
    charged_at: datetime | None
    hold_until: datetime | None
    review_deadline: datetime | None
    released_at: datetime | None
    available_on: datetime | None
    failures: int
    last_failure: str | None
    next_attempt_at: datetime | None
    objection: ObjectionOut | None
    reversals: list[ReversalOut]
    refunds: list[RefundOut]


# Funds


class BalanceOut(Shape):
    object: Literal["balance"]
    freelancer_id: str
    position: int
    as_of: datetime
    pending: list[MoneyOf]
    available: list[MoneyOf]
    in_transit: list[MoneyOf]


class Totals(Shape):
    at: datetime | None
    pending: list[MoneyOf]
    available: list[MoneyOf]
    in_transit: list[MoneyOf]


class BalanceTransactionOut(Shape):
    id: str
    object: Literal["balance_transaction"]
    type: str
    amount: int
    currency: str
    occurred_at: datetime
    recorded_at: datetime
    position: int
    payout_id: str | None
    withdrawal_id: str | None
    available_on: datetime | None
    pending: int
    available: int
    in_transit: int


class Statement(Page[BalanceTransactionOut]):
    """`opening` and `closing` are given with `from` or `to`."""

    opening: Totals | None
    closing: Totals | None


class ContractEarnings(Shape):
    contract_id: str
    title: str | None
    status: Status | None
    archived: bool
    earned: list[MoneyOf]


class MonthEarnings(Shape):
    month: str
    earned: list[MoneyOf]


class EarningsOut(Shape):
    object: Literal["earnings"]
    freelancer_id: str
    total: list[MoneyOf]
    by_contract: list[ContractEarnings]
    by_month: list[MonthEarnings]


class WithdrawalOut(Shape):
    id: str
    object: Literal["withdrawal"]
    freelancer_id: str
    amount: int
    currency: str
    status: Literal["in_transit", "paid", "failed"]
    requested_at: datetime
    settles_at: datetime | None
    ended_at: datetime | None
    failure: str | None


class RuleOut(Shape):
    """A rule of the domain, by its number."""

    number: int
    text: str


class ExplanationStep(Shape):
    """An event, in words, with the rules that were applied; what it did to the money, and the payout after it."""

    position: int
    event_id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    what: str
    rules: list[RuleOut]
    entries: list[dict[str, Any]]
    payout: dict[str, Any] | None


class ExplanationOut(Shape):
    """Why the money is where it is, and what is awaited until when."""

    object: Literal["explanation"]
    payout_id: str
    contract_id: str
    payee: str
    status: PayoutStatus
    amount: int
    currency: str
    available_on: datetime | None
    summary: str
    steps: list[ExplanationStep]
    awaited: list[dict[str, Any]]
