"""Requests that wait for somebody outside do so by themselves: all others go on being answered, however long it takes."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from api.problems import unavailable

T = TypeVar("T")


class WaitingRoom:
    """A few at once are carried out, in threads of their own; who has to wait for that, waits in none."""

    def __init__(self, at_once: int, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._turns = asyncio.Semaphore(at_once)
        self._threads = CapacityLimiter(at_once)

    async def run(self, task: Callable[[], T]) -> T:
        """What the task answers. Raises 503 `busy` with Retry-After when its turn does not come in time."""
        try:
            await asyncio.wait_for(self._turns.acquire(), self._wait_seconds)
        except TimeoutError:
            raise unavailable("busy", "too many of these are being carried out: send it again") from None
        try:
            return await anyio.to_thread.run_sync(task, limiter=self._threads)
        finally:
            self._turns.release()
