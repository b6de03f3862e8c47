"""`python -m benchmarks --quick` prints every figure. How fast anything is, no test asks."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.histories import history, payouts_to_release
from ledger.codec import encode
from ledger.events import PayoutCharged, PayoutReleased


def test_a_quick_run_prints_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"

    main(["--quick", "--events", "400", "--payouts", "20", "--json", str(file)])

    printed = capsys.readouterr().out
    for said in (
        "cores", "python", "postgresql", "eventsourcing",
        "balances catch up", "all six projections catch up", "payouts are released",
        "appended, 5,000 to a batch", "decoded", "folded into states", "one command, Service.handle",
        "all that it causes, Worker.drain", "the balance at a past instant", "replay verify, two processes",
    ):  # fmt: skip
        assert said in printed
    written = json.loads(file.read_text(encoding="utf-8"))
    assert {ratio["target"] for ratio in written["ratios"]} >= {50, 25, 15, 2.5, 3.5, None}
    assert all(ratio["ratio"] > 0 for ratio in written["ratios"])
    assert all(figure["value"] > 0 for figure in written["figures"])


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["faster"])
    assert "there is no benchmark faster" in capsys.readouterr().err


def test_a_history_is_the_same_for_the_same_seed() -> None:
    first, second = history(300, seed=1), history(300, seed=1)

    assert [(new.stream, new.version, encode(new.event)) for new in first] == [
        (new.stream, new.version, encode(new.event)) for new in second
    ]
    assert [new.stream for new in first] != [new.stream for new in history(300, seed=2)]


def test_the_payouts_to_release_are_charged_and_not_released() -> None:
    events, at = payouts_to_release(20)

    charged = {new.stream: new.event for new in events if isinstance(new.event, PayoutCharged)}
    assert len(charged) == 20
    assert all(event.release_at is not None and event.release_at <= at for event in charged.values())
    assert not any(isinstance(new.event, PayoutReleased) for new in events)
