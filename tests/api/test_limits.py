"""How fast one caller may ask."""

import pytest

from api.limits import BURST_SECONDS, RateLimit
from api.problems import ApiProblem


def test_a_caller_who_asks_too_fast_is_told_to_wait_and_another_is_not() -> None:
    limit = RateLimit(per_second=1)

    def hurry() -> None:
        for _ in range(BURST_SECONDS + 10):
            limit.take("cli_hasty")

    with pytest.raises(ApiProblem) as refused:
        hurry()
    assert (refused.value.status, refused.value.code) == (429, "rate_limited")
    assert refused.value.headers["Retry-After"] == "1"
    limit.take("cli_patient")
