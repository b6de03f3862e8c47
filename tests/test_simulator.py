"""Whole histories under a scheduler that crashes what it likes: every invariant holds, and a seed is one history for ever."""

import subprocess
import sys
from collections import Counter

import pytest

from ledger.policies.unit import Unit
from tests.faults.rounds import rounds
from tests.processes import PROJECT
from tests.simulator import Simulation, simulate
from tests.simulator_world import Store

SEEDS = rounds(ci=200, soak=10_000)
TWICE = range(0, SEEDS, 20)


def test_every_seed_keeps_what_was_acknowledged_and_every_invariant() -> None:
    """A seed that fails names the command that replays it."""
    told: Counter[str] = Counter()
    topics: set[str] = set()
    crashes = conflicts = 0
    for seed in range(SEEDS):
        simulation = simulate(seed)
        told.update(simulation.acknowledged.values())
        topics.update(stored.topic for stored in simulation.store.log)
        crashes, conflicts = crashes + simulation.crashes, conflicts + simulation.conflicts
    assert crashes > 10 * SEEDS, "it crashes often enough to mean something"
    assert conflicts > SEEDS, "and they get in each other's way"
    assert told["done"] > 10 * SEEDS
    assert {"payout.released.v1", "payout.reduced.v1", "payout.reversed.v1", "freelancer.withdrawal_paid.v1"} <= topics
    assert {"contract.suspended.v1", "contract.resumed.v1", "payout.refund_paid.v1"} <= topics


@pytest.mark.parametrize("seed", TWICE)
def test_the_same_seed_gives_the_same_history(seed: int) -> None:
    one, again = simulate(seed), simulate(seed)
    assert (one.head, one.story) == (again.head, again.story)
    assert one.head != simulate(seed + 1).head


def test_the_same_seed_gives_the_same_history_in_another_process() -> None:
    program = [sys.executable, "-m", "tests.simulator", "7"]
    env = {"PYTHONHASHSEED": "1", "PYTHONPATH": str(PROJECT), "TZ": "Asia/Kathmandu"}
    said = subprocess.run(program, cwd=PROJECT, env=env, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == f"head {simulate(7).head}"


# The simulator notices what it is there to notice


def test_a_store_that_takes_a_command_twice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    append = Store.append

    def forgetful(self: Store, events: object, expect: object, command_id: str | None) -> None:
        self.commands.pop(command_id or "", None)
        append(self, events, expect, command_id)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "append", forgetful)
    monkeypatch.setattr(Simulation, "_handle", handle_without_looking)
    assert_some_seed_fails()


def handle_without_looking(self: Simulation, command):  # type: ignore[no-untyped-def]
    (outcome,) = yield from self._append([command], command.command_id)
    return outcome


def test_a_store_that_checks_no_versions_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    append = Store.append

    def careless(self: Store, events: object, expect: object, command_id: str | None) -> None:
        append(self, events, {}, command_id)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "append", careless)
    assert_some_seed_fails()


def test_a_projection_that_forgets_how_far_it_was_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Store.commit

    def late(self, projection, rows, after, position):  # type: ignore[no-untyped-def]
        commit(self, projection, rows, self.positions[projection.name], position)

    monkeypatch.setattr(Store, "commit", late)
    assert_some_seed_fails()


def test_a_unit_that_loses_an_event_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = Unit.decide

    def losing(self: Unit, command):  # type: ignore[no-untyped-def]
        following = decide(self, command)
        return following[:-1] if len(following) > 1 else []

    monkeypatch.setattr(Unit, "decide", losing)
    assert_some_seed_fails()


def assert_some_seed_fails() -> None:
    with pytest.raises(AssertionError, match=r"python -m tests\.simulator [0-9]+"):
        run_some_seeds()


def run_some_seeds() -> None:
    for seed in range(10):
        simulate(seed)
