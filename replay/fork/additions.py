"""What is added to history before it is forked: wishes and facts, written down as JSON.

    [{"type": "SubmitMilestone", "at": "2026-01-08T09:00:00Z", "contract_id": "con_…", "milestone_id": "mil_…"},
     {"type": "payout.charge_failed.v1", "at": "2026-01-12T12:00:00Z", "payout_id": "pay_…", "attempt": 1, "failure": "no"}]

`type` is a command, or an event that somebody's command led to; the fields are the command's, `actor` may be left out. A text
may stand where the ledger keeps only its digest.
"""

import json
import types
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec.structs import fields

from ledger.commands import Command
from ledger.events import Sealed
from ledger.ids import COMMAND, VAULT, derive
from replay.fork.edits import UnusableEdit, require_usable, said
from replay.fork.origins import FACTS, WISHES
from replay.values import parse_instant

ACTOR = "what-if"
"""Of what nobody did."""
_OWN = ("command_id", "actor", "now", "effective_at", "cause_id", "expected_version")
_OUTCOMES = {"submitted": "submitted", "paid": "paid", "failed": "failed"}

_KINDS: Mapping[str, type[Command]] = {
    **{kind.__name__: kind for kind in WISHES.values()},
    **{kind.__name__: kind for kind, _ in FACTS.values()},
    **{event.TOPIC: kind for event, kind in WISHES.items()},
    **{event.TOPIC: kind for event, (kind, _) in FACTS.items()},
}


def commands_from(text: str, source: str) -> list[Command]:
    """The commands of a JSON text: one object, or a list of them. `source` names it. Raises UnusableEdit."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableEdit(f"{source} is no JSON: {error}") from error
    items = found if isinstance(found, list) else [found]
    return [_command(item, f"{source}, number {number}") for number, item in enumerate(items, 1)]


def _command(item: Any, where: str) -> Command:
    if not isinstance(item, dict):
        raise UnusableEdit(f"{where}: write an object with type, at and the fields of the command")
    given = dict(item)
    name, at = given.pop("type", None), given.pop("at", None)
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnusableEdit(
            f"{where}: type is a command or an event of a person or the outside world, like {_like()}, not {name!r}"
        )
    words = name.split(".")
    if words[0] == "freelancer" and words[1].removeprefix("withdrawal_") in _OUTCOMES:
        given.setdefault("outcome", words[1].removeprefix("withdrawal_"))
    actor = given.pop("actor", ACTOR)
    own = [field for field in fields(kind) if field.name not in _OWN]
    unknown = sorted(given.keys() - {field.name for field in own})
    missing = [one.name for one in own if one.required and one.name not in given]
    if unknown or missing or at is None:
        lacks = ["at"] * (at is None) + missing
        wrong = [f"there is no {', '.join(unknown)}"] * bool(unknown) + [f"{', '.join(lacks)} missing"] * bool(lacks)
        raise UnusableEdit(f"{where}: {kind.__name__} has {', '.join(field.name for field in own)}; {'; '.join(wrong)}")
    stamp = {"command_id": derive(COMMAND, ACTOR, where), "actor": actor, "now": _instant(at, where)}
    sealed = {key: _sealed(value, get_type_hints(kind)[key]) for key, value in given.items()}
    try:
        command: Command = msgspec.convert({**stamp, **sealed}, kind)
    except msgspec.ValidationError as error:
        raise UnusableEdit(f"{where}: {said(error)}") from error
    return command


def _instant(at: Any, where: str) -> str:
    try:
        return require_usable(parse_instant(str(at))).isoformat()
    except ValueError as error:
        raise UnusableEdit(f"{where}: at {error}") from error


def _like() -> str:
    return "SubmitMilestone or payout.charge_failed.v1"


def _sealed(value: Any, hint: Any) -> Any:
    """A text as if it stood in the vault, wherever the command has one."""
    if isinstance(value, str) and (hint is Sealed or (isinstance(hint, types.UnionType) and Sealed in get_args(hint))):
        return {"id": derive(VAULT, ACTOR, value), "sha256": sha256(value.encode()).hexdigest()}
    if isinstance(value, list):
        return [
            {key: _sealed(inner, Sealed if key == "description" else None) for key, inner in one.items()}
            if isinstance(one, dict)
            else one
            for one in value
        ]
    return value
