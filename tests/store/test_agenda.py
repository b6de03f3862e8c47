"""What is due, in the order of rule 29: by its time; at one instant closes, lapses, retries, releases."""

from datetime import timedelta

import pytest

from ledger import commands as c
from ledger.bootstrap import Ledger
from ledger.policies.deadlines import ASK, CHARGE, CLOSE, DECIDED, LAPSE, ORDER, OUTSIDE, OWN, RELEASE, Deadline
from tests.play import DAY, MICROSECOND, WEEK, Play, at, utc

NOON = utc("2026-01-12 12:00")


def deadline(ledger: Ledger, deadline: Deadline) -> Deadline:
    """One that stands in the projection."""
    ledger.database.execute(
        "INSERT INTO deadlines (kind, stream, item, at, cause_id, freelancer_id, priority)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (*deadline, ORDER[deadline.kind]),
    )
    return deadline


def all_due(ledger: Ledger, limit: int = 100, **how: object) -> list[Deadline]:
    known = {"kinds": [*OWN, *OUTSIDE], "without": (), **how}
    return ledger.agenda.due(NOON, limit, **known)  # type: ignore[arg-type]


def some(kind: str, stream: str = "pay_a", item: str = "", earlier: timedelta = timedelta(0)) -> Deadline:
    return Deadline(kind, stream, item, NOON - earlier, "evt_x_1")


def test_what_is_due_at_one_instant_comes_in_the_order_of_the_rule(ledger: Ledger) -> None:
    for kind in (RELEASE, ASK, CHARGE, LAPSE, CLOSE):
        deadline(ledger, some(kind))
    assert [one.kind for one in all_due(ledger)] == [CLOSE, LAPSE, CHARGE, ASK, RELEASE]


def test_an_earlier_instant_comes_first_whatever_its_kind(ledger: Ledger) -> None:
    for kind, earlier in ((CLOSE, timedelta(0)), (RELEASE, MICROSECOND), (LAPSE, DAY), (CHARGE, 2 * DAY)):
        deadline(ledger, some(kind, earlier=earlier))
    assert [one.kind for one in all_due(ledger)] == [CHARGE, LAPSE, RELEASE, CLOSE]


def test_the_order_does_not_depend_on_when_a_deadline_was_set(ledger: Ledger) -> None:
    expected = [deadline(ledger, some(RELEASE, stream)) for stream in ("pay_c", "pay_a", "pay_b")]
    assert all_due(ledger) == sorted(expected)


def test_a_deadline_is_due_at_its_instant_and_not_before(ledger: Ledger) -> None:
    deadline(ledger, some(RELEASE))
    assert ledger.agenda.due(NOON - MICROSECOND, 9, kinds=OWN, without=()) == []
    assert len(ledger.agenda.due(NOON, 9, kinds=OWN, without=())) == 1
    assert ledger.agenda.backlog(NOON - MICROSECOND) == 0
    assert ledger.agenda.backlog(NOON) == 1


def test_no_more_are_taken_than_asked_for_and_none_of_other_kinds_or_of_those_that_wait(ledger: Ledger) -> None:
    for number in range(5):
        deadline(ledger, some(RELEASE, f"pay_{number}"))
        deadline(ledger, some(ASK, f"pay_{number}"))
    assert [one.stream for one in all_due(ledger, 2, kinds=[RELEASE])] == ["pay_0", "pay_1"]
    waiting = {("pay_0", RELEASE, ""), ("pay_1", ASK, "")}
    assert [one.stream for one in all_due(ledger, 2, kinds=[RELEASE], without=waiting)] == ["pay_1", "pay_2"]
    assert len(all_due(ledger, without=waiting)) == 8


def test_the_next_instant_is_the_first_one_after_now(ledger: Ledger) -> None:
    assert ledger.agenda.next_after(NOON) is None
    for days in (-1, 0, 3, 2):
        deadline(ledger, some(RELEASE, f"pay_{days}", earlier=-days * DAY))
    assert ledger.agenda.next_after(NOON) == NOON + 2 * DAY
    assert ledger.agenda.next_after(NOON - DAY) == NOON


