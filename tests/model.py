"""A second, simpler ledger, written from the domain page alone: what the real one is held against.

Nothing here is shared with `ledger`. Time is whole microseconds since a Monday 00:00. Money is a list of facts that is added up
anew whenever a sum is asked for. Nothing is scheduled: the model steps from instant to instant and looks at everything there.
Every command answers None, or the code of its refusal: the first of CODES among all reasons that stand against it.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from tests.model_parts import (
    DAY,
    HOUR,
    NOON,
    WEEK,
    Contract,
    Entry,
    Fact,
    Milestone,
    Payout,
    Reversal,
    Withdrawal,
    first,
)

__all__ = ["DAY", "HOUR", "NOON", "WEEK", "Contract", "Milestone", "Model", "Payout"]


class Model:
    """One client, one freelancer. `up` is whether a worker runs: without one nobody is charged and nothing transferred."""

    def __init__(self, now: int, card: str | None, bank: str | None) -> None:
        self.now, self.up = now, True
        self.closed = now
        """The last instant whose closes have been made."""
        self.contracts: list[Contract] = []
        self.withdrawals: list[Withdrawal] = []
        self.adjustments: list[tuple[int, str, int]] = []
        self.card: str | None = None
        self.cards: dict[str, str] = {}
        """What each card does: pays, declines, declines finally, silent."""
        self.bank: str | None = bank
        if card is not None:
            self.billing_method("card 1", card)

    # Sums

    def payouts(self) -> list[Payout]:
        return [payout for contract in self.contracts for payout in contract.payouts]

    def balance(self, who: str, currency: str, until: int | None = None) -> tuple[int, int, int]:
        """Pending, available, in transit, as of an instant."""
        t = self.now if until is None else until
        mine = [one for one in self.payouts() if one.payee == who and one.contract.currency == currency]
        pending, available, transit = sum(one.pending(t) for one in mine), sum(one.available(t) for one in mine), 0
        if who == "freelancer":
            available += sum(amount for at, code, amount in self.adjustments if code == currency and at <= t)
            for one in self.withdrawals:
                if one.currency == currency and one.asked_at <= t:
                    ended = one.status if one.status != "in_transit" and one.ended_at <= t else "in_transit"
                    available -= one.amount if ended != "failed" else 0
                    transit += one.amount if ended == "in_transit" else 0
        return pending, available, transit

    # Time

    def advance(self, to: int) -> None:
        while (instant := min((t for t in self.instants() if self.now < t <= to), default=None)) is not None:
            self.now = instant
            self.happen()
        self.now = to
        self.happen()

    def instants(self) -> Iterable[int]:
        """When something might happen next."""
        yield (self.now - NOON) // WEEK * WEEK + WEEK + NOON
        for contract in self.contracts:
            yield from (one.deadline for one in contract.milestones if one.status == "submitted")
            for payout in contract.payouts:
                if payout.next_try is not None:
                    yield payout.next_try
                if payout.release_at is not None:
                    yield payout.release_at
        yield from (one.settles_at for one in self.withdrawals if one.settles_at is not None)

    def happen(self) -> None:
        """Everything that is due now, in the order of rule 29."""
        if self.now % WEEK == NOON and self.now > self.closed:
            self.closed = self.now
            for contract in self.contracts:
                self.close(contract)
        for contract in self.contracts:
            for milestone in contract.milestones:
                if milestone.status == "submitted" and self.now >= milestone.deadline:
                    milestone.lapsed = True
                    self.approved(contract, milestone)
        self.charges()
        for payout in self.payouts():
            if payout.pending() and payout.release_at is not None and self.now >= payout.release_at:
                payout.facts.append(Fact(payout.release_at, "release", payout.pending()))
        self.transfers()

    def close(self, contract: Contract) -> None:
        ended = self.now // WEEK - 1
        cycle = range(ended - contract.weeks + 1, ended + 1)
        if not contract.active or ended < contract.first_week or (ended + 1 - contract.first_week) % contract.weeks:
            return
        if contract.kind == "hourly":
            sums = [sum(one.minutes for one in self.entries(contract, week)) for week in cycle]
            exact = [Decimal(minutes * contract.rate) / 60 for minutes in sums]
            amount = sum(int(one.quantize(Decimal(1), ROUND_HALF_UP)) for one in exact)
            self.pay(contract, "timesheet", amount, self.now + 4 * DAY)
        if contract.kind == "fixed_rate" and not contract.employee:
            start, end = cycle[0] * WEEK, cycle[-1] * WEEK + WEEK
            spans = [(max(start, a), end if b is None else min(end, b)) for a, b in contract.active if a is not None]
            if any(a < b for a, b in spans):
                self.pay(contract, "fixed_rate", contract.rate, self.now + 4 * DAY)
        for amount in contract.bonuses:
            self.pay(contract, "bonus", amount)
        contract.bonuses = []

    def entries(self, contract: Contract, week: int) -> list[Entry]:
        return [one for one in contract.entries if not one.removed and one.day // 7 == week]

    def pay(self, contract: Contract, kind: str, amount: int, review_until: int | None = None) -> None:
        if amount:
            payee = contract.eor if kind == "eor_payroll" and contract.eor else "freelancer"
            contract.payouts.append(Payout(contract, kind, amount, self.now, review_until, payee, next_try=self.now))

    def approved(self, contract: Contract, milestone: Milestone) -> None:
        milestone.status = "approved"
        self.pay(contract, "milestone", milestone.amount)

    # Charges

    def charges(self) -> None:
        """The attempts whose time has come, and the answers of those in flight; a failure may lead to the next at once."""
        if not self.up:
            return
        while True:
            tried = [one for one in self.payouts() if one.next_try is not None and one.next_try <= self.now]
            for payout in tried:
                self.attempt(payout)
            answered = [one for one in self.payouts() if one.in_flight and self.cards[one.in_flight] != "silent"]
            for payout in answered:
                self.answer(payout)
            if not tried and not answered:
                return

    def attempt(self, payout: Payout) -> None:
        if payout.charged_at is not None or payout.in_flight:
            return
        payout.next_try = None
        if self.card is None:
            self.failed(payout, final=False)
        else:
            payout.in_flight = self.card

    def answer(self, payout: Payout) -> None:
        card, payout.in_flight = payout.in_flight or "", None
        if self.cards[card] != "pays":
            self.failed(payout, final=self.cards[card] == "declines finally")
            if card != self.card:
                payout.next_try = self.now
            return
        payout.charged_at = self.now
        payout.facts.append(Fact(self.now, "charge", payout.due))
        contract = payout.contract
        if contract.status == "suspended" and all(one.charged_at is not None for one in contract.payouts):
            contract.status = "active"
            contract.active.append([self.now, None])

    def failed(self, payout: Payout, *, final: bool) -> None:
        payout.failures += 1
        payout.next_try = None if final or payout.failures >= 10 else self.now + DAY
        if payout.failures == 5 and payout.contract.status == "active":
            payout.contract.status = "suspended"
            payout.contract.active[-1][1] = self.now

    def billing_method(self, card: str, does: str) -> None:
        self.cards[card] = does
        self.card = card
        for payout in self.payouts():
            if payout.failures:
                self.attempt(payout)
        self.happen()

    def card_does(self, card: str, does: str) -> None:
        self.cards[card] = does
        self.happen()

    def retry(self, payout: Payout) -> str | None:
        if payout.status != "charge_failed":
            return "charge_not_failed"
        self.attempt(payout)
        self.happen()
        return None

    # The freelancer

    def transfers(self) -> None:
        if not self.up:
            return
        for one in self.withdrawals:
            if one.status == "in_transit" and one.settles_at is not None and self.now >= one.settles_at:
                one.status, one.ended_at = "paid" if one.bank_pays else "failed", one.settles_at
            if one.status == "in_transit" and one.settles_at is None:
                one.settles_at = self.now + DAY

    def withdraw(self, amount: int, currency: str) -> str | None:
        available = self.balance("freelancer", currency)[1]
        refusal = first({"payout_method_required": self.bank is None, "insufficient_funds": amount > available})
        if refusal is None:
            self.withdrawals.append(Withdrawal(amount, currency, self.bank == "pays", self.now))
            self.happen()
        return refusal

    def payout_method(self, bank: str) -> None:
        self.bank = bank
        for contract in self.contracts:
            self.ready(contract)

    def adjust(self, currency: str, amount: int, at: int) -> None:
        self.adjustments.append((at, currency, amount))

    # The offer

    def ready(self, contract: Contract) -> None:
        classified = contract.outcome == "independent_contractor" or (contract.employee and contract.eor is not None)
        if contract.status == "accepted" and self.bank is not None and classified:
            contract.status, contract.first_week = "active", self.now // WEEK
            contract.active.append([self.now, None])

    def answer_offer(self, contract: Contract, answer: str) -> str | None:
        if contract.status != "invited":
            return "already_decided"
        contract.status = answer
        self.ready(contract)
        return None

    def complete(self, contract: Contract) -> str | None:
        refusal = first(contract.not_in("active", "suspended"))
        if refusal is None:
            if contract.status == "active":
                contract.active[-1][1] = self.now
            contract.status = "completed"
        return refusal

    def classify(self, contract: Contract, step: str, outcome: str) -> str | None:
        """Questionnaire, recommendation, decision."""
        needs = {"questionnaire": True, "recommendation": contract.questionnaire, "decision": contract.recommended}
        refusal = first(
            {
                "contract_not_active": contract.status in ("declined", "withdrawn"),
                "already_decided": contract.outcome is not None,
                "classification_required": not needs[step],
            }
        )
        if refusal is None:
            contract.questionnaire |= step == "questionnaire"
            contract.recommended |= step == "recommendation"
            contract.outcome = outcome if step == "decision" else None
            self.ready(contract)
        return refusal

    def employer(self, contract: Contract, name: str) -> str | None:
        refusal = first(
            {
                "contract_not_active": contract.status in ("declined", "withdrawn", "completed"),
                "already_decided": contract.outcome == "independent_contractor",
                "classification_required": contract.outcome is None,
            }
        )
        if refusal is None:
            contract.eor = name
            self.ready(contract)
        return refusal

    def payroll(self, contract: Contract, amount: int) -> str | None:
        reasons = contract.not_in("active", "suspended", "completed")
        refusal = first({**reasons, "eor_not_assigned": not contract.employee or contract.eor is None})
        if refusal is None:
            self.pay(contract, "eor_payroll", amount)
            self.happen()
        return refusal

    # Work

    def fixed_price_reasons(self, contract: Contract) -> dict[str, bool]:
        return {"not_a_fixed_price_contract": not contract.fixed_price, "paid_through_eor": contract.employee}

    def add_milestone(self, contract: Contract, amount: int, *, requested: bool) -> str | None:
        one_only = {"single_payment_has_one_milestone": contract.kind == "single_payment"}
        refusal = first({**contract.not_in("active"), **self.fixed_price_reasons(contract), **one_only})
        if refusal is None:
            contract.milestones.append(Milestone(amount, "requested" if requested else "planned"))
        return refusal

    def answer_request(self, contract: Contract, one: Milestone, *, approve: bool) -> str | None:
        allowed = contract.not_in("active") if approve else contract.not_in("active", "suspended", "completed")
        asked = {"milestone_not_requested": one.status != "requested"}
        refusal = first({**allowed, **self.fixed_price_reasons(contract), **asked})
        if refusal is None:
            one.status = "planned" if approve else "gone"
        return refusal

    def activate(self, contract: Contract, one: Milestone) -> str | None:
        planned = [other for other in contract.milestones if other.status == "planned"]
        busy = any(other.status in ("active", "submitted") for other in contract.milestones)
        order = {"milestone_already_active": busy, "milestone_out_of_order": not planned or planned[0] is not one}
        refusal = first({**contract.not_in("active"), **self.fixed_price_reasons(contract), **order})
        if refusal is None:
            one.status = "active"
        return refusal

    def submit(self, contract: Contract, one: Milestone) -> str | None:
        again = contract.status == "completed" and one.submitted_before and one.status == "active"
        allowed = {} if again else contract.not_in("active")
        ready = {"milestone_not_active": one.status != "active"}
        refusal = first({**allowed, **self.fixed_price_reasons(contract), **ready})
        if refusal is None:
            one.status, one.submitted_before, one.lapsed = "submitted", True, False
            one.deadline = self.now + contract.weeks * WEEK
        return refusal

    def review(self, contract: Contract, one: Milestone, *, approve: bool) -> str | None:
        allowed = contract.not_in("active", "suspended", "completed")
        answerable = {"review_period_ended": one.lapsed, "nothing_to_review": one.status != "submitted"}
        refusal = first({**allowed, **self.fixed_price_reasons(contract), **answerable})
        if refusal is None and approve:
            self.approved(contract, one)
            self.happen()
        elif refusal is None:
            one.status = "active"
        return refusal

    def time_reasons(self, contract: Contract, day: int, minutes: int, but: Entry | None) -> dict[str, bool]:
        week = day // 7
        others = [one for one in self.entries(contract, week) if one is not but]
        that_day = minutes + sum(one.minutes for one in others if one.day == day)
        that_week = minutes + sum(one.minutes for one in others)
        limit = contract.weekly_limit
        return {
            "not_an_hourly_contract": contract.kind != "hourly",
            "time_is_entered_with_eor": contract.employee,
            "timesheet_locked": week >= contract.first_week and self.now >= (week + 1) * WEEK + NOON,
            "day_limit_exceeded": that_day > 1440,
            "weekly_limit_exceeded": limit is not None and that_week > limit,
        }

    def log(self, contract: Contract, day: int, minutes: int) -> str | None:
        when = {"week_not_open": day // 7 != self.now // WEEK, "time_in_future": day > self.now // DAY}
        refusal = first({**contract.not_in("active"), **self.time_reasons(contract, day, minutes, None), **when})
        if refusal is None:
            contract.entries.append(Entry(day, minutes))
        return refusal

    def correct(self, contract: Contract, one: Entry, minutes: int | None) -> str | None:
        """Null minutes remove the entry."""
        reasons = self.time_reasons(contract, one.day, minutes or 0, one)
        refusal = first({**contract.not_in("active", "suspended", "completed"), **reasons})
        if refusal is None:
            one.removed, one.minutes = minutes is None, minutes or 0
        return refusal

    def bonus(self, contract: Contract, amount: int) -> str | None:
        refusal = first({**contract.not_in("active", "completed"), "paid_through_eor": contract.employee})
        if refusal is None:
            contract.bonuses.append(amount)
        return refusal

    # The payout

    def object(self, payout: Payout) -> str | None:
        cycle = payout.type in ("timesheet", "fixed_rate")
        refusal = first(
            {
                "review_period_ended": payout.review_until is not None and self.now >= payout.review_until,
                "objection_not_possible": not cycle or not payout.amount,
                "objection_already_open": payout.objection == "open",
            }
        )
        if refusal is None:
            payout.objection = "open"
        return refusal

    def end_objection(self, payout: Payout, how: str) -> None:
        payout.objection, payout.not_before = how, self.now

    def withdraw_objection(self, payout: Payout) -> str | None:
        if payout.objection != "open":
            return "no_open_objection"
        self.end_objection(payout, "withdrawn")
        self.happen()
        return None

    def reduce(self, payout: Payout, amount: int) -> str | None:
        impossible = payout.charged_at is None or amount >= payout.held
        refusal = first({"no_open_objection": payout.objection != "open", "payout_not_reducible": impossible})
        if refusal is None:
            payout.facts.append(Fact(self.now, "reduce", payout.held - amount))
            self.end_objection(payout, "settled")
            self.happen()
        return refusal

    def reverse(self, payout: Payout, amount: int, kind: str) -> str | None:
        if amount > payout.held:
            return "reversal_too_large"
        pending = min(amount, payout.pending())
        payout.reversals.append(Reversal(kind, pending, amount - pending))
        payout.facts.append(Fact(self.now, "back_pending", pending))
        payout.facts.append(Fact(self.now, "back_available", amount - pending))
        if payout.objection == "open" and not payout.held:
            self.end_objection(payout, "settled")
        return None

    def reinstate(self, payout: Payout, one: Reversal) -> str | None:
        if one.kind == "refund" or one.won:
            return "reversal_not_reinstatable"
        one.won = True
        payout.facts.append(Fact(self.now, "won_pending", one.pending))
        payout.facts.append(Fact(self.now, "won_available", one.available))
        if one.pending:
            payout.not_before = max(payout.not_before, self.now)
        self.happen()
        return None
