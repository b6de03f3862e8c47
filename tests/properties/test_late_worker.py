"""A worker that is down for a week in which no charge is due writes the same events, but for when it wrote them."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.events import Event
from ledger.policies.deadlines import CHARGE
from tests.history import DAY, MICROSECOND, WEEK, History, due_by

DOWN = "2026-01-12 12:00"
INSTANTS = st.integers(0, 7 * 24 * 3600 * 10**6 - 1).map(lambda us: timedelta(microseconds=us))
"""Some time within a week."""


def under_way(approved: timedelta, objections: int, chargeback: int, reinstated: bool) -> History:
    """Monday noon: a milestone charged some time last week, two timesheets just charged, a biweekly week just locked."""
    history = History("2026-01-05 00:00")
    milestone = history.active("single_payment", amount=50_000, cadence="biweekly")
    hourly = [history.active("hourly", hourly_rate=6000) for _ in range(2)]
    biweekly = history.active("hourly", hourly_rate=6000, cadence="biweekly")
    for contract in (*hourly, biweekly):
        history.log_time(contract, 60)
    history.submit(milestone)
    history.advance(approved)
    history.approve(milestone)
    history.advance(DOWN)
    for contract in hourly[:objections]:
        history.object(history.payout(contract))
    payout = history.payout(milestone)
    reversal = history.reverse(payout, chargeback, "chargeback") if chargeback else None
    if reversal is not None and reinstated:
        history.reinstate(payout, reversal)
    return history


def written(history: History) -> dict[str, list[Event]]:
    """Each stream's events, but for when they were written."""
    streams: dict[str, list[Event]] = {}
    for one in history.log:
        streams.setdefault(one.stream, []).append(replace(one.event, recorded_at=one.event.occurred_at))
    return streams


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    approved=INSTANTS,
    objections=st.integers(0, 2),
    chargeback=st.sampled_from([0, 1, 49_999, 50_000]),
    reinstated=st.booleans(),
    back=INSTANTS,
)
def test_a_worker_that_was_away_writes_the_same(
    approved: timedelta, objections: int, chargeback: int, reinstated: bool, back: timedelta
) -> None:
    on_time, late = (under_way(approved, objections, chargeback, reinstated) for _ in range(2))
    late.up = False
    for history in (on_time, late):
        history.advance(back)
        assert due_by(history, CHARGE) == []
    late.worker_returns()
    assert written(late) == written(on_time)
    assert late.states == on_time.states
    assert late.accounts == on_time.accounts


def test_the_week_ends_where_the_next_charge_is_due() -> None:
    history = under_way(DAY, 1, 0, False)
    history.up = False
    history.advance(WEEK - MICROSECOND)
    history.worker_returns()
    assert due_by(history, CHARGE) == []
    charged = len(history.all_payouts("con_000004"))
    history.advance(MICROSECOND)
    assert len(history.all_payouts("con_000004")) == charged + 1
