"""The people of a simulation: what they wish for, which may well be refused."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from ledger import commands as c
from ledger.aggregates.contract import Contract
from ledger.aggregates.payout import Payout
from ledger.commands import Command
from ledger.events import MilestoneTerms
from ledger.ids import derive
from tests.history import sealed, utc
from tests.simulator_world import Store

START = utc("2026-01-05 09:00")


class People:
    """Two clients, of whom one's card mostly declines, and two freelancers. They look at what is committed, and wish."""

    def __init__(self, seed: int) -> None:
        self.seed, self.random = seed, Random(seed)
        self.store, self.now = Store(), START
        self.minted: Counter[str] = Counter()
        self.contracts: list[str] = []
        self.clients, self.freelancers = ([derive(kind, str(seed), one) for one in "ab"] for kind in ("cli", "fre"))
        self.declining = {self.clients[1]}

    def _mint(self, prefix: str) -> str:
        self.minted[prefix] += 1
        return derive(prefix, str(self.seed), str(self.minted[prefix]))

    def _command(self, kind: Callable[..., Command], actor: str, /, **fields: Any) -> Command:
        return kind(command_id=self._mint("cmd"), actor=actor, now=self.now, **fields)

    def _offer(self, kind: str) -> Command:
        contract, random = self._mint("con"), self.random
        self.contracts.append(contract)
        amounts = {"single_payment": (900,), "milestone": (100, 200)}.get(kind, ())
        milestones = [
            MilestoneTerms(milestone_id=self._mint("mil"), description=sealed("do it"), amount=amount)
            for amount in amounts
        ]
        terms = {"hourly": {"hourly_rate": 6_001}, "fixed_rate": {"rate": 5_000}}.get(kind, {})
        client = random.choice(self.clients)
        return self._command(
            c.OfferContract,
            f"client:{client}",
            contract_id=contract,
            client_id=client,
            freelancer_id=random.choice(self.freelancers),
            freelancer_email=sealed("fred@work.example"),
            title=sealed("A title"),
            kind=kind,
            cadence=random.choice(("weekly", "weekly", "biweekly")),
            currency="USD",
            milestones=tuple(milestones),
            **terms,
        )

    def _accept(self, contract: str) -> Command:
        state: Any = self.store.load(contract)
        return self._command(c.AcceptOffer, f"freelancer:{state.freelancer_id}", contract_id=contract)

    def _wish(self) -> Command | None:
        """Something that may well be refused."""
        if self.random.random() < 0.05:
            return self._offer(self.random.choice(("single_payment", "milestone", "hourly", "fixed_rate")))
        contract = self.store.load(self.random.choice(self.contracts))
        if not isinstance(contract, Contract):
            return None
        if contract.status == "invited":
            return self._accept(contract.id)
        if contract.kind in ("hourly", "fixed_rate") and self.random.random() < 0.4:
            return self._payout(contract)
        doing = self.random.choice((*[self._work] * 4, self._time, self._bonus, *[self._payout] * 3, self._money))
        return doing(contract)

    def _by(self, role: str, contract: Contract, kind: Callable[..., Command], /, **fields: Any) -> Command:
        who = contract.client_id if role == "client" else contract.freelancer_id
        return self._command(kind, f"{role}:{who}", contract_id=contract.id, **fields)

    def _work(self, contract: Contract) -> Command | None:
        if not contract.milestones:
            return None
        milestone = self.random.choice(contract.milestones)
        role, kind = self.random.choice(
            {
                "planned": [("client", c.ActivateMilestone)],
                "active": [("freelancer", c.SubmitMilestone)],
                "submitted": [("client", c.ApproveMilestone), ("client", c.RequestChanges)],
                "approved": [("client", c.ApproveMilestone)],
            }[milestone.status]
        )
        return self._by(role, contract, kind, milestone_id=milestone.id)

    def _time(self, contract: Contract) -> Command | None:
        if contract.kind != "hourly":
            return None
        what = {"entry_id": self._mint("tim"), "date": self.now.date(), "minutes": self.random.randint(1, 200)}
        return self._by("freelancer", contract, c.LogTime, memo=None, **what)

    def _bonus(self, contract: Contract) -> Command | None:
        return self._by("client", contract, c.GrantBonus, bonus_id=self._mint("bon"), amount=70, note=None)

    def _payout(self, contract: Contract) -> Command | None:
        """Of one that is under review or objection, where there is one; else of any of the contract's last."""
        shown = [self.store.tables["payouts"][key]["state"] for key in sorted(self.store.tables["payouts"])]
        open_ones = [one.id for one in shown if one.objection_open or (one.review_deadline or START) > self.now]
        chosen = open_ones if open_ones and self.random.random() < 0.7 else contract.payouts[-2:]
        payout = self.store.load(self.random.choice(chosen)) if chosen else None
        if not isinstance(payout, Payout):
            return None
        client, freelancer = f"client:{payout.client_id}", f"freelancer:{payout.freelancer_id}"
        of = {"payout_id": payout.id}
        if payout.objection_open:
            half = {"refund_id": self._mint("red"), "amount": payout.pending // 2}
            if payout.pending and self.random.random() < 0.7:
                return self._command(c.ReducePayout, freelancer, **of, **half)
            return self._command(c.WithdrawObjection, client, **of) if self.random.random() < 0.2 else None
        match self.random.randint(0, 3):
            case 0 | 1:
                return self._command(c.RaiseObjection, client, **of, reason=sealed("too many"))
            case 2:
                what = {"reversal_id": self._mint("rev"), "amount": self.random.choice((1, payout.held or 1))}
                return self._command(c.ReversePayout, "operator:per_ann", **of, **what, reason="refund")
        return self._command(c.RequestCharge, "operator:per_ann", **of, because="operator")

    def _money(self, contract: Contract) -> Command | None:
        who = contract.freelancer_id
        money = {"withdrawal_id": self._mint("wdr"), "amount": self.random.randint(1, 500), "currency": "USD"}
        return self._command(c.RequestWithdrawal, f"freelancer:{who}", freelancer_id=who, **money)
