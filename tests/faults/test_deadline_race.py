"""Approve, request changes and the lapse within a microsecond of the deadline: one winner, and clear losers."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from itertools import product
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
from replay.verify import verify
from tests.databases import Server, sandbox
from tests.faults.rounds import chance, rounds
from tests.play import MICROSECOND, Play
from tests.processes import together

ROUNDS = rounds(ci=200, soak=2_000)
AROUND = tuple(product((-1, 0, 1), (-1, 0, 1), (0, 1)))
"""When, in microseconds after the deadline, the clocks of approval, request and worker stand. No worker is early."""
LOSERS = {"review_period_ended", "nothing_to_review"}


def test_of_approval_request_and_lapse_at_the_deadline_one_wins(server: Server, tmp_path: Path) -> None:
    """Three processes' worth of ledgers, each with a clock of its own, within a microsecond of the deadline."""
    url = server.create()
    winners: Counter[str] = Counter()
    with ExitStack() as stack:
        ledgers = [stack.enter_context(open_ledger(sandbox(url, tmp_path))) for _ in range(3)]
        play = Play(ledgers[0], up=False)
        contracts = [play.active("single_payment", amount=100) for _ in range(ROUNDS)]
        for contract in contracts:
            play.submit(contract)
        for number, contract in enumerate(contracts):
            offsets = AROUND[number % len(AROUND)]
            deadline = deadline_of(play, contract)
            tasks = rivals(play, contract, deadline, ledgers, offsets)
            chance("deadline", number).shuffle(tasks)
            before = play.ledger.log.head()
            answers = together(*tasks)
            agree(offsets, answers)
            winners[winner(play, contract, deadline, offsets, play.events(before))] += 1
        play.worker_returns()
        assert verify(ledgers[0].database).ok
    server.drop(url)
    assert winners.keys() == {"approved", "changes requested", "lapsed"}, f"everybody can win: {winners}"


def deadline_of(play: Play, contract: str) -> datetime:
    (milestone,) = play.contract(contract).milestones
    assert milestone.review_deadline is not None
    return milestone.review_deadline


def rivals(
    play: Play, contract: str, deadline: datetime, ledgers: list[Ledger], offsets: tuple[int, int, int]
) -> list[Callable[[], Receipt]]:
    approving, requesting, lapsing = (deadline + offset * MICROSECOND for offset in offsets)
    what: dict[str, Any] = {
        "actor": f"client:{play.client}",
        "contract_id": contract,
        "milestone_id": play.milestone(contract),
    }
    message = play.text("smaller")
    approve = c.ApproveMilestone(command_id=play.mint("cmd"), now=approving, **what)
    request = c.RequestChanges(command_id=play.mint("cmd"), now=requesting, message=message.sealed, **what)
    cause = event_id(contract, play.contract(contract).version)
    lapse = command_of(Deadline(LAPSE, contract, play.milestone(contract), deadline, cause), lapsing)
    return [
        lambda: ledgers[0].service.handle(approve),
        lambda: ledgers[1].service.handle(request, [message]),
        lambda: the_worker(ledgers[2], lapse),
    ]


def the_worker(ledger: Ledger, lapse: c.Command) -> Receipt:
    """As the worker does it: what is refused is no error."""
    (outcome,) = ledger.service.handle_all([lapse])
    return outcome if isinstance(outcome, Receipt) else Receipt(0)


def agree(offsets: tuple[int, int, int], answers: list[Any]) -> None:
    """At most one was told that it won; the others, that the period has ended or that there is nothing to review."""
    succeeded = [one for one in answers if isinstance(one, Receipt) and one.events]
    refused = [one.code for one in answers if isinstance(one, Refused)]
    assert len(succeeded) <= 1, answers
    assert set(refused) <= LOSERS, answers
    assert len(refused) + len([one for one in answers if isinstance(one, Receipt)]) == 3, answers


def winner(play: Play, contract: str, deadline: datetime, offsets: tuple[int, int, int], events: list[Stored]) -> str:
    """Who won, by the log."""
    decisions = [one.event for one in events if isinstance(one.event, e.MilestoneApproved | e.ChangesRequested)]
    assert len(decisions) == 1, f"{len(decisions)} decisions of {offsets}"
    (decision,) = decisions
    (milestone,) = play.contract(contract).milestones
    match decision:
        case e.ChangesRequested():
            assert offsets[1] < 0, "a request at or after the deadline comes too late (rule 12)"
            assert (milestone.status, play.payout_ids(contract)) == ("active", [])
            return "changes requested"
        case e.MilestoneApproved(actor="system"):
            assert decision.occurred_at == deadline, "true as of the deadline itself"
            name = "lapsed"
        case _:
            assert offsets[0] < 0, "an approval at or after the deadline comes too late (rule 12)"
            name = "approved"
    assert milestone.status == "approved"
    assert len(play.payout_ids(contract)) == 1, "one approval makes one payout"
    return name
