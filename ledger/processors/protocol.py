"""What a payment processor does for the ledger. Each request carries a key: asked twice under one key, it is done once.

An answer is final for its key. `OutcomeUnknown` means ask again, under the same key; it is no failure (rule 24).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class OutcomeUnknown(Exception):
    """The processor did not say what became of the request."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Amounts are minor units. `method` is the token of the client's billing or the freelancer's payout method.

    `subject` is the payout or the withdrawal that it is for.
    """

    key: str
    subject: str
    amount: int
    currency: str
    method: str


@dataclass(frozen=True, kw_only=True)
class Refund:
    """Sends money of the charge `charge_reference` back to where it came from."""

    key: str
    subject: str
    amount: int
    currency: str
    charge_reference: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`reference` where it succeeded, `failure` where not; `final`: the same method will never succeed.

    `at` is the processor's time. A transfer that is still under way has `settles_at`: ask again then.
    """

    at: datetime
    reference: str | None = None
    failure: str | None = None
    final: bool = False
    settles_at: datetime | None = None


class Processor(Protocol):
    """Each call may raise OutcomeUnknown."""

    name: str
    concurrency: int
    """How many requests may be under way at once."""

    def charge(self, request: Request) -> Outcome: ...

    def transfer(self, request: Request) -> Outcome: ...

    def refund(self, request: Refund) -> Outcome: ...
