"""Deciding about closes, bonuses and payrolls: what becomes due when (rules 4, 14 to 17, 20)."""

from datetime import datetime
from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.aggregates.contract.guards import BONUS, REVIEW, add_closing, draft, own, require, require_no_eor
from ledger.aggregates.contract.schedule import (
    cycle_closing_at,
    open_entries,
    unbilled_rate_cycle,
    unbilled_timesheets,
)
from ledger.aggregates.contract.state import Contract
from ledger.aggregates.draft import Draft
from ledger.errors import Refused
from ledger.events import Event
from ledger.ids import PAYOUT, derive
from ledger.money import price_of
from ledger.rules import Rules


def grant_bonus(state: Contract, command: c.GrantBonus, rules: Rules) -> list[Event]:
    """Invoiced at the next close of the contract's billing cycle after the grant (rule 20)."""
    require(state, *BONUS)
    require_no_eor(state)
    if state.anchor is None:
        raise LookupError(f"contract {state.id} is {state.status} and was never active")
    granted = draft(state)
    add_closing(
        granted,
        e.BonusGranted(
            **own(state, command),
            bonus_id=command.bonus_id,
            amount=command.amount,
            note=command.note,
            invoice_at=rules.next_cycle_close(state.anchor, state.cadence, command.at),
        ),
        rules,
    )
    return granted.events


def record_payroll(state: Contract, command: c.RecordPayroll) -> list[Event]:
    """Refuses with `eor_not_assigned` (rule 4)."""
    require(state, *REVIEW)
    if not state.through_eor or state.eor is None:
        raise Refused("eor_not_assigned", "the contract has no Employer of Record, so nobody runs its payroll")
    source = e.Source(type="eor_payroll", id=command.payroll_id)
    terms = _terms(state, command.payroll_id, state.eor.id, source, command.amount, None)
    return [
        e.PayrollRecorded(
            **own(state, command),
            payroll_id=command.payroll_id,
            period_start=command.period_start,
            period_end=command.period_end,
            payout=terms,
        )
    ]


def close(state: Contract, command: c.CloseContract, rules: Rules) -> list[Event]:
    """What falls due at a close: the week is locked, then its cycle billed, then bonuses invoiced in their order."""
    if state.next_close is None or state.next_close != command.at or command.now < command.at:
        return []
    closing = draft(state)
    _lock_week(closing, command, rules)
    _bill_cycle(closing, command, rules)
    _invoice_bonuses(closing, command, rules)
    return closing.events


def _lock_week(closing: Draft[Contract], command: c.CloseContract, rules: Rules) -> None:
    state = closing.state
    entries = open_entries(state, command.at, rules)
    if not entries or state.hourly_rate is None:
        return
    minutes = sum(entry.minutes for entry in entries)
    amount = price_of(minutes, state.hourly_rate)
    locked: dict[str, Any] = {"week": entries[0].week, "minutes": minutes, "amount": amount}
    add_closing(closing, e.TimesheetLocked(**own(state, command), **locked), rules)


def _bill_cycle(closing: Draft[Contract], command: c.CloseContract, rules: Rules) -> None:
    state = closing.state
    cycle = cycle_closing_at(state, command.at, rules)
    if cycle is None:
        return
    source: dict[str, Any] = {"start": cycle[0], "end": cycle[1]}
    objected_until = command.at + rules.cycle_review
    timesheets = unbilled_timesheets(state, cycle)
    if timesheets:
        amount = sum(sheet.amount for sheet in timesheets)
        terms = _cycle_terms(state, e.Source(type="timesheet", **source), amount, objected_until)
    elif unbilled_rate_cycle(state) == cycle and state.rate is not None:
        terms = _cycle_terms(state, e.Source(type="fixed_rate", **source), state.rate, objected_until)
    else:
        return
    add_closing(closing, e.CycleClosed(**own(state, command), start=cycle[0], end=cycle[1], payout=terms), rules)


def _invoice_bonuses(closing: Draft[Contract], command: c.CloseContract, rules: Rules) -> None:
    state = closing.state
    for bonus in state.bonuses:
        if bonus.payout_id is None and bonus.invoice_at == command.at:
            source = e.Source(type="bonus", id=bonus.id)
            terms = _terms(state, bonus.id, state.freelancer_id, source, bonus.amount, None)
            add_closing(closing, e.BonusInvoiced(**own(state, command), bonus_id=bonus.id, payout=terms), rules)


def _cycle_terms(state: Contract, source: e.Source, amount: int, objected_until: datetime) -> e.PayoutTerms | None:
    """A cycle's payout, open to objection until Friday 12:00; none where the sum is zero (rules 15, 17)."""
    if not amount or source.start is None:
        return None
    return _terms(state, source.start.isoformat(), state.freelancer_id, source, amount, objected_until)


def _terms(
    state: Contract, made_by: str, payee: str, source: e.Source, amount: int, review_deadline: datetime | None
) -> e.PayoutTerms:
    return e.PayoutTerms(
        payout_id=derive(PAYOUT, state.id, made_by),
        payee=payee,
        source=source,
        amount=amount,
        currency=state.currency,
        review_deadline=review_deadline,
    )
