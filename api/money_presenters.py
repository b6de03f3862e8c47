"""From states to the JSON of answers: payouts, funds and withdrawals. Amounts are minor units."""

from api.presenters import Json, Texts, Wanted, text_of
from ledger import ids
from ledger.aggregates.freelancer import Freelancer, Withdrawal
from ledger.aggregates.payout import Payout, Reversal
from ledger.projections.statements import amount_of, line_id
from ledger.store.funds import BalanceView, Line, Totals

OBJECTION = "obj"


def amounts(totals: Totals) -> list[Json]:
    """By currency, in the order of their codes."""
    return [{"amount": amount, "currency": currency} for currency, amount in sorted(totals.items())]


# Payouts


def payout_texts(state: Payout) -> Wanted:
    """The vault ids that a payout's JSON needs."""
    return [state.objection.reason] if state.objection else []


def payout(state: Payout, texts: Texts) -> Json:
    return {
        "id": state.id,
        "object": "payout",
        "version": state.version,
        "status": state.status,
        "contract_id": state.contract_id,
        "client_id": state.client_id,
        "freelancer_id": state.freelancer_id,
        "payee": state.payee,
        "source": {
            "type": state.source.type,
            "id": state.source.id,
            "start": state.source.start,
            "end": state.source.end,
        },
        "amount": state.amount,
        "currency": state.currency,
        "due_amount": state.due_amount,
        "charged_amount": state.charged,
        "pending_amount": state.pending,
        "released_amount": state.released,
        "due_at": state.due_at,
        "charged_at": state.charged_at,
        "hold_until": state.hold_until,
        "review_deadline": state.review_deadline,
        "released_at": state.released_at,
        "available_on": state.available_on,
        "failures": state.failures,
        "last_failure": state.last_failure,
        "next_attempt_at": state.next_attempt_at,
        "objection": objection(state, texts),
        "reversals": [reversal(state, one) for one in state.reversals],
        "refunds": [
            {
                "id": one.id,
                "object": "refund",
                "amount": one.amount,
                "currency": state.currency,
                "paid_at": one.paid_at,
            }
            for one in state.refunds
        ],
    }


def objection(state: Payout, texts: Texts) -> Json | None:
    """The latest objection; its id derives from the payout and when it was raised."""
    one = state.objection
    if one is None:
        return None
    return {
        "id": ids.derive(OBJECTION, state.id, one.at.isoformat()),
        "object": "objection",
        "payout_id": state.id,
        "status": one.status,
        "at": one.at,
        "ended_at": one.ended_at,
        "reason": text_of(texts, one.reason),
    }


def reversal(state: Payout, one: Reversal) -> Json:
    return {
        "id": one.id,
        "object": "reversal",
        "payout_id": state.id,
        "reason": one.reason,
        "amount": one.amount,
        "currency": state.currency,
        "from_pending": one.from_pending,
        "from_available": one.from_available,
        "at": one.at,
        "reinstated_at": one.reinstated_at,
    }


# Funds


def buckets(view: BalanceView) -> Json:
    """Pending, available and in transit."""
    return {
        "pending": amounts(view.pending),
        "available": amounts(view.available),
        "in_transit": amounts(view.in_transit),
    }


def line(one: Line) -> Json:
    """A statement line."""
    of_payout, of_withdrawal = (ids.kind_of(one.subject) == prefix for prefix in (ids.PAYOUT, ids.WITHDRAWAL))
    return {
        "id": line_id(one.position, one.currency),
        "object": "balance_transaction",
        "type": one.type,
        "amount": amount_of(one.pending_change, one.available_change, one.in_transit_change),
        "currency": one.currency,
        "occurred_at": one.occurred_at,
        "recorded_at": one.recorded_at,
        "position": one.position,
        "payout_id": one.subject if of_payout else None,
        "withdrawal_id": one.subject if of_withdrawal else None,
        "available_on": one.available_on,
        "pending": one.pending,
        "available": one.available,
        "in_transit": one.in_transit,
    }


def withdrawal(state: Freelancer, one: Withdrawal) -> Json:
    return {
        "id": one.id,
        "object": "withdrawal",
        "freelancer_id": state.id,
        "amount": one.amount,
        "currency": one.currency,
        "status": one.status,
        "requested_at": one.requested_at,
        "settles_at": one.settles_at,
        "ended_at": one.ended_at,
        "failure": one.failure,
    }
