"""What people do, in the words of the domain: each method sends one command, at the present instant of a history."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

from ledger import commands as c
from ledger.aggregates.client import Client
from ledger.aggregates.contract.state import Contract
from ledger.aggregates.freelancer import Freelancer, Withdrawal, withdrawal_of
from ledger.aggregates.payout import Payout
from ledger.commands import Command
from ledger.events import MilestoneTerms, Posting, Sealed
from ledger.ids import derive


def utc(instant: str | datetime) -> datetime:
    """`2026-01-05 09:00`, in UTC."""
    return instant if isinstance(instant, datetime) else datetime.fromisoformat(instant).replace(tzinfo=UTC)


def sealed(text: str) -> Sealed:
    """A text as if it stood in the vault."""
    return Sealed(id=derive("vlt", text), sha256=sha256(text.encode()).hexdigest())


class People:
    """A contract, milestone number, payout or party is named by each method that acts on it; ids are fixed by their order."""

    now: datetime
    client: str
    freelancer: str
    processor: Any
    log: list[Any]
    _milestones: dict[str, list[str]]
    run: Callable[..., Any]
    state: Callable[[str], Any]
    milestone: Callable[..., str]
    _mint: Callable[[str], str]

    # Parties

    def register_client(self, name: str) -> str:
        client = derive("cli", name)
        words = {"name": sealed(name), "email": sealed(f"{name.lower()}@client.example")}
        self.run(c.RegisterClient, "operator:per_ann", client_id=client, **words)
        return client

    def register_freelancer(self, name: str) -> str:
        freelancer = derive("fre", name)
        words = {"name": sealed(name), "email": sealed(f"{name.lower()}@work.example")}
        self.run(c.RegisterFreelancer, "operator:per_ann", freelancer_id=freelancer, **words)
        return freelancer

    def billing_method(self, does: str, client: str | None = None) -> str:
        who = client or self.client
        method = self._method("card", does)
        self.run(c.SetBillingMethod, f"client:{who}", client_id=who, method=method)
        return method.id

    def payout_method(self, does: str = "pays", freelancer: str | None = None) -> str:
        who = freelancer or self.freelancer
        method = self._method("bank", does)
        self.run(c.SetPayoutMethod, f"freelancer:{who}", freelancer_id=who, method=method)
        return method.id

    def _method(self, what: str, does: str) -> Sealed:
        method = sealed(self._mint(what))
        self.processor.does[method.id] = does
        return method

    def record_conversion(self, client: str | None = None, freelancer: str | None = None) -> str:
        conversion = self._mint("cnv")
        whom = {"client_id": client or self.client, "freelancer_id": freelancer or self.freelancer}
        words = {"conversion_id": conversion, "freelancer_email": sealed("fred@work.example")}
        self.run(c.RecordConversion, "operator:per_ann", **whom, **words)
        return conversion

    def withdraw(self, amount: int, currency: str = "USD", freelancer: str | None = None) -> Withdrawal:
        who = freelancer or self.freelancer
        withdrawal = self._mint("wdr")
        money = {"withdrawal_id": withdrawal, "amount": amount, "currency": currency}
        self.run(c.RequestWithdrawal, f"freelancer:{who}", freelancer_id=who, **money)
        return withdrawal_of(self.state(who), withdrawal)

    def withdrawals(self, freelancer: str | None = None) -> list[str]:
        """Each as `paid 5000`, oldest first."""
        state: Freelancer = self.state(freelancer or self.freelancer)
        return [f"{one.status} {one.amount}" for one in state.withdrawals]

    def erase(self, party: str) -> None:
        """The vault's texts of a client or a freelancer (rule 28)."""
        if isinstance(self.state(party), Client):
            self.run(c.EraseClient, "operator:per_ann", client_id=party)
        else:
            self.run(c.EraseFreelancer, "operator:per_ann", freelancer_id=party)

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
        contract = self._mint("con")
        amounts = (amount,) if kind == "single_payment" else milestones
        self._milestones[contract] = [self._mint("mil") for _ in amounts]
        pairs = zip(self._milestones[contract], amounts, strict=True)
        described = [MilestoneTerms(milestone_id=m, description=sealed(f"do {m}"), amount=a) for m, a in pairs]
        who = client or self.client
        self.run(
            c.OfferContract,
            f"client:{who}",
            contract_id=contract,
            client_id=who,
            freelancer_id=freelancer or self.freelancer,
            freelancer_email=sealed("fred@work.example"),
            title=sealed("A title"),
            kind=kind,
            cadence=cadence,
            currency=currency,
            milestones=tuple(described),
            **terms,
        )
        return contract

    def active(self, kind: str, **terms: Any) -> str:
        """An offer, accepted at once; active if there is a payout method."""
        contract = self.offer(kind, **terms)
        self.accept(contract)
        return contract

    def _by(self, role: str, contract: str) -> str:
        state: Contract = self.state(contract)
        return f"{role}:{state.client_id if role == 'client' else state.freelancer_id}"

    def _client(self, kind: Callable[..., Command], contract: str, /, **fields: Any) -> None:
        self.run(kind, self._by("client", contract), contract_id=contract, **fields)

    def _freelancer(self, kind: Callable[..., Command], contract: str, /, **fields: Any) -> None:
        self.run(kind, self._by("freelancer", contract), contract_id=contract, **fields)

    def accept(self, contract: str) -> None:
        self._freelancer(c.AcceptOffer, contract)

    def decline(self, contract: str) -> None:
        self._freelancer(c.DeclineOffer, contract, reason=sealed("too little"))

    def withdraw_offer(self, contract: str) -> None:
        self._client(c.WithdrawOffer, contract, reason=sealed("found another"))

    def complete(self, contract: str, by: str = "client") -> None:
        self.run(c.CompleteContract, self._by(by, contract), contract_id=contract, reason=sealed("done"))

    def answer_questionnaire(self, contract: str) -> None:
        self._freelancer(c.AnswerQuestionnaire, contract, answers=sealed("I set my own hours"))

    def recommend(self, contract: str, outcome: str) -> None:
        reasons = {"outcome": outcome, "reasons": sealed("own tools, several clients")}
        self.run(c.RecommendClassification, "operator:per_ann", contract_id=contract, **reasons)

    def decide_classification(self, contract: str, outcome: str) -> None:
        self._client(c.DecideClassification, contract, outcome=outcome)

    def employer_of_record(self, contract: str, name: str = "Payrolls", pay_schedule: str = "monthly") -> str:
        employer = derive("eor", name)
        terms = {"eor_id": employer, "name": sealed(name), "pay_schedule": pay_schedule}
        self.run(c.SetEmployerOfRecord, "operator:per_ann", contract_id=contract, **terms)
        return employer

    def payroll(self, contract: str, amount: int) -> None:
        period = {"period_start": date(2026, 1, 1), "period_end": date(2026, 1, 31)}
        run = {"payroll_id": self._mint("prl"), "amount": amount}
        self.run(c.RecordPayroll, "operator:per_ann", contract_id=contract, **run, **period)

    # The work

    def add_milestone(self, contract: str, amount: int, by: str = "client") -> int:
        """Answers its number; by the freelancer it is a request."""
        milestone = self._mint("mil")
        what = {"milestone_id": milestone, "description": sealed("more"), "amount": amount}
        who = self._by(by, contract)
        self.run(c.AddMilestone, who, contract_id=contract, requested=by == "freelancer", **what)
        self._milestones[contract].append(milestone)
        return len(self._milestones[contract])

    def approve_request(self, contract: str, number: int) -> None:
        self._client(c.ApproveMilestoneRequest, contract, milestone_id=self.milestone(contract, number))

    def decline_request(self, contract: str, number: int) -> None:
        self._client(c.DeclineMilestoneRequest, contract, milestone_id=self.milestone(contract, number))

    def activate(self, contract: str, number: int = 1) -> None:
        self._client(c.ActivateMilestone, contract, milestone_id=self.milestone(contract, number))

    def submit(self, contract: str, number: int = 1) -> None:
        what = {"milestone_id": self.milestone(contract, number), "message": sealed("have a look")}
        self._freelancer(c.SubmitMilestone, contract, **what)

    def approve(self, contract: str, number: int = 1) -> None:
        what = {"milestone_id": self.milestone(contract, number), "message": sealed("well done")}
        self._client(c.ApproveMilestone, contract, **what)

    def request_changes(self, contract: str, number: int = 1) -> None:
        what = {"milestone_id": self.milestone(contract, number), "message": sealed("the logo is too small")}
        self._client(c.RequestChanges, contract, **what)

    def log_time(self, contract: str, minutes: int, day: str | date | None = None) -> str:
        """For today, where no day is named; answers the entry's id."""
        entry = self._mint("tim")
        of = self.now.date() if day is None else utc(day).date() if isinstance(day, str) else day
        self._freelancer(c.LogTime, contract, entry_id=entry, date=of, minutes=minutes, memo=sealed("worked"))
        return entry

    def correct_time(self, contract: str, entry: str, minutes: int | None = None) -> None:
        self._freelancer(c.CorrectTime, contract, entry_id=entry, minutes=minutes, memo=sealed("counted again"))

    def remove_time(self, contract: str, entry: str) -> None:
        self._freelancer(c.RemoveTime, contract, entry_id=entry)

    def bonus(self, contract: str, amount: int) -> str:
        bonus = self._mint("bon")
        self._client(c.GrantBonus, contract, bonus_id=bonus, amount=amount, note=sealed("thanks"))
        return bonus

    # The payout

    def _of(self, payout: str | Payout) -> str:
        return payout if isinstance(payout, str) else payout.id

    def object(self, payout: str | Payout) -> None:
        reason = sealed("these hours are too many")
        self.run(c.RaiseObjection, f"client:{self.client}", payout_id=self._of(payout), reason=reason)

    def withdraw_objection(self, payout: str | Payout) -> None:
        self.run(c.WithdrawObjection, f"client:{self.client}", payout_id=self._of(payout))

    def reduce(self, payout: str | Payout, amount: int) -> None:
        to = {"refund_id": self._mint("red"), "amount": amount}
        self.run(c.ReducePayout, f"freelancer:{self.freelancer}", payout_id=self._of(payout), **to)

    def reverse(self, payout: str | Payout, amount: int, reason: str = "refund") -> str:
        reversal = self._mint("rev")
        what = {"reversal_id": reversal, "amount": amount, "reason": reason}
        self.run(c.ReversePayout, "operator:per_ann", payout_id=self._of(payout), **what)
        return reversal

    def reinstate(self, payout: str | Payout, reversal: str) -> None:
        self.run(c.ReinstateReversal, "operator:per_ann", payout_id=self._of(payout), reversal_id=reversal)

    def retry_charge(self, payout: str | Payout) -> None:
        self.run(c.RequestCharge, "operator:per_ann", payout_id=self._of(payout), because="operator")

    # Adjustments

    def propose_adjustment(
        self,
        *postings: tuple[str, str, int],
        by: str = "per_ann",
        stated_at: str | datetime | None = None,
        currency: str = "USD",
    ) -> str:
        """Postings as (account, `debit` or `credit`, amount)."""
        adjustment = self._mint("adj")
        sides = tuple(Posting(account=a, direction=d, amount=n, currency=currency) for a, d, n in postings)
        what = {"reason": sealed("a mistake"), "corrects_event_id": self.log[-1].id, "postings": sides}
        at = None if stated_at is None else utc(stated_at)
        who = {"adjustment_id": adjustment, "person": by}
        self.run(c.ProposeAdjustment, f"operator:{by}", **who, **what, stated_at=at)
        return adjustment

    def approve_adjustment(self, adjustment: str, by: str = "per_bob") -> None:
        self.run(c.ApproveAdjustment, f"operator:{by}", adjustment_id=adjustment, person=by)
