"""Making a case: one signed file of all that belongs to a contract, what it comes to, and the proof that it stands in the log.

The same source and arguments give the same bytes: it is signed with the ledger's own key, that of its checkpoints, and the
signature is Ed25519's, which draws nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from importlib.metadata import version

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import Corrupt
from ledger.events import RULE_VERSION
from ledger.store.checkpoints import KEY_FILE, Checkpoints, is_signed_by
from replay.case.closure import gather
from replay.case.file import Case, CaseBroken, CaseEvent, CaseFile, TextKind, digest_of, sign, stored
from replay.case.proof import linked
from replay.case.result import UNFOLDABLE, Outcome, outcome, recorded
from replay.case.source import CaseSource, verify
from replay.case.texts import Salted, sealed_of, texts_of
from replay.excerpt import Excerpt
from replay.live import Live
from replay.sources import Progress, Source, SourceUnavailable
from replay.values import instant


def make_case(
    source: Source,
    contract_id: str,
    checkpoints: Checkpoints,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    redacted: Collection[TextKind] = (),
    on_events: Progress | None = None,
) -> CaseFile | None:
    """The case of a contract; None where there is no such contract by then.

    `checkpoints`: the ledger's, with the key that signs. Raises SourceUnavailable or CannotSign where nothing can be signed, and
    Corrupt where the log is not the one that was signed, or cannot be folded.
    """
    if isinstance(source, CaseSource):
        raise SourceUnavailable("a case is made from a ledger or its archive, and this is a case file: redact that one")
    key = signing_key(source, checkpoints)
    gathered = gather(source, contract_id, as_of=as_of, known_at=known_at, on_events=on_events)
    if gathered is None:
        return None
    public = key.public_key().public_bytes_raw()
    signed = [one for one in checkpoints.all() if is_signed_by(one, public) and one.position <= source.log.head()]
    events, runs = linked(source.log, [view.position for view in gathered.events], signed, on_events)
    result = _outcome(events, contract_id)
    happened = [view.event for view in gathered.events]
    references, texts = texts_of(happened, _vault(source, sealed_of(happened)), redacted)
    case = Case(
        contract_id=contract_id,
        position=gathered.position,
        as_of=instant(as_of) if as_of else None,
        known_at=instant(known_at) if known_at else None,
        code_version=version("ledger"),
        rule_version=RULE_VERSION,
        events=events,
        texts=references,
        proof=runs,
        result=recorded(result),
        result_sha256=digest_of(recorded(result)),
    )
    return _checked(sign(case, texts, key))


def _checked(file: CaseFile) -> CaseFile:
    """What would not be good when it is opened is not written. Raises Corrupt."""
    try:
        verify(file)
    except CaseBroken as error:
        raise Corrupt(f"the ledger is not as it was written: {error}; run `replay verify`") from error
    return file


def _outcome(events: Sequence[CaseEvent], contract_id: str) -> Outcome | None:
    """Raises Corrupt: a stream can only be folded when nothing in its middle is left out, as --as-of may do."""
    try:
        return outcome(Excerpt(stored(events)), contract_id)
    except UNFOLDABLE as error:
        raise Corrupt(f"these events cannot be folded: {error!r}; ask for another --as-of, or by --known-at") from error


def signing_key(source: Source, checkpoints: Checkpoints) -> Ed25519PrivateKey:
    """The ledger's own key. The live log's head is signed with it first, as `replay export` does: the proof leads up to there.

    A ledger that has signed nothing yet gets its key by that. Raises SourceUnavailable, and CannotSign where it is not here.
    """
    folder = checkpoints.folder
    try:
        if isinstance(source, Live):
            _sign_head(source, checkpoints)
        raw = (folder / KEY_FILE).read_text(encoding="ascii")
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(raw.strip()))
    except (OSError, ValueError) as error:
        raise SourceUnavailable(
            f"the key that signs cases cannot be had ({error}): run this where LEDGER_CHECKPOINT_DIR is the ledger's own"
        ) from error


def _sign_head(source: Live, checkpoints: Checkpoints) -> None:
    try:
        checkpoints.write(source.log, source.clock)
    except OSError:
        if not (checkpoints.folder / KEY_FILE).exists():
            raise  # with a key that can only be read, the proof leads to the checkpoints that there are


def _vault(source: Source, identifiers: Iterable[str]) -> dict[str, Salted] | None:
    """The texts with their salts; None of a source that has no vault."""
    if not isinstance(source, Live):
        return None
    rows = source.database.fetch("SELECT id, salt, text FROM vault WHERE id = ANY(%s)", (sorted(identifiers),))
    return {row["id"]: Salted(bytes(row["salt"]), row["text"]) for row in rows}
