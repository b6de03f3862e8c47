"""Is a case file what was signed, does it stand in the log, and do its payouts come to what they must: with no database."""

from collections import Counter

from replay.case.file import CaseBroken, CaseFile, require_signed, texts_now
from replay.case.source import require_contents, source_of
from replay.verify.checks.signer import check_signer
from replay.verify.checks.source_events import NO_PROJECTIONS, Events, Progress
from replay.verify.findings import Report

OTHER_STREAMS = "whole accounts: a case holds only what belongs to its contract"
NOT_IN_FILE = "the texts that are not in the file: it does not say whether the ledger has them or has erased them since"
BETWEEN = "what its payouts come to: a case made as of a time may lack events in between"


def verify_case(file: CaseFile, *, key: str | None = None, on_events: Progress | None = None) -> Report:
    """Signature, proof and texts as `replay case open` verifies them, then each event, and what the payouts come to.

    The positions of a case have gaps: that its events stand in the log, the proof shows, up to the checkpoints in it. `key`: the
    public key, in hex, that must have signed it; whoever makes up a case signs it with a key of their own.
    """
    events, left_out = Events(), [NO_PROJECTIONS, OTHER_STREAMS]
    signer, proved, stored = None, 0, list(source_of(file).log.read_all())
    try:
        require_signed(file)
        signer = file.signature.key
        left_out += check_signer(signer, key, events.findings)
        proved = require_contents(file)
        if proved < len(stored):
            left_out.append(f"the way of {len(stored) - proved} event(s) to a signed checkpoint: it is not in the file")
    except CaseBroken as error:
        events.findings.add("file", str(error))
    whole = file.case.as_of is None
    for one in stored:
        events.take_apart(one, payouts=whole)
        if on_events:
            on_events(1, len(stored))
    if whole:
        events.books.payouts.end(events.states())
    if not whole:
        left_out.append(BETWEEN)
    statuses = Counter(texts_now(file).values())
    if statuses["redacted"] or statuses["unavailable"]:
        left_out.append(NOT_IN_FILE)
    return events.report("case", "", len(file.case.proof), left_out, texts=statuses, public_key=signer, proved=proved)
