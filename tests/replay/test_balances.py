"""Balances and the trial balance, folded from the log: as they were, as they were believed to be, and always balanced."""

from datetime import timedelta
from typing import Any

import pytest

from ledger.errors import Corrupt
from ledger.store.reader import Reader
from replay.balances import Money, balance, trial_balance
from replay.live import Live
from tests.replay.conftest import Copy
from tests.replay.story import ADA, BOB, EVE, PAYROLLS, at

SECOND = timedelta(seconds=1)


def test_debits_are_credits_in_every_currency(live: Live) -> None:
    found = trial_balance(live.log)
    assert [total.currency for total in found.totals] == ["EUR", "JPY", "USD"]
    for total in found.totals:
        accounts = [one for one in found.accounts if one.currency == total.currency]
        assert total.debits == total.credits == sum(one.debits for one in accounts)
        assert sum(one.balance for one in accounts) == 0


def test_now_it_is_what_the_projection_says(live: Live) -> None:
    found = trial_balance(live.log)
    position, accounts = live.reader.trial_balance()
    assert found.position == position
    assert [(one.account, one.currency, one.balance) for one in found.accounts] == accounts


def test_the_projection_is_not_asked(copy: Copy) -> None:
    with copy.live() as live:
        before = trial_balance(live.log)
    copy.tamper("UPDATE balances SET balance = 1")
    with copy.live() as live:
        assert trial_balance(live.log) == before


@pytest.mark.parametrize("payee", [ADA, BOB])
@pytest.mark.parametrize("instant", ["2026-01-12 12:00", "2026-01-16 09:00", "2026-02-05 00:00", "2026-02-16 13:00"])
def test_it_was_what_the_reader_says_it_was(live: Live, payee: str, instant: str) -> None:
    reader: Reader = live.reader
    then = at(instant)
    both: tuple[dict[str, Any], ...] = ({"as_of": then}, {"known_at": then}, {"as_of": then, "known_at": then})
    for times in both:
        found, expected = balance(live.log, payee, **times), reader.balance(payee, **times)
        assert {one.currency: one.amount for one in found.pending} == expected.pending
        assert {one.currency: one.amount for one in found.available} == expected.available
        assert {one.currency: one.amount for one in found.in_transit} == expected.in_transit


def test_what_occurred_at_the_instant_counts_and_what_occurred_after_it_does_not(live: Live) -> None:
    """The logo's 500.00 were released on Friday the 16th at 09:00."""
    released = at("2026-01-16 09:00")
    usd = {"pending": Money(50_000, "USD"), "available": Money(0, "USD")}
    before, then = (balance(live.log, ADA, as_of=instant) for instant in (released - SECOND, released))
    assert usd["available"] in before.available
    assert Money(50_000, "USD") in then.available


def test_a_correction_was_true_before_it_was_known(live: Live) -> None:
    """Approved on 12 February, as of 1 February."""
    then, later = at("2026-02-02 00:00"), at("2026-02-13 00:00")
    believed = balance(live.log, BOB, as_of=then, known_at=then)
    true = balance(live.log, BOB, as_of=then, known_at=later)
    assert sum(one.amount for one in true.available) - sum(one.amount for one in believed.available) == 1_000


def test_an_employer_of_record_has_the_money_and_the_employee_has_none(live: Live) -> None:
    assert balance(live.log, PAYROLLS).available == (Money(300_000, "USD"),)
    assert balance(live.log, EVE).available == ()


def test_before_the_first_event_there_is_nothing(live: Live) -> None:
    found = trial_balance(live.log, as_of=at("2020-01-01 00:00"))
    assert (found.accounts, found.totals) == ((), ())


def test_an_event_whose_debits_are_not_its_credits_is_named(copy: Copy) -> None:
    copy.tamper(
        "UPDATE events SET state = convert_to(replace(convert_from(state, 'UTF8'), ':1000,', ':1001,'), 'UTF8')"
        " WHERE topic = 'adjustment.approved.v1'",
        "UPDATE events SET state = convert_to(regexp_replace(convert_from(state, 'UTF8'), ':1001,', ':1000,'), 'UTF8')"
        " WHERE topic = 'adjustment.approved.v1'",
    )
    with copy.live() as live, pytest.raises(Corrupt, match=r"evt_adj_\w+_2 .* credits 1 USD more"):
        trial_balance(live.log)
