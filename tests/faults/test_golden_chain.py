"""Every golden event of every version loads, and the chain gives it the same hash for ever: verifiers rely on it."""

import json
from pathlib import Path

import pytest

from ledger.codec import decode, encode
from ledger.events import EVENTS
from ledger.store import chain
from ledger.upcasters import UPCASTERS

GOLDENS = sorted((Path(__file__).parents[1] / "golden" / "events").glob("*.json"))
HASHES = Path(__file__).parent / "golden_hashes.json"
"""Made once; a golden's hash is never changed, only added: `python -m tests.faults.test_golden_chain` adds those that lack."""


def hash_of(golden: Path) -> str:
    """As the first event of the log, on a stream of its own."""
    return chain.link(chain.START, 1, 1, "con_golden", golden.stem, golden.read_bytes().rstrip(b"\n")).hex()


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.stem)
def test_a_golden_event_loads_upcasts_and_has_the_hash_it_always_had(golden: Path) -> None:
    stored = golden.read_bytes().rstrip(b"\n")
    event = decode(golden.stem, stored)
    assert event.TOPIC in EVENTS
    assert json.loads(HASHES.read_text())[golden.stem] == hash_of(golden)
    if golden.stem == event.TOPIC:
        assert encode(event) == stored, "what is written of it today are the bytes that were written then"


def test_every_version_of_every_event_has_a_golden_and_every_golden_a_hash() -> None:
    names = {golden.stem for golden in GOLDENS}
    assert names == EVENTS.keys() | UPCASTERS.keys()
    assert names == json.loads(HASHES.read_text()).keys()


if __name__ == "__main__":
    known = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    HASHES.write_text(json.dumps({one.stem: known.get(one.stem) or hash_of(one) for one in GOLDENS}, indent=1) + "\n")
