"""Reads that wait for the projections: told once they are there, in any number, and never in the threads of the others."""

import asyncio
import threading

import pytest

from api import position_watch
from api.position_watch import PositionWatch
from tests.api.world import World
from tests.processes import PATIENCE_SECONDS, together


class Projections:
    """How far they are; `looks` counts who asks, and `at_once` how many do at the same time at most."""

    def __init__(self) -> None:
        self.position, self.looks, self.at_once = 0, 0, 0
        self._looking = 0

    def look(self) -> int:
        self._looking += 1
        self.looks, self.at_once = self.looks + 1, max(self.at_once, self._looking)
        try:
            return self.position
        finally:
            self._looking -= 1


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position_watch, "WAIT_SECONDS", PATIENCE_SECONDS)


def test_each_is_told_once_its_position_is_reached_and_one_looks_for_all(patience: None) -> None:
    projections, order = Projections(), []

    async def wait(watch: PositionWatch, position: int) -> None:
        reached = await watch.reached(position)
        assert reached is not None
        assert reached >= position
        order.append(position)

    async def all_of_them() -> None:
        watch = PositionWatch(projections.look)
        waiting = [asyncio.create_task(wait(watch, number)) for number in range(500, 0, -1)]
        for position in (100, 400, 500):
            projections.position = position
            while len(order) < position:
                await asyncio.sleep(0.001)
            assert sorted(order) == list(range(1, position + 1))
        await asyncio.gather(*waiting)
        looks = projections.looks
        await asyncio.sleep(10 * position_watch.LOOK_EVERY_SECONDS)
        assert projections.looks <= looks + 1, "nobody looks where nobody waits"

    asyncio.run(all_of_them())
    assert projections.at_once == 1


def test_who_has_waited_long_enough_is_told_and_the_others_go_on_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    projections = Projections()

    async def both() -> None:
        watch = PositionWatch(projections.look)
        monkeypatch.setattr(position_watch, "WAIT_SECONDS", PATIENCE_SECONDS)
        patient = asyncio.create_task(watch.reached(7))
        await asyncio.sleep(0)
        monkeypatch.setattr(position_watch, "WAIT_SECONDS", 0.02)
        assert await watch.reached(8) is None
        projections.position = 7
        assert await patient == 7

    asyncio.run(both())


def test_what_looking_fails_with_is_said_to_all_and_the_next_one_looks_again(patience: None) -> None:
    class Away(Exception):
        pass

    answers: list[int | Exception] = [Away(), 5]

    def look() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def three() -> None:
        watch = PositionWatch(look)
        failed = await asyncio.gather(watch.reached(1), watch.reached(2), return_exceptions=True)
        assert [type(one) for one in failed] == [Away, Away]
        assert await watch.reached(3) == 5

    asyncio.run(three())


def test_many_reads_of_what_is_never_reached_hold_up_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than there are threads, and they wait until all others are answered."""
    monkeypatch.setattr(position_watch, "WAIT_SECONDS", PATIENCE_SECONDS)
    others_answered, web = threading.Event(), world.web
    beyond = {"Ledger-Min-Position": str(web.ledger.log.head() + 1)}

    def waits() -> int:
        status = web.send("GET", "/v1/payouts", world.client_key, headers=beyond).status_code
        assert others_answered.is_set()
        return status

    def others() -> None:
        for _ in range(5):
            assert web.send("GET", "/v1/payouts", world.freelancer_key).status_code == 200
        others_answered.set()
        path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
        web.ok("POST", path, world.client_key, {"amount": 5})

    *statuses, _ = together(*[waits] * 60, others)
    assert set(statuses) == {200}
