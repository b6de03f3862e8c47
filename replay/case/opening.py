"""What a case file says today: whether it is what was signed, and whether the present code still makes the same of it. Pure."""

from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from ledger.aggregates.payout import Payout
from ledger.events import RULE_VERSION
from ledger.store.checkpoints import key_id
from ledger.store.reader import view_of
from replay.balances import AccountTotal
from replay.case.file import CaseFile, texts_now
from replay.case.result import UNFOLDABLE, difference, outcome
from replay.case.source import source_of, verify
from replay.history import Happening, told


@dataclass(frozen=True)
class Opening:
    """A case that is what was signed. `difference`: the first thing that the present code makes otherwise; None: nothing.

    `proved`: how many of the events are shown to stand in the log up to a signed checkpoint; the others rest on the signature.
    `texts`: how many there are of each status. Amounts in minor units; the accounts are what the case's events moved.
    """

    object: Literal["case"]
    ok: bool
    contract_id: str
    position: int
    as_of: str | None
    known_at: str | None
    key: str
    fingerprint: str
    pinned: bool
    written_by: str
    replayed_by: str
    proved: int
    checkpoints: tuple[int, ...]
    texts: dict[str, int]
    result_sha256: str
    difference: str | None
    events: tuple[Happening, ...]
    payouts: tuple[Payout, ...]
    accounts: tuple[AccountTotal, ...]


def reopen(file: CaseFile, key: str | None = None) -> Opening:
    """Verifies the file and folds it again. Raises CaseBroken where it is not what was signed."""
    case = file.case
    proved = verify(file, key)
    source = source_of(file)
    views = [view_of(stored) for stored in source.log.read_all()]
    differs, now = None, None
    try:
        now = outcome(source.log, case.contract_id)
        differs = "the contract is no longer there" if now is None else difference(case.result, now)
    except UNFOLDABLE as error:
        differs = f"the events cannot be folded any more: {error!r}"
    statuses = texts_now(file)
    return Opening(
        object="case",
        ok=differs is None,
        contract_id=case.contract_id,
        position=case.position,
        as_of=case.as_of,
        known_at=case.known_at,
        key=file.signature.key,
        fingerprint=key_id(bytes.fromhex(file.signature.key)),
        pinned=key is not None,
        written_by=_by(case.code_version, case.rule_version),
        replayed_by=_by(version("ledger"), RULE_VERSION),
        proved=proved,
        checkpoints=tuple(run.checkpoint.position for run in case.proof),
        texts=dict(sorted(Counter(statuses.values()).items())),
        result_sha256=case.result_sha256,
        difference=differs,
        events=tuple(told(views, source.vault.reveal(statuses))),
        payouts=now.payouts if now else (),
        accounts=now.accounts if now else (),
    )


def _by(code_version: str, rule_version: int) -> str:
    return f"ledger {code_version}, rules {rule_version}"
