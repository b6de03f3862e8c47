"""Why a payout's money is where it is: each event with the rule applied, what it moved, and what is awaited now."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ledger.aggregates.payout import Payout, evolve
from ledger.events import PayoutDue
from ledger.store.reader import EventView
from replay.awaits import Awaited, awaited, summary
from replay.history import made_by
from replay.rules import SENTENCES, rules_of
from replay.sources import Histories
from replay.values import plain
from replay.words import sentence


def explain(reader: Histories, payout_id: str, now: datetime | None = None) -> dict[str, Any] | None:
    """The explanation, of values that JSON can hold; None where there is no such payout.

    `now` is only compared with what is awaited: without it nothing is said to be overdue.
    """
    views = reader.history(payout_id=payout_id)
    state = payout_of(views, payout_id)
    if state is None:
        return None
    return explanation([*made_by(reader, views), *views], state, now)


def payout_of(views: Iterable[EventView], payout_id: str) -> Payout | None:
    """The payout's state after these events, folded from its own stream."""
    state: Payout | None = None
    for view in views:
        state = _after(state, view, payout_id)
    return state


def _after(state: Payout | None, view: EventView, payout_id: str) -> Payout | None:
    """A processor's whole seconds may lie before the instant at which the payout was due: at a time between, it is not there."""
    if view.stream != payout_id or (state is None and not isinstance(view.event, PayoutDue)):
        return state
    return evolve(state, view.event)


def explanation(views: list[EventView], state: Payout, now: datetime | None = None) -> dict[str, Any]:
    """Of a payout's events, in order, and its state after them. Pure."""
    return {
        "object": "explanation",
        "payout_id": state.id,
        "contract_id": state.contract_id,
        "payee": state.payee,
        "status": state.status,
        "amount": state.amount,
        "currency": state.currency,
        "available_on": plain(state.available_on),
        "summary": summary(state),
        "steps": _steps(views, state.id),
        "awaited": [_awaited(one) for one in awaited(state, now)],
    }


def _steps(views: list[EventView], payout_id: str) -> list[dict[str, Any]]:
    state: Payout | None = None
    steps = []
    for view in views:
        state = _after(state, view, payout_id)
        steps.append(
            {
                "position": view.position,
                "event_id": view.id,
                "type": view.topic,
                "occurred_at": plain(view.event.occurred_at),
                "recorded_at": plain(view.event.recorded_at),
                "actor": view.event.actor,
                "what": sentence(view.event),
                "rules": _rules(rules_of(view.event)),
                "entries": plain(view.entries),
                "payout": None if state is None else _money(state),
            }
        )
    return steps


def _money(state: Payout) -> dict[str, Any]:
    """Minor units, after the event; `released` is what was ever released."""
    return {
        "status": state.status,
        "charged": state.charged,
        "pending": state.pending,
        "released": state.released,
        "returned": state.returned,
        "reversed_before_release": state.reversed_before,
        "reversed_after_release": state.reversed_after,
    }


def _awaited(one: Awaited) -> dict[str, Any]:
    return {**plain(one), "rules": _rules(one.rules)}


def _rules(numbers: Iterable[int]) -> list[dict[str, Any]]:
    return [{"number": number, "text": SENTENCES[number]} for number in numbers]
