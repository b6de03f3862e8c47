"""What a processor did, as facts: the ledger's events of one and the report's row of one are made apart from each other."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger import events as e
from ledger.ids import derive
from ledger.processors.stripe import reversal_id
from tests.replay.balance_report import Cells, cells
from tests.replay.money_logs import CLIENT, CONTRACT, DAY, FREELANCERS

KINDS = ("charge", "refund", "own_refund", "dispute", "dispute_reversal", "transfer", "failed_transfer")
SIGN = {"charge": 1, "dispute_reversal": 1}
AFTER = {"refund": "re", "own_refund": "re", "dispute": "du", "dispute_reversal": "du"}


@dataclass(frozen=True)
class Fact:
    """`number` tells it from the others; a refund or dispute is of a payment of its own, which is no part of it."""

    kind: str
    number: int
    amount: int
    currency: str
    at: datetime

    @property
    def payout(self) -> str:
        return derive("pay", str(self.number))

    @property
    def payment(self) -> str:
        return f"pi_{self.number}"

    @property
    def source(self) -> str:
        return f"{AFTER.get(self.kind, 'ch' if self.kind == 'charge' else 'tr')}_{self.number}"

    @property
    def withdrawal(self) -> str:
        return derive("wdr", str(self.number))

    def events(self) -> list[e.Event]:
        """As the ledger records it."""
        freelancer = FREELANCERS[0]
        stamp: dict[str, Any] = {"actor": "system", "occurred_at": self.at, "recorded_at": self.at, "command_id": "c"}
        money = {"amount": self.amount, "currency": self.currency}
        payout = {"payout_id": self.payout, "contract_id": CONTRACT, "client_id": CLIENT, "currency": self.currency}
        whose = {"freelancer_id": freelancer, "payee": freelancer}
        waits = {"release_at": None, "next_release_at": None}
        reversal = {**stamp, **payout, **whose, **waits, "reversal_id": reversal_id(self.source)}
        taken = {"from_pending": self.amount, "from_available": 0, "ends_objection": False}
        withdrawal = {**stamp, **money, "freelancer_id": freelancer, "withdrawal_id": self.withdrawal}
        asked = e.WithdrawalRequested(**withdrawal, method=e.Sealed(id="vlt_1", sha256="0" * 64))
        own = derive("red", str(self.number))
        sent = {**stamp, **payout, **whose, "amount": self.amount, "reference": self.source}
        match self.kind:
            case "charge":
                charged = {**stamp, **payout, **whose, **waits, "amount": self.amount, "attempt": 1}
                return [e.PayoutCharged(**charged, reference=self.payment, hold_until=self.at + 4 * DAY)]
            case "refund":
                reversed_ = e.PayoutReversed(**reversal, **taken, reason="refund")
                return [reversed_, e.RefundPaid(**sent, refund_id=reversal_id(self.source))]
            case "own_refund":
                reduced = {**stamp, **payout, **whose, **waits, "amount": 0, "returned": self.amount}
                return [e.PayoutReduced(**reduced, refund_id=own), e.RefundPaid(**sent, refund_id=own)]
            case "dispute":
                return [e.PayoutReversed(**reversal, **taken, reason="chargeback")]
            case "dispute_reversal":
                return [e.ReversalReinstated(**reversal, to_pending=0, to_available=self.amount)]
            case "transfer":
                return [asked, e.WithdrawalPaid(**withdrawal)]
        return [asked, e.WithdrawalFailed(**withdrawal, failure="closed")]

    def rows(self, line: int) -> list[Cells]:
        """As the processor reports it; `line` numbers its balance transaction."""
        category = {"own_refund": "refund", "failed_transfer": "transfer"}.get(self.kind, self.kind)
        gross = SIGN.get(self.kind, -1) * self.amount
        names: dict[str, str] = {"source_id": self.source}
        if category == "transfer":
            names["withdrawal_id"] = self.withdrawal
        else:
            names |= {"payment_intent_id": self.payment, "payout_id": self.payout}
        if self.kind == "own_refund":
            names["refund_id"] = derive("red", str(self.number))
        rows = [cells(line, self.at, category, gross, self.currency, **names)]
        if self.kind == "failed_transfer":
            rows.append(cells(line + 1_000, self.at, "transfer_reversal", -gross, self.currency, **names))
        return rows
