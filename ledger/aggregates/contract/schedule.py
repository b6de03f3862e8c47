"""When a contract next closes, and what a close bills (rules 14 to 17, 20)."""

from datetime import datetime

from ledger.aggregates.contract.state import Contract, TimeEntry, Timesheet
from ledger.calendar import cycle_length, cycle_of
from ledger.rules import Rules


def next_close(state: Contract, rules: Rules) -> datetime | None:
    """The next Monday 12:00 at which there is something to lock, bill or invoice; None when there is nothing."""
    instants = [bonus.invoice_at for bonus in state.bonuses if bonus.payout_id is None]
    if not state.through_eor:
        instants += [rules.lock_of(entry.week) for entry in state.entries if not entry.locked]
        instants += [
            rules.close_of(cycle_of_week(state, sheet.week)[1]) for sheet in state.timesheets if not sheet.billed
        ]
        cycle = unbilled_rate_cycle(state)
        instants += [rules.close_of(cycle[1])] if cycle else []
    return min(instants, default=None)


def cycle_of_week(state: Contract, instant: datetime) -> tuple[datetime, datetime]:
    """Start and end of the billing cycle that holds the instant. The contract has been active."""
    if state.anchor is None:
        raise LookupError(f"contract {state.id} was never active: it has no cycles")
    return cycle_of(state.anchor, state.cadence, instant)


def cycle_closing_at(state: Contract, at: datetime, rules: Rules) -> tuple[datetime, datetime] | None:
    """The billing cycle whose close is at that instant."""
    end = at - rules.close_after_cycle
    if state.anchor is None or end <= state.anchor or (end - state.anchor) % cycle_length(state.cadence):
        return None
    return cycle_of_week(state, end - cycle_length(state.cadence))


def unbilled_rate_cycle(state: Contract) -> tuple[datetime, datetime] | None:
    """The first cycle of a fixed rate, not yet closed, during any part of which the contract was active (rule 16)."""
    if state.kind != "fixed_rate" or state.anchor is None:
        return None
    floor = state.closed_through or state.anchor
    for span in state.spans:
        start = max(span.start, floor)
        if span.end is None or span.end > start:
            return cycle_of_week(state, start)
    return None


def open_entries(state: Contract, lock: datetime, rules: Rules) -> list[TimeEntry]:
    """The entries of the week that is locked at that instant."""
    return [entry for entry in state.entries if not entry.locked and rules.lock_of(entry.week) == lock]


def was_locked(state: Contract, week: datetime) -> bool:
    """Whether a close has locked or billed that week already: a command's own clock may be behind the one that closed it."""
    billed = (
        state.anchor is not None and state.closed_through is not None and state.anchor <= week < state.closed_through
    )
    return billed or any(sheet.week == week for sheet in state.timesheets)


def unbilled_timesheets(state: Contract, cycle: tuple[datetime, datetime]) -> list[Timesheet]:
    """The locked weeks of a cycle that no close has billed."""
    return [sheet for sheet in state.timesheets if not sheet.billed and cycle[0] <= sheet.week < cycle[1]]
