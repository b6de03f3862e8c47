"""A rich history on a real database, told through the service, with ids, times and salts that are always the same.

All kinds of contracts, silence and review, failed charges, objections, reversals, withdrawals, bonuses, an Employer of Record,
an adjustment, a late worker, an erased text; at its end a payout in every state.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from ledger import commands as c
from ledger.bootstrap import Ledger
from ledger.commands import Command
from ledger.events import MilestoneTerms, Posting, Sealed
from ledger.ids import derive
from ledger.service import Receipt
from ledger.store.clocks import TestClock
from ledger.store.vault import Secret, digest

OPERATOR = "operator:per_ann"


def at(text: str) -> datetime:
    """`2026-01-05 09:00`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Story:
    """Sends commands to a ledger, and remembers the names of what they made."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.settles = True
        self._commands = 0
        self._texts = 0

    # How it is told

    def send(self, command: Callable[..., Command], actor: str, /, *secrets: Secret, **fields: Any) -> Receipt:
        self._commands += 1
        stamp = {"command_id": f"cmd_{self._commands:04}", "actor": actor, "now": self.ledger.clock.now()}
        receipt = self.ledger.service.handle(command(**stamp, **fields), secrets)
        if self.settles:
            self.ledger.settle(receipt.position)
        return receipt

    def on(self, instant: str) -> None:
        """Time goes on, and what is due happens."""
        self.ledger.worker.advance(at(instant))

    def late(self, instant: str) -> None:
        """Time goes on while nobody works; then the worker comes back."""
        assert isinstance(self.ledger.clock, TestClock)
        self.ledger.clock.set(at(instant))
        self.ledger.worker.drain()

    def seal(self, text: str, owner: str) -> Secret:
        """A text on its way into the vault, with an id and a salt that are always the same."""
        self._texts += 1
        salt = self._texts.to_bytes(16, "big")
        return Secret(Sealed(id=derive("vlt", str(self._texts)), sha256=digest(salt, text)), owner, salt, text)

    # Parties

    def client(self, name: str, card: str | None = "pm_card_visa") -> str:
        client = derive("cli", name)
        words = self.seal(name, client), self.seal(f"{name.lower()}@client.example", client)
        party = {"client_id": client, "name": words[0].sealed, "email": words[1].sealed}
        self.send(c.RegisterClient, OPERATOR, *words, **party)
        if card:
            self.card(client, card)
        return client

    def card(self, client: str, token: str) -> None:
        method = self.seal(token, client)
        self.send(c.SetBillingMethod, f"client:{client}", method, client_id=client, method=method.sealed)

    def freelancer(self, name: str, bank: str | None = "ba_test") -> str:
        freelancer = derive("fre", name)
        words = self.seal(name, freelancer), self.seal(f"{name.lower()}@work.example", freelancer)
        party = {"freelancer_id": freelancer, "name": words[0].sealed, "email": words[1].sealed}
        self.send(c.RegisterFreelancer, OPERATOR, *words, **party)
        if bank:
            self.bank(freelancer, bank)
        return freelancer

    def bank(self, freelancer: str, token: str) -> None:
        method = self.seal(token, freelancer)
        self.send(c.SetPayoutMethod, f"freelancer:{freelancer}", method, freelancer_id=freelancer, method=method.sealed)

    # Contracts

    def offer(self, name: str, client: str, freelancer: str, kind: str, *amounts: int, **terms: Any) -> str:
        contract = derive("con", name)
        title, email = self.seal(f"{name} for a client", client), self.seal("them@work.example", freelancer)
        texts = [self.seal(f"{name}, part {number}", client) for number, _ in enumerate(amounts, 1)]
        milestones = tuple(
            MilestoneTerms(milestone_id=derive("mil", name, str(number)), description=text.sealed, amount=amount)
            for number, (text, amount) in enumerate(zip(texts, amounts, strict=True), 1)
        )
        parties = {"contract_id": contract, "client_id": client, "freelancer_id": freelancer}
        words = {"title": title.sealed, "freelancer_email": email.sealed, "milestones": milestones}
        what = {"kind": kind, "cadence": "weekly", "currency": "USD"} | terms
        self.send(c.OfferContract, f"client:{client}", title, email, *texts, **parties, **words, **what)
        return contract

    def active(self, name: str, client: str, freelancer: str, kind: str, *amounts: int, **terms: Any) -> str:
        contract = self.offer(name, client, freelancer, kind, *amounts, **terms)
        self.send(c.AcceptOffer, f"freelancer:{freelancer}", contract_id=contract)
        return contract

    def submit(self, name: str, number: int = 1) -> None:
        milestone = derive("mil", name, str(number))
        self.send(c.SubmitMilestone, "freelancer:x", contract_id=derive("con", name), milestone_id=milestone)

    def approve(self, name: str, number: int = 1) -> str:
        """Answers the payout's id."""
        contract, milestone = derive("con", name), derive("mil", name, str(number))
        self.send(c.ApproveMilestone, "client:x", contract_id=contract, milestone_id=milestone)
        return derive("pay", contract, milestone)

    def paid_work(self, name: str, client: str, freelancer: str, amount: int, **terms: Any) -> str:
        """A single payment that is approved at once; answers the payout."""
        self.active(name, client, freelancer, "single_payment", amount, **terms)
        self.submit(name)
        return self.approve(name)

    def log_time(self, contract: str, entry: str, day: str, minutes: int) -> None:
        memo = self.seal(f"worked on {entry}", contract)
        what = {"entry_id": derive("tim", entry), "date": date.fromisoformat(day), "minutes": minutes}
        self.send(c.LogTime, "freelancer:x", memo, contract_id=contract, memo=memo.sealed, **what)

    # Payouts

    def object(self, payout: str, reason: str = "too many hours") -> None:
        text = self.seal(reason, "client")
        self.send(c.RaiseObjection, "client:x", text, payout_id=payout, reason=text.sealed)

    def reduce(self, payout: str, amount: int) -> None:
        refund = derive("red", payout, str(amount))
        self.send(c.ReducePayout, "freelancer:x", payout_id=payout, refund_id=refund, amount=amount)

    def reverse(self, payout: str, amount: int, reason: str) -> str:
        reversal = derive("rev", payout, str(amount), reason)
        what = {"payout_id": payout, "reversal_id": reversal, "amount": amount, "reason": reason}
        self.send(c.ReversePayout, OPERATOR, **what)
        return reversal

    def reinstate(self, payout: str, reversal: str) -> None:
        self.send(c.ReinstateReversal, OPERATOR, payout_id=payout, reversal_id=reversal)

    def withdraw(self, freelancer: str, amount: int, currency: str = "USD") -> None:
        withdrawal = derive("wdr", freelancer, str(amount))
        what = {"freelancer_id": freelancer, "withdrawal_id": withdrawal, "amount": amount, "currency": currency}
        self.send(c.RequestWithdrawal, f"freelancer:{freelancer}", **what)


