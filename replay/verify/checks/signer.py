"""Whose key signed a source that holds the key itself: anybody can sign with a key of their own."""

from replay.case.file import ANOTHER_KEY
from replay.verify.findings import Findings

UNKNOWN_KEY = (
    "whose key this is: it cannot be known from the source; compare it with the ledger's public key, or give --key"
)


def check_signer(signer: str, trusted: str | None, findings: Findings) -> list[str]:
    """Another key than the `trusted` one is a finding; without one, answers what could not be looked at. Keys in hex."""
    if trusted is None:
        return [UNKNOWN_KEY]
    if signer != trusted:
        findings.add("file", ANOTHER_KEY.format(signer))
    return []
