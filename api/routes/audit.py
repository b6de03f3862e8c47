"""For auditors and operators: the trial balance, the log's integrity and checkpoints, a contract's whole history."""

from dataclasses import asdict

from msgspec import structs

from api import audit_presenters
from api.call import Answer, Calling
from api.fields import Instant
from api.route import new_router
from api.routes.common import require_past
from api.schemas.audit import CheckpointsOut, HistoryOut, IntegrityOut, TrialBalanceOut
from ledger.aggregates.contract import Contract
from replay import balances as replay
from replay.times import AtTimes

router = new_router("Audit")


@router.get("/v1/audit/trial-balance", response_model=TrialBalanceOut)
def get_trial_balance(call: Calling, as_of: Instant | None = None, known_at: Instant | None = None) -> Answer:
    """Every account, debits = credits for each currency: now, as of an instant, or as known at one."""
    now = require_past(call, as_of=as_of, known_at=known_at)
    if as_of is None and known_at is None:
        position, accounts = call.ledger.reader.trial_balance()
    else:
        folded = replay.trial_balance(call.ledger.log, as_of=as_of, known_at=known_at)
        position, accounts = folded.position, [(one.account, one.currency, one.balance) for one in folded.accounts]
    content = {
        "object": "trial_balance",
        "position": position,
        "as_of": as_of or now,
        "known_at": known_at,
        **audit_presenters.trial_balance(accounts),
    }
    return call.answer(content)


@router.get("/v1/audit/integrity", response_model=IntegrityOut)
def get_integrity(call: Calling) -> Answer:
    """Whether the log is intact: its chain, positions and versions, held against the signed checkpoints, up to now."""
    return call.answer({"object": "integrity", **asdict(call.desk.integrity.look())})


@router.get("/v1/audit/checkpoints", response_model=CheckpointsOut)
def get_checkpoints(call: Calling) -> Answer:
    """The signed checkpoints and the public key, oldest first: fetch them, and keep them where nobody else can write."""
    kept = call.ledger.checkpoints
    public_key = kept.public_key()
    content = {
        "object": "checkpoints",
        "public_key": public_key.hex() if public_key else None,
        "data": [structs.asdict(one) for one in kept.all()],
    }
    return call.answer(content)


@router.get("/v1/audit/contracts/{contract_id}/history", response_model=HistoryOut)
def get_history(
    call: Calling, contract_id: str, as_of: Instant | None = None, known_at: Instant | None = None
) -> Answer:
    """Everything that happened to a contract and its payouts, in order, and what each event did to the money.

    `as_of`: only what occurred by then; `known_at`: only what was recorded by then.
    """
    call.read(Contract, contract_id)
    require_past(call, as_of=as_of, known_at=known_at)
    views = AtTimes(call.ledger.reader, as_of=as_of, known_at=known_at).history(contract_id=contract_id)
    content = {
        "object": "history",
        "contract_id": contract_id,
        "data": [audit_presenters.history_event(view) for view in views],
    }
    return call.answer(content)
