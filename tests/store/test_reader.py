"""Balances at any instant, as they were known at any instant, and at any position: each is the sum over the log."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from random import Random
from typing import Any

import pytest

from ledger import events as e
from ledger import postings
from ledger.bootstrap import Ledger
from ledger.store.funds import BalanceView
from ledger.store.log import Stored
from tests.play import DAY, MICROSECOND, Play, utc

INSTANTS = 50


@pytest.fixture
def log(past: Ledger) -> list[Stored]:
    return list(past.log.read_all())


def summed(log: list[Stored], freelancer: str, counts: Any) -> dict[str, dict[str, int]]:
    """Brute force: by bucket and currency, what the events that count moved."""
    buckets: dict[str, dict[str, int]] = {bucket: {} for bucket in postings.BUCKETS}
    for stored in log:
        event = stored.event
        if not counts(stored, event):
            continue
        for entry in postings.entries(event):
            owner, _, bucket = entry.account.partition(":")
            if owner == freelancer:
                for totals in buckets.values():
                    totals.setdefault(entry.currency, 0)
                buckets[bucket][entry.currency] += entry.credit
    return buckets


def shown(view: BalanceView) -> dict[str, dict[str, int]]:
    return {"pending": view.pending, "available": view.available, "in_transit": view.in_transit}


def freelancers(log: list[Stored]) -> list[str]:
    return sorted({stored.stream for stored in log if stored.stream.startswith("fre_")})


def instants(log: list[Stored]) -> Iterator[datetime]:
    """Random ones, and those at which something happened, and right before."""
    random = Random(1)
    first, last = log[0].event.occurred_at, log[-1].event.recorded_at
    for _ in range(INSTANTS // 2):
        yield first + random.random() * (last - first)
        happened: datetime = random.choice(log).event.occurred_at
        yield happened - random.choice((0, 1)) * MICROSECOND


def test_the_balance_now_is_the_sum_over_the_log(past: Ledger, log: list[Stored]) -> None:
    for freelancer in freelancers(log):
        view = past.reader.balance(freelancer)
        assert shown(view) == summed(log, freelancer, lambda *_: True)
        assert view.position == len(log)
    assert any(past.reader.balance(freelancer).available for freelancer in freelancers(log))


def test_the_balance_as_of_an_instant_counts_what_occurred_at_or_before_it(past: Ledger, log: list[Stored]) -> None:
    for instant in instants(log):
        for freelancer in freelancers(log):
            expected = summed(log, freelancer, lambda _, event, at=instant: event.occurred_at <= at)
            assert shown(past.reader.balance(freelancer, as_of=instant)) == expected


def test_the_balance_as_known_at_an_instant_counts_what_was_recorded_at_or_before_it(
    past: Ledger, log: list[Stored]
) -> None:
    for instant in instants(log):
        for freelancer in freelancers(log):
            expected = summed(log, freelancer, lambda _, event, at=instant: event.recorded_at <= at)
            assert shown(past.reader.balance(freelancer, known_at=instant)) == expected


def test_the_balance_at_a_position_counts_the_events_up_to_it(past: Ledger, log: list[Stored]) -> None:
    random = Random(2)
    for position in (0, len(log), *(random.randint(1, len(log)) for _ in range(INSTANTS))):
        for freelancer in freelancers(log):
            expected = summed(log, freelancer, lambda stored, _, to=position: stored.position <= to)
            view = past.reader.balance(freelancer, at_position=position)
            assert shown(view) == expected
            assert view.position == position


def test_as_of_an_instant_and_as_known_at_another_go_together(past: Ledger, log: list[Stored]) -> None:
    pairs = list(zip(instants(log), reversed(list(instants(log))), strict=True))
    for as_of, known_at in pairs:
        for freelancer in freelancers(log):

            def counts(_: Stored, event: e.Event, of: datetime = as_of, known: datetime = known_at) -> bool:
                return event.occurred_at <= of and event.recorded_at <= known

            view = past.reader.balance(freelancer, as_of=as_of, known_at=known_at)
            assert shown(view) == summed(log, freelancer, counts)


def test_before_anything_happened_there_is_no_currency(past: Ledger, log: list[Stored]) -> None:
    before = log[0].event.occurred_at - DAY
    for freelancer in freelancers(log):
        assert shown(past.reader.balance(freelancer, as_of=before)) == {
            "pending": {},
            "available": {},
            "in_transit": {},
        }


def test_the_trial_balance_is_the_sum_over_the_log_and_comes_to_zero_in_each_currency(
    past: Ledger, log: list[Stored]
) -> None:
    accounts: dict[tuple[str, str], int] = {}
    for entry in chain.from_iterable(postings.entries(stored.event) for stored in log):
        key = entry.currency, entry.account
        accounts[key] = accounts.get(key, 0) + entry.credit
    position, rows = past.reader.trial_balance()
    assert position == len(log)
    assert {(currency, account): total for account, currency, total in rows} == accounts
    for currency in {currency for currency, _ in accounts}:
        assert sum(total for (of, _), total in accounts.items() if of == currency) == 0


def test_an_opening_balance_and_the_lines_after_it_give_the_closing_one(past: Ledger, log: list[Stored]) -> None:
    times = sorted(instants(log))
    for freelancer in freelancers(log):
        for since, until in zip(times[::5], times[5::5], strict=False):
            opening, closing = past.reader.before(freelancer, since), past.reader.before(freelancer, until)
            totals = dict(opening.available)
            for line in past.reader.lines(freelancer, since=since, until=until, limit=10_000):
                totals[line.currency] = totals.get(line.currency, 0) + line.available_change
            assert totals == closing.available


def test_pages_of_a_statement_are_the_whole_statement(past: Ledger, log: list[Stored]) -> None:
    (freelancer, *_) = freelancers(log)
    whole = past.reader.lines(freelancer, limit=10_000)
    paged: list[Any] = []
    last = None
    while page := past.reader.lines(freelancer, before=last, limit=7):
        paged += page
        last = (page[-1].occurred_at, page[-1].position, page[-1].currency)
    assert paged == whole


def test_earnings_are_what_was_released_less_what_was_reversed_after_release(past: Ledger, log: list[Stored]) -> None:
    for freelancer in freelancers(log):
        total: dict[str, int] = {}
        for stored in log:
            event: Any = stored.event
            if getattr(event, "payee", None) != freelancer:
                continue
            match event:
                case e.PayoutReleased():
                    total[event.currency] = total.get(event.currency, 0) + event.amount
                case e.PayoutReversed():
                    total[event.currency] = total.get(event.currency, 0) - event.from_available
                case e.ReversalReinstated():
                    total[event.currency] = total.get(event.currency, 0) + event.to_available
        earnings = past.reader.earnings(freelancer)
        assert earnings.total == {currency: amount for currency, amount in total.items() if currency in earnings.total}
        assert not any(amount for currency, amount in total.items() if currency not in earnings.total)
        for part in (earnings.by_contract, earnings.by_month):
            for currency, amount in earnings.total.items():
                assert sum(totals.get(currency, 0) for totals in part.values()) == amount


def test_contracts_and_payouts_are_those_of_the_log(past: Ledger, log: list[Stored]) -> None:
    for stream, state in past.log.load({stored.stream for stored in log}).items():
        if stream.startswith("con_"):
            assert past.reader.contract(stream) == state
        if stream.startswith("pay_"):
            assert past.reader.payout(stream) == state


def test_a_history_is_every_event_that_names_the_contract(past: Ledger, log: list[Stored]) -> None:
    for contract in {stored.stream for stored in log if stored.stream.startswith("con_")}:
        named = [one.position for one in log if getattr(one.event, "contract_id", None) == contract]
        assert [view.position for view in past.reader.history(contract_id=contract)] == named


# How far


def test_a_reader_says_how_far_it_sees(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    head = ledger.log.head()
    assert ledger.reader.position() < head
    ledger.views.catch_up()
    assert ledger.reader.position() == ledger.reader.position("balances", "history") == head
    play.card("pm_card_visa")
    assert {one.lag for one in ledger.reader.health()} == {ledger.log.head() - head}


def test_a_balance_says_at_which_position_it_stands(ledger: Ledger) -> None:
    play = Play(ledger)
    at = ledger.log.head()
    play.up = False
    play.active("single_payment", amount=5)
    assert ledger.reader.balance(play.freelancer).position == at
    assert ledger.reader.balance(play.freelancer, as_of=play.now + timedelta(days=1)).position == at
    assert ledger.reader.balance(play.freelancer, known_at=utc("2026-01-05 09:00")).position == at
    assert ledger.reader.balance(play.freelancer, at_position=10**6).position == at
