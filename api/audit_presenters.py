"""From the log and from states to the JSON of answers: events, histories, corrections, the trial balance."""

from datetime import date, datetime
from typing import Any

import msgspec

from api.presenters import Json, Texts, text_of
from ledger.aggregates.adjustment import Adjustment
from ledger.events import Event
from ledger.postings import Entry
from ledger.store.reader import EventView


def event(view: EventView) -> Json:
    """An event as it was written. Names and free text stay in the vault: it shows their ids and digests."""
    fields = msgspec.to_builtins(view.event, builtin_types=(datetime, date))
    stamp = {name: fields.pop(name) for name in Event.__struct_fields__}  # what every event carries
    return {
        "id": view.id,
        "object": "event",
        "position": view.position,
        "type": view.topic,
        "stream": view.stream,
        "version": view.version,
        "contract_id": fields.get("contract_id"),
        "payout_id": fields.get("payout_id"),
        **stamp,
        "data": fields,
    }


def entry(one: Entry) -> Json:
    """One side of a posting."""
    return {
        "account": one.account,
        "currency": one.currency,
        "debit": max(-one.credit, 0),
        "credit": max(one.credit, 0),
        "line": one.line,
    }


def history_event(view: EventView) -> Json:
    """An event, and what it did to the money."""
    return {**event(view), "entries": [entry(one) for one in view.entries]}


def adjustment(state: Adjustment, texts: Texts) -> Json:
    return {
        "id": state.id,
        "object": "adjustment",
        "version": state.version,
        "status": state.status,
        "reason": text_of(texts, state.reason),
        "corrects_event_id": state.corrects_event_id,
        "postings": [
            {
                "account": one.account,
                "direction": one.direction,
                "amount": one.amount,
                "currency": one.currency,
            }
            for one in state.postings
        ],
        "proposed_by": state.proposed_by,
        "proposed_at": state.proposed_at,
        "approved_by": state.approved_by,
        "approved_at": state.approved_at,
        "effective_at": state.effective_at or state.stated_at,
    }


def trial_balance(accounts: list[tuple[str, str, int]]) -> Json:
    """Every account on its side, and the sums of both sides for each currency."""
    rows, totals = [], dict[str, list[int]]()
    for account, currency, balance in accounts:
        debit, credit = max(-balance, 0), max(balance, 0)
        rows.append({"account": account, "currency": currency, "debit": debit, "credit": credit, "balance": balance})
        sums = totals.setdefault(currency, [0, 0])
        sums[0], sums[1] = sums[0] + debit, sums[1] + credit
    sides: list[dict[str, Any]] = [
        {"currency": currency, "debit": debit, "credit": credit} for currency, (debit, credit) in sorted(totals.items())
    ]
    return {"balanced": all(one["debit"] == one["credit"] for one in sides), "accounts": rows, "totals": sides}
