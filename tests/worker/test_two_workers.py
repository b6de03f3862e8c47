"""Rule 29: two workers at once change nothing. Nor do three people at the same milestone at the same time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from typing import Any

import pytest

from ledger import commands as c
from ledger import events as e
from ledger.bootstrap import Ledger, open_ledger
from ledger.commands import SYSTEM
from ledger.errors import Contention, Refused
from ledger.service import Receipt
from ledger.settings import Settings
from ledger.worker import Worker
from tests.play import DAY, DECLINES, MICROSECOND, PAYS, WEEK, Play, utc
from tests.processes import OtherProcess, all_at_once, other_processes, together

ROUNDS = 20
PAYOUTS_OF_A_ROUND = 3


@pytest.fixture
def second(ledger: Ledger, settings: Settings) -> Iterator[Ledger]:
    """Another ledger on the same database, as in another process."""
    with open_ledger(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def unled() -> str:
    """Code with which a process's worker waits for nobody's turn."""
    return (
        "from contextlib import nullcontext; from ledger.worker import Worker;"
        " Worker._leading = lambda self, lock, *, wait: nullcontext(True)"
    )


def play_a_round(play: Play) -> list[str]:
    """Payouts that are approved and to be charged at once, and those of earlier rounds to be released; their contracts."""
    contracts = [play.active("single_payment", amount=100 + number) for number in range(PAYOUTS_OF_A_ROUND)]
    for contract in contracts:
        play.submit(contract)
        if contract != contracts[0]:
            play.approve(contract)  # the first one lapses instead
    play.advance(WEEK)
    return contracts


def nothing_happened_twice(play: Play, contracts: int) -> None:
    """At most one charge, one release and one mail for each; what the processor did is what the ledger says."""
    counted: Counter[tuple[str, str]] = Counter()
    once = (e.MilestoneApproved, e.PayoutDue, e.PayoutCharged, e.HoldElapsed, e.PayoutReleased, e.NotificationSent)
    for stored in play.events():
        if isinstance(stored.event, once):
            counted[stored.topic, stored.stream] += 1
    assert set(counted.values()) == {1}, counted.most_common(3)
    done = play.ledger.database.fetch("SELECT kind, subject, count(*) AS n FROM simulated_operations GROUP BY 1, 2")
    charged = [row for row in done if row["kind"] == "charge"]
    assert {row["n"] for row in charged} == {1}
    payouts = {stored.stream for stored in play.events() if isinstance(stored.event, e.PayoutCharged)}
    assert {row["subject"] for row in charged} == payouts
    assert len(payouts) == contracts
    mail = list((play.ledger.settings.data_dir / "outbox").glob("*.eml"))
    assert len(mail) == contracts


def finish(play: Play, rounds: int) -> None:
    play.worker_returns()
    play.advance(5 * DAY)
    nothing_happened_twice(play, rounds * PAYOUTS_OF_A_ROUND)
    total = rounds * sum(100 + number for number in range(PAYOUTS_OF_A_ROUND))
    assert play.balance() == (0, total, 0)
    assert play.ledger.agenda.backlog(play.now) == 0
    rows = play.ledger.reader.trial_balance()[1]
    assert sum(total for _, _, total in rows) == 0


@pytest.mark.parametrize("led", [True, False], ids=["taking turns", "without turns"])
def test_two_workers_of_one_process_drain_at_once(
    ledger: Ledger, second: Ledger, monkeypatch: pytest.MonkeyPatch, led: bool
) -> None:
    """Without turns, as when a worker loses its lock and does not know: the log itself allows one effect only."""
    if not led:
        monkeypatch.setattr(Worker, "_leading", lambda self, lock, *, wait: nullcontext(True))
    play = Play(ledger, up=False)
    for _ in range(ROUNDS):
        play_a_round(play)
        answers = together(ledger.worker.drain, second.worker.drain)
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    finish(play, ROUNDS)


@pytest.mark.parametrize("led", [True, False], ids=["taking turns", "without turns"])
def test_two_workers_of_two_processes_drain_at_once(ledger: Ledger, settings: Settings, unled: str, led: bool) -> None:
    play = Play(ledger, up=False)
    with other_processes(settings, 2) as others:
        if not led:
            all_at_once(others, unled)
        for _ in range(ROUNDS):
            play_a_round(play)
            all_at_once(others, "ledger.worker.drain()")
    finish(play, ROUNDS)


def test_one_worker_drains_while_the_other_moves_the_clock(ledger: Ledger, second: Ledger) -> None:
    play = Play(ledger, up=False)
    for _ in range(3):
        play_a_round(play)
        to = play.now + 3 * DAY
        answers = together(lambda to=to: ledger.worker.advance(to), second.worker.drain, second.worker.drain)
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    finish(play, 3)


def test_commands_from_outside_go_on_while_two_workers_drain(ledger: Ledger, second: Ledger) -> None:
    """Every withdrawal of the money that is released meanwhile is allowed once, and none is lost."""
    play = Play(ledger, up=False)
    for _ in range(3):
        play_a_round(play)
    play.worker_returns()
    play.up = False
    play.advance(4 * DAY)

    def withdraw(name: str) -> list[str]:
        """How it went for each of ten withdrawals; one that others got in the way of is sent again."""
        went = []
        for number in range(10):
            money = {"withdrawal_id": f"wdr_{name}{number}", "amount": 130, "currency": "USD"}
            command = c.RequestWithdrawal(
                command_id=f"cmd_{name}{number}", actor="x", now=play.now, freelancer_id=play.freelancer, **money
            )
            while True:
                try:
                    second.service.handle(command)
                except Contention:
                    continue
                except Refused as refusal:
                    went.append(refusal.code)
                else:
                    went.append("won")
                break
        return went

    one, other, *rest = together(lambda: withdraw("a"), lambda: withdraw("b"), ledger.worker.drain, second.worker.drain)
    assert not [answer for answer in rest if isinstance(answer, Exception)]
    total = 3 * sum(100 + number for number in range(PAYOUTS_OF_A_ROUND))
    assert Counter(one + other) == {"won": total // 130, "insufficient_funds": 20 - total // 130}
    play.worker_returns()
    assert play.balance() == (0, total % 130, total - total % 130)


# A worker that dies


KILLED_WHERE = {
    "before the processor is asked": """
