"""The texts of a case: which the events point to, of which kind, and whether a file holds those that it was signed with."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec.structs import asdict

from ledger.events import Event, Sealed, Value
from ledger.store.vault import digest
from replay.case.file import CaseBroken, CaseFile, Text, TextKind, TextReference, TextStatus, stored
from replay.texts import WITHHELD, sealed_fields

NAMES = frozenset({"name", "email", "freelancer_email"})
"""Fields whose texts say who somebody is; all others but payment methods are messages."""


class Salted(NamedTuple):
    salt: bytes
    text: str


def kind_of(field: str) -> TextKind:
    """Of the text in a field of an event."""
    return "method" if field in WITHHELD else "name" if field in NAMES else "message"


def sealed_of(events: Iterable[Event]) -> dict[str, tuple[TextKind, Sealed]]:
    """Every text that the events point to, by vault id, in their order."""
    found: dict[str, tuple[TextKind, Sealed]] = {}
    for event in events:
        for field in sealed_fields(type(event)):
            for kind, sealed in _sealed(field, getattr(event, field)):
                found.setdefault(sealed.id, (kind, sealed))
    return found


def _sealed(field: str, value: Any) -> Iterator[tuple[TextKind, Sealed]]:
    if isinstance(value, Sealed):
        yield kind_of(field), value
    elif isinstance(value, Value):
        for name, item in asdict(value).items():
            yield from _sealed(name, item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _sealed(field, item)


def texts_of(
    events: Iterable[Event], vault: Mapping[str, Salted] | None, redacted: Iterable[TextKind]
) -> tuple[tuple[TextReference, ...], tuple[Text, ...]]:
    """What a new case says of its texts, and the texts it gives. `vault`: what is in it; None: this source has none."""
    references, texts, gone = [], [], set(redacted)
    for identifier, (kind, _) in sealed_of(events).items():
        salted = None if vault is None else vault.get(identifier)
        status: TextStatus = "withheld"
        if kind != "method":
            missing: TextStatus = "unavailable" if vault is None else "erased"
            status = missing if salted is None else "redacted" if kind in gone else "given"
        if status == "given" and salted is not None:
            texts.append(Text(id=identifier, salt=salted.salt.hex(), text=salted.text))
        references.append(TextReference(id=identifier, kind=kind, status=status))
    return tuple(references), tuple(texts)


def require_texts(file: CaseFile) -> None:
    """Raises CaseBroken for a text that is not the one that the events were written with."""
    sealed = sealed_of(one.event for one in stored(file.case.events))
    here = {one.id for one in file.texts}
    given = [one.id for one in file.case.texts if one.status == "given"]
    if [one.id for one in file.texts] != [one for one in given if one in here]:
        raise CaseBroken("it holds a text that it was not signed with")
    for one in file.texts:
        if one.id not in sealed or digest(bytes.fromhex(one.salt), one.text) != sealed[one.id][1].sha256:
            raise CaseBroken(f"the text {one.id} is not the one that the event was written with")
