"""Signed checkpoints of the chain, kept outside the database: what an auditor holds against the log.

A checkpoint states the chain's head at a position, signed with Ed25519. Whoever rewrites the log, even the whole of it with every
hash made anew, cannot make it agree with a checkpoint that somebody has kept. The signed message is
`ledger checkpoint v1\\n{position}\\n{hash}\\n{at}\\n`, with the hash in lower-case hex and the time as it stands in the file.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.clock import Clock
from ledger.errors import Corrupt, LedgerError
from ledger.store.log import LedgerLog

EVERY_EVENTS = 1_000
EVERY_SECONDS = 60.0

LONGEST = 4_096
"""More bytes than a line has."""
FILE, KEY_FILE, PUBLIC_KEY_FILE = "checkpoints.jsonl", "signing-key", "public-key"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`hash` and `key` are hex; `key` is the start of the SHA-256 of the public key; `signature` is base64."""

    position: int
    hash: str
    at: str
    key: str
    signature: str


def message(position: int, head: str, at: str) -> bytes:
    """What is signed."""
    return f"ledger checkpoint v1\n{position}\n{head}\n{at}\n".encode()


def key_id(public_key: bytes) -> str:
    return sha256(public_key).hexdigest()[:16]


def sign(key: Ed25519PrivateKey, position: int, head: str, at: str) -> Checkpoint:
    """The checkpoint of a head (hex) at a position, signed with the key."""
    return Checkpoint(
        position=position,
        hash=head,
        at=at,
        key=key_id(key.public_key().public_bytes_raw()),
        signature=b64encode(key.sign(message(position, head, at))).decode(),
    )


def is_signed_by(checkpoint: Checkpoint, public_key: bytes) -> bool:
    """Whether the holder of the key (32 raw bytes) signed exactly this checkpoint."""
    try:
        signature = b64decode(checkpoint.signature, validate=True)
        text = message(checkpoint.position, checkpoint.hash, checkpoint.at)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return checkpoint.key == key_id(public_key)


class CannotSign(LedgerError):
    """The key that signs checkpoints is not here, and no other may take its place: nothing would verify the earlier ones."""


class Checkpoints:
    """The checkpoints of one ledger, in a folder that the database's administrator need not have access to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, log: LedgerLog, clock: Clock) -> Checkpoint | None:
        """Signs the present head and keeps it, on disk before this returns; None when nothing was appended since the last.

        The first time a key is made. Raises CannotSign where there was one that is not here, and Corrupt as `last` does.
        """
        position, head = log.head_hash()
        last = self.last()
        if position == 0 or (last is not None and last.position >= position):
            return None
        key = self._signing_key()
        at = clock.now().isoformat().replace("+00:00", "Z")
        checkpoint = sign(key, position, head.hex(), at)
        with (self.folder / FILE).open("ab") as file:
            file.write(msgspec.json.encode(checkpoint) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return checkpoint

    def all(self) -> Iterator[Checkpoint]:
        """Every checkpoint, oldest first. Raises Corrupt for a line that is none."""
        return iter(self.since(0)[0])

    def since(self, offset: int) -> tuple[list[Checkpoint], int]:
        """The checkpoints from a byte of the file on, oldest first, and the byte behind them. Raises Corrupt as `all` does."""
        data = self._bytes(offset)
        return [self._read(line) for line in data.splitlines()], offset + len(data)

    def last(self) -> Checkpoint | None:
        """The newest one, from the end of the file, which may be long. Raises Corrupt when it does not end with a checkpoint."""
        lines = self._bytes(-LONGEST).splitlines()
        return self._read(lines[-1]) if lines else None

    def _bytes(self, offset: int) -> bytes:
        """Of the file from there on; a negative offset counts from its end. Nothing where there is no file."""
        try:
            with (self.folder / FILE).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(offset if offset >= 0 else max(size + offset, 0))
                return file.read()
        except FileNotFoundError:
            return b""

    def _read(self, line: bytes) -> Checkpoint:
        try:
            return msgspec.json.decode(line, type=Checkpoint)
        except msgspec.DecodeError as error:
            what = f"{self.folder / FILE} has a line that is no checkpoint ({error})"
            raise Corrupt(
                f"{what}: move it aside, and compare with the checkpoints that your auditor has kept"
            ) from error

    def public_key(self) -> bytes | None:
        """32 raw bytes; None as long as nothing was signed here. Raises Corrupt for a file that holds none."""
        path = self.folder / PUBLIC_KEY_FILE
        try:
            raw = bytes.fromhex(path.read_text(encoding="ascii").strip()) if path.exists() else None
            return None if raw is None else Ed25519PublicKey.from_public_bytes(raw).public_bytes_raw()
        except ValueError as error:
            raise Corrupt(
                f"{path} is no public key ({error}): put it back from its backup, or from your auditor"
            ) from error

    def _signing_key(self) -> Ed25519PrivateKey:
        """The one of the public key. A public key is written after its private one, so that it never stands alone."""
        path, public = self.folder / KEY_FILE, self.public_key()
        if not path.exists():
            if public is not None or (self.folder / FILE).exists():
                left = PUBLIC_KEY_FILE if public is not None else FILE
                raise self._cannot_sign(f"{self.folder} has {left} and no {KEY_FILE}")
            self._make_key(path)
        try:
            key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
        except ValueError as error:
            raise self._cannot_sign(f"{path} is no signing key ({error})") from error
        own = key.public_key().public_bytes_raw()
        if public is None:
            if (last := self.last()) is not None and last.key != key_id(own):
                raise self._cannot_sign(f"{path} did not sign the last checkpoint in {FILE} beside it")
            (self.folder / PUBLIC_KEY_FILE).write_text(own.hex() + "\n", encoding="ascii")
        elif public != own:
            raise self._cannot_sign(f"{path} is not the signing key of {PUBLIC_KEY_FILE} beside it")
        return key

    def _make_key(self, path: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        raw = Ed25519PrivateKey.generate().private_bytes_raw()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(raw.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _cannot_sign(self, what: str) -> CannotSign:
        return CannotSign(
            f"{what}: put it back from its backup, or name the folder that has it in LEDGER_CHECKPOINT_DIR. If it is lost, move"
            f" what there is of {KEY_FILE}, {PUBLIC_KEY_FILE} and {FILE} to another folder and keep it, as earlier checkpoints"
            " are verified with it; the next checkpoint then makes a new key"
        )
