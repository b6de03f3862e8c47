"""The stage of the demo: the parties with their keys, the test clock, and the stories that take their turns on it.

A story is a generator: it acts over HTTP, and yields the instant at which it goes on. The market moves the ledger's test
clock from one such instant to the next.
"""

import heapq
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, NamedTuple

from api.demo.cast import CLIENTS, FREELANCERS, GIVES_A_CLOSED_ACCOUNT, SETS_PAYOUT_METHOD_LATE, Job
from api.demo.client import Api
from ledger.calendar import WEEK, midnight, week_of
from ledger.clock import DAY
from replay.values import instant

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
END = datetime(2026, 4, 6, 18, tzinfo=UTC)
"""A Monday evening: the cycles that closed at noon are charged and not yet released."""

CARD, DECLINING_CARD = "pm_card_visa", "pm_card_chargeDeclined"
ACCOUNT, CLOSED_ACCOUNT = "ba_test", "ba_test_fails"
SATURDAY = 5

Story = Generator[datetime, None, None]
Json = dict[str, Any]


class Party(NamedTuple):
    """A client or a freelancer, with the key they use."""

    id: str
    name: str
    key: str


class Operators(NamedTuple):
    """The keys of two persons, and of an auditor."""

    first: str
    second: str
    auditor: str


class Market:
    """`now` is where the test clock stands. The same seed gives the same quarter."""

    def __init__(self, api: Api, operators: Operators, seed: int) -> None:
        self.api, self.operators, self.random = api, operators, Random(seed)
        self.now = START
        self.clients: dict[int, Party] = {}
        self.freelancers: dict[int, Party] = {}
        self._planned: list[tuple[datetime, int, Story]] = []
        self._order = count()

    # Time

    def plan(self, story: Story, at: datetime | None = None) -> None:
        """Lets a story begin, now or later."""
        heapq.heappush(self._planned, (at or self.now, next(self._order), story))

    def play(self, seen: Callable[[datetime], None]) -> None:
        """Plays every story up to the end of the quarter; `seen` hears of each instant. Raises Refusal."""
        while self._planned and self._planned[0][0] <= END:
            at, _, story = heapq.heappop(self._planned)
            self._advance(at, seen)
            following = next(story, None)
            if following is not None:
                self.plan(story, following)
        self._advance(END, seen)

    def _advance(self, to: datetime, seen: Callable[[datetime], None]) -> None:
        if to > self.now:
            self.api.post("/v1/test-clock/advance", self.operators.first, {"to": instant(to)})
            self.now = to
            seen(to)

    def later(self, days: int, hour: int) -> datetime:
        """That hour, `days` days from now; of the next working day where it has passed or is on a weekend."""
        moment = midnight(self.now.date()) + days * DAY + timedelta(hours=hour)
        while moment <= self.now or moment.weekday() >= SATURDAY:
            moment += DAY
        return moment

    def next_week(self, weekday: int, hour: int) -> datetime:
        """That weekday of the coming week; Monday is 0."""
        return week_of(self.now) + WEEK + weekday * DAY + timedelta(hours=hour)

    # Parties

    def client(self, number: int) -> Party:
        """The client of that row, registered with a card that pays when first met."""
        if number not in self.clients:
            name = CLIENTS[number]
            party = self._register("client", name, email_of("billing", name))
            self.clients[number] = party
            self.bill(party, CARD)
        return self.clients[number]

    def freelancer(self, number: int) -> Party:
        """The freelancer of that row, who makes an account when first invited, and withdraws from then on."""
        if number not in self.freelancers:
            party = self._register("freelancer", FREELANCERS[number], freelancer_email(number))
            self.freelancers[number] = party
            if number == SETS_PAYOUT_METHOD_LATE:
                self.plan(self._sets_payout_method(party), self.later(1, 14))
            else:
                self.pay_into(party, CLOSED_ACCOUNT if number == GIVES_A_CLOSED_ACCOUNT else ACCOUNT)
            self.plan(self._withdraws(party))
        return self.freelancers[number]

    def _register(self, role: str, name: str, email: str) -> Party:
        operator = self.operators.first
        party_id = self.api.post(f"/v1/{role}s", operator, {"name": name, "email": email})["id"]
        key = self.api.post("/v1/api-keys", operator, {"role": role, "party_id": party_id})["key"]
        return Party(party_id, name, key)

    def bill(self, client: Party, card: str) -> None:
        """The client gives a billing method."""
        self.api.call("PUT", f"/v1/clients/{client.id}/billing-method", client.key, {"token": card})

    def pay_into(self, freelancer: Party, account: str) -> None:
        """The freelancer gives a payout method."""
        self.api.call("PUT", f"/v1/freelancers/{freelancer.id}/payout-method", freelancer.key, {"token": account})

    def _sets_payout_method(self, freelancer: Party) -> Story:
        self.pay_into(freelancer, ACCOUNT)
        yield from ()

    def _withdraws(self, freelancer: Party) -> Story:
        """Every other Friday: all that is available. Where a transfer has failed, another account is given first."""
        path = f"/v1/freelancers/{freelancer.id}"
        yield self.next_week(4, 17)
        while True:
            for money in self.api.get(f"{path}/balance", freelancer.key)["available"]:
                if money["amount"] > 0:
                    taken = self.api.post(f"{path}/withdrawals", freelancer.key, money)
                    self.plan(self._mends_payout_method(freelancer, taken["id"]), self.next_week(0, 9))
            yield self.next_week(4, 17) + WEEK

    def _mends_payout_method(self, freelancer: Party, withdrawal_id: str) -> Story:
        taken = self.api.get(f"/v1/freelancers/{freelancer.id}/withdrawals?limit=100", freelancer.key)["data"]
        if any(one["id"] == withdrawal_id and one["status"] == "failed" for one in taken):
            self.pay_into(freelancer, ACCOUNT)
        yield from ()


