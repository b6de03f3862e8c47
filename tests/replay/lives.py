"""Lives that can be lived otherwise: a script of instants and doings, lived on a ledger in memory under any rules."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.commands import Command
from ledger.errors import NotFound, Refused
from ledger.events import Event, FundsReleased
from ledger.ids import PAYOUT, derive
from ledger.policies.unit import NewEvent, Unit
from ledger.rules import RULES, Rules
from tests.history import History, Recorded, utc

START = utc("2026-01-05 09:00")
END = START + timedelta(days=60)
Doing = tuple[int, str, str]
"""How many minutes after the start, what, and a name for it that is its own in every life."""
FIRST_CYCLE = utc("2026-01-05 00:00").isoformat()


class Life(History):
    """One freelancer with a milestone, an hourly and a fixed-rate contract. What cannot be done is not done."""

    def __init__(self, rules: Rules = RULES, card: str = "pays") -> None:
        self.rules, self.doing = rules, ""
        super().__init__(START, card=card)
        self.work = self.active("milestone", milestones=(50_000, 20_000))
        self.activate(self.work)
        self.hours = self.active("hourly", hourly_rate=6000)
        self.rate = self.active("fixed_rate", rate=90_000, cadence="biweekly")

    def _handle(self, command: Command) -> list[Recorded]:
        unit, wave = Unit(self.rules), [command]
        while wave:
            while missing := unit.missing(wave):
                for stream in missing:
                    unit.load(stream, self.states.get(stream))
            wave = [following for one in wave for following in unit.decide(one)]
        return [self._record(new.stream, new.version, new.id, new.event) for new in unit.events]

    def _mint(self, prefix: str) -> str:
        return f"{prefix}_{self.doing}" if self.doing else super()._mint(prefix)

    def live(self, script: Sequence[Doing]) -> list[Doing]:
        """Does it all, in the order of time; answers what was refused."""
        refused = []
        for doing in sorted(script):
            minute, what, self.doing = doing
            self.advance(START + timedelta(minutes=minute))
            try:
                DOINGS[what](self)
            except (Refused, NotFound):
                refused.append(doing)
        self.advance(END)
        return refused

    @property
    def first_week(self) -> str:
        """The payout of the hours of the first week, whether there is one yet or not."""
        return derive(PAYOUT, self.hours, FIRST_CYCLE)


DOINGS: dict[str, Callable[[Life], object]] = {
    "submit": lambda life: life.submit(life.work, 1),
    "request changes": lambda life: life.request_changes(life.work, 1),
    "approve": lambda life: life.approve(life.work, 1),
    "activate the second": lambda life: life.activate(life.work, 2),
    "submit the second": lambda life: life.submit(life.work, 2),
    "bonus": lambda life: life.bonus(life.hours, 700),
    "object": lambda life: life.object(life.first_week),
    "withdraw the objection": lambda life: life.withdraw_objection(life.first_week),
    "withdraw": lambda life: life.withdraw(100),
    "complete": lambda life: life.complete(life.rate),
    "log time": lambda life: life.log_time(life.hours, 61),
}


SCRIPTS = st.lists(
    st.tuples(st.integers(0, 40 * 24 * 60), st.sampled_from(sorted(DOINGS))),
    min_size=3,
    max_size=14,
    unique_by=lambda one: one[0],
).map(lambda found: [(minute, what, f"n{number}") for number, (minute, what) in enumerate(sorted(found))])


def lived(script: Sequence[Doing], rules: Rules = RULES) -> tuple[Life, list[Doing]]:
    """A life, and what of the script was done in it."""
    life = Life(rules)
    refused = life.live(script)
    return life, [doing for doing in script if doing not in refused]


def by_stream(events: Iterable[NewEvent]) -> dict[str, list[Any]]:
    """Each stream's events but for the ids of the commands, and for what the processor calls its charges.

    Of several payouts that are released at one instant, either may be first.
    """
    found: dict[str, list[Any]] = {}
    for new in events:
        own = {"command_id": "", "reference": ""} if hasattr(new.event, "reference") else {"command_id": ""}
        found.setdefault(new.stream, []).append(replace(new.event, **own))
    return {stream: sorted(events, key=_order) for stream, events in found.items()}


def _order(event: Event) -> tuple[Any, ...]:
    return event.occurred_at, type(event) is FundsReleased, getattr(event, "payout_id", "")


def events_of(history: History) -> list[NewEvent]:
    return [NewEvent(one.stream, one.version, one.event) for one in history.log]
