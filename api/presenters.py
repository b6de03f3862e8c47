"""From states to the JSON of answers: parties, keys, contracts and what they hold.

Texts come from the vault; an erased one is null.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from ledger.aggregates.client import Client
from ledger.aggregates.contract import Contract
from ledger.aggregates.contract.state import Bonus, Milestone, TimeEntry, Timesheet
from ledger.aggregates.freelancer import Freelancer
from ledger.store.keys import ApiKey

Json = dict[str, Any]
Texts = Mapping[str, str]
Wanted = list[str | None]


def text_of(texts: Texts, identifier: str | None) -> str | None:
    """The text behind a vault id; null when there is none or it was erased."""
    return texts.get(identifier) if identifier else None


def client(state: Client, texts: Texts) -> Json:
    return {
        "id": state.id,
        "object": "client",
        "version": state.version,
        "name": text_of(texts, state.name),
        "email": text_of(texts, state.email),
        "has_billing_method": state.method is not None,
        "erased_at": state.erased_at,
        "overdue_payout_ids": state.overdue,
    }


def freelancer(state: Freelancer, texts: Texts) -> Json:
    return {
        "id": state.id,
        "object": "freelancer",
        "version": state.version,
        "name": text_of(texts, state.name),
        "email": text_of(texts, state.email),
        "has_payout_method": state.method is not None,
        "erased_at": state.erased_at,
    }


def api_key(key: ApiKey) -> Json:
    """Everything but the key itself, which nobody has any more."""
    return {
        "id": key.id,
        "object": "api_key",
        "role": key.role,
        "party_id": key.party_id,
        "person": key.person,
        "prefix": key.prefix,
        "created_by": key.created_by,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


# Contracts


def contract_texts(state: Contract) -> Wanted:
    """The vault ids that a contract's JSON needs."""
    wanted: Wanted = [state.freelancer_email, state.title, state.questionnaire, state.recommendation_reasons]
    wanted += [one.description for one in state.milestones]
    wanted += [one.memo for one in state.entries]
    wanted += [one.note for one in state.bonuses]
    return [*wanted, state.eor.name] if state.eor else wanted


def milestone(state: Contract, one: Milestone, texts: Texts) -> Json:
    return {
        "id": one.id,
        "object": "milestone",
        "contract_id": state.id,
        "position": one.position,
        "description": text_of(texts, one.description),
        "amount": one.amount,
        "currency": state.currency,
        "status": one.status,
        "submissions": one.submissions,
        "review_deadline": one.review_deadline,
        "approved_at": one.approved_at,
        "approved_by_silence": one.lapsed,
        "payout_id": one.payout_id,
    }


def time_entry(state: Contract, one: TimeEntry, texts: Texts) -> Json:
    return {
        "id": one.id,
        "object": "time_entry",
        "contract_id": state.id,
        "date": one.date,
        "week": one.week,
        "minutes": one.minutes,
        "memo": text_of(texts, one.memo),
        "locked": one.locked,
    }


def bonus(state: Contract, one: Bonus, texts: Texts) -> Json:
    return {
        "id": one.id,
        "object": "bonus",
        "contract_id": state.id,
        "amount": one.amount,
        "currency": state.currency,
        "note": text_of(texts, one.note),
        "granted_at": one.granted_at,
        "invoice_at": one.invoice_at,
        "payout_id": one.payout_id,
    }


def contract(state: Contract, texts: Texts) -> Json:
    single = state.milestones[0].amount if state.kind == "single_payment" and state.milestones else None
    return {
        "id": state.id,
        "object": "contract",
        "version": state.version,
        "status": state.status,
        "archived": state.status == "completed",
        "client_id": state.client_id,
        "freelancer_id": state.freelancer_id,
        "freelancer_email": text_of(texts, state.freelancer_email),
        "title": text_of(texts, state.title),
        "kind": state.kind,
        "cadence": state.cadence,
        "currency": state.currency,
        "amount": single,
        "hourly_rate": state.hourly_rate,
        "weekly_limit_minutes": state.weekly_limit_minutes,
        "rate": state.rate,
        "sourcing": state.sourcing,
        "conversion_id": state.conversion_id,
        "classification": _classification(state, texts),
        "employer_of_record": _employer(state, texts),
        "milestones": [milestone(state, one, texts) for one in state.milestones],
        "time_entries": [time_entry(state, one, texts) for one in state.entries],
        "timesheets": [_timesheet(state, one) for one in state.timesheets],
        "bonuses": [bonus(state, one, texts) for one in state.bonuses],
        "payout_ids": state.payouts,
        "next_close": state.next_close,
        "offered_at": state.offered_at,
        "activated_at": state.activated_at,
        "completed_at": state.completed_at,
    }


def _classification(state: Contract, texts: Texts) -> Json:
    answers = text_of(texts, state.questionnaire)
    return {
        "by": state.classification_by,
        "outcome": state.outcome,
        "answers": None if answers is None else orjson.loads(answers),
        "recommendation": state.recommendation,
        "recommendation_reasons": text_of(texts, state.recommendation_reasons),
    }


def _employer(state: Contract, texts: Texts) -> Json | None:
    if state.eor is None:
        return None
    return {
        "id": state.eor.id,
        "object": "employer_of_record",
        "name": text_of(texts, state.eor.name),
        "pay_schedule": state.eor.pay_schedule,
    }


def _timesheet(state: Contract, sheet: Timesheet) -> Json:
    return {
        "week": sheet.week,
        "minutes": sheet.minutes,
        "amount": sheet.amount,
        "currency": state.currency,
        "billed": sheet.billed,
    }
