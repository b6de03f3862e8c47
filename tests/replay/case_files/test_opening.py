"""What a case file says when it is opened, where there is no database."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replay.case.file import digest_of, parse, render, sign
from replay.case.opening import reopen
from replay.live import Live
from tests.replay.case_files.conftest import offline, opened
from tests.replay.conftest import Copy
from tests.replay.story import cycle_payout, payout


def test_it_opens_without_a_database_and_says_what_it_comes_to(case: Callable[..., Path], live: Live) -> None:
    found = opened(case("Code"))
    assert found["ok"]
    by_id = {one["id"]: one for one in found["payouts"]}
    for identifier in (cycle_payout("Code", "2026-01-05"), cycle_payout("Code", "2026-03-02")):
        state = live.reader.payout(identifier)
        assert state is not None
        assert by_id[identifier]["status"] == state.status
        assert by_id[identifier]["pending"] == state.pending
    for account in found["accounts"]:
        assert account["balance"] == account["credits"] - account["debits"]


def test_the_story_is_told_as_a_table(case: Callable[..., Path]) -> None:
    shown = offline("case", "open", case("Site")).stdout
    assert "title: “Site for a client”" in shown
    assert "message: (erased)" in shown
    assert "method: (withheld)" in shown
    assert "\nPayouts" in shown
    assert "OK: the file is as it was signed" in shown


def test_no_token_of_a_payment_method_is_written(case: Callable[..., Path]) -> None:
    written = case("Logo").read_text()
    assert "pm_card" not in written
    assert "ba_test" not in written


def test_the_key_can_be_pinned_by_its_file_or_its_digits(
    case: Callable[..., Path], shared: Copy, tmp_path: Path
) -> None:
    file, key = case("Held"), shared.settings.checkpoints / "public-key"
    assert not opened(file)["pinned"]
    assert opened(file, "--key", key)["pinned"]
    assert opened(file, "--key", key.read_text().strip().upper())["pinned"]
    assert "not compared with a key of yours" in offline("case", "open", file).stdout
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    result = offline("case", "open", file, "--key", other)
    assert result.exit_code == 1
    assert "signed by another key" in result.stderr
    for nonsense in ("hello", str(tmp_path), "zz" * 32, str(file)):
        assert offline("case", "open", file, "--key", nonsense).exit_code == 2


def test_a_result_that_is_no_longer_given_is_named(case: Callable[..., Path], shared: Copy) -> None:
    file = case("Logo")
    found = parse(file.read_bytes())

    def told_of(result: dict[str, Any]) -> str:
        key = Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex((shared.settings.checkpoints / "signing-key").read_text())
        )
        changed = msgspec.structs.replace(found.case, result=result, result_sha256=digest_of(result))
        file.write_bytes(render(sign(changed, found.texts, key)))
        answer = offline("case", "open", file)
        assert answer.exit_code == 1
        assert "NOT OK" in answer.stdout
        assert offline("case", "replay", file).exit_code == 1
        return answer.stdout

    other = deepcopy(found.case.result)
    other["payouts"][0]["released"] = 49_999
    assert f"payouts[{payout('Logo')}].released was 49999 and is 50000" in told_of(other)
    other = deepcopy(found.case.result)
    other["contract"]["fee"] = 0
    assert "contract.fee is no longer there" in told_of(other)
    other = deepcopy(found.case.result)
    other["accounts"].pop()
    assert "accounts had 4 entries and has 5" in told_of(other)


def test_a_field_that_newer_code_adds_is_no_difference(case: Callable[..., Path], shared: Copy) -> None:
    found = parse(case("Logo").read_bytes())
    older = deepcopy(found.case.result)
    del older["contract"]["untold"], older["payouts"][0]["failures"]
    changed = msgspec.structs.replace(found.case, result=older, result_sha256=digest_of(older))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex((shared.settings.checkpoints / "signing-key").read_text()))
    resigned = sign(changed, found.texts, key)
    assert reopen(resigned).difference is None


def test_a_text_cannot_move_the_cursor(case: Callable[..., Path]) -> None:
    file = case("Code")
    shown = offline("case", "open", file).stdout
    assert "\\x1b[31m" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in file.read_text()
