"""The real deciders and the model, told the same: each step here is taken by both, and both must answer alike."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ledger.aggregates import evolve
from ledger.codec import decode, encode
from ledger.errors import Refused
from ledger.postings import PLATFORM, entries
from tests import model as m
from tests.history import History
from tests.properties.invariants import Invariants

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
"""Where the model's time begins."""
CURRENCIES = ("USD", "JPY")
Terms = tuple[str, int, str, str | None, int | None, bool]
"""Kind, weeks of a cycle, currency, outcome, weekly limit, whether it is accepted at once."""


def instant(t: int) -> datetime:
    return MONDAY + timedelta(microseconds=t)


def day(number: int) -> date:
    return MONDAY.date() + timedelta(days=number)


class SideBySide:
    """A contract is named by its number in the order of offers, a payout by its id; `ids` are the real contracts'."""

    def start(self, start: int, card: str | None, bank: str | None) -> None:
        self.real = History(instant(start), card=None, bank=bank)
        self.model = m.Model(start, None, bank)
        self.ids: list[str] = []
        self.entries: list[list[str]] = []
        self.reversals: dict[str, list[str]] = {}
        self.cards: list[str] = []
        self.checks = Invariants(self.real)
        if card is not None:
            self.new_card(card)

    def both(self, expected: str | None, command: Callable[[], object]) -> bool:
        """The real ledger answers as the model did; whether it was accepted."""
        try:
            command()
            code = None
        except Refused as refusal:
            code = refusal.code
        assert code == expected, f"refused with {code}, the model says {expected}"
        return code is None

    def contract(self, number: int) -> tuple[str, m.Contract]:
        number %= len(self.ids)
        return self.ids[number], self.model.contracts[number]

    def advance(self, to: int) -> None:
        self.model.advance(to)
        self.real.advance(instant(to))

    def worker(self, *, up: bool) -> None:
        self.model.up = self.real.up = up
        self.model.happen()
        if up:
            self.real.settle()

    def new_card(self, does: str) -> None:
        self.model.billing_method(f"card {len(self.cards)}", does)
        self.cards.append("")
        self.real.billing_method(does)
        self.cards[-1] = self.real.state(self.real.client).method

    def card_does(self, number: int, does: str) -> None:
        self.model.card_does(f"card {number}", does)
        self.real.processor.does[self.cards[number]] = does
        if self.real.up:
            self.real.settle()

    def adjust(self, amount: int, currency: str, at: int) -> None:
        sides = ("debit", "credit") if amount > 0 else ("credit", "debit")
        postings = (PLATFORM, sides[0], abs(amount)), (f"{self.real.freelancer}:available", sides[1], abs(amount))
        stated = None if at == self.model.now else instant(at)
        adjustment = self.real.propose_adjustment(*postings, currency=currency, stated_at=stated)
        self.model.adjust(currency, amount, at)
        self.real.approve_adjustment(adjustment)

    def amount_of(self, how: str, whole: int) -> int:
        amounts = {"one": 1, "half": whole // 2, "all": whole, "more": whole + 1}
        return max(1, amounts[how])

    def offer(self, terms: Terms) -> None:
        kind, weeks, currency, outcome, limit, accepts = terms
        amounts = {"single_payment": (5000,), "milestone": (1000, 2001, 302)}.get(kind, ())
        rate = {"hourly": 3333, "fixed_rate": 777}.get(kind, 0)
        active = "active" if kind == "single_payment" else "planned"
        milestones = [m.Milestone(amount, active) for amount in amounts]
        limit = limit if kind == "hourly" else None
        self.model.contracts.append(m.Contract(kind, weeks, currency, rate, limit, milestones, outcome))
        hourly = {"hourly_rate": rate, "weekly_limit_minutes": limit}
        contract = self.real.offer(
            kind,
            amount=5000,
            milestones=amounts,
            cadence=("weekly", "biweekly")[weeks - 1],
            currency=currency,
            classification_by="service" if outcome is None else "client_decision",
            outcome=outcome,
            **{"hourly": hourly, "fixed_rate": {"rate": rate}}.get(kind, {}),
        )
        self.ids.append(contract)
        self.entries.append([])
        if accepts:
            self.answer(len(self.ids) - 1, "accepted")
        if accepts and outcome == "employee":
            self.employer(len(self.ids) - 1)

    def answer(self, number: int, answer: str) -> None:
        contract, modelled = self.contract(number)
        commands = {"accepted": self.real.accept, "declined": self.real.decline, "withdrawn": self.real.withdraw_offer}
        self.both(self.model.answer_offer(modelled, answer), lambda: commands[answer](contract))

    def employer(self, number: int) -> None:
        contract, modelled = self.contract(number)
        name = f"employer of {contract}"
        self.both(self.model.employer(modelled, name), lambda: self.real.employer_of_record(contract, name))

    def classify_and_employ(self, number: int, step: str) -> None:
        contract, modelled = self.contract(number)
        outcome = "employee" if number % 2 else "independent_contractor"
        if step == "payroll":
            self.both(self.model.payroll(modelled, 9000), lambda: self.real.payroll(contract, 9000))
        elif step == "employer":
            self.employer(number)
        else:
            commands = {
                "questionnaire": lambda: self.real.answer_questionnaire(contract),
                "recommendation": lambda: self.real.recommend(contract, outcome),
                "decision": lambda: self.real.decide_classification(contract, outcome),
            }
            self.both(self.model.classify(modelled, step, outcome), commands[step])

    def add_milestone(self, number: int, act: str) -> None:
        contract, modelled = self.contract(number)
        by = "freelancer" if act == "request" else "client"
        expected = self.model.add_milestone(modelled, 4004, requested=by == "freelancer")
        self.both(expected, lambda: self.real.add_milestone(contract, 4004, by=by))

    def milestone(self, number: int, nth: int, what: str) -> None:
        contract, modelled = self.contract(number)
        one = modelled.milestones[nth]
        expected = {
            "activate": lambda: self.model.activate(modelled, one),
            "submit": lambda: self.model.submit(modelled, one),
            "approve": lambda: self.model.review(modelled, one, approve=True),
            "request_changes": lambda: self.model.review(modelled, one, approve=False),
            "approve_request": lambda: self.model.answer_request(modelled, one, approve=True),
            "decline_request": lambda: self.model.answer_request(modelled, one, approve=False),
        }
        self.both(expected[what](), lambda: getattr(self.real, what)(contract, nth + 1))

    def log_time(self, number: int, back: int, minutes: int) -> None:
        contract, modelled = self.contract(number)
        today = self.model.now // m.DAY - back
        mine = self.entries[number % len(self.ids)]
        expected = self.model.log(modelled, today, minutes)
        self.both(expected, lambda: mine.append(self.real.log_time(contract, minutes, day(today))))

    def correct_time(self, back: int, minutes: int | None) -> None:
        """One of the latest entries; None removes it."""
        kept = [
            (c, n) for c, one in enumerate(self.model.contracts) for n, e in enumerate(one.entries) if not e.removed
        ]
        if not kept:
            return
        c, n = sorted(kept, key=lambda cn: self.entries[cn[0]][cn[1]])[-1 - back % len(kept)]
        contract, entry, modelled = self.ids[c], self.entries[c][n], self.model.contracts[c]
        expected = self.model.correct(modelled, modelled.entries[n], minutes)
        if minutes is None:
            self.both(expected, lambda: self.real.remove_time(contract, entry))
        else:
            self.both(expected, lambda: self.real.correct_time(contract, entry, minutes))

    def bonus(self, number: int, amount: int) -> None:
        contract, modelled = self.contract(number)
        self.both(self.model.bonus(modelled, amount), lambda: self.real.bonus(contract, amount))

    def payout(self, number: int, fitting: Callable[[m.Payout], object]) -> tuple[str, m.Payout]:
        """Mostly one for which the command makes sense, the latest first; of those that the real ledger knows of."""
        known = [
            (real.id, modelled)
            for contract, one in zip(self.ids, self.model.contracts, strict=True)
            for real, modelled in zip(self.real.all_payouts(contract), one.payouts, strict=False)
        ]
        sensible = [one for one in known if fitting(one[1])] if number < 7 else []
        return (sensible or known)[-1 - number % len(sensible or known)]

    def any_payout(self) -> bool:
        return any(self.real.all_payouts(contract) for contract in self.ids)

    def at(self, t: int | None) -> datetime | None:
        return None if t is None else instant(t)

    def check_as_of(self) -> None:
        """At every instant of the first and the last ten money events, as of then."""
        moves = [(one.event.occurred_at, entry) for one in self.real.log for entry in entries(one.event)]
        instants = sorted({at for at, _ in moves})
        for at in instants[:10] + instants[-10:]:
            t = (at - MONDAY) // timedelta(microseconds=1)
            for currency in CURRENCIES:
                for who, name in self._payees():
                    sums = [
                        sum(e.credit for then, e in moves if then <= at and e[:2] == (f"{who}:{bucket}", currency))
                        for bucket in ("pending", "available", "in_transit")
                    ]
                    assert tuple(sums) == self.model.balance(name, currency, t)

    def _payees(self) -> list[tuple[str, str]]:
        """The freelancer and the employers of record, as the real ledger and as the model name them."""
        employers = (
            (self.real.state(contract).eor, one.eor)
            for contract, one in zip(self.ids, self.model.contracts, strict=True)
        )
        return [(self.real.freelancer, "freelancer"), *((real.id, name) for real, name in employers if real and name)]

    def check_replay(self) -> None:
        """The stored bytes, read from zero: the same states, the same accounts, the same bytes."""
        states: dict[str, object] = {}
        for one in self.real.log:
            stored = encode(one.event)
            event = decode(one.event.TOPIC, stored)
            assert event == one.event
            assert encode(event) == stored
            states[one.stream] = evolve(one.stream, states.get(one.stream), event)  # type: ignore[arg-type]
        assert states == self.real.states

    # What must hold

    def check_both_agree(self) -> None:
        for contract, modelled in zip(self.ids, self.model.contracts, strict=True):
            assert self.real.status(contract) == modelled.status
            statuses = [one.status for one in modelled.milestones if one.status != "gone"]
            assert [one.status for one in self.real.state(contract).milestones] == statuses
            real = [
                (one.source.type, one.status, one.amount, one.failures, one.charged_at, one.available_on)
                for one in self.real.all_payouts(contract)
            ]
            assert real == [
                (one.type, one.status, one.amount, one.failures, self.at(one.charged_at), self.at(one.available_on))
                for one in modelled.payouts
            ]
        for currency in CURRENCIES:
            assert self.real.balance(currency=currency) == self.model.balance("freelancer", currency)
        assert self.real.withdrawals() == [f"{one.status} {one.amount}" for one in self.model.withdrawals]
