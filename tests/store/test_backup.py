"""The programs that make and read a backup meet the database as the ledger does, and nobody else reads what they write."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.bootstrap import Ledger
from ledger.store import backup
from ledger.store.backup import BackupError, back_up, restore
from tests.databases import Server, name_of

WATCHED = """\
#!{python}
import json, os, sys
from pathlib import Path
for file in (Path(word.removeprefix("--file=")) for word in sys.argv if word.startswith("--file=")):
    about = [oct(file.stat().st_mode)[-3:], file.stat().st_size] if file.exists() else []
    with Path({notes!r}).open("a") as notes:
        notes.write(json.dumps({{"arguments": sys.argv[1:], "file": about}}) + "\\n")
os.execv({program!r}, sys.argv)
"""
"""Writes down how it was called, and what it found of the file that it is to write, and becomes the program itself."""


@pytest.fixture
def url(past: Ledger, server: Server) -> str:
    """The owner's, of a ledger with a history."""
    assert past.settings.database_url is not None
    return server.owner_url_of(past.settings.database_url.get_secret_value())


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each call of pg_dump."""
    notes, folder = tmp_path / "notes", tmp_path / "programs"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        words = {"python": sys.executable, "notes": str(notes), "program": str(backup.package_binaries() / name)}
        (folder / name).write_text(WATCHED.format(**words))
        (folder / name).chmod(0o755)
    monkeypatch.setattr(backup, "package_binaries", lambda: folder)
    return notes


def notes_of(called: Path) -> dict[str, Any]:
    (line,) = called.read_text().splitlines()
    noted: dict[str, Any] = json.loads(line)
    return noted


def test_every_option_of_the_url_counts(url: str, server: Server, tmp_path: Path) -> None:
    """Here the password stands in a file that only an option names."""
    where = conninfo_to_dict(url)
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:{where['user']}:{where['password']}\n")
    passwords.chmod(0o600)

    def by_file(one: str) -> str:
        given = conninfo_to_dict(one)
        del given["password"]
        return make_conninfo(**given, passfile=passwords)

    made = back_up(by_file(url), tmp_path / "ledger.backup")
    empty = server.create_empty()
    assert restore(by_file(server.owner_url_of(empty)), tmp_path / "ledger.backup") == made
    server.drop(empty)


def test_the_password_is_not_on_the_command_line_which_others_can_read(url: str, tmp_path: Path, called: Path) -> None:
    back_up(make_conninfo(url, sslmode="prefer", application_name="the backup"), tmp_path / "ledger.backup")
    arguments = notes_of(called)["arguments"]
    (named,) = (one.removeprefix("--dbname=") for one in arguments if one.startswith("--dbname="))
    given = conninfo_to_dict(url)
    password = given.pop("password")
    assert conninfo_to_dict(named) == {**given, "sslmode": "prefer", "application_name": "the backup"}
    assert str(password) not in str(arguments)


def test_another_secret_in_the_url_is_refused_and_not_shown_to_others(url: str, tmp_path: Path, called: Path) -> None:
    with pytest.raises(BackupError, match="sslpassword") as refused:
        back_up(make_conninfo(url, sslpassword="s3cr3t"), tmp_path / "ledger.backup")
    assert "s3cr3t" not in str(refused.value)
    assert not called.exists()
    assert not (tmp_path / "ledger.backup").exists()


def test_a_url_that_names_no_database_means_the_one_that_postgresql_takes_for_it(
    url: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless(one: str) -> str:
        monkeypatch.setenv("PGDATABASE", name_of(one))
        return make_conninfo(**{name: value for name, value in conninfo_to_dict(one).items() if name != "dbname"})

    made = back_up(nameless(url), tmp_path / "ledger.backup")
    empty = server.create_empty()
    assert restore(nameless(server.owner_url_of(empty)), tmp_path / "ledger.backup") == made
    server.drop(empty)


def test_nobody_else_can_read_the_backup_from_its_first_byte_on(url: str, tmp_path: Path, called: Path) -> None:
    file = tmp_path / "ledger.backup"
    back_up(url, file)
    assert notes_of(called)["file"] == ["600", 0], "before anything is written to it"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size > 0


def test_a_backup_that_fails_leaves_nothing_in_the_way_of_the_next(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ledger.backup"
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pg_dump").write_text("#!/bin/sh\necho half >> ${0%/*}/../ledger.backup\necho no room >&2\nexit 1\n")
    (broken / "pg_dump").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(backup, "package_binaries", lambda: broken)
        with pytest.raises(BackupError, match="no room"):
            back_up(url, file)
    assert list(tmp_path.glob("ledger.backup*")) == []
    back_up(url, file)


def test_a_file_that_cannot_be_made_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"nowhere.*No such file"):
        back_up(url, tmp_path / "nowhere" / "ledger.backup")
