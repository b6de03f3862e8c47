"""Within a microsecond of a deadline: of approval, request and lapse, and of objection and release, one wins; others are told."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from itertools import permutations, product
from pathlib import Path
from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.bootstrap import Ledger, open_ledger
from ledger.errors import Refused
from ledger.ids import event_id
from ledger.policies.deadlines import LAPSE, RELEASE, Deadline, command_of
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


DISTANCES = tuple(product((-1, 0, 1), (0, 1)))
"""Microseconds after the deadline at which the client's and the worker's clock stand."""


def test_of_an_objection_and_the_release_at_the_deadline_one_wins(ledger: Ledger) -> None:
    """Either first, at every distance; and both at once. What is released cannot be objected to by a clock that is behind."""
    play = Play(ledger)
    races = [(distance, order) for distance in DISTANCES for order in ("objection first", "release first", "at once")]
    contracts = [play.active("hourly", hourly_rate=6_000) for _ in races]
    for contract in contracts:
        play.log_time(contract, 60)
    play.advance("2026-01-15 12:00")  # closed on Monday, and charged; to be objected to and released on Friday
    play.up = False
    for contract, ((objecting, releasing), order) in zip(contracts, races, strict=True):
        (payout,) = play.payout_ids(contract)
        deadline = play.payout(payout).review_deadline
        assert deadline is not None
        reason, cause = play.text("too many hours"), event_id(payout, play.payout(payout).version)
        objection = c.RaiseObjection(
            command_id=play.mint("cmd"),
            actor=f"client:{play.client}",
            now=deadline + objecting * MICROSECOND,
            payout_id=payout,
            reason=reason.sealed,
        )
        release = command_of(Deadline(RELEASE, payout, "", deadline, cause), deadline + releasing * MICROSECOND)
        tasks: list[Callable[[], Any]] = [
            partial(answer_of, partial(ledger.service.handle, objection, [reason])),
            partial(the_worker, ledger, release),
        ]
        if order == "at once":
            answer, _ = together(*tasks)
        else:
            answers = {task: task() for task in (tasks if order == "objection first" else tasks[::-1])}
            answer = answers[tasks[0]]
        objected = play.payout(payout).objection is not None
        assert objected == isinstance(answer, Receipt), answer
        assert objected != (play.payout(payout).status == "released")
        assert objecting < 0 or not objected
        if order != "at once":
            assert objected == (order == "objection first" and objecting < 0)
        if isinstance(answer, Refused):
            assert answer.code == "review_period_ended"
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
