"""Signed checkpoints: one key for as long as there is a ledger, and never another one in its place."""

import stat
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import Corrupt
from ledger.store.checkpoints import FILE, KEY_FILE, PUBLIC_KEY_FILE, CannotSign, Checkpoint, Checkpoints, is_signed_by
from ledger.store.clocks import SystemClock


class Head:
    """A log as a checkpoint is made of it; an event longer each time."""

    position = 0

    def head_hash(self) -> tuple[int, bytes]:
        self.position += 1
        return self.position, sha256(str(self.position).encode()).digest()


LOG = Head()


def written(checkpoints: Checkpoints) -> Checkpoint:
    made = checkpoints.write(LOG, SystemClock())  # type: ignore[arg-type]
    assert made is not None
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    """A checkpoint, and the key that signed it."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    written(checkpoints)
    return checkpoints


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_first_checkpoint_makes_the_key_and_every_other_is_signed_with_it(kept: Checkpoints) -> None:
    public = kept.public_key()
    assert public is not None
    written(kept)
    assert [is_signed_by(one, public) for one in kept.all()] == [True, True]
    assert kept.public_key() == public
    assert stat.S_IMODE((kept.folder / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("gone", [(KEY_FILE,), (KEY_FILE, FILE), (KEY_FILE, PUBLIC_KEY_FILE)])
def test_where_only_the_private_key_is_missing_nothing_is_signed_and_nothing_is_written(
    kept: Checkpoints, gone: tuple[str, ...]
) -> None:
    """Another key would leave the checkpoints before it without one that verifies them."""
    for name in gone:
        (kept.folder / name).unlink()
    before = contents(kept.folder)
    with pytest.raises(CannotSign, match="no signing-key") as error:
        written(kept)
    assert contents(kept.folder) == before
    for says in (str(kept.folder), "put it back from its backup", "LEDGER_CHECKPOINT_DIR", "If it is lost, move"):
        assert says in str(error.value)


def test_once_what_is_left_of_a_lost_key_is_moved_away_a_new_one_is_made(kept: Checkpoints, tmp_path: Path) -> None:
    (kept.folder / KEY_FILE).unlink()
    (tmp_path / "before").mkdir()
    for name in (PUBLIC_KEY_FILE, FILE):
        (kept.folder / name).rename(tmp_path / "before" / name)
    public = Checkpoints(tmp_path / "before").public_key()
    assert public is not None
    assert kept.public_key() is None
    made = written(kept)
    assert not is_signed_by(made, public)
    assert all(is_signed_by(one, public) for one in Checkpoints(tmp_path / "before").all())


def test_a_public_key_that_is_missing_is_made_of_the_private_one(kept: Checkpoints) -> None:
    """As after a kill between the two."""
    public = kept.public_key()
    (kept.folder / PUBLIC_KEY_FILE).unlink()
    written(kept)
    assert kept.public_key() == public


@pytest.mark.parametrize("text", ["07" * 32, "", "hello", "00"])
def test_a_private_key_that_is_not_the_public_one_s_signs_nothing(kept: Checkpoints, text: str) -> None:
    (kept.folder / KEY_FILE).write_text(text)
    before = contents(kept.folder)
    with pytest.raises(CannotSign, match="put it back from its backup"):
        written(kept)
    assert contents(kept.folder) == before


def test_a_private_key_that_did_not_sign_the_last_checkpoint_gets_no_public_key(kept: Checkpoints) -> None:
    (kept.folder / KEY_FILE).write_text(Ed25519PrivateKey.generate().private_bytes_raw().hex())
    (kept.folder / PUBLIC_KEY_FILE).unlink()
    before = contents(kept.folder)
    with pytest.raises(CannotSign, match="did not sign the last checkpoint"):
        written(kept)
    assert contents(kept.folder) == before


def test_a_public_key_that_is_none_is_named(kept: Checkpoints) -> None:
    (kept.folder / PUBLIC_KEY_FILE).write_text("hello")
    for read in (kept.public_key, lambda: written(kept)):
        with pytest.raises(Corrupt, match="public-key is no public key"):
            read()