ledger.outside.processor.charge = lambda request: os.kill(os.getpid(), signal.SIGKILL)
""",
    "between the charge and its record": """
charge = ledger.outside.processor.charge
def charge_and_die(request):
    charge(request)
    os.kill(os.getpid(), signal.SIGKILL)
ledger.outside.processor.charge = charge_and_die
""",
    "while the outcome is recorded": """
append = ledger.log.append
def append_or_die(events, **known):
    if any(new.event.TOPIC == "payout.charged.v1" for new in events):
        os.kill(os.getpid(), signal.SIGKILL)
    return append(events, **known)
ledger.log.append = append_or_die
""",
    "after the outcome was recorded": """
append = ledger.log.append
def append_and_die(events, **known):
    append(events, **known)
    if any(new.event.TOPIC == "payout.charged.v1" for new in events):
        os.kill(os.getpid(), signal.SIGKILL)
ledger.log.append = append_and_die
""",
    "between the mail and its record": """
send = ledger.outside._mailer.send
def send_and_die(message):
    send(message)
    os.kill(os.getpid(), signal.SIGKILL)
ledger.outside._mailer.send = send_and_die
""",
}


@pytest.mark.parametrize("where", KILLED_WHERE)
def test_the_client_is_charged_once_though_the_worker_was_killed(
    ledger: Ledger, settings: Settings, where: str
) -> None:
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=50_000)
    play.submit(contract)
    play.approve(contract)
    doomed = OtherProcess(settings)
    doomed.start("import os, signal" + KILLED_WHERE[where] + "ledger.worker.drain()")
    assert doomed.wait_for_death() == -9
    doomed.close()
    play.worker_returns()
    assert play.payouts(contract) == ["milestone pending 50000"]
    nothing_happened_twice(play, 1)
    (payout,) = play.payout_ids(contract)
    (operation,) = ledger.database.fetch("SELECT key, amount FROM simulated_operations")
    assert operation == {"key": f"{payout}:1", "amount": 50_000}
    assert play.topics().count(e.ChargeRequested.TOPIC) == 1
    assert e.ChargeFailed.TOPIC not in play.topics()
    assert play.balance() == (50_000, 0, 0)


def test_a_worker_that_was_killed_lets_the_next_one_lead(ledger: Ledger, settings: Settings) -> None:
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=50_000)
    doomed = OtherProcess(settings)
    doomed.start(
        "import os, signal\n"
        "ledger.views.catch_up = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"  # it leads by then
        "ledger.worker.drain()"
    )
    assert doomed.wait_for_death() == -9
    doomed.close()
    play.submit(contract)
    (answer,) = together(lambda: play.worker_returns())
    assert answer is None


# Three at one milestone


def outcome(answer: Any) -> str:
    """How it went for one of three: won, or the code of the refusal, or nothing left to do."""
    if isinstance(answer, Refused):
        return answer.code
    (receipt,) = answer if isinstance(answer, list) else [answer]
    assert isinstance(receipt, Receipt), receipt
    return "won" if receipt.events else "nothing left to do"


def test_approval_request_for_changes_and_lapse_at_once_have_one_winner_and_clear_losers(
    ledger: Ledger, settings: Settings
) -> None:
    play = Play(ledger, up=False)
    contracts = [play.active("single_payment", amount=100) for _ in range(ROUNDS)]
    for contract in contracts:
        play.submit(contract)
    deadline = utc("2026-01-12 09:00")
    play.advance(deadline)
    with ExitStack() as stack:
        three = [stack.enter_context(open_ledger(settings)).service for _ in range(3)]
        for contract in contracts:
            about = {"contract_id": contract, "milestone_id": play.milestone(contract)}
            in_time = {"actor": f"client:{play.client}", "now": deadline - MICROSECOND, **about}
            approve = c.ApproveMilestone(command_id=play.mint("cmd"), **in_time)  # type: ignore[arg-type]
            request = c.RequestChanges(command_id=play.mint("cmd"), **in_time)  # type: ignore[arg-type]
            lapse = c.LapseReview(
                command_id=play.mint("cmd"), actor=SYSTEM, now=deadline, effective_at=deadline, **about
            )
            answers = together(
                lambda command=approve: three[0].handle(command),
                lambda command=request: three[1].handle(command),
                lambda command=lapse: three[2].handle_all([command]),
            )
            outcomes = [outcome(answer) for answer in answers]
            decided = [one.event for one in play.events() if one.stream == contract][-1]
            how = (
                "changes" if isinstance(decided, e.ChangesRequested) else "silence" if decided.by_silence else "client"
            )
            assert (
                outcomes
                == {
                    "client": ["won", "nothing_to_review", "nothing left to do"],
                    "changes": ["nothing_to_review", "won", "nothing left to do"],
                    "silence": ["review_period_ended", "review_period_ended", "won"],
                }[how]
            )
    approved = Counter(one.stream for one in play.events() if isinstance(one.event, e.MilestoneApproved))
    assert set(approved.values()) <= {1}
    play.worker_returns()
    assert all(play.payouts(contract) in (["milestone pending 100"], []) for contract in contracts)


def test_at_the_deadline_only_silence_wins(ledger: Ledger, settings: Settings) -> None:
    play = Play(ledger, up=False)
    contracts = [play.active("single_payment", amount=100) for _ in range(ROUNDS // 2)]
    for contract in contracts:
        play.submit(contract)
    play.advance(WEEK)
    with ExitStack() as stack:
        three = [stack.enter_context(open_ledger(settings)) for _ in range(3)]
        for contract in contracts:
            late = {"actor": f"client:{play.client}", "now": play.now, "contract_id": contract}
            late["milestone_id"] = play.milestone(contract)
            approve = c.ApproveMilestone(command_id=play.mint("cmd"), **late)  # type: ignore[arg-type]
            request = c.RequestChanges(command_id=play.mint("cmd"), **late)  # type: ignore[arg-type]
            answers = together(
                lambda command=approve: three[0].service.handle(command),
                lambda command=request: three[1].service.handle(command),
                three[2].worker.drain,
            )
            assert [outcome(answer) for answer in answers[:2]] == ["review_period_ended"] * 2
    approved = [one.event for one in play.events() if isinstance(one.event, e.MilestoneApproved)]
    assert len(approved) == len(contracts)
    assert {(event.by_silence, event.occurred_at) for event in approved} == {(True, utc("2026-01-12 09:00"))}


# Attempts at once


def test_a_new_card_an_operator_and_the_schedule_at_once_make_one_attempt(
    ledger: Ledger, second: Ledger, settings: Settings
) -> None:
    """Rule 24: at most one attempt of a payout is in flight."""
    play = Play(ledger, card=DECLINES)
    contracts = [play.active("single_payment", amount=100) for _ in range(6)]
    for number, contract in enumerate(contracts):
        play.submit(contract)
        play.approve(contract)
        play.up = False
        play.advance(DAY)
        (payout,) = play.payout_ids(contract)
        card = play.text(PAYS if number % 2 else DECLINES, play.client)
        new_card = c.SetBillingMethod(
            command_id=play.mint("cmd"), actor="x", now=play.now, client_id=play.client, method=card.sealed
        )
        retry = c.RequestCharge(
            command_id=play.mint("cmd"), actor="x", now=play.now, payout_id=payout, because="operator"
        )
        answers = together(
            lambda command=new_card, card=card: second.service.handle(command, [card]),
            lambda command=retry: second.service.handle(command),
            ledger.worker.drain,
            second.worker.drain,
        )
        assert not [a for a in answers if isinstance(a, Exception) and not isinstance(a, Refused)], answers
        play.worker_returns()
    attempts = [one.event for one in play.events() if isinstance(one.event, e.ChargeRequested)]
    answered = [one.event for one in play.events() if isinstance(one.event, e.ChargeFailed | e.PayoutCharged)]
    assert [(event.payout_id, event.attempt) for event in attempts] == sorted(
        {(event.payout_id, event.attempt) for event in attempts}, key=[(a.payout_id, a.attempt) for a in attempts].index
    )
    assert {(event.payout_id, event.attempt) for event in answered} == {
        (event.payout_id, event.attempt) for event in attempts
    }
    keys = ledger.database.fetch("SELECT key FROM simulated_operations WHERE kind = 'charge'")
    assert {row["key"] for row in keys} == {event.key for event in attempts}
    assert max(Counter(one.stream for one in play.events() if one.topic == e.PayoutCharged.TOPIC).values()) == 1
