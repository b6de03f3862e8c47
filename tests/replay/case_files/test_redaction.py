"""Texts can be taken out of a case file by anybody, and put into it by nobody."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ledger.errors import LedgerError
from replay.case.file import Text, parse
from replay.case.opening import reopen
from tests.replay.case_files.conftest import offline, opened
from tests.replay.conftest import Copy, Replay
from tests.replay.story import ADA, contract


def text_of(file: Path) -> str:
    return file.read_bytes().decode()


@pytest.mark.parametrize(
    ("options", "gone", "left"),
    [
        (("--names",), ("acme@client.example", "them@work.example"), ("Logo for a client",)),
        (("--messages",), ("Logo for a client", "goodwill"), ("acme@client.example",)),
        (("--names", "--messages"), ("acme", "Logo for a client", "goodwill"), ()),
    ],
)
def test_anybody_can_take_texts_out_and_the_signature_stays_good(
    case: Callable[..., Path], tmp_path: Path, options: tuple[str, ...], gone: tuple[str, ...], left: tuple[str, ...]
) -> None:
    file, redacted = case("Logo"), tmp_path / "redacted.case.json"
    given = opened(file)["texts"]["given"]
    result = offline("case", "redact", file, "-o", redacted, *options)
    assert result.exit_code == 0, result.output
    assert all(text in text_of(file) for text in gone + left)
    assert not any(text in text_of(redacted) for text in gone)
    assert all(text in text_of(redacted) for text in left)
    texts = opened(redacted)["texts"]
    assert texts["redacted"] == given - texts.get("given", 0) > 0
    assert "(redacted)" in offline("case", "open", redacted).stdout
    assert offline("case", "redact", redacted, *options).stdout_bytes == redacted.read_bytes()


def test_redacted_at_once_is_signed_as_redacted(case: Callable[..., Path]) -> None:
    file = case("Logo", "--redact", "names, messages")
    found = parse(file.read_bytes())
    assert found.texts == ()
    assert {one.status for one in found.case.texts} == {"redacted", "withheld"}


def test_a_text_that_was_taken_out_cannot_be_another_one_afterwards(case: Callable[..., Path]) -> None:
    found = parse(case("Logo").read_bytes())
    (first, *others) = found.texts
    for texts in (
        (msgspec.structs.replace(first, text=first.text + " "), *others),
        (msgspec.structs.replace(first, salt="00" * 16), *others),
        (first, first, *others),
        (*others, first),
        (*found.texts, Text(id="vlt_x", salt="", text="")),
    ):
        with pytest.raises(LedgerError, match="text"):
            reopen(msgspec.structs.replace(found, texts=texts))


def test_what_is_erased_later_is_erased_in_a_later_case_and_both_open(
    copy: Copy, replay_at: Callable[[Copy], Replay], tmp_path: Path
) -> None:
    replay = replay_at(copy)
    assert replay("case", contract("Logo"), "-o", str(tmp_path / "before")).exit_code == 0
    copy.tamper(f"DELETE FROM vault WHERE owner = '{ADA}'")
    assert replay("case", contract("Logo"), "-o", str(tmp_path / "after")).exit_code == 0
    before, after = opened(tmp_path / "before"), opened(tmp_path / "after")
    assert "erased" not in before["texts"]
    assert after["texts"]["erased"] == 3  # her name, her address, and the one that the offer was sent to
    assert after["payouts"] == before["payouts"]


@pytest.mark.parametrize(
    "arguments",
    [("redact", "FILE"), ("redact", "FILE", "--all"), ("con_x", "--redact", "dates"), ("con_x", "--redact", "")],
)
def test_what_cannot_be_taken_out_is_refused(case: Callable[..., Path], arguments: tuple[str, ...]) -> None:
    file = str(case("Held"))
    assert offline("case", *(file if one == "FILE" else one for one in arguments)).exit_code == 2
