"""What would have been: history beside a fork of it with some edits, per payout and per account (docs/decisions/0008-what-if.md).

Reads, and cannot write: everything happens to values in memory, and what would have been asked of the outside world is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from ledger.events import Event
from ledger.policies.unit import NewEvent
from ledger.rules import RULES, Rules
from replay.fork.edits import Edits, UnusableEdit, edited, require_usable
from replay.fork.forking import Forked, Refusal, fork
from replay.fork.gaps import Whole, whole
from replay.fork.inputs import Transaction, transactions
from replay.fork.outside import Answers
from replay.fork.rules import rules_with
from replay.fork.scope import scope
from replay.fork.sides import AccountChange, Captured, PayoutChange, account_changes, captured, payout_changes
from replay.sources import Progress, Source
from replay.values import instant

FURTHEST = timedelta(days=3660)
"""How long after the source's time a fork can go on."""


@dataclass(frozen=True)
class WhatIf:
    """`differs_at` names the first event that came out otherwise with nothing edited: then differences may not be the edits'.

    `events`: of the old side. Where `until` is later than the source's time, `expected` of them are not history but what would
    come of it by itself, with the same assumption about charges.
    `partial`: the source holds a part of some party's stream, so what else was available to withdraw is not known here.
    `payouts`: those that changed, and the subject's own; `unchanged_payouts` counts the others.
    """

    object: Literal["what_if"]
    subject: str | None
    position: int
    until: datetime
    settings: Mapping[str, int]
    edits: int
    events: int
    expected: int
    new_events: int
    differs_at: str | None
    partial: bool
    payouts: tuple[PayoutChange, ...]
    unchanged_payouts: int
    accounts: tuple[AccountChange, ...]
    captured: tuple[Captured, ...]
    refused: tuple[Refusal, ...]


def what_if(
    source: Source,
    subject: str | None = None,
    edits: Edits | None = None,
    *,
    until: datetime | None = None,
    on_events: Progress | None = None,
) -> WhatIf:
    """History beside its fork by `until`, which is the source's time where it is not given.

    Later than that, both go on: the old side by itself, from where history ends. Raises UnusableEdit, and NotFound for a
    subject or an event that is not there.
    """
    edits = edits or Edits()
    rules = rules_with(edits.settings)
    ended = source.clock.now()
    until = ended if until is None else _require_near(require_usable(until), ended)
    found = scope(source, subject, on_events)
    part = whole(found.events)
    history = tuple(transactions(part.events))
    changed = edited(history, edits)
    again = _forked(history, Answers(history, charges=edits.charges), part, until, ended, RULES)
    answers = Answers(changed.transactions, charges=edits.charges, never=changed.never)
    new = _forked(changed.transactions, answers, part, until, ended, rules)
    known = [one for one in part.events if one.event.recorded_at <= until]
    differs_at = _first_difference(known, again.events, part, goes_on=until > ended)
    old = again.events if until > ended else known
    listed = payout_changes(old, new.events)
    shown = tuple(one for one in listed if one.changed or subject in (one.payout_id, one.contract_id))
    return WhatIf(
        object="what_if",
        subject=subject,
        position=found.position,
        until=until,
        settings=dict(edits.settings),
        edits=len(edits.drop) + len(edits.retime) + len(edits.change) + len(edits.add),
        events=len(old),
        expected=max(len(old) - len(known), 0),
        new_events=len(new.events),
        differs_at=differs_at,
        partial=part.gaps,
        payouts=shown,
        unchanged_payouts=sum(not one.changed for one in listed),
        accounts=account_changes(old, new.events, frozenset() if part.gaps else found.freelancers),
        captured=captured(old, new),
        refused=new.refused,
    )


def _require_near(until: datetime, ended: datetime) -> datetime:
    if until > ended + FURTHEST:
        raise UnusableEdit(f"{instant(until)} is more than ten years after {instant(ended)}: fork to an earlier time")
    return until


def _forked(
    history: Sequence[Transaction], answers: Answers, part: Whole, until: datetime, ended: datetime, rules: Rules
) -> Forked:
    streams = {new.stream for new in part.events}
    return fork(history, answers=answers, until=until, ended=ended, rules=rules, streams=streams, mends=part.mends)


def _first_difference(
    known: Sequence[NewEvent], again: Sequence[NewEvent], part: Whole, *, goes_on: bool
) -> str | None:
    """The first event that does not come again as it was recorded, or that comes in addition.

    Where events lack, those after them have other places, and so other ids as causes.
    """
    for number, one in enumerate(known):
        if number >= len(again) or not (
            again[number] == one or (part.gaps and _placeless(again[number]) == _placeless(one))
        ):
            return one.id
    return again[len(known)].id if len(again) > len(known) and not goes_on else None


def _placeless(new: NewEvent) -> tuple[str, Event]:
    return new.stream, replace(new.event, cause_id=None)
