"""Rule 29: a late worker changes nothing that the outside world does not decide.

One history is played on a worker that ran all along, and on one that started a week late.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ledger import events as e
from ledger.bootstrap import Ledger
from ledger.processors.protocol import Outcome, Request
from tests.play import BANK_FAILS, DAY, DECLINES, HOUR, PAYS, WEEK, Play, told, utc

Making = Callable[[], Ledger]


def by_stream(play: Play) -> list[Any]:
    """Every event but for when it was recorded, in the order of its stream."""
    return sorted((told(stored) for stored in play.events()), key=lambda one: one[:2])


def both(
    make: Making,
    before: Callable[[Play], None],
    stops: str,
    back: Any,
    **start: Any,
) -> tuple[Play, Play]:
    """The same, up to `stops`; then one worker goes on, and the other comes back a week later."""
    punctual, late = (Play(make(), **start) for _ in range(2))
    for play in (punctual, late):
        before(play)
        play.advance(stops)
        assert play.events()[-1].event.recorded_at <= utc(stops)
    late.up = False
    for play in (punctual, late):
        play.advance(back)
    late.worker_returns()
    return punctual, late


def balances(play: Play, freelancer: str | None = None) -> list[Any]:
    """As of every hour of the weeks in question."""
    who = freelancer or play.freelancer
    hours = (utc("2026-01-05 00:00") + number * HOUR for number in range(24 * 35))
    return [play.ledger.reader.balance(who, as_of=hour)[1:] for hour in hours]


# No charge falls into the week


def pending_payouts(play: Play) -> None:
    """Four milestone payouts, charged an hour apart."""
    for number in range(4):
        contract = play.active("single_payment", amount=1_000 + number)
        play.submit(contract)
        play.approve(contract)
        play.advance(HOUR)


def objections_and_releases(play: Play) -> None:
    """Two cycle payouts, one objected to in vain and one still under objection; others are released around them."""
    contracts = [play.active("fixed_rate", rate=rate) for rate in (500, 700)]
    play.advance("2026-01-12 12:00")
    for contract in contracts:
        play.complete(contract)
        play.object(*play.payout_ids(contract))
    play.withdraw_objection(*play.payout_ids(contracts[0]))
    play.advance("2026-01-13 10:00")
    last = play.active("single_payment", amount=3)
    play.submit(last)
    play.approve(last)


def holds_that_end_before_their_reviews(play: Play) -> None:
    """The processor's clock is behind: the holds elapse on Friday morning, the reviews end at noon. Milestones in between."""
    processor = play.ledger.outside.processor
    assert processor is not None
    charge = processor.charge

    def charge_earlier(request: Request) -> Outcome:
        outcome = charge(request)
        return replace(outcome, at=outcome.at - timedelta(minutes=request.amount))

    processor.charge = charge_earlier  # type: ignore[method-assign]
    contracts = [play.active("fixed_rate", rate=rate) for rate in (90, 120)]
    play.advance("2026-01-12 12:00")
    for contract in contracts:
        play.complete(contract)
    for minutes in (30, 60, 70, 100, 5):
        if minutes == 5:
            play.advance("2026-01-12 14:00")
        single = play.active("single_payment", amount=minutes)
        play.submit(single)
        play.approve(single)


def a_charge_after_a_failure(play: Play) -> None:
    """Charged on the second attempt: the hold ends after the review."""
    play.card(DECLINES)
    contract = play.active("hourly", hourly_rate=6_001)
    play.log_time(contract, 61)
    play.advance("2026-01-12 15:00")
    play.card(PAYS)


def a_timesheet_in_the_middle_of_a_cycle(play: Play) -> None:
    """Locked on Monday 12:00 and not billed before the next one."""
    contract = play.active("hourly", hourly_rate=6_001, cadence="biweekly")
    play.log_time(contract, 61)
    play.log_time(contract, 7)


def withdrawals(play: Play) -> None:
    """One that is paid and one that fails, between two releases."""
    pending_payouts(play)
    play.advance("2026-01-09 11:30")
    play.withdraw(1_500)
    play.bank(BANK_FAILS)
    play.withdraw(400)


@pytest.mark.parametrize(
    ("before", "stops", "back"),
    [
        (pending_payouts, "2026-01-06 00:00", "2026-01-13 00:00"),
        (objections_and_releases, "2026-01-14 00:00", "2026-01-18 00:00"),
        (holds_that_end_before_their_reviews, "2026-01-14 00:00", "2026-01-18 00:00"),
        (a_charge_after_a_failure, "2026-01-14 00:00", "2026-01-18 23:00"),
        (a_timesheet_in_the_middle_of_a_cycle, "2026-01-12 11:00", "2026-01-19 11:00"),
        (withdrawals, "2026-01-09 11:45", "2026-01-16 11:45"),
    ],
)
def test_where_no_charge_falls_into_the_week_the_events_are_the_same_but_for_when_they_were_recorded(
    another_ledger: Making, before: Callable[[Play], None], stops: str, back: str
) -> None:
    punctual, late = both(another_ledger, before, stops, back)
    recorded = [stored.event.recorded_at for stored in late.events()]
    assert max(recorded) == utc(back) > max(stored.event.recorded_at for stored in punctual.events())
    assert by_stream(late) == by_stream(punctual)
    assert balances(late) == balances(punctual)
    assert late.balance() == punctual.balance()