ACME, BROKE = derive("cli", "Acme"), derive("cli", "Broke")
ADA, BOB, EVE = derive("fre", "Ada"), derive("fre", "Bob"), derive("fre", "Eve")
PAYROLLS = derive("eor", "Payrolls")


def contract(name: str) -> str:
    return derive("con", name)


def payout(name: str, number: int = 1) -> str:
    """Of a milestone."""
    return derive("pay", contract(name), derive("mil", name, str(number)))


def cycle_payout(name: str, start: str) -> str:
    """Of the billing cycle that begins on that day."""
    return derive("pay", contract(name), at(start).isoformat())


def tell(ledger: Ledger) -> Story:
    """The whole story, from Monday 2026-01-05 09:00 to Monday 2026-03-09 09:00."""
    story = Story(ledger)
    story.client("Acme")
    story.client("Broke", "pm_card_chargeDeclined")
    story.freelancer("Ada", None)
    _offers(story)
    story.bank(ADA, "ba_test")
    story.freelancer("Bob", "ba_test_fails")
    story.freelancer("Eve")
    _january(story)
    _february(story)
    _march(story)
    ledger.views.catch_up()
    return story


def _offers(story: Story) -> None:
    """Offers that come to nothing, and one that waits for a payout method."""
    story.offer("Declined", ACME, ADA, "single_payment", 100)
    story.send(c.DeclineOffer, f"freelancer:{ADA}", contract_id=contract("Declined"))
    story.offer("Withdrawn", ACME, ADA, "single_payment", 100)
    reason = story.seal("found another", ACME)
    withdrawn = {"contract_id": contract("Withdrawn"), "reason": reason.sealed}
    story.send(c.WithdrawOffer, f"client:{ACME}", reason, **withdrawn)
    story.active("Logo", ACME, ADA, "single_payment", 50_000)