class Deal:
    """A contract that was offered, and how its two sides act on it."""

    def __init__(self, market: Market, job: Job, client: Party, contract_id: str) -> None:
        self.market, self.job, self.client, self.id = market, job, client, contract_id
        self.path = f"/v1/contracts/{contract_id}"
        self.ends = week_of(market.now) + job.weeks * WEEK
        self.entries: list[Json] = []
        """The time entries, oldest first."""

    @property
    def freelancer(self) -> Party:
        return self.market.freelancer(self.job.freelancer)

    def as_client(self, path: str, body: Json | None = None) -> Json:
        answer: Json = self.market.api.post(f"{self.path}/{path}", self.client.key, body)
        return answer

    def as_freelancer(self, path: str, body: Json | None = None) -> Json:
        answer: Json = self.market.api.post(f"{self.path}/{path}", self.freelancer.key, body)
        return answer

    def as_operator(self, path: str, body: Json | None = None) -> Json:
        answer: Json = self.market.api.post(f"{self.path}/{path}", self.market.operators.first, body)
        return answer

    def state(self) -> Json:
        answer: Json = self.market.api.get(self.path, self.client.key)
        return answer

    def milestone(self, status: str) -> Json | None:
        """The first milestone of that status."""
        fitting = [one for one in self.state()["milestones"] if one["status"] == status]
        return min(fitting, key=lambda one: int(one["position"]), default=None)

    def payout(self, status: str) -> Json | None:
        """The latest payout of that status."""
        path = f"/v1/payouts?contract_id={self.id}&status={status}&limit=1"
        found: list[Json] = self.market.api.get(path, self.client.key)["data"]
        return found[0] if found else None


def email_of(who: str, company: str) -> str:
    return f"{who}@{company.lower().replace(' ', '-')}.example"


def freelancer_email(number: int) -> str:
    return f"{FREELANCERS[number].lower().replace(' ', '.')}@example.com"
