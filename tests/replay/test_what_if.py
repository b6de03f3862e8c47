"""`replay what-if`: history beside a fork of it, on a real ledger; nothing edited is nothing changed."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ledger.bootstrap import Ledger, open_ledger
from ledger.events import BillingMethodSet, PayoutCharged
from replay.fork.edits import Edits
from replay.fork.rules import rules_with
from replay.fork.sides import PayoutChange
from replay.fork.what_if import WhatIf, what_if
from replay.live import Live, open_live
from replay.opening import open_source
from replay.scan import Scan
from tests.databases import Server, sandbox
from tests.history import History
from tests.replay import dispute
from tests.replay.archives import Log
from tests.replay.conftest import Replay
from tests.replay.goldens import require_golden
from tests.replay.lives import Life
from tests.replay.story import ACME, ADA, BOB, EVE, at, contract, cycle_payout, payout

GOLDEN = Path(__file__).parent / "golden_what_if"
CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
LOGO, SUBMITTED, CHARGED = contract("Logo"), f"evt_{contract('Logo')}_6", f"evt_{payout('Logo')}_3"
REDUCED = f"evt_{cycle_payout('Code', '2026-01-05')}_5"


def change_of(found: WhatIf, payout_id: str) -> PayoutChange:
    return next(one for one in found.payouts if one.payout_id == payout_id)


# Nothing edited


def assert_nothing_changed(found: WhatIf) -> None:
    assert found.differs_at is None
    assert found.events == found.new_events > 0
    assert found.accounts == found.captured == found.refused == ()
    assert not any(one.changed for one in found.payouts)


def test_the_story_comes_again(live: Live) -> None:
    found = what_if(live)
    assert_nothing_changed(found)
    assert found.events == live.log.head()
    assert found.unchanged_payouts > 10


@pytest.mark.parametrize("subject", [ACME, ADA, BOB, EVE, contract("Code"), contract("Declined"), payout("Logo")])
def test_what_hangs_together_with_a_subject_comes_again(live: Live, subject: str) -> None:
    assert_nothing_changed(what_if(live, subject))


@pytest.mark.parametrize("until", ["2026-01-05 09:00", "2026-01-12 12:00", "2026-02-16 13:00", "2026-05-01 00:00"])
def test_it_comes_again_up_to_any_time_and_beyond_its_end(live: Live, until: str) -> None:
    assert_nothing_changed(what_if(live, until=at(until)))
    assert_nothing_changed(what_if(live, contract("Code"), until=at(until)))


def test_a_long_varied_history_comes_again(past: Ledger) -> None:
    contracts = sorted({one.stream for one in past.log.read_all() if one.stream.startswith("con_")})
    assert len(contracts) > 10
    for subject in (None, *contracts):
        assert_nothing_changed(what_if(past, subject))


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_a_case_comes_again_although_it_holds_parts_of_its_parties_streams(case: Path) -> None:
    with open_source(case) as source:
        assert_nothing_changed(what_if(source))


def test_an_archive_forks_as_the_ledger_does(replay: Replay, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    assert replay("archive", str(archive)).exit_code == 0
    for subject in ((), (LOGO,)):
        fork = ("what-if", *subject, "--set", "hold_days=5", "--until", "2026-03-09T12:00:00Z", "--json")
        assert replay(*fork, "--source", str(archive)).stdout == replay(*fork).stdout


def test_an_empty_log_forks_to_nothing(ledger: Ledger) -> None:
    found = what_if(ledger, edits=Edits(settings={"hold_days": 1}))
    assert (found.events, found.new_events, found.payouts, found.accounts) == (0, 0, (), ())


class Memory:
    """A life as a source."""

    def __init__(self, life: History) -> None:
        self.log = Log((one.stream, one.version, one.event) for one in life.log)
        self.reader, self.vault, self.clock, self._now = Scan(self.log), self, self, life.now

    def now(self) -> datetime:
        return self._now

    def reveal(self, ids: Iterable[str]) -> dict[str, str]:
        return {}


@pytest.mark.parametrize("settings", [{}, {"hold_days": 5}])
def test_history_that_was_made_under_other_rules_is_said_to_differ(settings: dict[str, int]) -> None:
    life = Life(rules_with(settings))
    life.live([(0, "submit", "n1"), (60, "approve", "n2")])
    found = what_if(Memory(life))
    first = next(one.id for one in life.log if isinstance(one.event, PayoutCharged))
    assert found.differs_at == (first if settings else None)
    assert what_if(Memory(life), edits=Edits(settings=settings)).new_events == len(life.log)


# Something edited


def test_a_longer_hold_releases_later_and_pays_the_same(live: Live) -> None:
    found = what_if(live, LOGO, Edits(settings={"hold_days": 5}))
    change = change_of(found, payout("Logo"))
    assert change.old is not None
    assert change.new is not None
    assert (change.old.charged_at, change.new.charged_at) == (at("2026-01-12 09:00"),) * 2
    assert (change.old.released_at, change.new.released_at) == (at("2026-01-16 09:00"), at("2026-01-17 09:00"))
    assert found.accounts == ()


def test_a_withdrawal_of_money_that_would_not_have_been_available_is_left_out(live: Live) -> None:
    found = what_if(live, ADA, Edits(settings={"hold_days": 60}))
    withdrawals = [one for one in found.refused if one.command == "RequestWithdrawal"]
    assert [one.code for one in withdrawals] == ["insufficient_funds"]
    (captured,) = [one for one in found.captured if one.kind == "withdrawal"]
    assert captured.old is not None
    assert (captured.old.amount, captured.new) == (10_000, None)


def test_work_that_was_not_submitted_is_not_paid_and_what_was_done_about_it_is_refused(live: Live) -> None:
    found = what_if(live, LOGO, Edits(drop=(SUBMITTED,)))
    assert change_of(found, payout("Logo")).new is None
    available = next(one for one in found.accounts if one.account == f"{ADA}:available")
    assert available.difference == -50_000
    assert available.old is not None
    assert available.new == available.old - 50_000
    assert [(one.command, one.code) for one in found.refused] == [
        ("ReversePayout", "not_found"),
        ("ReinstateReversal", "not_found"),
    ]
    (captured,) = found.captured
    assert captured.key == f"{payout('Logo')}:1"
    assert captured.new is None


def test_a_later_submission_lapses_later_and_is_charged_as_it_was(live: Live) -> None:
    found = what_if(live, LOGO, Edits(retime={SUBMITTED: at("2026-01-06 10:00")}))
    change = change_of(found, payout("Logo"))
    assert change.new is not None
    assert change.new.charged_at == at("2026-01-13 10:00")
    (captured,) = found.captured
    assert captured.new is not None
    assert (captured.new.outcome, captured.assumed) == ("charged", False)


def test_a_charge_whose_outcome_never_came_is_not_asked_again(live: Live) -> None:
    change = change_of(what_if(live, LOGO, Edits(drop=(CHARGED,))), payout("Logo"))
    assert change.new is not None
    assert (change.new.status, change.new.charged_at) == ("due", None)


@pytest.fixture
def disputed(server: Server, tmp_path: Path) -> Iterator[Live]:
    """The story of docs/replay.md: a card that was declined on Monday, another one on Tuesday."""
    settings = sandbox(server.create(), tmp_path)
    with open_ledger(settings.model_copy(update={"clock_start": at(dispute.BEGIN)})) as ledger:
        dispute.tell(ledger)
    with open_live(settings) as opened:
        yield opened
    assert settings.database_url is not None
    server.drop(settings.database_url.get_secret_value())


def test_another_card_before_the_charge_that_was_declined_is_charged_and_that_is_assumed(disputed: Live) -> None:
    card = f"evt_{dispute.NORTHWIND}_4"
    found = what_if(disputed, dispute.PAYOUT, Edits(retime={card: at("2026-01-12 11:00")}))
    change = change_of(found, dispute.PAYOUT)
    assert change.new is not None
    assert change.new.charged_at == at("2026-01-12 12:00")
    assert change.new.available_on == at("2026-01-16 12:00")  # the Friday that Ada had expected
    first, second = (one for one in found.captured if one.kind == "charge")
    assert first.old is not None
    assert first.new is not None
    assert (first.old.outcome, first.new.outcome, first.assumed) == ("card_declined", "charged", True)
    assert (second.key, second.new) == (f"{dispute.PAYOUT}:2", None)


def test_a_charge_that_only_its_card_makes_different_is_said_to_be_assumed() -> None:
    """On both sides the same amount is charged at the same instant."""
    history = History()
    work = history.active("single_payment", amount=50_000)
    history.submit(work)
    before = history.now
    history.advance(timedelta(hours=2))
    history.approve(work)
    history.advance(timedelta(hours=2))
    history.billing_method("pays")
    card = [one.id for one in history.log if isinstance(one.event, BillingMethodSet)][-1]
    found = what_if(Memory(history), edits=Edits(retime={card: before + timedelta(hours=1)}))
    assert (found.differs_at, found.accounts) == (None, ())
    (captured,) = found.captured
    assert captured.old is not None
    assert captured.new is not None
    assert (captured.old.outcome, captured.new.outcome, captured.assumed) == ("charged", "charged", True)
    assert captured.old.method != captured.new.method


def test_both_sides_go_on_after_the_end(live: Live) -> None:
    held = payout("Held")
    found = what_if(live, held, Edits(settings={"hold_days": 6}), until=at("2026-03-11 09:00"))
    change = change_of(found, held)
    assert change.old is not None
    assert change.new is not None
    assert (change.old.status, change.new.status) == ("released", "pending")


def test_a_case_forks_as_the_ledger_does(replay: Replay, tmp_path: Path) -> None:
    case = tmp_path / "logo.case.json"
    assert replay("case", "write", LOGO, "-o", str(case)).exit_code == 0
    drop = ("what-if", LOGO, "--drop", SUBMITTED, "--json")
    from_case, from_ledger = (json.loads(replay(*drop, *more).stdout) for more in (("--source", str(case)), ()))
    assert from_case["payouts"] == from_ledger["payouts"]
    covered = [one for one in from_case["refused"] if one not in from_ledger["refused"]]
    assert [one["command"] for one in covered] == ["RequestWithdrawal"]  # by other work, which is in other cases
    assert (from_case["partial"], from_ledger["partial"]) == (True, False)
    assert {one["old"] for one in from_case["accounts"]} == {None}  # a case does not hold all of anybody's money


# The command


OUTPUTS: dict[str, tuple[str, ...]] = {
    "unedited.txt": (LOGO,),
    "hold.txt": (LOGO, "--set", "hold_days=5"),
    "drop.txt": (LOGO, "--drop", SUBMITTED),
    "drop.json": (LOGO, "--drop", SUBMITTED, "--json"),
    "change.csv": ("--change", f"evt_{LOGO}_1.milestones.0.amount=60000", "--csv"),
    "set-until.csv": (
        *("--set", "hold_days=2", "--set", "retry_after_hours=12", "--until", "2026-04-01T00:00:00Z"),
        *("--charges", "fail", "--csv"),
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_is_the_golden_one(replay: Replay, name: str) -> None:
    result = replay("what-if", *OUTPUTS[name])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    require_golden(GOLDEN / name, result.stdout)


def test_what_is_added_is_carried_out_or_refused_as_it_would_have_been(replay: Replay, tmp_path: Path) -> None:
    added = tmp_path / "added.json"
    objection = {"type": "payout.objection_raised.v1", "at": "2026-01-12T13:00:00Z", "reason": "too many hours"}
    withdrawal = {"type": "RequestWithdrawal", "at": "2026-01-17T09:00:00Z", "freelancer_id": ADA, "currency": "USD"}
    added.write_text(
        json.dumps(
            [
                {**objection, "payout_id": cycle_payout("Code", "2026-01-12")},
                {**withdrawal, "withdrawal_id": "wdr_1", "amount": 99_999},
                {**withdrawal, "withdrawal_id": "wdr_2", "amount": 1},
                {**withdrawal, "withdrawal_id": "wdr_3", "amount": -1},
            ]
        )
    )
    found = json.loads(replay("what-if", ADA, "--add", str(added), "--json").stdout)
    assert [one["code"] for one in found["refused"]] == ["not_found", "validation_error"]
    assert [(one["key"], one["new"]["outcome"], one["assumed"]) for one in found["captured"]] == [
        ("wdr_1", "paid", True),
        ("wdr_2", "paid", True),
    ]


def test_what_stands_inside_of_an_added_command_is_as_strict_as_the_event(replay: Replay, tmp_path: Path) -> None:
    added = tmp_path / "added.json"
    sides = {"account": f"{ADA}:available", "direction": "credit", "amount": 0, "currency": "USD"}
    what = {"adjustment_id": "adj_x", "person": "per_ann", "reason": "a mistake", "corrects_event_id": SUBMITTED}
    command = {
        "type": "ProposeAdjustment",
        "at": "2026-01-17T09:00:00Z",
        **what,
        "postings": [sides],
        "stated_at": None,
    }
    added.write_text(json.dumps(command))
    found = json.loads(replay("what-if", ADA, "--add", str(added), "--json").stdout)
    (refused,) = found["refused"]
    assert (refused["code"], refused["detail"][:19]) == ("validation_error", "postings.0.amount: ")


def test_csv_names_each_number_that_changed(replay: Replay) -> None:
    rows = list(csv.DictReader(io.StringIO(replay("what-if", LOGO, "--drop", SUBMITTED, "--csv").stdout)))
    assert {row["about"] for row in rows} == {"payout", "account", "charge", "refused"}
    amounts = [row for row in rows if row["field"] == "amount"]
    assert [(row["about"], row["old"], row["new"], row["difference"]) for row in amounts] == [
        ("payout", "50000", "", "-50000"),
        ("charge", "50000", "", "-50000"),
    ]


UNUSABLE: dict[str, tuple[str, ...]] = {
    "'nothing' is no id of an event": ("--drop", "nothing"),
    "follows from evt_": ("--drop", f"evt_{payout('Logo')}_1"),
    "happened by itself when its time came": ("--drop", f"evt_{payout('Logo')}_5"),
    "is dropped, so it cannot be changed": ("--drop", SUBMITTED, "--retime", f"{SUBMITTED}=2026-01-06T10:00:00Z"),
    "there is no payout_id.x": ("--change", f"{CHARGED}.payout_id.x=1"),
    "there is no nope": ("--change", f"{SUBMITTED}.nope=1"),
    "not what was asked for but what was made of it": ("--change", f"{SUBMITTED}.review_deadline=2026-01-09T09:00:00Z"),
    "retime it": ("--change", f"{SUBMITTED}.recorded_at=2026-01-09T09:00:00Z"),
    "Input should be greater than 0": ("--change", f"evt_{LOGO}_1.milestones.0.amount=-1"),
    "milestones.0.amount: Expected `int`, got `float`": ("--change", f"evt_{LOGO}_1.milestones.0.amount=1.5"),
    "drop the event and add one": ("--change", f"{SUBMITTED}.contract_id=con_other"),
    "name the field": ("--change", f"{SUBMITTED}=1"),
    "write it as evt_": ("--retime", SUBMITTED),
    "is not an RFC 3339 time": ("--retime", f"{SUBMITTED}=tomorrow"),
    "is no time to fork to": ("--retime", f"{SUBMITTED}=9999-01-01T00:00:00Z"),
    "no rule has a number called 'fee'": ("--set", "fee=3"),
    "are whole": ("--set", "hold_days=1.5"),
    "give 0 to 3650, not 4000": ("--set", "hold_days=4000"),
    "give 0 to 3650, not -1": ("--set", "hold_days=-1"),
    "give 0 to 3650, not 999999999999": ("--set", "hold_days=999999999999"),
    "currency: must be the upper-case ISO 4217 code": ("--change", f"evt_{LOGO}_1.currency=usd"),
    "write it as hold_days=5": ("--set", "hold_days"),
    "--charges is one of": ("--charges", "maybe"),
    "more than ten years": ("--until", "2099-01-01T00:00:00Z"),
    "cannot be read": ("--add", "nowhere.json"),
}


@pytest.mark.parametrize("says", UNUSABLE)
def test_an_edit_that_makes_no_sense_is_named_in_a_sentence(replay: Replay, says: str) -> None:
    result = replay("what-if", LOGO, *UNUSABLE[says])
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("7", "write an object"),
        ('{"type": "ReleaseFunds", "at": "2026-01-06T10:00:00Z"}', "type is a command or an event"),
        ('{"type": "SubmitMilestone", "milestone_id": "m", "x": 1}', "there is no x; at, contract_id missing"),
        ('{"type": "AcceptOffer", "at": "2026-01-06", "contract_id": "c"}', "is not an RFC 3339 time"),
        (
            '{"type": "AcceptOffer", "at": "2026-01-06T10:00:00Z", "contract_id": 7}',
            "1: contract_id: Expected `str`, got `int`",
        ),
        ('{"type": "AcceptOffer", "at": "2026-01-06T10:00:00Z", "contract_id": "c", "actor": 7}', "Expected `str`"),
    ],
)
def test_what_cannot_be_added_is_named_in_a_sentence(replay: Replay, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "added.json").write_text(text)
    result = replay("what-if", "--add", "added.json")
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("con_nobody",), (LOGO, "--drop", "evt_con_nobody_1"), (BOB, "--drop", SUBMITTED)]
)
def test_what_is_not_there_is_unknown(replay: Replay, arguments: tuple[str, ...]) -> None:
    result = replay("what-if", *arguments)
    assert result.exit_code == 2
    assert "there is no" in result.stderr