def _january(story: Story) -> None:
    story.submit("Logo")  # approved by silence on Monday the 12th
    story.active("Site", ACME, ADA, "milestone", 20_000, 30_000, currency="EUR")
    site = contract("Site")
    story.send(c.ActivateMilestone, "client:x", contract_id=site, milestone_id=derive("mil", "Site", "1"))
    story.submit("Site")
    message = story.seal("the logo is too small", ACME)
    changes = {"contract_id": site, "milestone_id": derive("mil", "Site", "1"), "message": message.sealed}
    story.send(c.RequestChanges, f"client:{ACME}", message, **changes)
    story.active("Code", ACME, ADA, "hourly", hourly_rate=6_001, weekly_limit_minutes=2_400)
    story.log_time(contract("Code"), "monday", "2026-01-05", 95)
    story.on("2026-01-07 10:00")
    story.submit("Site")
    story.approve("Site")
    story.log_time(contract("Code"), "wednesday", "2026-01-07", 480)
    correction = {"contract_id": contract("Code"), "entry_id": derive("tim", "monday")}
    story.send(c.CorrectTime, "freelancer:x", **correction, minutes=100)
    story.log_time(contract("Code"), "mistake", "2026-01-07", 30)
    story.send(c.RemoveTime, "freelancer:x", contract_id=contract("Code"), entry_id=derive("tim", "mistake"))
    story.active("Care", ACME, BOB, "fixed_rate", rate=90_000, currency="JPY", cadence="biweekly")
    bonus = {"contract_id": contract("Care"), "bonus_id": derive("bon", "1"), "amount": 5_000}
    story.send(c.GrantBonus, f"client:{ACME}", **bonus)
    _employee(story)
    story.on("2026-01-12 13:00")  # the first close
    reason = story.seal("all done", ADA)
    story.send(c.CompleteContract, f"freelancer:{ADA}", reason, contract_id=contract("Site"), reason=reason.sealed)
    story.object(cycle_payout("Code", "2026-01-05"))
    story.on("2026-01-13 09:00")
    story.reduce(cycle_payout("Code", "2026-01-05"), 50_000)
    story.log_time(contract("Code"), "next", "2026-01-13", 600)
    story.on("2026-01-20 09:00")
    story.object(cycle_payout("Code", "2026-01-12"))
    story.on("2026-01-26 09:00")  # over the review deadline, under the objection
    story.send(c.WithdrawObjection, "client:x", payout_id=cycle_payout("Code", "2026-01-12"))


def _employee(story: Story) -> None:
    """Classified by the service as an employee: paid through an Employer of Record."""
    story.active("Desk", ACME, EVE, "fixed_rate", rate=1, classification_by="service", outcome=None)
    desk = {"contract_id": contract("Desk")}
    answers, reasons, name = (story.seal(text, EVE) for text in ("fixed hours", "one client", "Payrolls Ltd"))
    story.send(c.AnswerQuestionnaire, f"freelancer:{EVE}", answers, **desk, answers=answers.sealed)
    recommended = {"outcome": "employee", "reasons": reasons.sealed}
    story.send(c.RecommendClassification, OPERATOR, reasons, **desk, **recommended)
    story.send(c.DecideClassification, f"client:{ACME}", **desk, outcome="employee")
    employer = {"eor_id": PAYROLLS, "name": name.sealed, "pay_schedule": "monthly"}
    story.send(c.SetEmployerOfRecord, OPERATOR, name, **desk, **employer)
    period = {"period_start": date(2026, 1, 1), "period_end": date(2026, 1, 31)}
    payroll = {"payroll_id": derive("prl", "1"), "amount": 300_000}
    story.send(c.RecordPayroll, OPERATOR, **desk, **period, **payroll)


