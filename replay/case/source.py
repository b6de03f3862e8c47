"""A case file as a source: its events, its texts, and the time of its last record."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ledger.errors import LedgerError
from replay.case.file import (
    ANOTHER_KEY,
    MAX_BYTES,
    CaseBroken,
    CaseFile,
    digest_of,
    parse,
    require_signed,
    stored,
    texts_now,
)
from replay.case.proof import require_proved
from replay.case.texts import require_texts
from replay.excerpt import Excerpt
from replay.scan import Scan
from replay.sources import SourceUnavailable
from replay.texts import Absent, Revealed


class CaseTexts:
    """The texts of a case file, or why one is not in it; one that was erased when it was made is not there."""

    def __init__(self, file: CaseFile) -> None:
        self._texts: dict[str, str | Absent] = {one.id: one.text for one in file.texts}
        for identifier, status in texts_now(file).items():
            if status not in ("given", "erased"):
                self._texts[identifier] = Absent(status)

    def reveal(self, ids: Iterable[str]) -> Revealed:
        """The texts, by vault id, or why one is not in the file."""
        return {one: self._texts[one] for one in ids if one in self._texts}


class LastRecord:
    """A clock that stands at the last record."""

    def __init__(self, log: Excerpt) -> None:
        self._log = log

    def now(self) -> datetime:
        return max(one.event.recorded_at for one in self._log.read_all())


class CaseSource(NamedTuple):
    """What `replay.sources.Source` asks for, of one contract."""

    file: CaseFile
    log: Excerpt
    reader: Scan
    vault: CaseTexts
    clock: LastRecord


def source_of(file: CaseFile) -> CaseSource:
    """The file as a source; nothing is verified here."""
    log = Excerpt(stored(file.case.events))
    return CaseSource(file, log, Scan(log), CaseTexts(file), LastRecord(log))


def read(path: Path) -> CaseFile:
    """The file, not verified yet. Raises SourceUnavailable, naming it."""
    try:
        with path.open("rb") as opened:
            return parse(opened.read(MAX_BYTES + 1))
    except OSError as error:
        raise SourceUnavailable(f"{path} cannot be read: {error.strerror or error}") from error
    except SourceUnavailable as error:
        raise SourceUnavailable(f"{path} cannot be used: {error}") from error


def verify(file: CaseFile, key: str | None = None) -> int:
    """Signature, proof and texts; how many events are shown to stand in the log that was signed. Raises CaseBroken.

    `key`: the public key, in hex, that it must be signed with.
    """
    if key is not None and file.signature.key != key:
        raise CaseBroken(ANOTHER_KEY.format(file.signature.key))
    require_signed(file)
    return require_contents(file)


def require_contents(file: CaseFile) -> int:
    """Of a file whose signature is good: proof, texts and result; how many events are shown to stand in the log that was signed.

    Raises CaseBroken.
    """
    proved = require_proved(file)
    require_texts(file)
    if digest_of(file.case.result) != file.case.result_sha256:
        raise CaseBroken("the recorded result is not the one of its SHA-256")
    return proved


def open_case(path: Path) -> CaseSource:
    """A verified case file as a source. Raises SourceUnavailable."""
    file = read(path)
    try:
        verify(file)
    except LedgerError as error:
        raise SourceUnavailable(f"{path} cannot be used: {error}") from error
    return source_of(file)
