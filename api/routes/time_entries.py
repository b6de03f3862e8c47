"""Time of hourly contracts (rule 14)."""

from api import presenters
from api.call import Answer, Call, Calling
from api.route import new_router
from api.routes.common import CREATED
from api.schemas.contracts import TimeEntryOut
from api.schemas.requests import NewTimeEntry, TimeCorrection
from ledger import commands as c
from ledger import ids
from ledger.aggregates.contract import Contract
from ledger.aggregates.contract.state import entry_of

router = new_router("Time")
PATH = "/v1/contracts/{contract_id}/time-entries"
ONE = PATH + "/{entry_id}"


@router.post(PATH, status_code=CREATED, response_model=TimeEntryOut)
def log_time(call: Calling, contract_id: str, body: NewTimeEntry) -> Answer:
    """Log minutes for a date of the current week, up to today."""
    call.loaded(Contract, contract_id)
    entry_id = call.id(ids.TIME_ENTRY)
    command = c.LogTime(
        **call.stamp(),
        contract_id=contract_id,
        entry_id=entry_id,
        date=body.date,
        minutes=body.minutes,
        memo=call.seal_optional(body.memo, call.principal.owner),
    )
    call.carry_out(command)
    return _entry(call, contract_id, entry_id, CREATED)


@router.patch(ONE, response_model=TimeEntryOut)
def correct_time(call: Calling, contract_id: str, entry_id: str, body: TimeCorrection) -> Answer:
    """Correct an entry, until its timesheet is locked on Monday 12:00."""
    call.loaded(Contract, contract_id)
    command = c.CorrectTime(
        **call.stamp(),
        contract_id=contract_id,
        entry_id=entry_id,
        minutes=body.minutes,
        memo=call.seal_optional(body.memo, call.principal.owner),
    )
    call.carry_out(command)
    return _entry(call, contract_id, entry_id)


@router.delete(ONE, status_code=204)
def remove_time(call: Calling, contract_id: str, entry_id: str) -> Answer:
    """Remove an entry, until its timesheet is locked."""
    call.loaded(Contract, contract_id)
    call.carry_out(c.RemoveTime(**call.stamp(), contract_id=contract_id, entry_id=entry_id))
    state = call.loaded(Contract, contract_id)
    return call.answer(None, status=204, version=state.version)


def _entry(call: Call, contract_id: str, entry_id: str, status: int = 200) -> Answer:
    """The entry as the command left it, with its contract's version."""
    state = call.loaded(Contract, contract_id)
    one = entry_of(state, entry_id)
    content = presenters.time_entry(state, one, call.texts([one.memo]))
    return call.answer(content, status=status, version=state.version)
