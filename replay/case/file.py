"""The format of a case file: what it holds, how it is signed, read and redacted. Pure: bytes in, bytes out (docs/case-files.md).

A case file is one JSON document. `case` is signed; `texts` are not, as anybody may take some out: each is held to the digest
that the signed events carry of it. A file is exactly what `render` makes of it, so no byte of it can be another.
"""

import json
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import LedgerError
from ledger.store.checkpoints import Checkpoint
from ledger.store.log import Stored
from replay.sources import SourceUnavailable

FORMAT: Literal["ledger case v1"] = "ledger case v1"
SUFFIX = ".case.json"
ANOTHER_KEY = "it is signed by another key, {}: do not trust it"
MAX_BYTES = 64 * 2**20
"""A larger file is not read: it would be no case of one contract."""

Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{2})*\Z")]
"""Bytes in lower-case hex: in upper case the same bytes would be another file."""
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Identifier = Annotated[str, msgspec.Meta(pattern=r"\A[a-z]{3}_[a-z0-9]{1,64}\Z")]
"""Of a stream. Whoever signs a file may write what they like into it: this stands in names of tests and files."""
Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]

TextKind = Literal["name", "message", "method"]
TextStatus = Literal["given", "redacted", "erased", "withheld", "unavailable"]
KINDS: tuple[TextKind, ...] = ("name", "message")
"""What can be redacted; tokens of payment methods are never written."""


class CaseBroken(LedgerError):
    """The file can be read, and is not what was signed, or does not prove what it says."""


class CaseEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event as it is stored: `state` are the bytes as text, `previous` and `hash` the chain before and after it."""

    position: Number
    stream: Identifier
    version: Number
    topic: str
    state: str
    previous: Hex32
    hash: Hex32


class TextReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text that the events point to, and what became of it when the file was signed."""

    id: str
    kind: TextKind
    status: TextStatus


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of the log from the case's event at `first` to a signed checkpoint.

    `leaves`: the 32-byte leaves of the events between that are not in the case, in order, as one hex text.
    """

    first: Number
    leaves: Hex
    checkpoint: Checkpoint


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed. `position`: how far the log was read; nothing that is linked and stands up to there is missing."""

    contract_id: Identifier
    position: Number
    as_of: str | None
    known_at: str | None
    code_version: str
    rule_version: int
    events: tuple[CaseEvent, ...]
    texts: tuple[TextReference, ...]
    proof: tuple[Run, ...]
    result: dict[str, Any]
    result_sha256: Hex32


class Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`salt` in hex; the events carry the SHA-256 of the salt and the UTF-8 text."""

    id: str
    salt: Hex
    text: str


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ed25519: the public key and the signature, in hex."""

    key: Hex32
    signature: Hex


class CaseFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["ledger case v1"]
    case: Case
    texts: tuple[Text, ...]
    signature: Signature


def canonical(value: Any) -> bytes:
    """JSON without spaces, keys sorted, only what must be escaped escaped, UTF-8: for whole numbers, that of RFC 8785."""
    text = json.dumps(msgspec.to_builtins(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest_of(value: Any) -> str:
    """The SHA-256 of the canonical JSON, in hex."""
    return sha256(canonical(value)).hexdigest()


def message(case: Case) -> bytes:
    """What is signed."""
    return f"{FORMAT}\n{digest_of(case)}\n".encode()


def sign(case: Case, texts: Collection[Text], key: Ed25519PrivateKey) -> CaseFile:
    signature = Signature(key=key.public_key().public_bytes_raw().hex(), signature=key.sign(message(case)).hex())
    return CaseFile(format=FORMAT, case=case, texts=tuple(texts), signature=signature)


def require_signed(file: CaseFile) -> None:
    """Raises CaseBroken when the holder of the key in the file did not sign exactly this case."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(file.signature.key))
        key.verify(bytes.fromhex(file.signature.signature), message(file.case))
    except (InvalidSignature, ValueError) as error:
        raise CaseBroken("the signature is not that of this case: the file was changed after it was signed") from error


def render(file: CaseFile) -> bytes:
    """The bytes of the file."""
    return json.dumps(msgspec.to_builtins(file), indent=1, ensure_ascii=False).encode() + b"\n"


def parse(data: bytes) -> CaseFile:
    """Raises SourceUnavailable for anything that `render` did not write."""
    if len(data) > MAX_BYTES:
        raise SourceUnavailable(f"it is larger than {MAX_BYTES // 2**20} MiB: no case file is")
    try:
        file = msgspec.json.decode(data, type=CaseFile)
        rendered = render(file)
    except RecursionError as error:
        raise SourceUnavailable("it is nested too deeply to be a case file") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise SourceUnavailable(f"it is not a case file of this format ({FORMAT}): {error}") from error
    if rendered != data:
        at = next(
            (n for n, (a, b) in enumerate(zip(rendered, data, strict=False)) if a != b), min(len(rendered), len(data))
        )
        raise SourceUnavailable(f"it is not as a case file is written, from byte {at} on: use the file as it was made")
    return file


def stored(events: Iterable[CaseEvent]) -> list[Stored]:
    """The events as they stand in the log."""
    return [
        Stored(one.position, one.stream, one.version, one.topic, one.state.encode(), bytes.fromhex(one.hash))
        for one in events
    ]


def redact(file: CaseFile, kinds: Collection[TextKind]) -> CaseFile:
    """The file without the texts of these kinds. It needs no key: what is signed stays as it is, and says what was given."""
    gone = {one.id for one in file.case.texts if one.kind in kinds}
    return msgspec.structs.replace(file, texts=tuple(one for one in file.texts if one.id not in gone))


def texts_now(file: CaseFile) -> dict[str, TextStatus]:
    """What each text is now: one that was given and is not in the file any more was redacted since."""
    here = {one.id for one in file.texts}
    return {
        one.id: "redacted" if one.status == "given" and one.id not in here else one.status for one in file.case.texts
    }
