"""Realistic histories, in memory: the real decisions in the order of time, from a seed. No database, no clock.

    events = history(100_000)  # a marketplace at work: hours, milestones, fixed rates, failures, withdrawals
    events, at = payouts_to_release(1_000)  # payouts that are charged and wait for Friday

What people do is a script; what follows from it, and everything that time brings, the ledger's own policies decide.
"""

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

from ledger import commands as c
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer, withdrawal_of
from ledger.aggregates.payout import Payout
from ledger.calendar import week_of
from ledger.clock import DAY
from ledger.commands import SYSTEM, Command
from ledger.events import Kind, MilestoneTerms, Sealed
from ledger.ids import derive
from ledger.policies.deadlines import OWN, Deadline, changes, command_of
from ledger.policies.unit import NewEvent, Unit
from ledger.rules import RULES

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""A Monday."""
HOUR, WEEK = timedelta(hours=1), 7 * DAY
EVENTS_OF_A_CONTRACT = 75
"""How many contracts a history has: about as many events each in half a year."""
CONTRACTS_OF_A_FREELANCER, CONTRACTS_OF_A_CLIENT = 2, 5
DECLINED = 0.04
"""The share of charges that fail; the next attempt is a day later."""
SILENT = 0.3
"""The share of submissions that the client leaves to lapse."""
KINDS: tuple[Kind, ...] = ("hourly", "milestone", "fixed_rate", "hourly")
CURRENCIES = ("USD", "USD", "USD", "EUR", "GBP")

Act = Callable[[], None]


def history(events: int, seed: int = 7) -> list[NewEvent]:
    """At least so many events of a marketplace, in order."""
    market = Market(seed)
    contracts = max(4, events // EVENTS_OF_A_CONTRACT)
    for number in range(contracts):
        market.at(START + number * WEEK * 8 / contracts, market.open_contract(number))
    market.run(events=events)
    return market.unit.events


def payouts_to_release(payouts: int, seed: int = 7) -> tuple[list[NewEvent], datetime]:
    """So many contracts after their first week: each has one payout, charged. And an instant when all are to be released."""
    market = Market(seed)
    for number in range(payouts):
        market.at(START, market.open_contract(number, "fixed_rate"))
    last_retry = RULES.lock_of(week_of(START)) + 3 * DAY
    market.run(to=last_retry)
    return market.unit.events, last_retry + WEEK


def batches(events: Sequence[NewEvent], size: int) -> Iterator[tuple[list[NewEvent], dict[str, int]]]:
    """Events in batches, each with the versions that its streams have before it."""
    versions: dict[str, int] = {}
    for start in range(0, len(events), size):
        batch = list(events[start : start + size])
        yield batch, {new.stream: versions.get(new.stream, 0) for new in batch}
        versions.update((new.stream, new.version) for new in batch)


def sealed(text: str) -> Sealed:
    """A text as if it stood in the vault."""
    return Sealed(id=derive("vlt", text), sha256=sha256(text.encode()).hexdigest())


class Market:
    """Clients, freelancers and contracts, and a heap of what happens next: people's acts, and the deadlines as they are set."""

    def __init__(self, seed: int) -> None:
        self.now = START
        self.unit = Unit()
        self._random = random.Random(seed)
        self._acts: list[tuple[datetime, int, Act | tuple[str, str, str]]] = []
        self._deadlines: dict[tuple[str, str, str], Deadline] = {}
        self._seen = 0
        self._numbers = count()

    def at(self, instant: datetime, act: Act) -> None:
        """Something that somebody does at an instant."""
        heapq.heappush(self._acts, (instant, next(self._numbers), act))

    def run(self, *, to: datetime | None = None, events: int | None = None) -> None:
        """Everything in the order of time, to an instant or until there are so many events."""
        while (to is None or self._acts[0][0] <= to) and (events is None or len(self.unit.events) < events):
            instant, _, act = heapq.heappop(self._acts)
            self.now = max(self.now, instant)
            if callable(act):
                act()
            elif (deadline := self._deadlines.get(act)) is not None and deadline.at == instant:
                self._send(self._command_at(deadline))

    # What people do

    def open_contract(self, number: int, kind: Kind | None = None) -> Act:
        """A contract from its offer on, of a kind or of the number's; its parties are registered when they are first seen."""
        kind = kind or KINDS[number % len(KINDS)]

        def act() -> None:
            client = self._client(number // CONTRACTS_OF_A_CLIENT)
            freelancer = self._freelancer(number // CONTRACTS_OF_A_FREELANCER)
            contract = derive("con", str(number))
            of_kind: dict[str, dict[str, Any]] = {
                "hourly": {"hourly_rate": 4_000 + 25 * (number % 200), "weekly_limit_minutes": 2_400},
                "milestone": {"milestones": self._milestones(contract, 8)},
                "fixed_rate": {"rate": 50_000 + 100 * (number % 300)},
            }
            terms = of_kind[kind]
            title = sealed(f"title {number}")
            self._do(
                c.OfferContract, f"client:{client}", contract_id=contract, client_id=client, freelancer_id=freelancer,
                freelancer_email=sealed(freelancer), title=title, kind=kind, cadence="weekly",
                currency=CURRENCIES[number % len(CURRENCIES)], **terms,
            )  # fmt: skip
            self._do(c.AcceptOffer, f"freelancer:{freelancer}", contract_id=contract)
            if kind == "hourly":
                self._work_by_the_hour(contract, freelancer)
            elif kind == "milestone":
                self._work_by_milestone(contract, client, freelancer)

        return act

    def _milestones(self, contract: str, number: int) -> tuple[MilestoneTerms, ...]:
        ids = [derive("mil", contract, str(place)) for place in range(number)]
        return tuple(
            MilestoneTerms(milestone_id=one, description=sealed(one), amount=self._random.randrange(20_000, 900_000))
            for one in ids
        )

    def _work_by_the_hour(self, contract: str, freelancer: str) -> None:
        def log() -> None:
            if self.now.weekday() < 5:
                number = next(self._numbers)
                self._do(
                    c.LogTime, f"freelancer:{freelancer}", contract_id=contract, entry_id=derive("tim", str(number)),
                    date=self.now.date(), minutes=self._random.randrange(60, 480), memo=sealed(f"memo {number}"),
                )  # fmt: skip
            self.at(self.now + DAY, log)

        self.at(self.now + 8 * HOUR, log)

    def _work_by_milestone(self, contract: str, client: str, freelancer: str) -> None:
        def activate() -> None:
            state = self._contract(contract)
            planned = [one.id for one in state.milestones if one.status == "planned"]
            if planned and not any(one.status in ("active", "submitted") for one in state.milestones):
                self._do(c.ActivateMilestone, f"client:{client}", contract_id=contract, milestone_id=planned[0])
                self.at(self.now + self._random.randrange(24, 120) * HOUR, lambda: submit(planned[0]))
            elif planned:
                self.at(self.now + WEEK, activate)

        def submit(milestone: str) -> None:
            what = {"contract_id": contract, "milestone_id": milestone, "message": sealed(f"done {milestone}")}
            self._do(c.SubmitMilestone, f"freelancer:{freelancer}", **what)
            if self._random.random() > SILENT:
                self.at(self.now + self._random.randrange(1, 96) * HOUR, lambda: approve(milestone))
            else:
                self.at(self.now + WEEK + HOUR, activate)

        def approve(milestone: str) -> None:
            self._do(c.ApproveMilestone, f"client:{client}", contract_id=contract, milestone_id=milestone)
            activate()

        self.at(self.now + HOUR, activate)

    def _withdraw(self, freelancer: str) -> Act:
        def act() -> None:
            state = self.unit.states[freelancer]
            if isinstance(state, Freelancer):
                for currency, available in state.available.items():
                    if available > 0:
                        self._do(
                            c.RequestWithdrawal, f"freelancer:{freelancer}", freelancer_id=freelancer,
                            withdrawal_id=derive("wdr", str(next(self._numbers))), amount=available, currency=currency,
                        )  # fmt: skip
            self.at(self.now + 2 * WEEK, act)

        return act

    # Who they are

    def _client(self, number: int) -> str:
        client = derive("cli", str(number))
        if client not in self.unit.states:
            who = {"client_id": client, "name": sealed(f"client {number}"), "email": sealed(client)}
            self._do(c.RegisterClient, f"client:{client}", **who)
            self._do(c.SetBillingMethod, f"client:{client}", client_id=client, method=sealed(f"card {number}"))
        return client

    def _freelancer(self, number: int) -> str:
        freelancer = derive("fre", str(number))
        if freelancer not in self.unit.states:
            who = {"freelancer_id": freelancer, "name": sealed(f"freelancer {number}"), "email": sealed(freelancer)}
            self._do(c.RegisterFreelancer, f"freelancer:{freelancer}", **who)
            method = sealed(f"bank {number}")
            self._do(c.SetPayoutMethod, f"freelancer:{freelancer}", freelancer_id=freelancer, method=method)
            self.at(self.now + self._random.randrange(14, 28) * DAY, self._withdraw(freelancer))
        return freelancer

    def _contract(self, contract: str) -> Contract:
        state = self.unit.states[contract]
        assert isinstance(state, Contract)
        return state

    # Deciding

    def _do(self, command: type[Command], actor: str, **fields: Any) -> None:
        self._send(command(command_id=f"cmd_{next(self._numbers)}", actor=actor, now=self.now, **fields))

    def _send(self, command: Command) -> None:
        """A command and all that follows from it, as the service does it; then the deadlines that were set."""
        wave = [command]
        while wave:
            while missing := self.unit.missing(wave):
                for stream in missing:
                    self.unit.load(stream, None)
            wave = [following for one in wave for following in self.unit.decide(one)]
        for new in self.unit.events[self._seen :]:
            for change in changes(new.event):
                self._set(new, change.kind, change.item, change.at)
        self._seen = len(self.unit.events)

    def _set(self, new: NewEvent, kind: str, item: str, at: datetime | None) -> None:
        key = (new.stream, kind, item)
        if at is None:
            self._deadlines.pop(key, None)
        else:
            self._deadlines[key] = Deadline(kind=kind, stream=new.stream, item=item, at=at, cause_id=new.id)
            heapq.heappush(self._acts, (at, next(self._numbers), key))

    def _command_at(self, deadline: Deadline) -> Command:
        if deadline.kind in OWN:
            return command_of(deadline, self.now)
        return self._answer(deadline)

    def _answer(self, deadline: Deadline) -> Command:
        """What the processor or the mail system says at once: yes, but to a few charges."""
        origin: dict[str, Any] = {
            "command_id": f"cmd_{next(self._numbers)}", "actor": SYSTEM, "now": self.now, "cause_id": deadline.cause_id,
        }  # fmt: skip
        stream, state = deadline.stream, self.unit.states[deadline.stream]
        match deadline.kind, state:
            case "ask", Payout(in_flight=attempt) if attempt is not None:
                fails = attempt.number < 4 and self._random.random() < DECLINED
                answer: dict[str, Any] = {"failure": "card_declined"} if fails else {"reference": f"ch_{attempt.key}"}
                return c.RecordCharge(
                    **origin, effective_at=self.now, payout_id=stream, attempt=attempt.number, **answer
                )
            case "transfer", Freelancer():
                known = withdrawal_of(state, deadline.item)
                answer = {} if known.submitted else {"settles_at": self.now + DAY}
                outcome: Any = "paid" if known.submitted else "submitted"
                return c.RecordTransfer(
                    **origin, freelancer_id=stream, withdrawal_id=known.id, outcome=outcome, **answer
                )
            case "notify", Contract():
                kind: Any = deadline.item
                return c.NoteNotification(**origin, contract_id=stream, kind=kind, about=deadline.cause_id)
        raise LookupError(f"nobody answers {deadline}")
