"""Erasing a party, backing up and restoring, on the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.bootstrap import Ledger
from ledger.store.database import Database
from tests.conftest import Server
from tests.processes import PATIENCE_SECONDS

PROGRAMS = Path(sys.executable).parent


def environment(server: Server, url: str, folder: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    return {
        **ours,
        "LEDGER_DATABASE_URL": url,
        "LEDGER_OWNER_URL": server.owner_url_of(url),
        "LEDGER_DATA_DIR": str(folder),
        "LEDGER_SANDBOX": "1",
    }


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [str(PROGRAMS / arguments[0]), *arguments[1:]]
    return subprocess.run(
        program, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS, cwd=env["LEDGER_DATA_DIR"]
    )


@pytest.fixture
def env(server: Server, past: Ledger, tmp_path: Path) -> dict[str, str]:
    assert past.settings.database_url is not None
    return environment(server, past.settings.database_url.get_secret_value(), tmp_path)


def freelancer_of(past: Ledger) -> str:
    (row,) = past.database.fetch("SELECT freelancer_id FROM payouts WHERE status = 'released' ORDER BY id LIMIT 1")
    return str(row["freelancer_id"])


def test_an_erased_party_has_no_text_left_and_its_history_still_verifies(env: dict[str, str], past: Ledger) -> None:
    party = freelancer_of(past)
    before = past.reader.balance(party)
    state = past.reader.freelancer(party)
    assert state is not None
    assert past.vault.reveal([state.name, state.email])

    first, again = run(env, "ledger", "erase", party), run(env, "ledger", "erase", party)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert past.vault.reveal([state.name, state.email]) == {}
    assert past.database.fetch("SELECT FROM vault WHERE owner = %s", (party,)) == []
    assert past.database.fetch("SELECT FROM identities WHERE id = %s", (party,)) == []
    topics = [stored.topic for stored in past.log.read_all() if stored.stream == party]
    assert topics.count("freelancer.erased.v1") == 1
    after = past.reader.balance(party)
    assert (after.pending, after.available, after.in_transit) == (before.pending, before.available, before.in_transit)
    verdict = run(env, "replay", "verify")
    assert verdict.returncode == 0, verdict.stdout
    assert "0 erased" not in verdict.stdout


def test_erasing_takes_the_texts_out_of_kept_answers(env: dict[str, str], past: Ledger) -> None:
    party = freelancer_of(past)
    past.database.execute(
        "INSERT INTO idempotency (owner, key, fingerprint, command_id, status, headers, body)"
        " VALUES ('per_x', 'k', %s, 'cmd_x', 201, '{}', %s)",
        (bytes(32), f'{{"id":"{party}","name":"Ada Byron"}}'.encode()),
    )
    assert run(env, "ledger", "erase", party).returncode == 0
    (row,) = past.database.fetch("SELECT status, body FROM idempotency WHERE key = 'k'")
    assert (row["status"], row["body"]) == (None, None)


def test_erasing_takes_the_texts_out_of_kept_answers_that_name_only_a_contract(
    env: dict[str, str], past: Ledger
) -> None:
    party = freelancer_of(past)
    (own, *_) = past.database.fetch("SELECT id FROM contracts WHERE freelancer_id = %s", (party,))
    (other, *_) = past.database.fetch("SELECT id FROM contracts WHERE freelancer_id <> %s", (party,))
    for key, row in (("own", own), ("other", other)):
        past.database.execute(
            "INSERT INTO idempotency (owner, key, fingerprint, command_id, status, headers, body)"
            " VALUES ('per_x', %s, %s, %s, 200, '{}', %s)",
            (key, bytes(32), f"cmd_{key}", f'{{"contract_id":"{row["id"]}","description":"secret"}}'.encode()),
        )
    assert run(env, "ledger", "erase", party).returncode == 0
    kept = {row["key"]: row["status"] for row in past.database.fetch("SELECT key, status FROM idempotency")}
    assert (kept["own"], kept["other"]) == (None, 200)


def test_somebody_who_was_invited_and_never_registered_is_erased(env: dict[str, str], past: Ledger) -> None:
    invited = past.vault.identify("fre", "invited@example.com")
    head = past.log.head()
    erased = run(env, "ledger", "erase", invited)
    assert erased.returncode == 0, erased.stderr
    assert past.database.fetch("SELECT FROM identities WHERE id = %s", (invited,)) == []
    assert past.log.head() == head


@pytest.mark.parametrize("party", ["fre_aaaaaaaaaaaaaaaaaaaa", "con_aaaaaaaaaaaaaaaaaaaa", "nobody"])
def test_nobody_else_is_erased(env: dict[str, str], past: Ledger, party: str) -> None:
    head = past.log.head()
    refused = run(env, "ledger", "erase", party)
    assert refused.returncode == 2
    assert "PARTY" in refused.stderr
    assert past.log.head() == head


def test_a_backup_is_restored_whole_and_verified(
    env: dict[str, str], past: Ledger, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.backup"
    made = run(env, "ledger", "backup", str(file))
    assert made.returncode == 0, made.stderr
    assert run(env, "ledger", "backup", str(file)).returncode == 1  # nothing is overwritten

    url = server.create_empty()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    there = environment(server, url, elsewhere)
    restored = run(there, "ledger", "restore", str(file))

    assert restored.returncode == 0, restored.stderr + restored.stdout
    assert "verified: intact" in restored.stdout
    database = Database(url)
    head, original = (one.fetch("SELECT position, hash FROM log_head") for one in (database, past.database))
    database.close()
    assert head == original
    assert run(there, "ledger", "restore", str(file)).returncode == 1  # there is a ledger now
    server.drop(url)


def test_a_backup_that_is_not_what_its_manifest_says_is_named(
    env: dict[str, str], past: Ledger, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.backup"
    assert run(env, "ledger", "backup", str(file)).returncode == 0
    manifest = file.with_name("ledger.backup.manifest.json")
    manifest.write_text(manifest.read_text().replace('"position": ', '"position": 9'))
    url = server.create_empty()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    refused = run(environment(server, url, elsewhere), "ledger", "restore", str(file))
    assert refused.returncode == 1
    assert "ends at position" in refused.stderr
    server.drop(url)
