"""Approve, request changes and the lapse within a microsecond of the deadline: one winner, and clear losers."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from itertools import permutations, product
from pathlib import Path
from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.bootstrap import Ledger, open_ledger
from ledger.errors import Refused
from ledger.ids import event_id
from ledger.policies.deadlines import LAPSE, Deadline, command_of
from ledger.service import Receipt
from ledger.store.log import Stored
from replay.verify.live import verify
from tests.databases import Server, sandbox
from tests.faults.rounds import chance, rounds
from tests.play import MICROSECOND, Play
from tests.processes import together

ROUNDS = rounds(ci=200, soak=2_000)
APPROVED, REQUESTED, LAPSED = "approved", "changes requested", "lapsed"
Offsets = dict[str, int]
"""How many microseconds after the deadline the clock of each of the three stands. No worker is early."""
AROUND: tuple[Offsets, ...] = tuple(
    {APPROVED: approving, REQUESTED: requesting, LAPSED: lapsing}
    for approving, requesting, lapsing in product((-1, 0, 1), (-1, 0, 1), (0, 1))
)
ORDERS = tuple(permutations((APPROVED, REQUESTED, LAPSED)))


def test_of_approval_request_and_lapse_at_the_deadline_one_wins(server: Server, tmp_path: Path) -> None:
    """Three processes' worth of ledgers, each with a clock of its own, all at once. Who is first is for the machine to say."""
    url = server.create()
    with ExitStack() as stack:
        ledgers = [stack.enter_context(open_ledger(sandbox(url, tmp_path))) for _ in range(3)]
        play = Play(ledgers[0], up=False)
        for number, contract in enumerate(submitted(play, ROUNDS)):
            offsets = AROUND[number % len(AROUND)]
            deadline = deadline_of(play, contract)
            tasks = rivals(play, contract, deadline, ledgers, offsets)
            order = chance("deadline", number).sample(ORDERS[0], 3)
            before = play.ledger.log.head()
            answers = together(*[tasks[name] for name in order])
            won = winner(play, contract, deadline, offsets, play.events(before))
            agree(won, dict(zip(order, answers, strict=True)))
        play.worker_returns()
        assert verify(ledgers[0].database).ok
    server.drop(url)


def test_one_after_the_other_the_first_wins_if_it_is_in_time_and_silence_if_it_is_not(ledger: Ledger) -> None:
    """Every order of the three, at every distance. A command that comes too late finds the lapse decided first (rule 29)."""
    play = Play(ledger, up=False)
    races = list(product(AROUND, ORDERS))
    winners: Counter[str] = Counter()
    for contract, (offsets, order) in zip(submitted(play, len(races)), races, strict=True):
        deadline = deadline_of(play, contract)
        tasks = rivals(play, contract, deadline, [ledger] * 3, offsets)
        before = play.ledger.log.head()
        answers = {name: answer_of(tasks[name]) for name in order}
        won = winner(play, contract, deadline, offsets, play.events(before))
        assert won == (order[0] if offsets[order[0]] < 0 else LAPSED), f"{order} at {offsets}"
        agree(won, answers)
        winners[won] += 1
    assert winners == {APPROVED: 12, REQUESTED: 12, LAPSED: 84}
    play.worker_returns()
    assert verify(ledger.database).ok


def submitted(play: Play, count: int) -> list[str]:
    """Contracts whose one milestone waits for its review."""
    contracts = [play.active("single_payment", amount=100) for _ in range(count)]
    for contract in contracts:
        play.submit(contract)
    return contracts


def deadline_of(play: Play, contract: str) -> datetime:
    (milestone,) = play.contract(contract).milestones
    assert milestone.review_deadline is not None
    return milestone.review_deadline


def rivals(
    play: Play, contract: str, deadline: datetime, ledgers: list[Ledger], offsets: Offsets
) -> dict[str, Callable[[], Receipt]]:
    """What each of the three does, under the name that it wins by."""
    now = {name: deadline + offset * MICROSECOND for name, offset in offsets.items()}
    what: dict[str, Any] = {
        "actor": f"client:{play.client}",
        "contract_id": contract,
        "milestone_id": play.milestone(contract),
    }
    message = play.text("smaller")
    approve = c.ApproveMilestone(command_id=play.mint("cmd"), now=now[APPROVED], **what)
    request = c.RequestChanges(command_id=play.mint("cmd"), now=now[REQUESTED], message=message.sealed, **what)
    cause = event_id(contract, play.contract(contract).version)
    lapse = command_of(Deadline(LAPSE, contract, play.milestone(contract), deadline, cause), now[LAPSED])
    return {
        APPROVED: lambda: ledgers[0].service.handle(approve),
        REQUESTED: lambda: ledgers[1].service.handle(request, [message]),
        LAPSED: lambda: the_worker(ledgers[2], lapse),
    }


def the_worker(ledger: Ledger, lapse: c.Command) -> Receipt:
    """As the worker does it: what is refused is no error."""
    (outcome,) = ledger.service.handle_all([lapse])
    return outcome if isinstance(outcome, Receipt) else Receipt(0)


def answer_of(task: Callable[[], Receipt]) -> Receipt | Refused:
    try:
        return task()
    except Refused as refusal:
        return refusal


def agree(won: str, answers: dict[str, Any]) -> None:
    """The winner has its receipt; a losing client is told what stands against it, and a late worker finds nothing to do.

    Where silence has won, any of the three may have been the one that wrote it down.
    """
    for name, answer in answers.items():
        if name == LAPSED:
            assert isinstance(answer, Receipt), answers
            assert won == LAPSED or not answer.events, answers
        elif name == won:
            assert isinstance(answer, Receipt), answers
            assert answer.events, answers
        else:
            assert isinstance(answer, Refused), answers
            assert answer.code == ("review_period_ended" if won == LAPSED else "nothing_to_review"), answers


def winner(play: Play, contract: str, deadline: datetime, offsets: Offsets, events: list[Stored]) -> str:
    """Who won, by the log."""
    decisions = [one.event for one in events if isinstance(one.event, e.MilestoneApproved | e.ChangesRequested)]
    assert len(decisions) == 1, f"{len(decisions)} decisions of {offsets}"
    (decision,) = decisions
    (milestone,) = play.contract(contract).milestones
    match decision:
        case e.ChangesRequested():
            assert offsets[REQUESTED] < 0, "a request at or after the deadline comes too late (rule 12)"
            assert (milestone.status, play.payout_ids(contract)) == ("active", [])
            return REQUESTED
        case e.MilestoneApproved(actor="system"):
            assert decision.occurred_at == deadline, "true as of the deadline itself"
            name = LAPSED
        case _:
            assert offsets[APPROVED] < 0, "an approval at or after the deadline comes too late (rule 12)"
            name = APPROVED
    assert milestone.status == "approved"
    assert len(play.payout_ids(contract)) == 1, "one approval makes one payout"
    return name
