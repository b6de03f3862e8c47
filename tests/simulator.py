"""A whole ledger simulated in one process, deterministically: clock, ids, scheduler, processor, crashes, all from one seed.

    python -m tests.simulator SEED [SEED …]       # replays a seed and shows what happened in it

The core is the real one: deciders, policies, projections, codec, chain. Around it stand a database that keeps what was
committed and forgets nothing else, a processor with books of its own, people who send each command again until it is
acknowledged, and workers. Each is a generator that stops between any two steps; the scheduler says who goes on. A crash throws
away everybody who was under way: only the database and the processor's books are left, and people who were not answered.
"""

import sys
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from ledger import commands as c
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer, withdrawal_of
from ledger.aggregates.payout import Payout
from ledger.codec import decode
from ledger.commands import SYSTEM, Command
from ledger.errors import Corrupt, LedgerError
from ledger.ids import COMMAND, derive, event_id
from ledger.policies.deadlines import DECIDED, ORDER, OUTSIDE, Deadline, changes, command_of
from ledger.policies.unit import Unit
from ledger.projections import PROJECTIONS
from ledger.projections.rows import Projection, Record, Rows
from ledger.store import chain
from tests.history import sealed
from tests.properties.invariants import Invariants
from tests.simulator_people import People
from tests.simulator_world import Conflict, Past, Processor, concerns, deadline_of, record_of

STEPS = 2_000
"""How often the scheduler lets somebody go on, before everything is brought to an end."""
QUIET_STEPS = 10_000
"""No run needs so many to come to rest: one that does goes round in circles."""
MAX_TRIES = 50
BATCH = 7
REST = timedelta(days=6)
"""How long the clock runs on after the last crash: longer than a hold and a review of a cycle."""
PEOPLE = 3
CRASH, TICK = 0.015, 0.05
"""How likely a crash is at each step, and the clock to move on."""

Task = Generator[None, None, None]
NOTHING = "nothing to do"
"""What a command came to that led to no event: what it wants is under way already."""


