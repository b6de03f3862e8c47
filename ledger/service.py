"""One way in for every command: decide first what is due, load, decide, append; on a conflict load and decide again."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from eventsourcing.persistence import IntegrityError

from ledger.commands import Command
from ledger.errors import Contention, Corrupt, Invalid, LedgerError
from ledger.policies.deadlines import Deadline, command_of
from ledger.policies.unit import NewEvent, Unit
from ledger.store.log import LedgerLog
from ledger.store.vault import Secret

MAX_TRIES = 8
"""How often a command is decided anew when others write to what it read."""
BACK_OFF_SECONDS = 0.002


class Receipt(NamedTuple):
    """What became of a command: the log position it reached, its events; `replayed` when it had been carried out before."""

    position: int
    events: tuple[NewEvent, ...] = ()
    replayed: bool = False


class Service:
    """`due(command)` answers the deadlines that have come, by the command's time, on what the command touches."""

    def __init__(self, log: LedgerLog, due: Callable[[Command], list[Deadline]]) -> None:
        self.log = log
        self._due = due
        self._one_at_a_time = threading.Lock()

    def handle(self, command: Command, secrets: Sequence[Secret] = ()) -> Receipt:
        """Decides and appends one command from outside, exactly once for its id.

        Raises Refused, NotFound or VersionConflict, having appended nothing but what was due before it (rule 29);
        Contention when others kept getting in between; Corrupt or Invalid where the log or this code is wrong.
        """
        position = self.log.handled(command.command_id)
        if position is not None:
            return Receipt(position, replayed=True)
        self._decide_due(command)
        (outcome,) = self._decide([command], secrets, command.command_id)
        if not isinstance(outcome, LedgerError):
            return outcome
        position = self.log.handled(command.command_id)
        if position is None:
            raise outcome
        return Receipt(position, replayed=True)  # the same command, sent twice at once: the other one was carried out

    def handle_all(self, commands: Sequence[Command]) -> list[Receipt | LedgerError]:
        """Decides many commands and appends them in one transaction: what each came to, in their order.

        A command that is refused leaves nothing and stops no other. None of them is from outside: each is safe to repeat.
        Raises Corrupt or Invalid, having appended nothing, where one of them cannot be decided at all.
        """
        return self._decide(commands, (), None)

    def _decide_due(self, command: Command) -> None:
        """Everything due by now on the objects that the command touches is decided first, charges excepted (rule 29)."""
        tried: set[Deadline] = set()
        while due := [one for one in self._due(command) if one not in tried]:
            first = [one for one in due if one.at == due[0].at]
            tried.update(first)
            self.handle_all([command_of(one, command.now) for one in first])

    def _decide(
        self, commands: Sequence[Command], secrets: Sequence[Secret], command_id: str | None
    ) -> list[Receipt | LedgerError]:
        for tried in range(MAX_TRIES):
            if tried:
                time.sleep(random.uniform(0, BACK_OFF_SECONDS * 2**tried))
            with self._one_at_a_time:
                head = self.log.head()
                unit = Unit()
                outcomes, owners = self._run(unit, commands)
                try:
                    return self._append(unit, outcomes, owners, head, secrets, command_id)
                except IntegrityError as conflict:
                    position = self.log.handled(command_id) if command_id else None
                    if position is not None:
                        return [Receipt(position, replayed=True)]
                    last = conflict
        raise Contention(f"others kept writing to the same objects: send the command again ({last})")

    def _append(
        self,
        unit: Unit,
        outcomes: list[Receipt | LedgerError],
        owners: list[int],
        head: int,
        secrets: Sequence[Secret],
        command_id: str | None,
    ) -> list[Receipt | LedgerError]:
        if not unit.events:
            return [out if isinstance(out, LedgerError) else Receipt(head) for out in outcomes]
        position = self.log.append(unit.events, head=head, expect=unit.loaded, secrets=secrets, command_id=command_id)
        grouped: list[list[NewEvent]] = [[] for _ in outcomes]
        for owner, event in zip(owners, unit.events, strict=True):
            grouped[owner].append(event)
        return [
            out if isinstance(out, LedgerError) else Receipt(position, tuple(own))
            for out, own in zip(outcomes, grouped, strict=True)
        ]

    def _run(self, unit: Unit, commands: Sequence[Command]) -> tuple[list[Receipt | LedgerError], list[int]]:
        """Wave by wave: the commands, then what follows from them. Answers the outcomes, and whose each event is."""
        outcomes: list[Receipt | LedgerError] = [Receipt(0)] * len(commands)
        owners: list[int] = []
        wave = list(enumerate(commands))
        first = True
        while wave:
            self._load(unit, [command for _, command in wave])
            following: list[tuple[int, Command]] = []
            for number, command in wave:
                self._load(unit, [command])  # what an earlier one of the wave decided may be why this one reads more
                try:
                    for consequence in unit.decide(command):
                        following.append((number, consequence))  # noqa: PERF401 - most commands have none
                except (Corrupt, Invalid):
                    raise  # no refusal: something is wrong with the log, or with us
                except LedgerError as refusal:
                    if not first:
                        raise Corrupt(
                            f"{type(command).__name__} follows from an event and was refused: {refusal}"
                        ) from refusal
                    outcomes[number] = refusal
                while len(owners) < len(unit.events):
                    owners.append(number)
            wave, first = following, False
        return outcomes, owners

    def _load(self, unit: Unit, commands: Sequence[Command]) -> None:
        while missing := unit.missing(commands):
            for stream, state in self.log.load(missing).items():
                unit.load(stream, state)
