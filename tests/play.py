"""The real service on a real database, driven as people would drive it. Ids, salts and texts are the same in every run.

    play = Play(ledger)                                    # Clara pays, Fred can be paid
    contract = play.active("single_payment", amount=50_000)
    play.submit(contract)
    play.advance(7 * DAY)
    assert play.payouts(contract) == ["milestone pending 50000"]

While the worker is `up`, everything that is due at an instant happens there; otherwise only what a command needs.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from ledger import commands as c
from ledger.aggregates.contract import Contract
from ledger.aggregates.payout import Payout
from ledger.bootstrap import Ledger
from ledger.commands import Command
from ledger.events import MilestoneTerms, Posting, Sealed
from ledger.ids import derive
from ledger.service import Receipt
from ledger.store.clocks import TestClock
from ledger.store.log import Stored
from ledger.store.vault import SALT_BYTES, Secret, digest

MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
WEEK = 7 * DAY
PAYS, DECLINES, DECLINES_FOR_GOOD = "pm_card_visa", "pm_card_chargeDeclined", "pm_card_chargeDeclinedStolenCard"
BANK, BANK_FAILS = "ba_test", "ba_test_fails"
OPERATOR = "operator:per_ann"


def utc(instant: str | datetime) -> datetime:
    """`2026-01-05 09:00`, in UTC."""
    return instant if isinstance(instant, datetime) else datetime.fromisoformat(instant).replace(tzinfo=UTC)


class Play:
    """`name` keeps the ids of several plays on one database apart."""

    def __init__(
        self, ledger: Ledger, name: str = "play", *, card: str | None = PAYS, bank: str | None = BANK, up: bool = True
    ) -> None:
        self.ledger, self.name = ledger, name
        self.up = up
        self._minted: Counter[str] = Counter()
        self._milestones: dict[str, list[str]] = {}
        self._client_of: dict[str, str] = {}
        self._freelancer_of: dict[str, str] = {}
        self.client = self.register_client("Clara", card)
        self.freelancer = self.register_freelancer("Fred", bank)

    # Time

    @property
    def now(self) -> datetime:
        return self.ledger.clock.now()

    def advance(self, to: str | datetime | timedelta) -> None:
        """Moves the clock; while the worker is up, it stops at every instant at which something is due."""
        target = self.now + to if isinstance(to, timedelta) else utc(to)
        if self.up:
            self.ledger.worker.advance(target)
        else:
            assert isinstance(self.ledger.clock, TestClock)
            self.ledger.clock.set(target)

    def worker_returns(self) -> None:
        self.up = True
        self.ledger.worker.drain()

    # Commands

    def run(self, kind: Callable[..., Command], actor: str, /, *secrets: Secret, **fields: Any) -> Receipt:
        """Sends a command; a Secret among its fields goes into the vault, its seal into the command."""
        texts = [*secrets, *(value for value in fields.values() if isinstance(value, Secret))]
        fields = {name: value.sealed if isinstance(value, Secret) else value for name, value in fields.items()}
        return self.send(kind(command_id=self.mint("cmd"), actor=actor, now=self.now, **fields), *texts)

    def send(self, command: Command, *secrets: Secret) -> Receipt:
        receipt = self.ledger.service.handle(command, secrets)
        if self.up:
            self.ledger.settle(receipt.position)
        return receipt

    def text(self, text: str, owner: str | None = None) -> Secret:
        """A text on its way into the vault, with a salt and an id that every run draws alike."""
        identifier = self.mint("vlt")
        salt = sha256(identifier.encode()).digest()[:SALT_BYTES]
        return Secret(Sealed(id=identifier, sha256=digest(salt, text)), owner or "nobody", salt, text)

    def mint(self, prefix: str) -> str:
        self._minted[prefix] += 1
        return derive(prefix, self.name, str(self._minted[prefix]))

    # Reading

    def contract(self, contract: str) -> Contract:
        return self._state(contract, Contract)

    def payout(self, payout: str) -> Payout:
        return self._state(payout, Payout)

    def _state(self, stream: str, kind: type[Any]) -> Any:
        """From the log itself: no projection need have seen it."""
        state = self.ledger.log.load([stream])[stream]
        assert isinstance(state, kind), f"{stream} is {state}"
        return state

    def payout_ids(self, contract: str) -> list[str]:
        return list(self.contract(contract).payouts)

    def payouts(self, contract: str) -> list[str]:
        """Each as `milestone pending 50000`, oldest first."""
        found = [self.payout(payout) for payout in self.payout_ids(contract)]
        return [f"{one.source.type} {one.status} {one.amount}" for one in found]

    def milestone(self, contract: str, number: int = 1) -> str:
        return self._milestones[contract][number - 1]

    def number_of(self, contract: str, milestone: str) -> int:
        return self._milestones[contract].index(milestone) + 1

    def balance(self, freelancer: str | None = None, currency: str = "USD") -> tuple[int, int, int]:
        """Pending, available, in transit, as the balances projection has them."""
        view = self.ledger.reader.balance(freelancer or self.freelancer)
        return tuple(totals.get(currency, 0) for totals in (view.pending, view.available, view.in_transit))  # type: ignore[return-value]

    def events(self, after: int = 0) -> list[Stored]:
        return list(self.ledger.log.read_all(after=after))

    def topics(self, after: int = 0) -> list[str]:
        return [stored.topic for stored in self.events(after)]

    # Parties

    def register_client(self, name: str, card: str | None = PAYS) -> str:
        client = derive("cli", self.name, name)
        words = {"name": self.text(name, client), "email": self.text(f"{name.lower()}@client.example", client)}
        self.run(c.RegisterClient, OPERATOR, client_id=client, **words)
        if card:
            self.card(card, client)
        return client

    def register_freelancer(self, name: str, bank: str | None = BANK) -> str:
        freelancer = derive("fre", self.name, name)
        words = {"name": self.text(name, freelancer), "email": self.text(f"{name.lower()}@work.example", freelancer)}
        self.run(c.RegisterFreelancer, OPERATOR, freelancer_id=freelancer, **words)
        if bank:
            self.bank(bank, freelancer)
        return freelancer

    def card(self, token: str, client: str | None = None) -> None:
        who = client or self.client
        self.run(c.SetBillingMethod, f"client:{who}", client_id=who, method=self.text(token, who))

    def bank(self, token: str, freelancer: str | None = None) -> None:
        who = freelancer or self.freelancer
        self.run(c.SetPayoutMethod, f"freelancer:{who}", freelancer_id=who, method=self.text(token, who))

    def withdraw(self, amount: int, currency: str = "USD", freelancer: str | None = None) -> str:
        who, withdrawal = freelancer or self.freelancer, self.mint("wdr")
        money = {"withdrawal_id": withdrawal, "amount": amount, "currency": currency}
        self.run(c.RequestWithdrawal, f"freelancer:{who}", freelancer_id=who, **money)
        return withdrawal

    # The offer

    def offer(
        self,
        kind: str,
        *,
        amount: int = 0,
        milestones: tuple[int, ...] = (),
        cadence: str = "weekly",
        currency: str = "USD",
        client: str | None = None,
        freelancer: str | None = None,
        **terms: Any,
    ) -> str:
        """`amount` for a single payment, `milestones` for their amounts; further terms as the command names them."""
        contract, who = self.mint("con"), client or self.client
        amounts = (amount,) if kind == "single_payment" else milestones
        self._milestones[contract] = [self.mint("mil") for _ in amounts]
        described = [self.text(f"do {one}", who) for one in self._milestones[contract]]
        parts = zip(self._milestones[contract], described, amounts, strict=True)
        self._client_of[contract] = who
        self._freelancer_of[contract] = freelancer or self.freelancer
        self.run(
            c.OfferContract,
            f"client:{who}",
            *described,
            contract_id=contract,
            client_id=who,
            freelancer_id=self._freelancer_of[contract],
            freelancer_email=self.text("fred@work.example", self._freelancer_of[contract]),
            title=self.text("A title", who),
            kind=kind,
            cadence=cadence,
            currency=currency,
            milestones=tuple(MilestoneTerms(milestone_id=m, description=d.sealed, amount=a) for m, d, a in parts),
            **terms,
        )
        return contract

    def active(self, kind: str, **terms: Any) -> str:
        """An offer, accepted at once; active if there is a payout method."""
        contract = self.offer(kind, **terms)
        self.accept(contract)
        return contract

    def accept(self, contract: str) -> None:
        self._by_freelancer(c.AcceptOffer, contract)

    def decline(self, contract: str) -> None:
        self._by_freelancer(c.DeclineOffer, contract, reason=self.text("too little"))

    def withdraw_offer(self, contract: str) -> None:
        self._by_client(c.WithdrawOffer, contract, reason=self.text("found another"))

    def complete(self, contract: str) -> None:
        self._by_client(c.CompleteContract, contract, reason=self.text("done"))

    def employer_of_record(self, contract: str, pay_schedule: str = "monthly") -> str:
        employer = derive("eor", self.name, "Payrolls")
        terms = {"eor_id": employer, "name": self.text("Payrolls", employer), "pay_schedule": pay_schedule}
        self.run(c.SetEmployerOfRecord, OPERATOR, contract_id=contract, **terms)
        return employer

    def payroll(self, contract: str, amount: int) -> None:
        period = {"period_start": date(2026, 1, 1), "period_end": date(2026, 1, 31)}
        run = {"payroll_id": self.mint("prl"), "amount": amount}
        self.run(c.RecordPayroll, OPERATOR, contract_id=contract, **run, **period)

    def _by_client(self, kind: Callable[..., Command], contract: str, /, **fields: Any) -> Receipt:
        return self.run(kind, f"client:{self._client_of[contract]}", contract_id=contract, **fields)

    def _by_freelancer(self, kind: Callable[..., Command], contract: str, /, **fields: Any) -> Receipt:
        return self.run(kind, f"freelancer:{self._freelancer_of[contract]}", contract_id=contract, **fields)

    # The work

    def add_milestone(self, contract: str, amount: int, *, requested: bool = False) -> str:
        milestone = self.mint("mil")
        what = {"milestone_id": milestone, "description": self.text("more"), "amount": amount, "requested": requested}
        (self._by_freelancer if requested else self._by_client)(c.AddMilestone, contract, **what)
        self._milestones[contract].append(milestone)
        return milestone

    def approve_request(self, contract: str, number: int) -> None:
        self._by_client(c.ApproveMilestoneRequest, contract, milestone_id=self.milestone(contract, number))

    def decline_request(self, contract: str, number: int) -> None:
        self._by_client(c.DeclineMilestoneRequest, contract, milestone_id=self.milestone(contract, number))

    def activate(self, contract: str, number: int = 1) -> None:
        self._by_client(c.ActivateMilestone, contract, milestone_id=self.milestone(contract, number))

    def submit(self, contract: str, number: int = 1) -> None:
        self._by_freelancer(c.SubmitMilestone, contract, milestone_id=self.milestone(contract, number))

    def approve(self, contract: str, number: int = 1) -> None:
        self._by_client(c.ApproveMilestone, contract, milestone_id=self.milestone(contract, number))

    def request_changes(self, contract: str, number: int = 1) -> None:
        what = {"milestone_id": self.milestone(contract, number), "message": self.text("the logo is too small")}
        self._by_client(c.RequestChanges, contract, **what)

    def log_time(self, contract: str, minutes: int, day: date | None = None) -> str:
        """For today, where no day is named; answers the entry's id."""
        entry = self.mint("tim")
        what = {"entry_id": entry, "date": day or self.now.date(), "minutes": minutes, "memo": self.text("worked")}
        self._by_freelancer(c.LogTime, contract, **what)
        return entry

    def correct_time(self, contract: str, entry: str, minutes: int) -> None:
        self._by_freelancer(c.CorrectTime, contract, entry_id=entry, minutes=minutes)

    def remove_time(self, contract: str, entry: str) -> None:
        self._by_freelancer(c.RemoveTime, contract, entry_id=entry)

    def bonus(self, contract: str, amount: int) -> str:
        bonus = self.mint("bon")
        self._by_client(c.GrantBonus, contract, bonus_id=bonus, amount=amount, note=self.text("thanks"))
        return bonus

    # The payout

    def object(self, payout: str) -> None:
        self.run(c.RaiseObjection, f"client:{self.client}", payout_id=payout, reason=self.text("too many hours"))

    def withdraw_objection(self, payout: str) -> None:
        self.run(c.WithdrawObjection, f"client:{self.client}", payout_id=payout)

    def reduce(self, payout: str, amount: int) -> None:
        to = {"refund_id": self.mint("red"), "amount": amount}
        self.run(c.ReducePayout, f"freelancer:{self.freelancer}", payout_id=payout, **to)

    def reverse(self, payout: str, amount: int, reason: str = "refund") -> str:
        reversal = self.mint("rev")
        self.run(c.ReversePayout, OPERATOR, payout_id=payout, reversal_id=reversal, amount=amount, reason=reason)
        return reversal

    def reinstate(self, payout: str, reversal: str) -> None:
        self.run(c.ReinstateReversal, OPERATOR, payout_id=payout, reversal_id=reversal)

    def retry_charge(self, payout: str) -> None:
        self.run(c.RequestCharge, OPERATOR, payout_id=payout, because="operator")

    def adjust(self, debit: str, credit: str, amount: int, *, stated_at: datetime | None = None) -> None:
        """An adjustment between two accounts, proposed by one operator and approved by another."""
        adjustment = self.mint("adj")
        sides = (
            Posting(account=debit, direction="debit", amount=amount, currency="USD"),
            Posting(account=credit, direction="credit", amount=amount, currency="USD"),
        )
        what = {"reason": self.text("a mistake"), "corrects_event_id": self.events()[-1].id, "postings": sides}
        who = {"adjustment_id": adjustment, "person": "per_ann"}
        self.run(c.ProposeAdjustment, OPERATOR, **who, **what, stated_at=stated_at)
        who["person"] = "per_bob"
        self.run(c.ApproveAdjustment, "operator:per_bob", **who)


def told(stored: Stored) -> tuple[str, int, str, dict[str, Any]]:
    """An event but for when it was recorded: its stream, version, topic and fields."""
    fields = msgspec.to_builtins(stored.event)
    del fields["recorded_at"]
    return stored.stream, stored.version, stored.topic, fields


def at(command: Command, **changes: Any) -> Command:
    """The same command with some fields changed."""
    return msgspec.structs.replace(command, **changes)
