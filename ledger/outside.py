"""Asking the outside world: the payment processor and the mail system, and putting what they say into commands."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import structlog

from ledger import commands as c
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer, withdrawal_of
from ledger.aggregates.payout import Payout
from ledger.commands import SYSTEM, Command
from ledger.errors import LedgerError
from ledger.ids import COMMAND, derive
from ledger.policies.deadlines import ASK, NOTIFY, REFUND, TRANSFER, Deadline
from ledger.processors.mail import Mailer, compose
from ledger.processors.protocol import Outcome, OutcomeUnknown, Processor, Refund, Request
from ledger.store.log import LedgerLog
from ledger.store.vault import Vault

log = structlog.get_logger("ledger.outside")


class Outside:
    """Without a processor only mail is sent: charges, transfers and refunds wait until there is one."""

    def __init__(self, log: LedgerLog, vault: Vault, processor: Processor | None, mailer: Mailer) -> None:
        self._log, self._vault, self.processor, self._mailer = log, vault, processor, mailer
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """How often each kind of question had which answer, in this process."""
        self.kinds = (NOTIFY,) if processor is None else (ASK, TRANSFER, REFUND, NOTIFY)

    def ask(self, deadlines: Sequence[Deadline], now: datetime) -> list[Command | None]:
        """For each deadline the command that records the answer; None where there was none: it is asked again later."""
        try:
            states = self._log.load({deadline.stream for deadline in deadlines})
            methods = self._vault.reveal(_method(deadline, states[deadline.stream]) for deadline in deadlines)
        except LedgerError as error:
            if len(deadlines) > 1:  # one by one, so that one alone stands still
                return [answer for deadline in deadlines for answer in self.ask([deadline], now)]
            log.error("a question cannot be asked", stream=deadlines[0].stream, error=str(error))
            return [None]
        with ThreadPoolExecutor(self.processor.concurrency if self.processor else 1) as pool:
            answers = list(pool.map(lambda one: self._ask(one, states[one.stream], methods, now), deadlines))
        self.outcomes.update((one.kind, _outcome(answer)) for one, answer in zip(deadlines, answers, strict=True))
        return answers

    def _ask(self, deadline: Deadline, state: Any, methods: dict[str, str], now: datetime) -> Command | None:
        origin: dict[str, Any] = {
            "command_id": derive(COMMAND, deadline.cause_id, deadline.kind, deadline.item, deadline.at.isoformat()),
            "actor": SYSTEM,
            "now": now,
            "cause_id": deadline.cause_id,
        }
        try:
            match deadline.kind, state:
                case "ask", Payout():
                    return self._charge(origin, state, methods)
                case "transfer", Freelancer():
                    return self._transfer(origin, state, deadline.item, methods)
                case "refund", Payout():
                    return self._refund(origin, state, deadline.item)
                case "notify", Contract():
                    return self._notify(origin, state, deadline)
        except Exception as error:  # noqa: BLE001 - whatever a processor or mailer raises, its outcome is unknown
            about = {"kind": deadline.kind, "stream": deadline.stream, "error": repr(error)}
            whose = {"command_id": origin["command_id"], "cause_id": deadline.cause_id}
            log.warning("no answer from outside; asking again", **about, **whose)
        return None

    @property
    def _pays(self) -> Processor:
        if self.processor is None:
            raise OutcomeUnknown("there is no payment processor")
        return self.processor

    def _charge(self, origin: dict[str, Any], payout: Payout, methods: dict[str, str]) -> Command | None:
        attempt = payout.in_flight
        if attempt is None:
            return None
        outcome = self._pays.charge(
            Request(
                key=attempt.key,
                subject=payout.id,
                amount=attempt.amount,
                currency=payout.currency,
                method=methods.get(attempt.method, ""),
            )
        )
        return c.RecordCharge(
            **origin,
            effective_at=outcome.at,
            payout_id=payout.id,
            attempt=attempt.number,
            reference=outcome.reference,
            failure=outcome.failure,
            final=outcome.final,
        )

    def _transfer(
        self, origin: dict[str, Any], freelancer: Freelancer, withdrawal_id: str, methods: dict[str, str]
    ) -> Command | None:
        withdrawal = withdrawal_of(freelancer, withdrawal_id)
        outcome = self._pays.transfer(
            Request(
                key=withdrawal.id,
                subject=withdrawal.id,
                amount=withdrawal.amount,
                currency=withdrawal.currency,
                method=methods.get(withdrawal.method, ""),
            )
        )
        who: dict[str, Any] = {
            "freelancer_id": freelancer.id,
            "withdrawal_id": withdrawal.id,
            "effective_at": outcome.at,
        }
        if outcome.settles_at is not None:
            return c.RecordTransfer(**origin, **who, outcome="submitted", settles_at=outcome.settles_at)
        if outcome.reference is not None:
            return c.RecordTransfer(**origin, **who, outcome="paid")
        return c.RecordTransfer(**origin, **who, outcome="failed", failure=outcome.failure)

    def _refund(self, origin: dict[str, Any], payout: Payout, refund_id: str) -> Command | None:
        for refund in payout.refunds:
            if refund.id == refund_id and refund.paid_at is None:
                outcome: Outcome = self._pays.refund(
                    Refund(
                        key=refund.id,
                        subject=payout.id,
                        amount=refund.amount,
                        currency=payout.currency,
                        charge_reference=payout.reference or "",
                    )
                )
                said: dict[str, Any] = {
                    "refund_id": refund.id,
                    "reference": outcome.reference or "",
                    "effective_at": outcome.at,
                }
                return c.RecordRefund(**origin, payout_id=payout.id, **said)
        return None

    def _notify(self, origin: dict[str, Any], contract: Contract, deadline: Deadline) -> Command:
        """Rules 1 and 4: the invitation, and the Employer of Record's pay schedule. An erased address gets no mail."""
        texts = self._vault.reveal(
            (contract.freelancer_email, contract.title, contract.eor.name if contract.eor else None)
        )
        address = texts.get(contract.freelancer_email)
        title = texts.get(contract.title, "a contract")
        if address is not None:
            if deadline.item == "invitation":
                subject = f"You are invited to the contract: {title}"
                text = (
                    f"A client you know offers you the contract “{title}” ({contract.id}).\n"
                    "Create an account with this address to review it, and accept or decline it.\n"
                )
            else:
                assert contract.eor is not None
                employer = texts.get(contract.eor.name, "your Employer of Record")
                subject = f"Your pay schedule for the contract: {title}"
                text = f"You are paid through {employer}, whose pay schedule is {contract.eor.pay_schedule}.\n"
            self._mailer.send(compose(deadline.cause_id, address, subject, text, deadline.at))
        kind: Any = deadline.item
        return c.NoteNotification(**origin, contract_id=contract.id, kind=kind, about=deadline.cause_id)


def _outcome(answer: Command | None) -> str:
    """One word for what was answered, to be counted."""
    match answer:
        case None:
            return "unknown"
        case c.RecordCharge():
            return "paid" if answer.reference is not None else "declined"
        case c.RecordTransfer():
            return answer.outcome
    return "done"


def _method(deadline: Deadline, state: Any) -> str | None:
    """The vault id of the payment method that a question needs."""
    if deadline.kind == ASK and isinstance(state, Payout):
        return state.in_flight.method if state.in_flight else None
    if deadline.kind == TRANSFER and isinstance(state, Freelancer):
        return withdrawal_of(state, deadline.item).method
    return None
