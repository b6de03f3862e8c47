"""What the model (model.py) is made of: instants, codes, and simple records of contracts and payouts."""

from dataclasses import dataclass, field

HOUR = 3_600_000_000
NOON = 12 * HOUR
DAY = 24 * HOUR
WEEK = 7 * DAY

CODES = (
    "contract_not_active", "contract_suspended", "not_an_hourly_contract", "not_a_fixed_price_contract",
    "single_payment_has_one_milestone", "time_is_entered_with_eor", "paid_through_eor", "conversion_required",
    "already_decided", "classification_required", "eor_not_assigned", "email_taken", "milestone_not_requested",
    "milestone_already_active", "milestone_out_of_order", "milestone_not_active", "review_period_ended",
    "nothing_to_review", "timesheet_locked", "week_not_open", "time_in_future", "day_limit_exceeded",
    "weekly_limit_exceeded", "objection_not_possible", "objection_already_open", "no_open_objection",
    "payout_not_reducible", "charge_not_failed", "reversal_too_large", "reversal_not_reinstatable",
    "payout_method_required", "insufficient_funds", "second_operator_required",
)  # fmt: skip


def first(reasons: dict[str, bool]) -> str | None:
    return next((code for code in CODES if reasons.get(code)), None)


@dataclass
class Fact:
    """Money that moved. `what`: charge, release, reduce, back_pending, back_available, won_pending, won_available, ..."""

    at: int
    what: str
    amount: int


@dataclass
class Milestone:
    amount: int
    status: str
    submitted_before: bool = False
    deadline: int = 0
    lapsed: bool = False


@dataclass
class Entry:
    day: int
    minutes: int
    removed: bool = False


@dataclass
class Reversal:
    kind: str
    pending: int
    available: int
    won: bool = False


@dataclass
class Payout:
    contract: "Contract"
    type: str
    due: int
    at: int
    review_until: int | None
    payee: str
    failures: int = 0
    in_flight: str | None = None
    """The card that was asked and has not answered."""
    next_try: int | None = 0
    charged_at: int | None = None
    facts: list[Fact] = field(default_factory=list)
    objection: str | None = None
    not_before: int = 0
    """The end of the last objection, or the last chargeback won while pending."""
    reversals: list[Reversal] = field(default_factory=list)

    def sum(self, *whats: str, until: int | None = None) -> int:
        return sum(one.amount for one in self.facts if one.what in whats and (until is None or one.at <= until))

    def pending(self, until: int | None = None) -> int:
        plus = self.sum("charge", "won_pending", until=until)
        return plus - self.sum("release", "reduce", "back_pending", until=until)

    def available(self, until: int | None = None) -> int:
        return self.sum("release", "won_available", until=until) - self.sum("back_available", until=until)

    @property
    def held(self) -> int:
        return self.pending() + self.available()

    @property
    def status(self) -> str:
        if self.charged_at is None:
            return "charge_failed" if self.failures else "due"
        return "pending" if self.pending() else "released" if self.held else "reversed"

    @property
    def amount(self) -> int:
        return self.due if self.charged_at is None else self.held

    @property
    def release_at(self) -> int | None:
        if self.charged_at is None or self.objection == "open":
            return None
        return max(self.charged_at + 4 * DAY, self.review_until or 0, self.not_before)

    @property
    def available_on(self) -> int | None:
        if self.status == "pending":
            return self.release_at
        return next((one.at for one in self.facts if one.what == "release"), None)


@dataclass
class Contract:
    kind: str
    weeks: int
    """Of a billing cycle, and of a review of submitted work."""
    currency: str
    rate: int
    weekly_limit: int | None
    milestones: list[Milestone]
    outcome: str | None
    status: str = "invited"
    questionnaire: bool = False
    recommended: bool = False
    eor: str | None = None
    first_week: int = 0
    active: list[list[int | None]] = field(default_factory=list)
    """From, and up to but not including."""
    entries: list[Entry] = field(default_factory=list)
    bonuses: list[int] = field(default_factory=list)
    """Those not invoiced yet."""
    payouts: list[Payout] = field(default_factory=list)

    @property
    def fixed_price(self) -> bool:
        return self.kind in ("single_payment", "milestone")

    @property
    def employee(self) -> bool:
        return self.outcome == "employee"

    def not_in(self, *statuses: str) -> dict[str, bool]:
        """The reasons that the table 'What is allowed when' gives."""
        outside = self.status not in statuses
        return {
            "contract_suspended": outside and self.status == "suspended",
            "contract_not_active": outside and self.status != "suspended",
        }


@dataclass
class Withdrawal:
    amount: int
    currency: str
    bank_pays: bool
    asked_at: int
    settles_at: int | None = None
    status: str = "in_transit"
    ended_at: int = 0
