"""How fast one caller may ask: a bucket of tokens for each, refilled evenly."""

import threading
import time
from typing import NamedTuple

from api.problems import ApiProblem

BURST_SECONDS = 2
"""A caller who was quiet may ask for so many seconds' worth at once."""


class _Bucket(NamedTuple):
    tokens: float
    at: float


class RateLimit:
    """`per_second` requests for each owner of keys, in this process."""

    def __init__(self, per_second: int) -> None:
        self._per_second, self._size = per_second, per_second * BURST_SECONDS
        self._buckets: dict[str, _Bucket] = {}
        self._mutex = threading.Lock()

    def take(self, owner: str) -> None:
        """Raises 429 `rate_limited` with Retry-After."""
        now = time.monotonic()
        with self._mutex:
            bucket = self._buckets.get(owner, _Bucket(self._size, now))
            tokens = min(self._size, bucket.tokens + (now - bucket.at) * self._per_second)
            allowed = tokens >= 1
            self._buckets[owner] = _Bucket(tokens - 1 if allowed else tokens, now)
        if not allowed:
            detail = f"more than {self._per_second} requests a second came with this party's keys: wait, then go on more slowly"
            raise ApiProblem(429, "rate_limited", detail, headers={"Retry-After": "1"})
