"""Nobody changes a case file unseen: not a stranger, and not its signer."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError
from replay.case import proof as case_proof
from replay.case.file import MAX_BYTES, Case, CaseFile, parse, sign
from replay.case.opening import reopen
from replay.live import Live
from tests.replay.case_files.conftest import offline
from tests.replay.story import contract


def refused(data: bytes) -> bool:
    """Whether a file is refused or found broken."""
    try:
        return not reopen(parse(data)).ok
    except LedgerError:
        return True


@settings(max_examples=400, deadline=None)
@given(place=st.integers(min_value=0), byte=st.integers(0, 255))
def test_no_byte_can_be_changed(small: bytes, place: int, byte: int) -> None:
    at = place % len(small)
    changed = small[:at] + bytes([byte]) + small[at + 1 :]
    assert changed == small or refused(changed)


def test_no_byte_of_what_is_not_signed_can_be_changed(small: bytes) -> None:
    """The texts and the signature, byte by byte: case, spaces, and digits that decode to the same."""
    start = small.index(b'\n "texts": ', small.index(b'"result_sha256"'))
    for at in range(start, len(small)):
        for byte in {small[at] ^ 0x20, small[at] ^ 0x01, 0x20, 0x09} - {small[at]}:
            assert refused(small[:at] + bytes([byte]) + small[at + 1 :]), at


@settings(max_examples=100, deadline=None)
@given(place=st.integers(min_value=0), inserted=st.binary(max_size=3), dropped=st.integers(0, 3))
def test_nothing_can_be_put_in_or_left_out(small: bytes, place: int, inserted: bytes, dropped: int) -> None:
    at = place % (len(small) + 1)
    changed = small[:at] + inserted + small[at + dropped :]
    assert changed == small or refused(changed)


@pytest.fixture
def resigned(wandered_live: Live, small: bytes) -> Callable[[Callable[[Case], Any]], CaseFile]:
    """The small case after a change, signed again by the ledger's own key: what only the proof can see."""
    key = bytes.fromhex((wandered_live.checkpoints.folder / "signing-key").read_text())
    file = parse(small)

    def sign_again(change: Callable[[Case], Any]) -> CaseFile:
        changed = msgspec.structs.replace(file.case, **change(file.case))
        return sign(changed, file.texts, Ed25519PrivateKey.from_private_bytes(key))

    return sign_again


def with_event(case: Case, number: int, **changes: Any) -> dict[str, Any]:
    events = list(case.events)
    events[number] = msgspec.structs.replace(events[number], **changes)
    return {"events": tuple(events)}


def rehashed(case: Case) -> dict[str, Any]:
    """An event with other bytes, and with the hash that it would have."""
    last = case.events[-1]
    changed = msgspec.structs.replace(last, state=last.state.replace('"actor":"', '"actor":"x'))
    return with_event(case, len(case.events) - 1, state=changed.state, hash=case_proof._after(changed).hex())


FORGERIES: dict[str, tuple[Callable[[Case], dict[str, Any]], str]] = {
    "an event edited": (
        lambda case: with_event(case, 3, state=case.events[3].state + " "),
        "not the one that its hash",
    ),
    "an event edited and hashed anew": (rehashed, "do not lead to the checkpoint|does not follow|does not chain"),
    "two events swapped": (
        lambda case: {"events": (case.events[1], case.events[0], *case.events[2:])},
        "not in the order of the log",
    ),
    "an event removed": (lambda case: {"events": (*case.events[:4], *case.events[5:])}, "checkpoint|goes to version"),
    "a leaf removed": (
        lambda case: {"proof": (msgspec.structs.replace(case.proof[0], leaves=case.proof[0].leaves[64:]),)},
        "do not lead to the checkpoint|does not follow",
    ),
    "a leaf added": (
        lambda case: {"proof": (msgspec.structs.replace(case.proof[0], leaves=case.proof[0].leaves + "00" * 32),)},
        "do not lead to the checkpoint",
    ),
    "a proof from elsewhere": (
        lambda case: {"proof": (msgspec.structs.replace(case.proof[0], first=2**63 - 1),)},
        "where the case has no event",
    ),
    "a checkpoint that nobody signed": (
        lambda case: {
            "proof": (
                msgspec.structs.replace(
                    case.proof[0], checkpoint=msgspec.structs.replace(case.proof[0].checkpoint, position=2**62)
                ),
            )
        },
        "not signed by the key",
    ),
    "another result": (lambda case: {"result": {}}, "not the one of its SHA-256"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_the_proof_holds_against_the_signer(resigned: Callable[..., CaseFile], what: str) -> None:
    change, says = FORGERIES[what]
    with pytest.raises(LedgerError, match=says):
        reopen(resigned(change))


def test_an_event_that_is_proved_twice_is_proved_once(resigned: Callable[..., CaseFile]) -> None:
    """Otherwise the signer could make up for events without a proof."""
    twice = resigned(lambda case: {"proof": (*case.proof, *case.proof)})
    assert reopen(twice).proved == len(twice.case.events)


def test_signed_again_by_a_stranger_it_leads_to_no_checkpoint_of_theirs(small: bytes) -> None:
    file = parse(small)
    with pytest.raises(LedgerError, match="not signed by the key of this file"):
        reopen(sign(file.case, file.texts, Ed25519PrivateKey.generate()))


UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "twice": lambda data: data * 2,
    "with a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "with Windows line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "laid out anew": lambda data: json.dumps(json.loads(data)).encode(),
    "of another format": lambda data: data.replace(b"ledger case v1", b"ledger case v2", 1),
    "with a key twice": lambda data: data.replace(
        b'{\n "format": "ledger case v1",', b'{\n "format": "ledger case v1",' * 2, 1
    ),
    "with a field more": lambda data: data.replace(b"{", b'{\n "more": 1,', 1),
    "nested deeply": lambda _: b'{"format":"ledger case v1","case":{"result":' + b"[" * 200_000,
    "nested deeply where nothing is known": lambda _: b"[" * 1_000_000,
    "half a character": lambda data: data.replace("“".encode(), b"\xe2\x80") + b"\xff",
    "half a pair": lambda data: data.replace(b'"code_version": "', b'"code_version": "\\ud800', 1),
    "a number without end": lambda data: data.replace(b'"position": ', b'"position": ' + b"9" * 5000, 1),
    "no number": lambda data: data.replace(b'"rule_version": 1', b'"rule_version": NaN', 1),
    "something else": lambda _: os.urandom(4096),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_no_case_file_ends_with_2(small: bytes, tmp_path: Path, what: str) -> None:
    file = tmp_path / "x.case.json"
    file.write_bytes(UNREADABLE[what](small))
    for arguments in (("case", "open", file), ("case", "replay", file), ("case", "redact", file, "--names")):
        result = offline(*arguments)
        assert result.exit_code == 2, result.output
        assert "cannot be used" in result.output
        assert isinstance(result.exception, SystemExit)
    assert offline("trial-balance", "--source", file).exit_code == 2


def test_a_file_of_any_size_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "large.case.json"
    with file.open("wb") as opened_file:
        opened_file.truncate(MAX_BYTES * 1000)
    result = offline("case", "open", file)
    assert result.exit_code == 2
    assert "larger than 64 MiB" in result.stderr


def test_a_file_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    assert "cannot be read" in offline("case", "open", tmp_path / "nothing").stderr
    assert offline("case", "open", tmp_path / "nothing").exit_code == 2
    assert offline("case", "open", tmp_path).exit_code == 2
    assert offline("history", contract("Logo"), "--source", tmp_path / "nothing").exit_code == 2
    assert offline("case", "replay", tmp_path).exit_code == 2
