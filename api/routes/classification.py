"""Classification and the Employer of Record (rules 3, 4)."""

import orjson

from api.call import Answer, Calling
from api.route import new_router
from api.routes.common import CREATED, contract_now
from api.schemas.contracts import ContractOut, PayrollOut
from api.schemas.requests import Decision, EmployerOfRecord, NewPayroll, Questionnaire, Recommendation
from ledger import commands as c
from ledger import ids
from ledger.aggregates.contract import Contract

router = new_router("Classification and Employer of Record")


@router.post("/v1/contracts/{contract_id}/classification/questionnaire", response_model=ContractOut)
def answer_questionnaire(call: Calling, contract_id: str, body: Questionnaire) -> Answer:
    """Answer how the freelancer runs their business: an object, a list or a text."""
    call.loaded(Contract, contract_id)
    answers = call.seal(orjson.dumps(body.answers).decode(), call.principal.owner)
    call.carry_out(c.AnswerQuestionnaire(**call.stamp(), contract_id=contract_id, answers=answers))
    return contract_now(call, contract_id)


@router.post("/v1/contracts/{contract_id}/classification/recommendation", response_model=ContractOut)
def recommend(call: Calling, contract_id: str, body: Recommendation) -> Answer:
    """Recommend an outcome, with reasons. Refused with `classification_required` before the questionnaire is answered."""
    state = call.loaded(Contract, contract_id)
    reasons = call.seal(body.reasons, state.freelancer_id)  # it is about them, and erased with them
    command = c.RecommendClassification(**call.stamp(), contract_id=contract_id, outcome=body.outcome, reasons=reasons)
    call.carry_out(command)
    return contract_now(call, contract_id)


@router.post("/v1/contracts/{contract_id}/classification/decision", response_model=ContractOut)
def decide(call: Calling, contract_id: str, body: Decision) -> Answer:
    """Decide the outcome. Refused with `classification_required` before the recommendation that was asked for."""
    call.loaded(Contract, contract_id)
    call.carry_out(c.DecideClassification(**call.stamp(), contract_id=contract_id, outcome=body.outcome))
    return contract_now(call, contract_id)


@router.put("/v1/contracts/{contract_id}/employer-of-record", response_model=ContractOut)
def set_employer_of_record(call: Calling, contract_id: str, body: EmployerOfRecord) -> Answer:
    """Assign the Employer of Record, or change its pay schedule; the freelancer is told of the schedule."""
    call.loaded(Contract, contract_id)
    eor_id = call.ledger.vault.identify(ids.EMPLOYER_OF_RECORD, body.name)
    command = c.SetEmployerOfRecord(
        **call.stamp(),
        contract_id=contract_id,
        eor_id=eor_id,
        name=call.seal(body.name, eor_id),
        pay_schedule=body.pay_schedule,
    )
    call.carry_out(command)
    return contract_now(call, contract_id)


@router.post("/v1/contracts/{contract_id}/eor-payrolls", status_code=CREATED, response_model=PayrollOut)
def record_payroll(call: Calling, contract_id: str, body: NewPayroll) -> Answer:
    """Record a payroll run: a payout to the Employer of Record, charged and held like any other."""
    call.loaded(Contract, contract_id)
    payroll_id = call.id(ids.PAYROLL)
    command = c.RecordPayroll(
        **call.stamp(),
        contract_id=contract_id,
        payroll_id=payroll_id,
        amount=body.amount,
        period_start=body.period_start,
        period_end=body.period_end,
    )
    call.carry_out(command)
    state = call.loaded(Contract, contract_id)
    content = {
        "id": payroll_id,
        "object": "eor_payroll",
        "contract_id": contract_id,
        "payout_id": ids.derive(ids.PAYOUT, contract_id, payroll_id),
        "amount": body.amount,
        "currency": state.currency,
        "period_start": body.period_start,
        "period_end": body.period_end,
    }
    return call.answer(content, status=CREATED, version=state.version)
