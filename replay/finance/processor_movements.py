"""What the ledger holds to have moved at the processor: the entries on its account, itemised by what the processor can name.

The posting rules say what moved; this only asks which payout, refund, reversal or withdrawal it was for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from msgspec.structs import asdict

from ledger.events import AdjustmentProposed, Event
from ledger.postings import ADJUSTMENT_LINE, PROCESSOR, Entry
from ledger.store.log import Stored
from ledger.upcasters import UPCASTERS
from replay.balances import movements
from replay.sources import EventSource, Progress

Kind = Literal["charge", "refund", "chargeback", "chargeback_won", "withdrawal", "withdrawal_failed", "adjustment"]
State = Literal["moved", "under_way", "failed"]

_MOVED: Mapping[str, Kind] = {
    "charge": "charge",
    "refund_paid": "refund",
    "chargeback": "chargeback",
    "chargeback_won": "chargeback_won",
    "withdrawal_paid": "withdrawal",
}
"""Lines of the posting rules that move money at the processor, and as what."""
_BEGUN: Mapping[str, Kind] = {"reduction": "refund", "refund": "refund", "withdrawal": "withdrawal"}
"""Lines after which the processor is asked to send the amount: it may have done so already, and not have said so."""
_FAILED = "withdrawal_failed"


@dataclass(frozen=True, slots=True)
class Movement:
    """`amount` is signed minor units: positive for money that came in at the processor. `reference` is the processor's id.

    `under_way`: asked for, outcome not known. `failed`: a withdrawal that came back, in two movements, or never left.
    `corrected_by`: the adjustments whose postings to the processor's account are part of the amount (rule 27).
    """

    kind: Kind
    state: State
    subject: str
    payout_id: str | None
    amount: int
    currency: str
    reference: str | None
    event_id: str
    position: int
    occurred_at: datetime
    corrected_by: tuple[str, ...] = ()


def at_the_processor(
    source: EventSource, position: int, known_at: datetime | None, on_events: Progress | None
) -> list[Movement]:
    """Every movement up to a position, of what was known by then, in the order of the log."""
    noting = _Noting(source)
    gathered = Movements(noting.corrects)
    for stored, entries in movements(noting, position, None, known_at, on_events):
        gathered.add(stored, stored.event, entries)
    return gathered.found()


class _Noting:
    """A log that notes on its way which event each adjustment corrects: its proposal says so, and moves nothing itself."""

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self.corrects: dict[str, str] = {}
        """By adjustment."""

    def head(self) -> int:
        return self._source.head()

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        for stored in self._source.read_all(after=after, until=until):
            if stored.topic == AdjustmentProposed.TOPIC or stored.topic in UPCASTERS:
                event = stored.event
                if isinstance(event, AdjustmentProposed):
                    self.corrects[event.adjustment_id] = event.corrects_event_id
            yield stored

    def find(self, stream: str, version: int) -> Stored | None:
        return self._source.find(stream, version)


class Movements:
    """Gathers the movements from events and their entries, in the order of the log. `corrects`: adjustment to event."""

    def __init__(self, corrects: Mapping[str, str]) -> None:
        self._corrects = corrects
        self._of: dict[tuple[Kind, str, str], Movement] = {}
        """By kind, subject and currency, in the order of their beginning."""
        self._at: dict[tuple[str, str], tuple[Kind, str, str]] = {}
        """Where the movement of an event is, by event and currency."""

    def add(self, stored: Stored, event: Event, entries: Iterable[Entry]) -> None:
        """What one event moved, or had sent, or took back."""
        sums: dict[tuple[str, str], int] = {}
        for account, currency, credit, line in entries:
            if line in _MOVED or line == ADJUSTMENT_LINE:
                counts = account == PROCESSOR
            else:
                counts = credit > 0  # where it waits for the processor
            if counts:
                sums[line, currency] = sums.get((line, currency), 0) - credit
        for (line, currency), amount in sums.items():
            self._take(stored, event, line, currency, amount)

    def found(self) -> list[Movement]:
        """All of them, by the position of the event that says so; what a correction undid completely is gone."""
        return sorted((one for one in self._of.values() if one.amount), key=lambda one: (one.position, one.currency))

    def _take(self, stored: Stored, event: Event, line: str, currency: str, amount: int) -> None:
        if line in _MOVED:
            self._put(_movement(stored, event, _MOVED[line], "moved", currency, amount))
        elif line in _BEGUN:
            self._put(_movement(stored, event, _BEGUN[line], "under_way", currency, amount))
        elif line == _FAILED:
            self._put(_movement(stored, event, "withdrawal", "failed", currency, amount))
            self._put(_movement(stored, event, "withdrawal_failed", "failed", currency, -amount))
        elif line == ADJUSTMENT_LINE and amount:
            self._adjust(_movement(stored, event, "adjustment", "moved", currency, amount))

    def _put(self, movement: Movement) -> None:
        key = movement.kind, movement.subject, movement.currency
        begun = self._of.get(key)
        if begun is not None and movement.kind == "withdrawal":  # it left when it was asked for, not when it arrived
            movement = replace(movement, occurred_at=begun.occurred_at)
        self._of[key] = movement
        self._at[movement.event_id, movement.currency] = key

    def _adjust(self, adjustment: Movement) -> None:
        """What it does to the processor's account belongs to the movement that it corrects; else it stands by itself."""
        key = self._at.get((self._corrects.get(adjustment.subject, ""), adjustment.currency))
        if key is None:
            self._put(adjustment)
            return
        corrected = self._of[key]
        self._of[key] = replace(
            corrected,
            amount=corrected.amount + adjustment.amount,
            corrected_by=(*corrected.corrected_by, adjustment.subject),
        )


def _movement(stored: Stored, event: Event, kind: Kind, state: State, currency: str, amount: int) -> Movement:
    fields: dict[str, Any] = asdict(event)
    return Movement(
        kind=kind,
        state=state,
        subject=_subject(kind, fields),
        payout_id=fields.get("payout_id"),
        amount=amount,
        currency=currency,
        reference=fields.get("reference"),
        event_id=stored.id,
        position=stored.position,
        occurred_at=event.occurred_at,
    )


def _subject(kind: Kind, fields: Mapping[str, Any]) -> str:
    """What the processor was given the movement's id as, or what names it in the ledger."""
    match kind:
        case "charge":
            return str(fields["payout_id"])
        case "refund":
            return str(fields.get("refund_id") or fields["reversal_id"])
        case "chargeback" | "chargeback_won":
            return str(fields["reversal_id"])
        case "withdrawal" | "withdrawal_failed":
            return str(fields["withdrawal_id"])
        case "adjustment":
            return str(fields["adjustment_id"])
