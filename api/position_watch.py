"""Reads that wait for the projections: however many there are, one thread looks for all of them, and none holds another."""

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

from starlette.concurrency import run_in_threadpool

WAIT_SECONDS = 2.0
LOOK_EVERY_SECONDS = 0.003


class PositionWatch:
    """`look` answers the position that all projections have reached. Used from one event loop."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._waiting: list[tuple[int, int, asyncio.Future[int]]] = []
        self._numbers = count()
        self._watching: asyncio.Task[None] | None = None

    async def reached(self, position: int) -> int | None:
        """How far the projections are once they have reached a position; None when they have not within `WAIT_SECONDS`.

        Raises what looking raised.
        """
        told = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (position, next(self._numbers), told))
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            return await asyncio.wait_for(told, WAIT_SECONDS)
        except TimeoutError:
            return None

    async def _watch(self) -> None:
        """As long as somebody waits."""
        try:
            while self._waiting:
                self._tell(await run_in_threadpool(self._look))
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        except Exception as error:  # noqa: BLE001 - it is theirs: each of them answers what it is
            for _, _, told in self._waiting:
                if not told.done():
                    told.set_exception(error)
            self._waiting.clear()
        finally:
            self._watching = None

    def _tell(self, reached: int) -> None:
        self._waiting = [one for one in self._waiting if not one[2].done()]  # who has waited long enough, or went away
        heapify(self._waiting)
        while self._waiting and self._waiting[0][0] <= reached:
            heappop(self._waiting)[2].set_result(reached)
