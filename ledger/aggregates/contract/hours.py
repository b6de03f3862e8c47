"""Deciding about logged time (rule 14)."""

from datetime import date, datetime
from typing import Any

from ledger import commands as c
from ledger import events as e
from ledger.aggregates.contract.guards import REVIEW, WORK, add_closing, draft, own, require
from ledger.aggregates.contract.schedule import was_locked
from ledger.aggregates.contract.state import Contract, Status, TimeEntry, entry_of
from ledger.calendar import midnight, week_of
from ledger.errors import Refused
from ledger.events import Event
from ledger.rules import Rules

MINUTES_OF_A_DAY = 1440


def log(state: Contract, command: c.LogTime, rules: Rules) -> list[Event]:
    """For a date of the current week, up to today."""
    _require_hours(state, *WORK)
    week, current = week_of(midnight(command.date)), week_of(command.now)
    past = state.anchor is not None and state.anchor <= week < current and command.now >= rules.lock_of(week)
    if past or was_locked(state, week):
        raise _locked(week, rules)
    if week != current:
        detail = f"time is added in its own week, the present one, which began on {current:%Y-%m-%d}"
        raise Refused("week_not_open", detail)
    if command.date > command.now.date():
        raise Refused("time_in_future", f"today is {command.now:%Y-%m-%d}: log time once it is worked")
    _require_room(state, None, command.date, week, command.minutes)
    logged = draft(state)
    mine = own(state, command)
    what: dict[str, Any] = {
        "entry_id": command.entry_id,
        "date": command.date,
        "minutes": command.minutes,
        "memo": command.memo,
    }
    add_closing(logged, e.TimeLogged(**mine, **what), rules)
    return logged.events


def correct(state: Contract, command: c.CorrectTime, rules: Rules) -> list[Event]:
    """Until the timesheet is locked."""
    _require_hours(state, *REVIEW)
    entry = _open_entry(state, command.entry_id, command.now, rules)
    minutes = entry.minutes if command.minutes is None else command.minutes
    _require_room(state, entry, entry.date, entry.week, minutes)
    corrected = draft(state)
    what: dict[str, Any] = {"entry_id": entry.id, "minutes": minutes, "memo": command.memo}
    add_closing(corrected, e.TimeCorrected(**own(state, command), **what), rules)
    return corrected.events


def remove(state: Contract, command: c.RemoveTime, rules: Rules) -> list[Event]:
    """Until the timesheet is locked."""
    _require_hours(state, *REVIEW)
    entry = _open_entry(state, command.entry_id, command.now, rules)
    removed = draft(state)
    add_closing(removed, e.TimeRemoved(**own(state, command), entry_id=entry.id), rules)
    return removed.events


def _require_hours(state: Contract, *allowed: Status) -> None:
    require(state, *allowed)
    if state.kind != "hourly":
        raise Refused("not_an_hourly_contract", f"the contract is {state.kind}: it takes no time")
    if state.through_eor:
        raise Refused("time_is_entered_with_eor", "enter the time with the Employer of Record, who runs the payroll")


def _locked(week: datetime, rules: Rules) -> Refused:
    detail = f"the timesheet of the week of {week:%Y-%m-%d} was locked at {rules.lock_of(week):%Y-%m-%dT%H:%M:%SZ}"
    return Refused("timesheet_locked", detail)


def _open_entry(state: Contract, entry_id: str, now: datetime, rules: Rules) -> TimeEntry:
    entry = entry_of(state, entry_id)
    if entry.locked or now >= rules.lock_of(entry.week):
        raise _locked(entry.week, rules)
    return entry


def _require_room(state: Contract, corrected: TimeEntry | None, day: date, week: datetime, minutes: int) -> None:
    """A date never holds more than a day, a week never more than the contract's limit."""
    others = [entry for entry in state.entries if entry.week == week and entry is not corrected]
    of_day = sum(entry.minutes for entry in others if entry.date == day) + minutes
    if of_day > MINUTES_OF_A_DAY:
        raise Refused("day_limit_exceeded", f"{day} would hold {of_day} minutes; a day has {MINUTES_OF_A_DAY}")
    of_week = sum(entry.minutes for entry in others) + minutes
    if state.weekly_limit_minutes is not None and of_week > state.weekly_limit_minutes:
        detail = f"the week would hold {of_week} minutes; the contract allows {state.weekly_limit_minutes}"
        raise Refused("weekly_limit_exceeded", detail)
