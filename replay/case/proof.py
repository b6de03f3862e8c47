"""That the events of a case stand in the chain: each with its link, and as a rule the way on to a signed checkpoint.

The chain is a list, so the way from an event to a checkpoint is made of the leaves of all events between: 32 bytes each, which
say nothing of an event to whoever does not know all of its bytes already.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from ledger import ids
from ledger.errors import Corrupt
from ledger.store import chain
from ledger.store.checkpoints import Checkpoint, is_signed_by
from ledger.store.log import Stored
from replay.case.file import CaseBroken, CaseEvent, CaseFile, Run
from replay.sources import EventSource, Progress

MAX_RUN = 10_000
"""Leaves on the way to one checkpoint. One is signed every 1,000 events: where it is further, none was signed there."""
MAX_LEAVES = 100_000
"""Leaves in one file, 6.4 MB of hex; the shortest ways are taken first."""

WHOLE = (ids.CONTRACT, ids.PAYOUT, ids.ADJUSTMENT)
"""Streams that a case holds from their first event on."""


class Linked(NamedTuple):
    events: tuple[CaseEvent, ...]
    runs: tuple[Run, ...]


def linked(
    log: EventSource,
    positions: Sequence[int],
    checkpoints: Sequence[Checkpoint],
    on_events: Progress | None = None,
) -> Linked:
    """The events at these positions, in order, as a case holds them, with the ways to checkpoints that are short enough.

    `checkpoints`: those that the signer of the case has signed. Raises Corrupt where the log is not the one that was signed.
    """
    events: list[CaseEvent] = []
    runs: list[Run] = []
    for group, checkpoint in _affordable(_grouped(sorted(positions), checkpoints)):
        if checkpoint is None:
            events += [_event(*_pair(log, position)) for position in group]
            continue
        wanted, leaves, previous = set(group), [], b""
        for stored in log.read_all(after=max(group[0] - 2, 0), until=checkpoint.position):
            if stored.position in wanted:
                events.append(_event(previous or chain.START, stored))
            elif stored.position > group[0]:
                leaf = chain.leaf(stored.position, stored.version, stored.stream, stored.topic, stored.state)
                leaves.append(leaf.hex())
            previous = stored.hash
            if on_events:
                on_events(1)
        if previous.hex() != checkpoint.hash:
            raise Corrupt(
                f"the log is not the one that was signed at position {checkpoint.position}: run `replay verify`"
            )
        runs.append(Run(first=group[0], leaves="".join(leaves), checkpoint=checkpoint))
    return Linked(tuple(events), tuple(runs))


Group = tuple[list[int], Checkpoint | None]


def _grouped(positions: Sequence[int], checkpoints: Sequence[Checkpoint]) -> list[Group]:
    """The positions by the first checkpoint at or after each."""
    ordered = iter(sorted(checkpoints, key=lambda one: one.position))
    groups: list[Group] = []
    checkpoint = next(ordered, None)
    for position in positions:
        while checkpoint is not None and checkpoint.position < position:
            checkpoint = next(ordered, None)
        if not groups or groups[-1][1] is not checkpoint:
            groups.append(([], checkpoint))
        groups[-1][0].append(position)
    return groups


def _affordable(groups: Sequence[Group]) -> Iterator[Group]:
    """The groups, without their checkpoint where the way to it is too long."""
    left, paid = MAX_LEAVES, set()
    for length, number in sorted((_length(group), number) for number, group in enumerate(groups)):
        if 0 <= length <= min(left, MAX_RUN):
            left -= length
            paid.add(number)
    for number, (positions, checkpoint) in enumerate(groups):
        yield positions, checkpoint if number in paid else None


def _length(group: Group) -> int:
    positions, checkpoint = group
    return -1 if checkpoint is None else checkpoint.position - positions[0] + 1 - len(positions)


def _pair(log: EventSource, position: int) -> tuple[bytes, Stored]:
    """An event, and the head of the chain before it."""
    rows = list(log.read_all(after=max(position - 2, 0), until=position))
    return (rows[0].hash if len(rows) > 1 else chain.START), rows[-1]


def _event(previous: bytes, stored: Stored) -> CaseEvent:
    return CaseEvent(
        position=stored.position,
        stream=stored.stream,
        version=stored.version,
        topic=stored.topic,
        state=stored.state.decode(),
        previous=previous.hex(),
        hash=stored.hash.hex(),
    )


def require_proved(file: CaseFile) -> int:
    """How many events are shown to stand in the log that was signed. Raises CaseBroken at the first thing that is wrong."""
    events = {one.position: one for one in file.case.events}
    before: CaseEvent | None = None
    for one in file.case.events:
        where = f"event {one.stream} {one.version} at position {one.position}"
        if before is not None and one.position <= before.position:
            raise CaseBroken(
                f"{where} comes after position {before.position}: the events are not in the order of the log"
            )
        if before is not None and one.position == before.position + 1 and one.previous != before.hash:
            raise CaseBroken(f"{where} does not chain to the event before it")
        if _after(one).hex() != one.hash:
            raise CaseBroken(f"{where} is not the one that its hash was made of")
        before = one
    if file.case.as_of is None and file.case.known_at is None:
        _require_whole(file.case.events)
    # an event on two ways to a checkpoint is one
    return len(set().union(*(_follow(run, events, file.signature.key) for run in file.case.proof)))


def _require_whole(events: Sequence[CaseEvent]) -> None:
    """Nothing is left out of a stream that a case holds whole, up to its last event here."""
    versions: dict[str, int] = {}
    for one in events:
        if ids.kind_of(one.stream) in WHOLE:
            if one.version != versions.get(one.stream, 0) + 1:
                raise CaseBroken(
                    f"{one.stream} goes to version {one.version} where {versions.get(one.stream, 0)} was last"
                )
            versions[one.stream] = one.version


def _after(one: CaseEvent) -> bytes:
    previous = bytes.fromhex(one.previous)
    return chain.link(previous, one.position, one.version, one.stream, one.topic, one.state.encode())


def _follow(run: Run, events: dict[int, CaseEvent], key: str) -> set[int]:
    """Along the leaves to the checkpoint; the positions of the case's events that it passed."""
    checkpoint, passed = run.checkpoint, set()
    if not is_signed_by(checkpoint, bytes.fromhex(key)):
        raise CaseBroken(f"the checkpoint at position {checkpoint.position} is not signed by the key of this file")
    leaves = iter(bytes.fromhex(run.leaves[at : at + 64]) for at in range(0, len(run.leaves), 64))
    if run.first not in events:
        raise CaseBroken(f"a proof begins at position {run.first}, where the case has no event")
    head = bytes.fromhex(events[run.first].previous)
    for position in range(run.first, checkpoint.position + 1):
        own = events.get(position)
        if own is not None:
            if own.previous != head.hex():
                raise CaseBroken(f"position {position} does not follow on what stands before it")
            head = bytes.fromhex(own.hash)
            passed.add(position)
            continue
        leaf = next(leaves, None)
        if leaf is None:
            break
        head = sha256(b"\x01" + head + leaf).digest()
    if head.hex() != checkpoint.hash or next(leaves, None) is not None:
        raise CaseBroken(f"the events do not lead to the checkpoint signed at position {checkpoint.position}")
    return passed
