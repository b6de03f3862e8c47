"""What the names in a condition mean at one step of a timeline."""

from datetime import datetime
from functools import partial
from typing import Any, Protocol

from ledger import ids
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer
from ledger.aggregates.payout import Payout
from ledger.postings import BUCKETS
from replay.debug.condition_values import ConditionError, Scope, Vocabulary
from replay.debug.fields import names_of
from replay.debug.timeline import Step, Timeline

EVENT = (
    *("position", "event", "event_id", "stream", "version", "occurred_at", "recorded_at"),
    *("actor", "command_id", "cause_id", "rule_version"),
)
"""Of the event itself: `event` is its type, as in `event == "payout.charged.v1"`."""

STEP = Vocabulary(
    names={
        **dict.fromkeys((*BUCKETS, "status", "currency", "own", *EVENT)),
        "contract": names_of(Contract),
        "payout": names_of(Payout),
        "freelancer": names_of(Freelancer),
    },
    functions={**dict.fromkeys(BUCKETS, (0, 1)), "balance": (1, 2), "rule": (1, 1), "count": (1, 1)},
)
"""`available` is the payee's, in the contract's currency; `available(EUR)` in another. `status` is the subject's own.

`own` is true of the subject's events, false of others that moved the payee's money.
"""


class Stamp(Protocol):
    """What every event carries (rule 28)."""

    @property
    def actor(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...
    @property
    def command_id(self) -> str: ...
    @property
    def cause_id(self) -> str | None: ...
    @property
    def rule_version(self) -> int: ...


def event_values(position: int, event_id: str, stream: str, version: int, topic: str, stamp: Stamp) -> dict[str, Any]:
    """The names of `EVENT`."""
    return {
        "position": position,
        "event": topic,
        "event_id": event_id,
        "stream": stream,
        "version": version,
        "occurred_at": stamp.occurred_at,
        "recorded_at": stamp.recorded_at,
        "actor": stamp.actor,
        "command_id": stamp.command_id,
        "cause_id": stamp.cause_id,
        "rule_version": stamp.rule_version,
    }


def scope_at(timeline: Timeline, step: Step, currency: str | None = None) -> Scope:
    """What is there after a step. `currency`: of amounts that name none; the contract's where it is not given."""
    currency = currency or timeline.currency
    kind = {ids.CONTRACT: "contract", ids.PAYOUT: "payout"}.get(ids.kind_of(timeline.subject), "freelancer")
    amounts = {(held.account, held.currency): held.after for held in step.balances}
    one = step.event
    accounts = {bucket: f"{timeline.payee}:{bucket}" for bucket in BUCKETS}

    def balance(account: Any, of: Any = None) -> int:
        if account not in accounts.values():
            raise ConditionError(f"{account!r} is not followed here; there are {', '.join(accounts.values())}")
        return amounts.get((account, currency_of(of, currency)), 0)

    return Scope(
        values={
            **event_values(one.position, one.event_id, one.stream, one.version, one.type, one),
            **step.states,
            **{bucket: balance(account) for bucket, account in accounts.items()},
            "status": step.states.get(kind, {}).get("status"),
            "currency": currency,
            "own": step.own,
        },
        functions={
            **{bucket: partial(balance, account) for bucket, account in accounts.items()},
            "balance": balance,
            "rule": lambda number: number in step.event.rules,
            "count": count,
        },
    )


def currency_of(named: Any, otherwise: str | None) -> str:
    """The currency that a call names, or the other one. Raises ConditionError for what is no text."""
    if named is not None and not isinstance(named, str):
        raise ConditionError("a currency is named by its code, as in available(USD)")
    return named or otherwise or ""


def count(several: Any) -> int:
    """Of a list. Raises ConditionError for anything else; of what is not there yet, there are none."""
    if several is not None and not isinstance(several, tuple):
        raise ConditionError("count(…) takes what there are several of, such as contract.milestones")
    return len(several or ())