class Simulation(People):
    """One seed's history. `run` it; then `head` is its hash, and `check` fails at the first thing that does not hold."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.processor = Processor(Random(seed + 1))
        self.acknowledged: dict[str, str] = {}
        """What people were told by command: `done`, or the code of a refusal."""
        self.wishes: list[list[Command]] = [[] for _ in range(PEOPLE)]
        """What each person has sent and was not answered yet: one at most."""
        self.tasks: dict[str, Task] = {}
        self.crashes = self.conflicts = 0
        self.story: list[str] = []

    @property
    def head(self) -> str:
        return self.store.log[-1].hash.hex() if self.store.log else chain.START.hex()

    def say(self, what: str) -> None:
        self.story.append(f"{self.now:%m-%d %H:%M} {self.store.head:4} {what}")

    # The scheduler

    def run(self) -> None:
        self._found()
        for _ in range(STEPS):
            self._begin_what_is_not_under_way()
            if self.random.random() < CRASH:
                self._crash()
            elif self.random.random() < TICK:
                self._tick()
            else:
                self._go_on(self.random.choice(sorted(self.tasks)))
        self._come_to_rest()

    def _begin_what_is_not_under_way(self) -> None:
        beginnings: dict[str, Callable[[], Task]] = {
            **{f"person {number}": lambda n=number: self._person(n) for number in range(PEOPLE)},
            "worker a": self._worker,
            "worker b": self._worker,
            "projector a": self._projector,
            "projector b": self._projector,
        }
        for name, begin in beginnings.items():
            if name not in self.tasks:
                self.tasks[name] = begin()

    def _go_on(self, name: str) -> None:
        try:
            next(self.tasks[name])
        except StopIteration:
            del self.tasks[name]

    def _crash(self) -> None:
        """Of one process, or of all: what they had in mind is gone."""
        names = sorted(self.tasks)
        gone = names if self.random.random() < 0.3 else [self.random.choice(names)] if names else []
        for name in gone:
            self.tasks.pop(name).close()
        self.crashes += 1
        self.say(f"crash of {', '.join(gone)}")

    def _tick(self) -> None:
        """Some time, or exactly to where something is due, or a microsecond beside it."""
        due = [row["at"] for row in self.store.tables["deadlines"].values() if row["at"] > self.now]
        if due and self.random.random() < 0.6:
            beside = timedelta(microseconds=self.random.choice((-1, 0, 0, 1)))
            self.now = max(self.now, min(due) + beside)
        else:
            self.now += timedelta(minutes=self.random.choice((0, 1, 59, 600, 2_000)))

    def _come_to_rest(self) -> None:
        """No more crashes or wishes: those who wait are answered, and all that comes due in some days is done and projected."""
        self.say("no more crashes")
        self.tasks.clear()
        for number in range(PEOPLE):
            while self.wishes[number]:
                self._finish(self._send(number))
        end = self.now + REST
        self._settle()
        while (due := self._next_due()) is not None and due <= end:
            self.now = due
            self._settle()

    def _next_due(self) -> datetime | None:
        return min((row["at"] for row in self.store.tables["deadlines"].values() if row["at"] > self.now), default=None)

    def _settle(self) -> None:
        for _ in range(QUIET_STEPS):
            self._finish(self._projector(until_done=True))
            if not self._due():
                return
            self._finish(self._worker())
        raise AssertionError("it does not come to rest")

    @staticmethod
    def _finish(task: Task) -> None:
        for _ in task:
            pass

    # The service

    def _append(self, commands: Sequence[Command], command_id: str | None) -> Generator[None, None, list[Any]]:
        """Load, decide, append, as the service does it, with a moment between any two; what each command came to."""
        for _ in range(MAX_TRIES):
            unit, outcomes = Unit(), [None] * len(commands)
            wave, first = list(enumerate(commands)), True
            while wave:
                yield from self._load(unit, [command for _, command in wave])
                following: list[tuple[int, Command]] = []
                for number, command in wave:
                    yield from self._load(unit, [command])
                    try:
                        following += [(number, one) for one in unit.decide(command)]
                    except LedgerError as refusal:
                        if not first:
                            raise Corrupt(f"{type(command).__name__} follows and was refused: {refusal}") from refusal
                        outcomes[number] = refusal
                wave, first = following, False
            yield  # decided and not appended
            if not unit.events:
                return [outcome or NOTHING for outcome in outcomes]
            try:
                self.store.append(unit.events, unit.loaded, command_id)
            except Conflict:
                self.conflicts += 1
                if command_id in self.store.commands:
                    return [None] * len(commands)
                continue
            yield  # appended and not acknowledged
            return outcomes
        raise AssertionError("others kept writing for ever")

    def _load(self, unit: Unit, commands: Sequence[Command]) -> Task:
        while missing := unit.missing(commands):
            for stream in sorted(missing):
                unit.load(stream, self.store.load(stream))
            yield

    def _handle(self, command: Command) -> Generator[None, None, LedgerError | str | None]:
        """One command from outside, exactly once for its id."""
        if command.command_id in self.store.commands:
            return None
        tried: set[Deadline] = set()
        while due := [one for one in self._due_before(command) if one not in tried]:
            first = [one for one in due if one.at == due[0].at]
            tried.update(first)
            yield from self._append([command_of(one, command.now) for one in first], None)
        (outcome,) = yield from self._append([command], command.command_id)
        if outcome is not None and command.command_id in self.store.commands:
            return None
        return outcome

    def _due_before(self, command: Command) -> list[Deadline]:
        """From the projection as far as it is, and from the tail of the log beyond it."""
        column = {"con": "contract_id", "pay": "stream", "fre": "freelancer_id"}.get(command.stream.partition("_")[0])
        if column is None or isinstance(command, c.OfferContract):
            return []
        rows = self.store.tables["deadlines"].values()
        due = {
            (row["stream"], row["kind"], row["item"]): deadline_of(row)
            for row in rows
            if row[column] == command.stream and row["at"] <= command.now and row["kind"] in DECIDED
        }
        for stored in self.store.log[self.store.positions["deadlines"] :]:
            event = decode(stored.topic, stored.state)
            if (stored.stream if column == "stream" else getattr(event, column, None)) == command.stream:
                for kind, item, at in changes(event):
                    due.pop((stored.stream, kind, item), None)
                    if at is not None and at <= command.now and kind in DECIDED:
                        cause = event_id(stored.stream, stored.version)
                        whose = getattr(event, "freelancer_id", None)
                        due[stored.stream, kind, item] = Deadline(kind, stored.stream, item, at, cause, whose)
        return sorted(due.values(), key=lambda one: (one.at, ORDER[one.kind], one.stream, one.item))

    # The workers

    def _projector(self, *, until_done: bool = False) -> Task:
        """A batch of each projection; until all are at the head, if that is asked for."""
        while True:
            for projection in PROJECTIONS:
                after = self.store.positions[projection.name]
                batch = [record_of(stored) for stored in self.store.log[after : after + BATCH]]
                if batch:
                    rows = self._fold(projection, batch)
                    yield  # folded and not committed
                    self.store.commit(projection, rows, after, batch[-1].position)
                    yield
            if not until_done or min(self.store.positions.values()) == self.store.head:
                return

    def _fold(self, projection: Projection, batch: list[Record]) -> Rows:
        """With the rows that the projection says it needs, and no others."""
        rows, mine = Rows(projection.tables), [one for one in batch if concerns(projection, one)]
        needs = projection.needs(mine)
        for name, keys in needs.keys.items():
            for key in keys:
                if key in self.store.tables[name]:
                    rows.load(name, dict(self.store.tables[name][key]))
        for name, groups in needs.groups.items():
            size = rows.tables[name].group
            for key in groups.values():
                same = sorted(one for one in self.store.tables[name] if one[:size] == key[:size])
                for one in [*[one for one in same if one < key][-1:], *[one for one in same if one >= key]]:
                    rows.load(name, dict(self.store.tables[name][one]))
        projection.fold(rows, mine)
        return rows

    def _due(self) -> list[Deadline]:
        rows = [row for row in self.store.tables["deadlines"].values() if row["at"] <= self.now]
        return [deadline_of(row) for row in sorted(rows, key=lambda row: (row["at"], row["priority"], row["stream"]))]

    def _worker(self) -> Task:
        """One batch of what is due: decided, or asked about outside and then decided."""
        due = self._due()
        if not due:
            yield
            return
        batch = [one for one in due if one.at == due[0].at and (one.kind in OUTSIDE) == (due[0].kind in OUTSIDE)]
        yield
        if due[0].kind not in OUTSIDE:
            yield from self._append([command_of(one, self.now) for one in batch], None)
            return
        answers: list[Command] = []
        for deadline in batch:
            answer = self._ask(deadline)
            yield  # the outside world has answered, and nothing of it is recorded
            if answer is not None:
                answers.append(answer)
        if answers:
            yield from self._append(answers, None)

    def _ask(self, deadline: Deadline) -> Command | None:
        origin: dict[str, Any] = {
            "command_id": derive(COMMAND, deadline.cause_id, deadline.kind, deadline.item, deadline.at.isoformat()),
            "actor": SYSTEM,
            "now": self.now,
            "cause_id": deadline.cause_id,
        }
        state = self.store.load(deadline.stream)
        match deadline.kind, state:
            case "ask", Payout():
                return self._charge(origin, state)
            case "refund", Payout():
                refund = next((one for one in state.refunds if one.id == deadline.item and one.paid_at is None), None)
                if refund is None:
                    return None
                said = self.processor.ask(refund.id, state.id, refund.amount, self.now, declines=False)
                what = {"refund_id": refund.id, "reference": refund.id}
                return said and c.RecordRefund(**origin, payout_id=state.id, effective_at=said[1], **what)
            case "transfer", Freelancer():
                return self._transfer(origin, state, deadline)
            case "notify", Contract():
                what = {"kind": deadline.item, "about": deadline.cause_id}
                return c.NoteNotification(**origin, contract_id=state.id, **what)
        return None

    def _charge(self, origin: dict[str, Any], payout: Payout) -> Command | None:
        attempt = payout.in_flight
        if attempt is None:
            return None
        declines = payout.client_id in self.declining
        said = self.processor.ask(attempt.key, payout.id, attempt.amount, self.now, declines=declines)
        if said is None:
            return None
        what = {"payout_id": payout.id, "attempt": attempt.number, "effective_at": said[1]}
        if said[0] == "paid":
            return c.RecordCharge(**origin, **what, reference=f"ch_{attempt.key}")
        return c.RecordCharge(**origin, **what, failure="card_declined", final=False)

    def _transfer(self, origin: dict[str, Any], freelancer: Freelancer, deadline: Deadline) -> Command | None:
        withdrawal = withdrawal_of(freelancer, deadline.item)
        said = self.processor.ask(withdrawal.id, withdrawal.id, withdrawal.amount, self.now, declines=False)
        if said is None:
            return None
        who = {"freelancer_id": freelancer.id, "withdrawal_id": withdrawal.id}
        settles_at = said[1] + timedelta(hours=24)
        if self.now < settles_at:
            return c.RecordTransfer(**origin, **who, effective_at=said[1], outcome="submitted", settles_at=settles_at)
        return c.RecordTransfer(**origin, **who, effective_at=settles_at, outcome="paid")

    # Who is served

    def _person(self, number: int) -> Task:
        """Wishes for something, and sends it until somebody answers."""
        if not self.wishes[number]:
            wish = self._wish()
            if wish is None:
                yield
                return
            self.wishes[number].append(wish)
        yield from self._send(number)

    def _send(self, number: int) -> Task:
        (command,) = self.wishes[number]
        yield  # on its way
        outcome = yield from self._handle(command)
        yield  # answered, and the answer is on its way
        self.wishes[number].clear()
        self.acknowledged[command.command_id] = (
            outcome if outcome == NOTHING else getattr(outcome, "code", "refused") if outcome else "done"
        )
        self.say(f"{type(command).__name__}: {self.acknowledged[command.command_id]}")

    def _found(self) -> None:
        """Two clients, of whom one's card mostly declines, two freelancers, and a contract of each kind."""
        for kind, people, register, pay in (
            ("client", self.clients, c.RegisterClient, c.SetBillingMethod),
            ("freelancer", self.freelancers, c.RegisterFreelancer, c.SetPayoutMethod),
        ):
            for who in people:
                of = {f"{kind}_id": who}
                self._at_once(self._command(register, "operator:per_ann", **of, name=sealed(who), email=sealed(who)))
                self._at_once(self._command(pay, f"{kind}:{who}", **of, method=sealed(f"method of {who}")))
        for kind in ("single_payment", "milestone", "hourly", "fixed_rate"):
            self._at_once(self._offer(kind))
            self._at_once(self._accept(self.contracts[-1]))

    def _at_once(self, command: Command) -> None:
        self._finish(self._handle(command))

    # What must hold

    def check(self) -> None:
        self._check_chain()
        self._check_projections()
        self._check_commands()
        self._check_processor()
        Invariants(Past(self.store)).check()  # type: ignore[arg-type]  # it reads a log and states, which this has

    def _check_chain(self) -> None:
        head = chain.START
        for position, one in enumerate(self.store.log, 1):
            head = chain.link(head, position, one.version, one.stream, one.topic, one.state)
            assert (one.position, one.hash) == (position, head)

    def _check_projections(self) -> None:
        """Folded from zero in one go, they are what all those batches and crashes have made."""
        records = [record_of(stored) for stored in self.store.log]
        for projection in PROJECTIONS:
            rows = Rows(projection.tables)
            projection.fold(rows, [one for one in records if concerns(projection, one)])
            for table in projection.tables:
                assert rows.rows[table.name] == self.store.tables[table.name], f"{table.name} is not what the log says"

    def _check_commands(self) -> None:
        """What was acknowledged is there, once and whole; what was refused is not."""
        batches: dict[str, list[int]] = {}
        for stored in self.store.log:
            batches.setdefault(decode(stored.topic, stored.state).command_id, []).append(stored.position)
        for command, position in self.store.commands.items():
            found = batches[command]
            assert found == list(range(position - len(found) + 1, position + 1)), f"{command} is in pieces: {found}"
        for command, told in self.acknowledged.items():
            assert (told == "done") == (command in self.store.commands), f"{command} was told {told}"

    def _check_processor(self) -> None:
        """Every charge on the processor's books is the ledger's, once, and the other way round."""
        paid = Counter(subject for key, (outcome, subject, *_) in self.processor.books.items() if subject != key)
        for stream in self.store.streams:
            state = self.store.load(stream)
            if isinstance(state, Payout):
                books = [
                    one for key, one in self.processor.books.items()
                    if one[1] == stream and one[0] == "paid" and key not in {refund.id for refund in state.refunds}
                ]  # fmt: skip
                assert len(books) <= 1, f"{stream} was charged {len(books)} times"
                if state.charged:
                    assert sum(one[2] for one in books) == state.charged, f"{stream} is not what the processor charged"
                assert paid[stream] >= len(books)


def simulate(seed: int) -> Simulation:
    """Runs a seed and checks it. Raises AssertionError naming the command that replays it."""
    simulation = Simulation(seed)
    try:
        simulation.run()
        simulation.check()
    except Exception as error:
        raise AssertionError(f"{error!r}: replay it with `python -m tests.simulator {seed}`") from error
    return simulation


def main() -> None:
    for seed in map(int, sys.argv[1:]):
        simulation = Simulation(seed)
        try:
            simulation.run()
            simulation.check()
        finally:
            print("\n".join(simulation.story))
            told = Counter(simulation.acknowledged.values())
            print(f"seed {seed}: {simulation.store.head} events, {simulation.crashes} crashes, {told}")
            print(f"head {simulation.head}")


if __name__ == "__main__":
    main()
