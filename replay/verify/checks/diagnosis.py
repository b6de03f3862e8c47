"""At the end of a log in the database: whether its end is missing, and what was done to it."""

from typing import Any

from psycopg import Connection

from replay.verify.checks import reading, tampering
from replay.verify.checks.chain import ChainCheck
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.checks.tampering import Tampering
from replay.verify.findings import Findings


def commands_beyond(connection: Connection[Any], position: int, findings: Findings) -> bool:
    """Whether a command reached beyond the end of the log, which says that events were cut off there."""
    count, last = reading.beyond(connection, position)
    if count:
        what = f"{count} command(s) reached up to position {last}: the end of the log is missing"
        findings.add("log", what, position=position + 1)
    return count > 0


def done_to(
    connection: Connection[Any], log: ChainCheck, kept: CheckpointCheck, head: tuple[int, bytes] | None, *, cut: bool
) -> Tampering | None:
    """What was done to the log. A row that was changed says more than a head or a checkpoint that no longer fits."""
    broken, last = log.broken_at, log.position
    if broken is not None:
        rows = (stored for batch in reading.batches(connection, broken - 1) for stored in batch)
        return tampering.at_break(broken, log.intact_hash, rows)
    if head is not None and head[0] < last:
        return tampering.beyond_head(head[0])
    if cut or kept.positions() or (head is not None and head[0] > last):
        return tampering.tail_cut(last)
    if kept.disagreed_at is not None:
        return tampering.rehashed(kept.agreed_to, kept.disagreed_at)
    return None