def _february(story: Story) -> None:
    story.paid_work("Unpaid", BROKE, BOB, 70_000)
    story.on("2026-02-01 09:00")  # five failures: suspended
    story.card(BROKE, "pm_card_visa")  # charged, resumed
    story.card(BROKE, "pm_card_chargeDeclined")
    story.withdraw(ADA, 10_000)
    refunded = story.paid_work("Refunded", ACME, ADA, 8_000)
    story.reverse(refunded, 3_000, "refund")
    story.on("2026-02-09 09:00")
    story.reverse(refunded, 5_000, "chargeback")
    reversal = story.reverse(payout("Logo"), 45_000, "chargeback")
    story.on("2026-02-10 09:00")
    story.reinstate(payout("Logo"), reversal)
    story.withdraw(BOB, 20_000)
    story.on("2026-02-12 09:00")  # and it failed
    conversion = {"client_id": ACME, "conversion_id": derive("cnv", "1"), "freelancer_id": BOB}
    email = story.seal("bob@work.example", BOB)
    story.send(c.RecordConversion, OPERATOR, email, **conversion, freelancer_email=email.sealed)
    met = {"sourcing": "marketplace", "conversion_id": derive("cnv", "1")}
    story.active("Met", ACME, BOB, "milestone", 1_000, **met)
    requested = story.seal("more work", BOB)
    milestone = {"contract_id": contract("Met"), "milestone_id": derive("mil", "Met", "2")}
    wish = {"description": requested.sealed, "amount": 2_500, "requested": True}
    story.send(c.AddMilestone, f"freelancer:{BOB}", requested, **milestone, **wish)
    story.send(c.ApproveMilestoneRequest, f"client:{ACME}", **milestone)
    _adjustment(story)
    story.paid_work("Hopeless", BROKE, BOB, 4_000)
    story.late("2026-02-16 15:00")  # the close of 12:00 happens three hours late, as of 12:00


def _adjustment(story: Story) -> None:
    reason = story.seal("a goodwill payment was booked on the wrong freelancer", "platform")
    postings = (
        Posting(account=f"{ADA}:available", direction="debit", amount=1_000, currency="USD"),
        Posting(account=f"{BOB}:available", direction="credit", amount=1_000, currency="USD"),
    )
    adjustment = {"adjustment_id": derive("adj", "1")}
    what = {"reason": reason.sealed, "corrects_event_id": f"evt_{payout('Logo')}_1", "postings": postings}
    stated = {"stated_at": at("2026-02-01 00:00")}
    story.send(c.ProposeAdjustment, OPERATOR, reason, **adjustment, person="per_ann", **what, **stated)
    story.send(c.ApproveAdjustment, "operator:per_bob", **adjustment, person="per_bob")


def _march(story: Story) -> None:
    """What is under way when the story ends."""
    story.on("2026-02-27 09:00")  # Hopeless has failed ten times
    story.client("Stolen", "pm_card_chargeDeclinedStolenCard")
    story.paid_work("Final", derive("cli", "Stolen"), BOB, 4_100)
    story.on("2026-03-02 09:00")
    for day in ("02", "03"):
        story.on(f"2026-03-{day} 18:00")
        story.log_time(contract("Code"), day, f"2026-03-{day}", 300)
    story.on("2026-03-06 09:00")
    story.paid_work("Held", ACME, ADA, 12_345)
    story.paid_work("Retried", BROKE, BOB, 4_200)
    story.on("2026-03-09 12:30")
    story.object(cycle_payout("Code", "2026-03-02"), '=HYPERLINK("x")\x1b[31m')
    story.settles = False  # what follows is due, and nobody has done it yet
    story.paid_work("Due", ACME, ADA, 777)
    flight = story.paid_work("Flight", ACME, ADA, 888)
    story.send(c.RequestCharge, "operator:per_ann", payout_id=flight)
