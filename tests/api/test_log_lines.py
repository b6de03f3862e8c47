"""What a line of the log can be held together with: its request, the trace that it is a part of, its command and its events."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from ledger.service import Service
from tests.api.world import World
from tests.faults.running import wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """Every line that is logged, with what `configure_logging` adds to it."""
    with capture_logs(processors=[merge_contextvars]) as logged:
        yield logged


def lines_of(lines: list[Any], answer: httpx.Response, count: int = 1) -> list[Any]:
    """The lines of a request, so many of them; the last one is written when it has been answered."""

    def found() -> list[Any]:
        return [line for line in lines if line.get("request_id") == answer.headers["request-id"]]

    wait_for(lambda: len(found()) >= count, "a line is missing")
    return found()


def bonus(world: World, **headers: str) -> httpx.Response:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    return world.web.send("POST", path, world.client_key, {"amount": 1}, headers=headers)


def test_the_line_of_a_write_names_the_command_that_its_events_carry(world: World, lines: list[Any]) -> None:
    before = world.web.ledger.log.head()
    answer = bonus(world)
    (line,) = lines_of(lines, answer)
    assert line["correlation_id"] == line["request_id"], "it is a part of nothing larger"
    events = [stored.event for stored in world.web.ledger.log.read_all(after=before)]
    assert {event.command_id for event in events} == {line["command_id"]}


def test_the_line_of_a_read_names_no_command(world: World, lines: list[Any]) -> None:
    bonus(world)
    (line,) = lines_of(lines, world.web.send("GET", "/v1/contracts", world.client_key))
    assert "command_id" not in line


def test_a_request_that_is_answered_again_names_the_command_of_the_first(world: World, lines: list[Any]) -> None:
    answers = [bonus(world, **{"Idempotency-Key": "logged"}) for _ in range(2)]
    (first,), (again,) = (lines_of(lines, answer) for answer in answers)
    assert first["command_id"] == again["command_id"]


@pytest.mark.parametrize(
    ("header", "is_it"),
    [
        (TRACEPARENT, True),
        (TRACEPARENT.upper(), False),
        (f"{TRACEPARENT}-more", False),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        ("my secret words", False),
    ],
)
def test_a_request_that_is_part_of_a_trace_is_logged_under_it_and_nothing_else_of_a_caller_is(
    world: World, lines: list[Any], header: str, is_it: bool
) -> None:
    answer = world.web.send("GET", "/v1/contracts", world.client_key, headers={"traceparent": header})
    (line,) = lines_of(lines, answer)
    assert line["correlation_id"] == (TRACE if is_it else answer.headers["request-id"])


def test_every_line_of_a_request_carries_its_ids_whoever_writes_it_and_in_whichever_thread(
    world: World, lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Service, *args: Any, **kwargs: Any) -> Any:
        structlog.get_logger("deep inside").info("a line")
        raise ZeroDivisionError

    monkeypatch.setattr(Service, "handle", broken)
    of_it = lines_of(lines, bonus(world, traceparent=TRACEPARENT), 3)
    assert [line["event"] for line in of_it] == ["a line", "internal_error", "request"]
    assert {line["correlation_id"] for line in of_it} == {TRACE}
    assert len({line["command_id"] for line in of_it}) == 1
