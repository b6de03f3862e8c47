"""What a forger makes who has a log and no key: one payout is more in all of its events, every hash fits, a fresh key signs."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.store import chain
from ledger.store.checkpoints import Checkpoint, Checkpoints, sign
from replay.archive.writing import archive
from replay.sources import EventSource
from tests.replay.archives import Log
from tests.replay.case_files.conftest import give_key
from tests.replay.story import payout

FORGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
FORGERS_KEY = FORGER.public_key().public_bytes_raw().hex()


def forged_log(log: EventSource) -> Log:
    """500.00 of the logo are 600.00, wherever an event says so; no invariant breaks."""
    forged, head = Log(()), chain.START
    for one in log.read_all():
        state = one.state
        if payout("Logo").encode() in state:
            state = state.replace(b'"amount":50000', b'"amount":60000')
        head = chain.link(head, one.position, one.version, one.stream, one.topic, state)
        forged.rows.append(one._replace(state=state, hash=head))
    return forged


def signed_by(key: Ed25519PrivateKey, log: Log) -> Checkpoint:
    """The log's head, signed."""
    return sign(key, log.head(), log.rows[-1].hash.hex(), "2026-03-09T12:00:00Z")


def forged_archive(log: EventSource, folder: Path) -> Path:
    """Whole in itself, with a checkpoint of the forger's."""
    forged = forged_log(log)
    archive(forged, folder, checkpoint=signed_by(FORGER, forged), public_key=FORGER.public_key().public_bytes_raw())
    return folder


def forgers(folder: Path) -> Checkpoints:
    """The forger's key, and no checkpoint."""
    give_key(folder, FORGER)
    return Checkpoints(folder)
