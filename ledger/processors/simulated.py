"""The sandbox's processor: pays or declines as the method's token says, at once, by the sandbox's clock.

It stands outside the ledger: it keeps its own books, committed before it answers, and answers the same for the same key.
"""

from datetime import datetime

from ledger.clock import DAY, Clock
from ledger.processors.protocol import Outcome, Refund, Request
from ledger.store.database import Database

DECLINES = "pm_card_chargeDeclined"
"""Billing methods that begin so decline; every other that begins with `pm_` pays."""
DECLINES_FOR_GOOD = (
    "pm_card_chargeDeclinedStolenCard",
    "pm_card_chargeDeclinedLostCard",
    "pm_card_chargeDeclinedExpiredCard",
)
"""Declines that the processor calls final: the retry is not scheduled."""
FAILS = "ba_test_fails"
"""A transfer to this payout method fails after a day; every other that begins with `ba_` is paid then."""
TRANSFER_TAKES = DAY


class SimulatedProcessor:
    name = "simulated"
    concurrency = 1

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def charge(self, request: Request) -> Outcome:
        paid = request.method.startswith("pm_") and not request.method.startswith(DECLINES)
        final = request.method in DECLINES_FOR_GOOD or not request.method.startswith("pm_")
        outcome, at = self._once(request, "charge", "paid" if paid else "declined_for_good" if final else "declined")
        if outcome == "paid":
            return Outcome(at=at, reference=f"ch_{request.key}")
        return Outcome(at=at, failure="card_declined", final=outcome == "declined_for_good")

    def transfer(self, request: Request) -> Outcome:
        fails = request.method == FAILS or not request.method.startswith("ba_")
        outcome, at = self._once(request, "transfer", "failed" if fails else "paid")
        settles_at = at + TRANSFER_TAKES
        if self._clock.now() < settles_at:
            return Outcome(at=at, settles_at=settles_at)
        if outcome == "paid":
            return Outcome(at=settles_at, reference=f"tr_{request.key}")
        return Outcome(at=settles_at, failure="account_closed")

    def refund(self, request: Refund) -> Outcome:
        as_request = Request(
            key=request.key,
            subject=request.subject,
            amount=request.amount,
            currency=request.currency,
            method=request.charge_reference,
        )
        _, at = self._once(as_request, "refund", "paid")
        return Outcome(at=at, reference=f"re_{request.key}")

    def _once(self, request: Request, kind: str, outcome: str) -> tuple[str, datetime]:
        """What the key came to the first time, and when."""
        row = self._database.fetch(
            "INSERT INTO simulated_operations (key, kind, subject, amount, currency, method, outcome, at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING outcome, at",
            (
                request.key,
                kind,
                request.subject,
                request.amount,
                request.currency,
                request.method,
                outcome,
                self._clock.now(),
            ),
        )[0]
        return row["outcome"], row["at"]
