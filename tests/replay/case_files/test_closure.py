"""Which events belong to a case, and that they are all there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import ids
from ledger.ids import derive
from ledger.store.reader import view_of
from replay.case.as_test import write_test
from replay.case.file import CaseFile, parse, render
from replay.case.making import make_case
from replay.case.opening import reopen
from replay.case.source import source_of
from replay.live import Live
from tests.replay.case_files.conftest import opened
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, contract


def test_every_event_of_the_contract_and_its_payouts_is_there(
    wandered_live: Live, wandered_cases: dict[str, CaseFile]
) -> None:
    views = [view_of(stored) for stored in wandered_live.log.read_all()]
    for identifier, file in wandered_cases.items():
        named = {view.position for view in views if getattr(view.event, "contract_id", None) == identifier}
        assert named <= {one.position for one in file.case.events}


def test_every_cause_is_there(wandered_cases: dict[str, CaseFile]) -> None:
    for file in wandered_cases.values():
        views = [view_of(stored) for stored in source_of(file).log.read_all()]
        assert {view.event.cause_id for view in views} - {None} <= {view.id for view in views}


def test_nothing_is_there_that_is_not_linked(wandered_cases: dict[str, CaseFile]) -> None:
    """Of other contracts and payouts nothing but what caused something here; of parties only these two."""
    for identifier, file in wandered_cases.items():
        views = [view_of(stored) for stored in source_of(file).log.read_all()]
        causes = {view.event.cause_id for view in views}
        offered = next(view.event for view in views if view.stream == identifier)
        mine = {identifier, offered.client_id, offered.freelancer_id}  # type: ignore[attr-defined]
        mine |= {view.stream for view in views if getattr(view.event, "contract_id", None) == identifier}
        for view in views:
            assert view.stream in mine or view.id in causes or ids.kind_of(view.stream) == ids.ADJUSTMENT, view


def test_every_case_opens_and_its_test_passes(wandered_cases: dict[str, CaseFile]) -> None:
    for identifier, file in wandered_cases.items():
        opening = reopen(parse(render(file)))
        assert opening.difference is None
        assert opening.proved == len(opening.events)
        written: dict[str, Any] = {}
        exec(compile(write_test(file), f"{identifier}.py", "exec"), written)
        written[f"test_the_case_of_{identifier}"]()


def streams_of(file: Path) -> list[tuple[str, str]]:
    return [(event["stream"], event["type"]) for event in opened(file)["events"]]


def test_an_adjustment_of_one_of_its_events_is_there_with_what_it_did(case: Callable[..., Path]) -> None:
    found = streams_of(case("Logo"))
    adjustment = derive("adj", "1")
    assert (adjustment, "adjustment.proposed.v1") in found
    assert (adjustment, "adjustment.approved.v1") in found
    assert (ADA, "freelancer.funds_adjusted.v1") in found
    assert adjustment not in {stream for stream, _ in streams_of(case("Refunded"))}


def test_withdrawals_are_those_that_may_have_drawn_on_its_money(case: Callable[..., Path]) -> None:
    """Ada withdrew dollars on February 1st: after Logo's were released, before Held's, and Site was paid in euros."""

    def withdrawals(name: str) -> int:
        return sum(topic.startswith("freelancer.withdrawal") for _, topic in streams_of(case(name)))

    assert withdrawals("Logo") == 3
    assert withdrawals("Held") == 0
    assert withdrawals("Site") == 0


def test_the_conversion_that_the_offer_names_is_there(case: Callable[..., Path]) -> None:
    assert "client.conversion_recorded.v1" in {topic for _, topic in streams_of(case("Met"))}
    assert "client.conversion_recorded.v1" not in {topic for _, topic in streams_of(case("Care"))}


def test_a_case_is_complete_while_projections_lag(
    copy: Copy, replay_at: Callable[[Copy], Replay], tmp_path: Path
) -> None:
    replay = replay_at(copy)
    assert replay("case", contract("Code"), "-o", str(tmp_path / "before")).exit_code == 0
    for position in (150, 0):
        copy.tamper(
            f"DELETE FROM history WHERE position > {position}",
            f"UPDATE projections SET position = {position} WHERE name = 'history'",
        )
        assert replay("case", contract("Code"), "-o", str(tmp_path / f"at{position}")).exit_code == 0
        assert (tmp_path / f"at{position}").read_bytes() == (tmp_path / "before").read_bytes()


def test_the_same_source_gives_the_same_bytes(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    once = replay("case", contract("Care"))
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    again = replay("case", contract("Care"))
    assert once.exit_code == 0
    assert again.stdout_bytes == once.stdout_bytes


@pytest.mark.parametrize("option", ["--as-of", "--known-at"])
def test_a_case_as_of_any_instant_opens_again(live: Live, option: str) -> None:
    times = {
        (stored.event.occurred_at if option == "--as-of" else stored.event.recorded_at)
        for stored in live.log.read_all()
    }
    name = option.removeprefix("--").replace("-", "_")
    made = 0
    for instant in sorted(times):
        for identifier in (contract("Logo"), contract("Code")):
            file = make_case(live, identifier, live.checkpoints, **{name: instant})  # type: ignore[arg-type]
            if file is not None:
                made += 1
                assert reopen(parse(render(file))).ok
                for stored in source_of(file).log.read_all():
                    event = stored.event
                    assert (event.occurred_at if option == "--as-of" else event.recorded_at) <= instant
    assert made > 50


def test_what_was_not_known_then_is_not_in_it(case: Callable[..., Path]) -> None:
    then = opened(case("Logo", "--known-at", "2026-02-11T00:00:00Z"))
    assert then["known_at"] == "2026-02-11T00:00:00Z"
    assert "adjustment.approved.v1" not in {event["type"] for event in then["events"]}
    as_of = opened(case("Logo", "--as-of", "2026-02-01T00:00:00Z"))
    assert "adjustment.approved.v1" in {event["type"] for event in as_of["events"]}
