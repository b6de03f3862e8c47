"""Answers for those who check: events, histories, corrections, the trial balance."""

from datetime import datetime
from typing import Any, Literal

from api.schemas.answers import Shape
from ledger.events import Direction


class EventOut(Shape):
    id: str
    object: Literal["event"]
    position: int
    type: str
    stream: str
    version: int
    contract_id: str | None
    payout_id: str | None
    actor: str
    occurred_at: datetime
    recorded_at: datetime
    command_id: str
    cause_id: str | None
    rule_version: int
    data: dict[str, Any]


class EntryOut(Shape):
    account: str
    currency: str
    debit: int
    credit: int
    line: str


class HistoryEventOut(EventOut):
    entries: list[EntryOut]


class HistoryOut(Shape):
    object: Literal["history"]
    contract_id: str
    data: list[HistoryEventOut]


class PostingOut(Shape):
    account: str
    direction: Direction
    amount: int
    currency: str


class AdjustmentOut(Shape):
    id: str
    object: Literal["adjustment"]
    version: int
    status: Literal["proposed", "approved"]
    reason: str | None
    corrects_event_id: str
    postings: list[PostingOut]
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    effective_at: datetime | None


class AccountOut(Shape):
    """`balance` is credits less debits: what the platform owes the account's owner."""

    account: str
    currency: str
    debit: int
    credit: int
    balance: int


class CurrencyTotal(Shape):
    currency: str
    debit: int
    credit: int


class TrialBalanceOut(Shape):
    object: Literal["trial_balance"]
    position: int
    as_of: datetime
    known_at: datetime | None
    balanced: bool
    accounts: list[AccountOut]
    totals: list[CurrencyTotal]


class IntegrityOut(Shape):
    """`position`: how far the log was verified; `hash`: the chain's head there; `checkpoints`: how many agree with it."""

    object: Literal["integrity"]
    status: Literal["intact", "verifying", "broken"]
    position: int
    head: int
    hash: str
    checkpoints: int
    first_bad_position: int | None
    detail: str | None
    checked_at: datetime
    from_zero_at: datetime


class CheckpointOut(Shape):
    position: int
    hash: str
    at: str
    key: str
    signature: str


class CheckpointsOut(Shape):
    """`public_key` is Ed25519, in hex; null as long as none was signed here."""

    object: Literal["checkpoints"]
    public_key: str | None
    data: list[CheckpointOut]