def test_a_lapse_is_true_as_of_its_deadline(another_ledger: Making) -> None:
    def before(play: Play) -> None:
        play.submit(play.active("single_payment", amount=50_000))

    punctual, late = both(another_ledger, before, "2026-01-06 00:00", "2026-01-19 10:00")
    for play in (punctual, late):
        (approved,) = [one.event for one in play.events() if isinstance(one.event, e.MilestoneApproved)]
        assert (approved.by_silence, approved.occurred_at) == (True, utc("2026-01-12 09:00"))
    undecided = (e.MilestoneApproved, e.PayoutDue)
    told_of = [[told(one) for one in play.events() if isinstance(one.event, undecided)] for play in (punctual, late)]
    assert told_of[0] == told_of[1]


# A charge falls into the week


def charges_of(play: Play) -> list[Any]:
    return [one.event for one in play.events() if isinstance(one.event, e.PayoutCharged)]


def test_a_charge_happens_when_it_happens_and_its_hold_runs_from_then(another_ledger: Making) -> None:
    """Rule 22: what was charged a week late is pending and released a week late, and nothing else differs."""

    def before(play: Play) -> None:
        pending_payouts(play)
        contract = play.active("hourly", hourly_rate=6_000)
        play.log_time(contract, 60)

    delay = 7 * DAY
    close = utc("2026-01-12 12:00")
    punctual, late = both(another_ledger, before, "2026-01-06 00:00", close + delay)
    assert [event.occurred_at for event in charges_of(punctual)[4:]] == [close]
    assert [event.occurred_at for event in charges_of(late)[4:]] == [close + delay]
    for play in (punctual, late):
        play.advance("2026-01-30 00:00")

    charging = ("payout.charge_requested.v1", "payout.charged.v1", "payout.hold_elapsed.v1", "payout.released.v1")
    charging += ("freelancer.funds_released.v1",)
    cycle = charges_of(late)[4].payout_id

    def of_the_charge(one: Any) -> bool:
        return one[2] in charging and one[3]["payout_id"] == cycle

    assert [one for one in by_stream(late) if not of_the_charge(one)] == [
        one for one in by_stream(punctual) if not of_the_charge(one)
    ]

    def timeless(one: Any) -> Any:
        times = {"occurred_at", "hold_until", "release_at", "next_release_at", "command_id"}
        return (*one[:3], {name: value for name, value in one[3].items() if name not in times})

    assert [timeless(one) for one in by_stream(late) if of_the_charge(one)] == [
        timeless(one) for one in by_stream(punctual) if of_the_charge(one)
    ]
    for hours in range(0, 24 * 18, 3):
        now = close + hours * HOUR - 6 * HOUR
        pending, available, _ = (
            totals["USD"] for totals in punctual.ledger.reader.balance(punctual.freelancer, as_of=now)[1:]
        )
        charged_late = 6_000 if close + delay <= now < close + delay + 4 * DAY else 0
        charged_on_time = 6_000 if close <= now < close + 4 * DAY else 0
        released_late, released_on_time = (
            6_000 if now >= charged + 4 * DAY else 0 for charged in (close + delay, close)
        )
        as_late = late.ledger.reader.balance(late.freelancer, as_of=now)
        assert as_late.pending["USD"] == pending - charged_on_time + charged_late, now
        assert as_late.available["USD"] == available - released_on_time + released_late, now
    assert late.balance() == punctual.balance() == (0, 6_000 + 4_006, 0)


def test_a_late_worker_bills_every_cycle_it_missed(another_ledger: Making) -> None:
    def before(play: Play) -> None:
        play.active("fixed_rate", rate=700)
        play.active("fixed_rate", rate=90, cadence="biweekly")

    punctual, late = both(another_ledger, before, "2026-01-06 00:00", "2026-02-02 12:00")
    decided = (e.CycleClosed, e.PayoutDue)
    closed = [[told(one) for one in play.events() if isinstance(one.event, decided)] for play in (punctual, late)]
    assert sorted(closed[0], key=lambda one: one[:2]) == sorted(closed[1], key=lambda one: one[:2])
    assert len(closed[0]) == 2 * (4 + 2)
    for play in (punctual, late):
        play.advance("2026-02-07 00:00")
    assert late.balance() == punctual.balance()
    assert late.balance()[1] == 4 * 700 + 2 * 90


def test_a_late_worker_does_not_charge_twice_for_retries_it_missed(another_ledger: Making) -> None:
    """The next attempt is 24 hours after the latest failure, not one for each day that was missed."""

    def before(play: Play) -> None:
        contract = play.active("single_payment", amount=5)
        play.submit(contract)
        play.approve(contract)

    _, late = both(another_ledger, before, "2026-01-05 10:00", "2026-01-12 12:00", card=DECLINES)
    failed = [one.event for one in late.events() if isinstance(one.event, e.ChargeFailed)]
    assert [(event.attempt, event.occurred_at) for event in failed] == [
        (1, utc("2026-01-05 09:00")),
        (2, utc("2026-01-12 12:00")),
    ]
    assert failed[-1].next_attempt_at == utc("2026-01-13 12:00")


def test_weeks_late_or_not_the_worker_ends_with_nothing_due(another_ledger: Making) -> None:
    _, late = both(another_ledger, pending_payouts, "2026-01-06 00:00", utc("2026-01-06 00:00") + 8 * WEEK)
    assert late.ledger.agenda.backlog(late.now) == 0
    assert {one.lag for one in late.ledger.reader.health()} == {0}
