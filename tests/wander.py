"""A long, varied history that nobody thought of: several people, every kind of contract, all that can be done with them.

The same seed gives the same history, event for event.
"""

from collections.abc import Callable
from datetime import timedelta
from random import Random

from ledger.errors import NotFound, Refused
from tests.play import BANK, BANK_FAILS, DECLINES, DECLINES_FOR_GOOD, PAYS, Play

CURRENCIES = ("USD", "EUR")


class Wanderer:
    """Does something at random at each step, and lets some time pass. What is refused was worth asking."""

    def __init__(self, play: Play, seed: int) -> None:
        self.play, self.random = play, Random(seed)
        self.clients = [play.client, play.register_client("Carl", DECLINES), play.register_client("Cleo", None)]
        self.freelancers = [play.freelancer, play.register_freelancer("Faye", BANK_FAILS)]
        self.freelancers.append(play.register_freelancer("Finn", None))
        self.contracts: list[str] = []
        self.reversals: list[tuple[str, str]] = []
        self.entries: list[tuple[str, str]] = []
        self.refusals = 0

    def wander(self, steps: int) -> None:
        for _ in range(5):
            self._offer()
        for _ in range(steps):
            doings: list[Callable[[], None]] = [self._offer, self._parties, self._money, self._contract]
            doings += [self._work] * 4 + [self._time] * 3 + [self._payout] * 3
            try:
                self.random.choice(doings)()
            except (Refused, NotFound):
                self.refusals += 1
            if self.random.random() < 0.45:
                self.play.advance(timedelta(minutes=self.random.choice((1, 37, 60, 500, 1440, 2000))))

    def _amount(self) -> int:
        return self.random.choice((1, 99, 12_345, 50_000, 10**9))

    def _offer(self) -> None:
        play, random = self.play, self.random
        kind = random.choice(("single_payment", "milestone", "hourly", "fixed_rate"))
        terms: dict[str, object] = {
            "cadence": random.choice(("weekly", "biweekly")),
            "currency": random.choice(CURRENCIES),
            "client": random.choice(self.clients),
            "freelancer": random.choice(self.freelancers),
        }
        match kind:
            case "single_payment":
                terms["amount"] = self._amount()
            case "milestone":
                terms["milestones"] = tuple(self._amount() for _ in range(random.randint(0, 3)))
            case "hourly":
                terms |= {"hourly_rate": random.choice((1, 6_001, 10**6)), "weekly_limit_minutes": 3_000}
            case "fixed_rate":
                terms["rate"] = self._amount()
        if random.random() < 0.15:
            terms["outcome"] = "employee"
        contract = play.offer(kind, **terms)  # type: ignore[arg-type]
        self.contracts.append(contract)
        if random.random() < 0.9:
            play.accept(contract)
        if terms.get("outcome"):
            play.employer_of_record(contract, random.choice(("weekly", "monthly")))

    def _any_contract(self) -> str:
        return self.random.choice(self.contracts[-8:])

    def _parties(self) -> None:
        if self.random.random() < 0.5:
            token = self.random.choice((PAYS, PAYS, DECLINES, DECLINES_FOR_GOOD))
            self.play.card(token, self.random.choice(self.clients))
        else:
            self.play.bank(self.random.choice((BANK, BANK_FAILS)), self.random.choice(self.freelancers))

    def _work(self) -> None:
        play, contract = self.play, self._any_contract()
        state = play.contract(contract)
        if not state.milestones or (state.kind == "milestone" and self.random.random() < 0.3):
            play.add_milestone(contract, self._amount(), requested=self.random.random() < 0.5)
            return
        milestone = self.random.choice(state.milestones)
        sensible = {
            "requested": (play.approve_request, play.decline_request),
            "planned": (play.activate,),
            "active": (play.submit,),
            "submitted": (play.approve, play.request_changes, play.submit),
            "approved": (play.approve, play.request_changes),
        }
        self.random.choice(sensible[milestone.status])(contract, play.number_of(contract, milestone.id))

    def _time(self) -> None:
        contract = self._any_contract()
        hourly = [one for one in self.contracts if self.play.contract(one).kind == "hourly"]
        contract = self.random.choice(hourly or [contract])
        if self.entries and self.random.random() < 0.25:
            contract, entry = self.random.choice(self.entries[-5:])
            if self.random.random() < 0.3:
                self.play.remove_time(contract, entry)
            else:
                self.play.correct_time(contract, entry, self.random.randint(1, 600))
            return
        day = self.play.now.date() - timedelta(days=self.random.randint(0, 3))
        self.entries.append((contract, self.play.log_time(contract, self.random.randint(1, 700), day)))

    def _any_payout(self) -> str:
        payouts = [payout for contract in self.contracts for payout in self.play.payout_ids(contract)]
        if not payouts:
            raise NotFound("payout")
        return self.random.choice(payouts[-12:])

    def _payout(self) -> None:
        play, payout = self.play, self._any_payout()
        match self.random.randint(0, 5):
            case 0 | 1 | 2:
                state = play.payout(payout)
                if not state.objection_open:
                    play.object(payout)
                elif self.random.random() < 0.5:
                    play.withdraw_objection(payout)
                else:
                    play.reduce(payout, self.random.choice((0, 1, 5_000)))
            case 3 | 4:
                amount = self.random.choice((play.payout(payout).held, 1, 700)) or 1
                reversal = play.reverse(payout, amount, self.random.choice(("refund", "chargeback")))
                self.reversals.append((payout, reversal))
            case 5 if self.reversals:
                play.reinstate(*self.random.choice(self.reversals))

    def _money(self) -> None:
        play, random = self.play, self.random
        who = random.choice(self.freelancers)
        match random.randint(0, 3):
            case 0 | 1:
                play.withdraw(random.choice((1, 99, 500, 12_345)), random.choice(CURRENCIES), who)
            case 2:
                play.retry_charge(self._any_payout())
            case 3:
                sides = ["platform:adjustments", f"{who}:available"]
                random.shuffle(sides)
                earlier = play.now - timedelta(minutes=random.choice((0, 1, 1440, 10_000)))
                play.adjust(*sides, random.choice((1, 77)), stated_at=random.choice((None, earlier)))

    def _contract(self) -> None:
        play, contract = self.play, self._any_contract()
        match self.random.randint(0, 5):
            case 0:
                play.complete(contract)
            case 1 | 2:
                play.bonus(contract, self._amount())
            case 3:
                play.payroll(contract, self._amount())
            case 4:
                play.employer_of_record(contract, self.random.choice(("weekly", "semimonthly")))
            case 5:
                self.random.choice((play.decline, play.withdraw_offer, play.accept))(contract)
