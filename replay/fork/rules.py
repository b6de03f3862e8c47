"""The numbers of the domain's rules that a fork of history may change, by their names. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from ledger.clock import DAY
from ledger.rules import RULES, Rules
from replay.fork.edits import UnusableEdit

_HOUR = timedelta(hours=1)


class Setting(NamedTuple):
    """`unit` is null for a count. Values are whole numbers from `least` to `most`."""

    field: str
    unit: timedelta | None
    least: int
    most: int
    what: str


SETTINGS: Mapping[str, Setting] = {
    "hold_days": Setting("hold", DAY, 0, 3650, "from the charge to the release (rule 22)"),
    "review_weekly_days": Setting("review_weekly", DAY, 0, 3650, "review of submitted work, weekly (rule 10)"),
    "review_biweekly_days": Setting("review_biweekly", DAY, 0, 3650, "review of submitted work, biweekly (rule 10)"),
    "close_after_hours": Setting("close_after_cycle", _HOUR, 0, 167, "from a cycle's end to its close (rules 14, 17)"),
    "cycle_review_days": Setting("cycle_review", DAY, 0, 3650, "objections after the close (rule 17)"),
    "retry_after_hours": Setting("retry_after", _HOUR, 1, 87_600, "from a failed charge to the next (rule 24)"),
    "scheduled_attempts": Setting("scheduled_attempts", None, 1, 100, "attempts before none is scheduled (rule 24)"),
    "suspending_failure": Setting("suspending_failure", None, 1, 100, "the failure that suspends (rule 24)"),
}


def rules_with(settings: Mapping[str, int]) -> Rules:
    """The domain's rules with other numbers. Raises UnusableEdit."""
    changed: dict[str, Any] = {}
    for name, value in settings.items():
        setting = SETTINGS.get(name)
        if setting is None:
            raise UnusableEdit(f"no rule has a number called {name!r}: set one of {', '.join(SETTINGS)}")
        if not setting.least <= value <= setting.most:
            raise UnusableEdit(f"{name} is {setting.what}: give {setting.least} to {setting.most}, not {value}")
        changed[setting.field] = value if setting.unit is None else value * setting.unit
    return replace(RULES, **changed)
