"""The manifest of an archive: its files, the positions in them, the head of the chain after each, and a signed checkpoint.

An archive is a folder with `archive.json` and `month=2026-01/events-000000000001-000000012345.parquet` and so on. The manifest is
the archive: a file that it does not name is no part of it. It is replaced as a whole, by a rename.
"""

import os
import re
from datetime import datetime
from hashlib import file_digest
from pathlib import Path

import msgspec

from ledger.store import chain
from ledger.store.checkpoints import Checkpoint, is_signed_by
from replay.sources import SourceUnavailable

NAME, FORMAT, VERSION = "archive.json", "ledger archive", 1
_FILE = re.compile(r"month=\d{4}-\d{2}/events-\d{12,}-\d{12,}\.parquet", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ArchiveFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: the events from `first` to `last`, all of one `month`.

    `types` are those of the column `type`; `recorded_until` is the latest time that one of them was recorded at; `hash` is the
    chain's head after `last`, in hex.
    """

    path: str
    month: str
    first: int
    last: int
    types: tuple[str, ...]
    recorded_until: datetime
    bytes: int
    sha256: str
    hash: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`position` and `hash` (hex) are the chain's head at the end of the last file.

    `checkpoint` is a signed head at the end of one of the files, at the latest run's end the last one's; `public_key` is hex.
    """

    format: str = FORMAT
    version: int = VERSION
    columns: tuple[str, ...]
    position: int = 0
    hash: str = chain.START.hex()
    files: tuple[ArchiveFile, ...] = ()
    checkpoint: Checkpoint | None = None
    public_key: str | None = None


def is_archive(folder: Path) -> bool:
    return (folder / NAME).is_file()


def read(folder: Path) -> Manifest:
    """The manifest of an archive, sound in itself, its files in their places. Raises SourceUnavailable."""
    try:
        manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise SourceUnavailable(
            f"{folder} is no archive, it has no {NAME}: name the folder that `replay archive` wrote"
        ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise SourceUnavailable(f"the archive's manifest {folder / NAME} cannot be read: {error}") from error
    if (manifest.format, manifest.version) != (FORMAT, VERSION):
        raise SourceUnavailable(
            f"{folder / NAME} is {manifest.format!r}, version {manifest.version}, and this program reads {FORMAT!r},"
            f" version {VERSION}: read it with the version that wrote it"
        )
    if wrong := _contradiction(manifest):
        raise SourceUnavailable(f"the archive's manifest {folder / NAME} contradicts itself: {wrong}")
    for one in manifest.files:
        _require_file(folder, one)
    return manifest


def _contradiction(manifest: Manifest) -> str | None:
    position, head = 0, chain.START.hex()
    heads = {0: head}
    for one in manifest.files:
        if not _FILE.fullmatch(one.path) or not one.path.startswith(f"month={one.month}/"):
            return f"{one.path!r} is no name of a file of an archive"
        if not (_HEX.fullmatch(one.sha256) and _HEX.fullmatch(one.hash)):
            return f"{one.path} has a hash that is no SHA-256 in hex"
        if one.first != position + 1 or one.last < one.first:
            return f"{one.path} holds positions {one.first} to {one.last}, after {position}"
        position, head = one.last, one.hash
        heads[position] = head
    if (manifest.position, manifest.hash) != (position, head):
        return f"its files end at position {position}, and it says {manifest.position}, or another hash"
    signed = manifest.checkpoint
    if signed is None:
        return None
    if heads.get(signed.position) != signed.hash:
        return f"its checkpoint is of another chain: at position {signed.position} it has the hash {signed.hash}"
    if not is_signed_by(signed, _key(manifest)):
        return f"the signature of its checkpoint at position {signed.position} is not its key's"
    return None


def _key(manifest: Manifest) -> bytes:
    try:
        return bytes.fromhex(manifest.public_key or "")
    except ValueError:
        return b""


def signer(manifest: Manifest) -> str | None:
    """The key, in hex, that the checkpoint of a manifest that was read is signed with; without a checkpoint it is nobody's."""
    return None if manifest.checkpoint is None else _key(manifest).hex()


def _require_file(folder: Path, one: ArchiveFile) -> None:
    try:
        size = (folder / one.path).stat().st_size
    except OSError as error:
        raise SourceUnavailable(
            f"the archive's file {folder / one.path} cannot be read ({error.strerror}): put it back, or archive anew"
        ) from error
    if size != one.bytes:
        raise SourceUnavailable(
            f"the archive's file {folder / one.path} has {size} bytes, not {one.bytes}: put it back, or archive anew"
        )


def write(folder: Path, manifest: Manifest) -> None:
    """Replaces the manifest; it is on disk before this returns."""
    temporary = folder / f".{NAME}.tmp"
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / NAME)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """What was renamed in a folder has reached the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