# Before a command


def withdrawal(play: Play) -> c.RequestWithdrawal:
    money = {"freelancer_id": play.freelancer, "withdrawal_id": "wdr_1", "amount": 1, "currency": "USD"}
    return c.RequestWithdrawal(command_id="cmd_1", actor="x", now=play.now, **money)  # type: ignore[arg-type]


def completion(play: Play, contract: str) -> c.CompleteContract:
    return c.CompleteContract(command_id="cmd_1", actor="x", now=play.now, contract_id=contract)


@pytest.mark.parametrize("projected", ["everything", "the first half", "nothing"])
def test_before_a_command_all_is_due_that_the_log_says_however_much_of_it_is_projected(
    ledger: Ledger, projected: str
) -> None:
    play = Play(ledger, up=False)
    contracts = [play.active("single_payment", amount=5) for _ in range(3)]
    for contract in contracts:
        play.submit(contract)
        if projected == "the first half":
            ledger.views.catch_up()
    play.request_changes(contracts[0])  # its deadline is gone
    play.request_changes(contracts[1])
    play.advance(DAY)
    play.submit(contracts[1])  # its deadline is another
    play.advance(WEEK)
    if projected == "everything":
        ledger.views.catch_up()
    due = ledger.agenda.due_before(withdrawal(play))
    assert [(one.kind, one.stream, one.at) for one in due] == [
        (LAPSE, contracts[2], utc("2026-01-12 09:00")),
        (LAPSE, contracts[1], utc("2026-01-13 09:00")),
    ]
    earlier = at(withdrawal(play), now=utc("2026-01-12 09:00"))
    assert [one.stream for one in ledger.agenda.due_before(earlier)] == [contracts[2]]
    assert [one.stream for one in ledger.agenda.due_before(completion(play, contracts[1]))] == [contracts[1]]


@pytest.mark.parametrize("projected", [True, False])
def test_a_command_on_a_contract_touches_its_payouts_and_one_on_a_payout_touches_that_alone(
    ledger: Ledger, projected: bool
) -> None:
    play = Play(ledger)
    contracts = [play.active("single_payment", amount=5) for _ in range(2)]
    for contract in contracts:
        play.submit(contract)
        play.approve(contract)
    play.up = False
    if not projected:
        ledger.database.execute("DELETE FROM deadlines")
        ledger.database.execute("UPDATE projections SET position = 0 WHERE name = 'deadlines'")
    play.advance(4 * DAY)
    payouts = [play.payout_ids(contract)[0] for contract in contracts]
    assert [one.stream for one in ledger.agenda.due_before(completion(play, contracts[0]))] == payouts[:1]
    assert [one.stream for one in ledger.agenda.due_before(withdrawal(play))] == sorted(payouts)
    reversal = c.ReversePayout(
        command_id="c", actor="x", now=play.now, payout_id=payouts[1], reversal_id="rev_1", amount=1, reason="refund"
    )
    assert [one.stream for one in ledger.agenda.due_before(reversal)] == payouts[1:]


def test_nothing_is_due_before_a_command_on_a_client_or_a_new_contract(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    play.submit(play.active("single_payment", amount=5))
    play.advance(WEEK)
    head = ledger.log.head()
    play.card("pm_card_visa")
    play.offer("hourly", hourly_rate=1)
    assert ledger.log.head() == head + 2


def test_only_what_the_ledger_decides_itself_is_due_before_a_command(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=5)
    play.submit(contract)
    play.approve(contract)
    assert ledger.agenda.due_before(completion(play, contract)) == []
    ledger.views.catch_up()
    assert {one.kind for one in all_due(ledger)} == {CHARGE, "notify"}
    assert not {CHARGE, "notify"} & set(DECIDED)
