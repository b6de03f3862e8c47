"""The command `ledger`, in a process of its own as a person runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server
from tests.faults.running import wait_for
from tests.processes import PATIENCE_SECONDS
from tests.serving import LIMITS, also, serving

LEDGER = str(Path(sys.executable).parent / "ledger")
CLOCK = "2026-01-05T09:00:00Z"


@pytest.fixture
def env(server: Server, database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")},
        "LEDGER_DATABASE_URL": database_url,
        "LEDGER_DATA_DIR": str(tmp_path),
    }


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LEDGER, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd=env["LEDGER_DATA_DIR"],
    )


def test_a_key_is_made_listed_and_revoked(env: dict[str, str]) -> None:
    made = run(env, "keys", "create", "--role", "operator")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key.startswith("lk_")
    listed = run(env, "keys", "list").stdout
    assert key.split("_")[1] in listed
    assert key.split("_", 2)[2] not in listed
    identifier = listed.split()[0]
    assert run(env, "keys", "revoke", identifier).returncode == 0
    assert "revoked" in run(env, "keys", "list").stdout


def test_each_operator_made_on_the_command_line_is_another_person(env: dict[str, str]) -> None:
    for _ in range(2):
        assert run(env, "keys", "create", "--role", "operator").returncode == 0
    assert run(env, "keys", "create", "--role", "operator", "--person", "per_ann").returncode == 0
    persons = [line.split()[2] for line in run(env, "keys", "list").stdout.splitlines()]
    assert len(set(persons)) == 3
    assert "per_ann" in persons


@pytest.mark.parametrize(
    "arguments",
    [
        ("--role", "king"),
        ("--role", "client"),
        ("--role", "client", "--party", "cli_nobody"),
        ("--role", "auditor", "--party", "cli_x"),
        ("--role", "operator", "--person", "ann"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(env: dict[str, str], arguments: tuple[str, ...]) -> None:
    refused = run(env, "keys", "create", *arguments)
    assert refused.returncode == 2
    assert not refused.stdout


def test_migrating_twice_is_harmless(env: dict[str, str]) -> None:
    for _ in range(2):
        done = run(env, "migrate")
        assert (done.returncode, done.stdout) == (0, "the database is up to date\n")


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "list"),
        ("migrate",),
        ("worker",),
        ("serve",),
        ("erase", "cli_aaaaaaaaaaaaaaaaaaaa"),
        ("backup", "whole.dump"),
    ],
    ids=lambda command: command[0],
)
def test_a_database_that_is_away_is_said_in_a_line(env: dict[str, str], command: tuple[str, ...]) -> None:
    away = run({**env, "LEDGER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x?connect_timeout=1"}, *command)
    assert away.returncode == 1
    assert away.stderr.startswith("ledger: ")
    assert "Traceback" not in away.stderr


def test_a_setting_that_makes_no_sense_is_named(env: dict[str, str]) -> None:
    refused = run({**env, "LEDGER_PORT": "many"}, "keys", "list")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (2, "LEDGER_PORT")


def test_a_server_ends_well_on_sigterm_and_remembers() -> None:
    with serving(clock_start=CLOCK, operator_key="o" * 40) as server, client_of(server.url) as http:
        body = {"name": "N", "email": "n@example.com"}
        made = http.post("/v1/clients", json=body)
        assert made.status_code == 201
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_SECONDS) == 0
        with also(server, "serve"):
            path = f"/v1/clients/{made.json()['id']}"
            wait_for(lambda: answered(http, path) is not None, "the server does not come up again")
            assert http.get(path).json() == made.json()


def test_api_and_worker_run_apart_on_one_database() -> None:
    with (
        serving("--no-workers", clock_start=CLOCK, operator_key="o" * 40, LEDGER_SANDBOX="0") as server,
        client_of(server.url) as http,
    ):
        made = http.post("/v1/clients", json={"name": "N", "email": "n@example.com"})
        assert made.status_code == 201
        behind = {"Ledger-Min-Position": made.headers["ledger-position"]}
        assert http.get("/v1/events", headers=behind).status_code == 503
        with also(server, "worker"):
            up_to_it = lambda: http.get("/v1/events", headers=behind).status_code == 200  # noqa: E731 - it is waited for
            wait_for(up_to_it, "the worker does not project")
            events = http.get("/v1/events", headers=behind).json()["data"]
            assert [event["type"] for event in events] == ["client.registered.v1"]


def client_of(url: str) -> httpx.Client:
    headers = {"Authorization": "Bearer " + "o" * 40}
    return httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS, limits=LIMITS)


def answered(http: httpx.Client, path: str) -> httpx.Response | None:
    """The answer; None while nobody listens."""
    try:
        return http.get(path)
    except httpx.TransportError:
        return None
