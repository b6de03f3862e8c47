"""Forking history in memory: `replay what-if`."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from replay import output
from replay.cli.common import (
    DIVERGENCE,
    UNUSABLE,
    AsCsv,
    AsJson,
    From,
    app,
    fail,
    require_kind,
    require_one_format,
    source,
)
from replay.fork.additions import commands_from
from replay.fork.edits import Change, Edits, UnusableEdit
from replay.fork.outside import Charges
from replay.fork.rules import SETTINGS
from replay.fork.scope import SUBJECTS
from replay.fork.tables import show_what_if
from replay.fork.what_if import WhatIf
from replay.fork.what_if import what_if as fork_history
from replay.values import parse_instant

_WHOLE = re.compile(r"-?[0-9]{1,20}")
_CHARGES: tuple[Charges, ...] = get_args(Charges)
_NUMBERS = "; ".join(f"{name}: {setting.what}" for name, setting in SETTINGS.items())


@app.command(
    "what-if",
    short_help="What would have been",
    epilog="Example: replay what-if con_k2v7q4mzt5xw3n6j2aq4 --set hold_days=5",
)
def what_if(
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONTRACT|PAYOUT|FREELANCER|CLIENT]",
            help="Fork what hangs together with it: all of its freelancers' work. Without it: the whole log.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=NUMBER", help=f"Another number of the rules. {_NUMBERS}.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="EVENT_ID", help="Leave out what led to this event.")
    ] = None,
    retime: Annotated[
        list[str] | None, typer.Option(metavar="EVENT_ID=TIME", help="Let it happen at another RFC 3339 time.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(metavar="EVENT_ID.FIELD=VALUE", help="Let it say something else, as milestones.0.amount=5000."),
    ] = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.json", help="Add commands or outside facts: a list of {type, at, fields…}."),
    ] = None,
    charges: Annotated[
        str,
        typer.Option(
            metavar="as_before|succeed|fail",
            help="What charges do that history never made; as before: what the same billing method did, or succeed.",
        ),
    ] = "as_before",
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How far to go, past the source's time as well; default: that time."),
    ] = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Forks history in memory with some of it edited or under other rules, and shows old and new side by side.

    Policies and deadlines run again; charges, withdrawals and refunds are captured, not sent: they come out as in history, or as
    assumed. What could not have happened any more is left out and listed. Nothing is written. Exit status 1 when the
    history does not even come again unedited.
    """
    require_one_format(as_json, as_csv)
    if subject is not None:
        require_kind(subject, *SUBJECTS)
    try:
        edits = Edits(
            settings=dict(map(_setting, set_ or ())),
            drop=tuple(dict.fromkeys(drop or ())),
            retime=dict(map(_retiming, retime or ())),
            change=tuple(map(_change, change or ())),
            add=tuple(command for path in add or () for command in commands_from(_text(path), str(path))),
            charges=_one_of(charges, _CHARGES),
        )
        at = None if until is None else _time("--until", until)
        with source(where) as opened, output.progress("Forking history") as further:
            found = fork_history(opened, subject, edits, until=at, on_events=further)
    except UnusableEdit as error:
        fail(str(error), UNUSABLE)
    if as_json:
        output.write(output.as_json(found))
    elif as_csv:
        output.write(output.as_csv(COLUMNS, _rows(found)))
    else:
        show_what_if(found)
    if found.differs_at is not None:
        raise typer.Exit(DIVERGENCE)


# Arguments


def _split(option: str, text: str, like: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UnusableEdit(f"{option} {text!r}: write it as {like}")
    return name, value


def _time(option: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise UnusableEdit(f"{option}: {error}") from error


def _one_of(text: str, known: Sequence[Charges]) -> Charges:
    for one in known:
        if one == text:
            return one
    raise UnusableEdit(f"--charges is one of {', '.join(known)}, not {text!r}")


def _setting(text: str) -> tuple[str, int]:
    name, value = _split("--set", text, "hold_days=5")
    if not _WHOLE.fullmatch(value):
        raise UnusableEdit(f"--set {text!r}: numbers of the rules are whole, like hold_days=5")
    return name, int(value)


def _retiming(text: str) -> tuple[str, datetime]:
    identifier, value = _split("--retime", text, "evt_con_…_3=2026-01-09T12:00:00Z")
    return identifier, _time("--retime", value)


def _change(text: str) -> Change:
    name, value = _split("--change", text, "evt_con_…_1.milestones.0.amount=5000")
    identifier, *path = name.split(".")
    if not path or not all(path):
        raise UnusableEdit(f"--change {text!r}: name the field, as evt_con_…_1.milestones.0.amount=5000")
    return Change(identifier, tuple(path), _value(value))


def _value(text: str) -> Any:
    """JSON where it is that, or else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableEdit(f"--add {path} cannot be read: {error}") from error


# CSV

COLUMNS = ("about", "id", "currency", "field", "old", "new", "difference")
_TIMES = ("due_at", "charged_at", "available_on", "released_at")


def _rows(found: WhatIf) -> list[tuple[Any, ...]]:
    """A row for each number or time that changed, and one for each command that would have been refused."""
    rows: list[tuple[Any, ...]] = []
    for one in found.payouts:
        for name in ("status", "amount", *_TIMES):
            old, new = (getattr(side, name, None) for side in (one.old, one.new))
            currencies = [side.currency for side in (one.old, one.new) if side is not None]
            if old != new or len(set(currencies)) > 1:
                difference = (new or 0) - (old or 0) if name == "amount" and len(set(currencies)) == 1 else None
                rows.append(("payout", one.payout_id, currencies[-1], name, old, new, difference))
    for account in found.accounts:
        amounts = (account.old, account.new, account.difference)
        rows.append(("account", account.account, account.currency, "balance", *amounts))
    for asked in found.captured:
        for name in ("amount", "method", "at", "outcome", "ended_at"):
            old, new = (getattr(side, name, None) for side in (asked.old, asked.new))
            if old != new:
                currency = (asked.new or asked.old).currency  # type: ignore[union-attr]  # one of them is there
                difference = (new or 0) - (old or 0) if name == "amount" else None
                rows.append((asked.kind, asked.key, currency, name, old, new, difference))
    refused = [
        ("refused", one.event_id or one.subject, None, one.command, None, one.code, None) for one in found.refused
    ]
    return [*rows, *refused]
