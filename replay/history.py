"""What happened to a contract, a payout, a freelancer or a client: in order, by whom, and what it did to the money."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ledger import events as e
from ledger import ids
from ledger.postings import Entry
from ledger.store.funds import NO_UPPER_BOUND
from ledger.store.reader import EventView
from replay import adjustments
from replay import texts as vault_texts
from replay.rules import rules_of
from replay.sources import Histories, Source
from replay.times import AtTimes
from replay.words import sentence

SUBJECTS = (ids.CONTRACT, ids.PAYOUT, ids.FREELANCER, ids.CLIENT)
"""What has a history: the prefixes of its ids."""


@dataclass(frozen=True)
class Happening:
    """One event. `details` are its own fields; `entries` what it did to the money."""

    position: int
    event_id: str
    stream: str
    version: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    what: str
    rules: tuple[int, ...]
    entries: tuple[Entry, ...]
    details: dict[str, Any]
    command_id: str
    cause_id: str | None
    rule_version: int


@dataclass(frozen=True)
class History:
    """`position`: how far the index that finds the events had come; what was written after it is not here yet."""

    object: Literal["history"]
    subject: str
    position: int
    events: tuple[Happening, ...]


def history(
    source: Source, subject: str, *, as_of: datetime | None = None, known_at: datetime | None = None
) -> History | None:
    """Everything that happened to a contract, a payout or a party, in order; None where nothing ever did.

    A contract's holds its payouts'; a payout's begins with what made it; corrections of any of it are among the events.
    `as_of` leaves only what occurred by then, `known_at` what was recorded by then. Raises ValueError for another kind of id.
    """
    reader = AtTimes(source.reader, as_of=as_of, known_at=known_at)
    position = reader.position("history")
    views = _views(reader, subject)
    if not views:
        return None
    views = sorted({view.position: view for view in [*views, *_corrections(reader, subject, views)]}.values())
    return History("history", subject, position, tuple(happenings(source, views)))


def _views(reader: Histories, subject: str) -> list[EventView]:
    kind = ids.kind_of(subject)
    if kind == ids.CONTRACT:
        return reader.history(contract_id=subject)
    if kind == ids.PAYOUT:
        views = reader.history(payout_id=subject)
        return [*made_by(reader, views), *views]
    if kind in (ids.FREELANCER, ids.CLIENT):
        return reader.events(party_id=subject, limit=NO_UPPER_BOUND)
    raise ValueError(f"{subject!r} has no history: name a contract (con_…), payout (pay_…), freelancer or client")


def made_by(reader: Histories, views: Iterable[EventView]) -> list[EventView]:
    """The contract's event that made the payout: the approval, the close, the bonus or the payroll."""
    for view in views:
        if isinstance(view.event, e.PayoutDue):
            cause = view.event.cause_id
            return [one for one in reader.history(contract_id=view.event.contract_id) if one.id == cause]
    return []


def _corrections(reader: Histories, subject: str, views: list[EventView]) -> list[EventView]:
    """Adjustments that correct one of these events, or were posted to an account of the subject (rule 27)."""
    known = {view.id for view in views}
    found = [view for topic in adjustments.TOPICS for view in reader.events(topic=topic, limit=NO_UPPER_BOUND)]
    concerned = {
        view.stream
        for view in found
        if getattr(view.event, "corrects_event_id", None) in known or adjustments.posts_to(view.event, (subject,))
    }
    return [view for view in found if view.stream in concerned]


def happenings(source: Source, views: Sequence[EventView]) -> list[Happening]:
    """Events as people and programs are told of them, with the texts that the source has."""
    texts = source.vault.reveal(sealed.id for view in views for sealed in vault_texts.references(view.event))
    return told(views, texts)


def told(views: Iterable[EventView], texts: vault_texts.Revealed) -> list[Happening]:
    """Events as people and programs are told of them. Pure; texts that are not in `texts` are marked erased."""
    happenings = []
    currencies: dict[str, str] = {}
    for view in views:
        event: Any = view.event
        if isinstance(event, e.ContractOffered):
            currencies[event.contract_id] = event.currency
        happenings.append(
            Happening(
                position=view.position,
                event_id=view.id,
                stream=view.stream,
                version=view.version,
                type=view.topic,
                occurred_at=event.occurred_at,
                recorded_at=event.recorded_at,
                actor=event.actor,
                what=sentence(event, currencies.get(getattr(event, "contract_id", ""), "")),
                rules=rules_of(event),
                entries=tuple(view.entries),
                details=vault_texts.details(event, texts),
                command_id=event.command_id,
                cause_id=event.cause_id,
                rule_version=event.rule_version,
            )
        )
    return happenings
