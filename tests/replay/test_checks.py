"""The invariants of the domain: each is seen to hold on a history in memory, and each is seen to break, where it breaks."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from ledger import events as e
from ledger.errors import LedgerError
from ledger.events import Event, Posting
from ledger.postings import entries
from ledger.projections.rows import Record
from replay.verify.checks.accounts import AccountCheck
from replay.verify.checks.payouts import PayoutCheck
from replay.verify.findings import Finding, Findings
from tests.history import History


def check(events: list[tuple[str, Event]]) -> tuple[Finding, ...]:
    """What is found on these events, each on its stream."""
    findings = Findings()
    accounts, payouts = AccountCheck(findings), PayoutCheck(findings)
    versions: dict[str, int] = {}
    for position, (stream, event) in enumerate(events, 1):
        version = versions[stream] = versions.get(stream, 0) + 1
        record = Record(position, stream, version, event.TOPIC, event, entries(event))
        with suppress(LedgerError):  # which `verify` reports
            accounts.take(record)
        payouts.take(record)
    accounts.end(len(events))
    payouts.end(None)
    return findings.sorted({})


@pytest.fixture(scope="module")
def told() -> list[tuple[str, Event]]:
    """A payout that was objected to and reduced, one with a won chargeback, one of an hourly week; withdrawals."""
    history = History()
    history.submit(history.active("single_payment", amount=50_000))
    hourly = history.active("hourly", hourly_rate=6_000)
    history.log_time(hourly, 600)
    history.advance("2026-01-12 13:00")
    history.object(history.payout(hourly))
    history.reduce(history.payout(hourly), 50_000)
    history.advance("2026-01-20 09:00")
    contract = history.active("single_payment", amount=10_000)
    history.submit(contract)
    history.approve(contract)
    history.reinstate(history.payout(contract), history.reverse(history.payout(contract), 4_000, "chargeback"))
    history.advance("2026-01-30 09:00")
    history.reverse(history.payout(contract), 3_000)
    history.withdraw(20_000)
    history.advance("2026-02-02 09:00")
    return [(one.stream, one.event) for one in history.log]


def where(told: list[tuple[str, Event]], kind: type[Event], number: int = 0) -> int:
    return [at for at, (_, event) in enumerate(told) if isinstance(event, kind)][number]


def changed(told: list[tuple[str, Event]], at: int, **fields: Any) -> list[tuple[str, Event]]:
    stream, event = told[at]
    return [*told[:at], (stream, replace(event, **fields)), *told[at + 1 :]]


def test_nothing_is_found_on_what_the_deciders_decide(told: list[tuple[str, Event]]) -> None:
    assert check(told) == ()


Change = Callable[[list[tuple[str, Event]]], list[tuple[str, Event]]]


def again(kind: type[Event]) -> Change:
    """The event happens a second time."""

    def change(told: list[tuple[str, Event]]) -> list[tuple[str, Event]]:
        at = where(told, kind)
        return [*told[: at + 1], told[at], *told[at + 1 :]]

    return change


def without(kind: type[Event]) -> Change:
    """The event never happened."""
    return lambda told: [*told[: where(told, kind)], *told[where(told, kind) + 1 :]]


def other(kind: type[Event], **fields: Any) -> Change:
    """The event says something else."""
    return lambda told: changed(told, where(told, kind), **fields)


def earlier(kind: type[Event]) -> Change:
    """The event occurred a second earlier."""

    def change(told: list[tuple[str, Event]]) -> list[tuple[str, Event]]:
        at = where(told, kind)
        return changed(told, at, occurred_at=told[at][1].occurred_at - timedelta(seconds=1))

    return change


BROKEN: dict[str, tuple[Change, str]] = {
    "released twice": (again(e.PayoutReleased), "it was released twice"),
    "released before the hold's end": (earlier(e.PayoutReleased), "it was released before its hold had elapsed"),
    "hold over too early": (earlier(e.HoldElapsed), "the hold elapsed before its end"),
    "hold never over": (without(e.HoldElapsed), "it was released before its hold had elapsed"),
    "released under an objection": (without(e.PayoutReduced), "it was released under an open objection"),
    "charged twice": (again(e.PayoutCharged), "it was charged before"),
    "charged more": (other(e.PayoutCharged, amount=60_000), "another amount was charged than was due"),
    "another amount due": (other(e.PayoutDue, amount=1), "the payout is not what its approval"),
    "due twice": (again(e.PayoutDue), "the payout was due before"),
    "due for nothing": (without(e.MilestoneApproved), "no approval, cycle, bonus or payroll makes this payout"),
    "approved twice": (again(e.MilestoneApproved), "makes a second payout"),
    "closed twice": (again(e.CycleClosed), "makes a second payout"),
    "never due": (without(e.PayoutDue), "was never due"),
    "never released to the freelancer": (without(e.FundsReleased), "the freelancer's own stream"),
    "released to the freelancer twice": (again(e.FundsReleased), "the freelancer's own stream"),
    "never charged": (without(e.PayoutCharged), "pending is negative"),
    "reversed more": (other(e.PayoutReversed, from_pending=10_001), "pending is negative"),
    "reversed more than released": (other(e.FundsReversed, amount=1), "the freelancer's own stream"),
    "won twice": (again(e.ReversalReinstated), "brought back what no open chargeback"),
    "won more": (other(e.ReversalReinstated, to_pending=4_001), "brought back what no open chargeback"),
    "returned more": (other(e.PayoutReduced, returned=60_000), "charged is not pending"),
    "withdrawn more": (other(e.WithdrawalRequested, amount=10**9), "more was withdrawn than"),
    "withdrawn twice": (again(e.WithdrawalRequested), "it was requested before"),
    "paid twice": (again(e.WithdrawalPaid), "in_transit is negative"),
    "paid but never requested": (without(e.WithdrawalRequested), "no such withdrawal was in transit"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_must_hold_is_seen_to_break(told: list[tuple[str, Event]], case: str) -> None:
    change, what = BROKEN[case]
    found = check(change(told))
    if case == "returned more":
        assert any("is negative" in one.what for one in found)
    else:
        assert any(what in one.what for one in found), found


def test_a_broken_invariant_is_named_where_it_first_breaks(told: list[tuple[str, Event]]) -> None:
    broken = again(e.PayoutReleased)(told)
    at = where(told, e.PayoutReleased)
    first = check(broken)[0]
    assert first.position == at + 2
    assert first.account == told[at][0]
    assert first.minor_units == broken[at][1].amount  # type: ignore[attr-defined]


def _adjusted(told: list[tuple[str, Event]], *postings: tuple[str, Any, int]) -> Iterator[tuple[str, Event]]:
    yield from told
    last = told[-1][1]
    sides = tuple(Posting(account=a, direction=d, amount=n, currency="USD") for a, d, n in postings)
    stamp: dict[str, Any] = {
        "actor": "operator:x",
        "occurred_at": last.occurred_at,
        "recorded_at": last.recorded_at,
        "command_id": "cmd_x",
    }
    yield "adj_1", e.AdjustmentApproved(**stamp, adjustment_id="adj_1", person="per_x", postings=sides)


def test_debits_are_credits_event_by_event(told: list[tuple[str, Event]]) -> None:
    sides = ("platform:adjustments", "debit", 5), ("processor", "credit", 4)
    found = check(list(_adjusted(told, *sides)))
    assert [(one.what, one.minor_units) for one in found] == [
        ("its credits are not its debits in USD", -1),
        ("all debits are not all credits in USD", -1),
    ]
    assert {one.position for one in found} == {len(told) + 1}


def test_an_adjustment_that_the_freelancer_never_got_is_found(told: list[tuple[str, Event]]) -> None:
    freelancer = told[where(told, e.FreelancerRegistered)][0]
    sides = ("platform:adjustments", "debit", 5), (f"{freelancer}:available", "credit", 5)
    (found,) = check(list(_adjusted(told, *sides)))
    assert (found.account, found.minor_units) == (f"{freelancer}:available", -5)
