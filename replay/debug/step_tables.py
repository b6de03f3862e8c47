"""A timeline as people read it, on the screen of the debugger and where there is none."""

from collections.abc import Iterable
from typing import Any

from replay.debug.fields import flat
from replay.debug.stepping import Number
from replay.debug.timeline import Step, Timeline
from replay.history import Happening
from replay.output import row, show, table
from replay.rules import SENTENCES
from replay.texts import shown
from replay.values import at_times, instant, money, plain, word

STEP_COLUMNS = (
    *(
        "step",
        "position",
        "own",
        "event_id",
        "type",
        "occurred_at",
        "recorded_at",
        "actor",
        "what",
        "command_id",
        "cause_id",
    ),
    *("account", "currency", "before", "after", "change"),
)


def step_rows(steps: Iterable[Step]) -> list[tuple[Any, ...]]:
    """A row for each of the payee's accounts that the event changed, and one for an event that changed none."""
    rows: list[tuple[Any, ...]] = []
    for step in steps:
        one = step.event
        event: tuple[Any, ...] = (
            step.number,
            one.position,
            "yes" if step.own else "no",
            one.event_id,
            one.type,
            one.occurred_at,
        )
        event += (one.recorded_at, one.actor, one.what, one.command_id, one.cause_id)
        moved = [balance for balance in step.balances if balance.before != balance.after]
        for account in moved:
            change = account.after - account.before
            rows.append((*event, account.account, account.currency, account.before, account.after, change))
        if not moved:
            rows.append((*event, None, None, None, None, None))
    return rows


def show_timeline(found: Timeline, steps: Iterable[Step]) -> None:
    """Each event with what it changed: balances and fields, before and after."""
    made = table("#", "true at", "by", "what, and what it changed", "before", "after", right=["#"])
    for step in steps:
        row(made, step.event.position, step.event.occurred_at, step.event.actor, said(step), None, None)
        for number in shown_changes(step):
            row(made, None, None, None, f"  {label(number)}", *(value_of(number, side) for side in number[2:4]))
    show(
        f"Timeline of {found.subject}, read up to position {found.position}{at_times(found.as_of, found.known_at)}",
        made,
    )


def said(step: Step) -> str:
    """What happened; an event of something else is marked."""
    return step.event.what if step.own else f"(elsewhere) {step.event.what}"


def shown_changes(step: Step) -> list[Number]:
    """The balances that the event changed, and what of an object that was there before; the version is left out."""
    found = [Number(one.account, one.currency, one.before, one.after, True) for one in step.balances]
    if step.own and step.state is not None and step.state.before is not None:
        before, after = flat(step.state.before), flat(step.state.after)
        names = [name for name in step.state.changed if name != "version"]
        found += [Number(step.state.id, name, before.get(name), after.get(name), False) for name in names]
    return [number for number in found if number.changed]


def label(number: Number) -> str:
    """`available USD`, `payout status`."""
    if number.is_balance:
        return f"{number.owner.rpartition(':')[2].replace('_', ' ')} {number.name}"
    return number.name


def value_of(number: Number, value: Any) -> str:
    """One side of it, as it is written."""
    if number.is_balance:
        return money(value, number.name)
    return word(value)


def event_lines(step: Step, found: Timeline) -> list[str]:
    """Everything about a step's event: what, when, by whom, its rules and their text, what it moved, its cause, ids and texts."""
    one = step.event
    lines = [said(step), "", f"type      {one.type}", f"true at   {instant(one.occurred_at)}"]
    lines += [f"recorded  {instant(one.recorded_at)}", f"by        {one.actor}", ""]
    lines += [f"rule {number:2}   {SENTENCES[number]}" for number in one.rules]
    lines += ["", *(_moved(one))] if one.entries else []
    lines += ["", f"command   {one.command_id}", f"  with    {_with(step, found)}", f"cause     {_cause(step, found)}"]
    lines += ["", f"event     {one.event_id}", f"rules v{one.rule_version}"]
    return [*lines, "", *(f"{name}: {value}" for name, value in _details(one.details))]


def _moved(one: Happening) -> list[str]:
    return [
        f"{'credit' if entry.credit >= 0 else 'debit '}    {money(abs(entry.credit), entry.currency)}  {entry.account}"
        for entry in one.entries
    ]


def _with(step: Step, found: Timeline) -> str:
    """The other events of the same command."""
    same = [one for one in found.steps if one.event.command_id == step.event.command_id and one is not step]
    return ", ".join(f"#{one.event.position}" for one in same) or "no other event here"


def _cause(step: Step, found: Timeline) -> str:
    if step.event.cause_id is None:
        return "none: somebody outside asked for it"
    if step.cause_position is None:
        return f"{step.event.cause_id} (not in this timeline)"
    caused = next(one for one in found.steps if one.event.position == step.cause_position)
    return f"#{step.cause_position} {caused.event.what} ({step.event.cause_id}): press c"


def _details(details: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for name, value in details.items():
        items = {str(number): item for number, item in enumerate(value, 1)} if isinstance(value, list) else value
        if isinstance(value, dict) and "vault_id" in value:
            lines.append((f"{prefix}{name}", shown(value)))
        elif isinstance(items, dict):
            lines += _details(items, f"{prefix}{name}.")
        elif value is not None:
            lines.append((f"{prefix}{name}", plain(value)))
    return lines
