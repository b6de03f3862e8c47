"""Secrets and people's words go where they belong and nowhere else: not into a log line, an error, or an event.

Every text of every request carries a canary; keys are the server's own. A real server, whose standard error and PostgreSQL log
are read afterwards, with requests that succeed, that are refused for every reason, and that meet a dead database.
"""

import json
from itertools import count
from typing import Any

import psycopg
import pytest

from tests.api.test_bad_input import TARGETS, Target, filled
from tests.faults.running import KEY, Notes, Running, Sender, cast, database_of, running, wait_for

CANARY = "canaryxq"
EVENT_TABLES = ("events", "contracts", "payouts", "deadlines", "history", "balances", "statement_lines", "commands")
WORDS = ("name", "title", "description", "reason", "reasons", "message", "memo", "note", "answers", "token", "email")
WORDS = (*WORDS, "freelancer_email")


class Told:
    """Everything that the server said in an answer that was no success."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.statuses: set[int] = set()


@pytest.fixture(scope="module")
def aftermath() -> "Aftermath":
    """What was logged, what errors said, the keys that were made, and what stands in the tables."""
    told, keys = Told(), [KEY]
    with running() as server:
        sender = Sender(server.url, Notes(), "canary")
        names, by_role = people(sender)
        keys += by_role.values()
        for target in TARGETS.values():
            attack(sender, told, target, names, by_role)
        unauthenticated(sender, told)
        before = server.postmaster()
        server.kill_postgres()
        for target in TARGETS.values():
            once(sender, told, target, names, by_role, marked(target, names))
        wait_for(lambda: server.postmaster() not in (before, None) and server.is_up(), "PostgreSQL")
        logged, tables = server.logged(), dump(server)
        sender.close()
    return logged, told, keys, tables


def people(sender: Sender) -> tuple[dict[str, str], dict[str, str]]:
    cast_ = cast(sender, 1)
    contract = sender.ok("GET", f"/v1/contracts/{cast_.projects[0]}", cast_.client_key)
    milestone = contract["milestones"][0]["id"]
    path = f"/v1/contracts/{contract['id']}/milestones/{milestone}"
    for step, key in (("activate", cast_.client_key), ("submit", cast_.freelancer_key), ("approve", cast_.client_key)):
        sender.ok("POST", f"{path}/{step}", key, {})
    entry = {"date": "2026-01-05", "minutes": 9}
    made = sender.ok("POST", f"/v1/contracts/{cast_.hourly}/time-entries", cast_.freelancer_key, entry)
    names = {
        "client": contract["client_id"],
        "freelancer": cast_.freelancer,
        "hourly": cast_.hourly,
        "milestone": contract["id"],
        "mid": milestone,
        "entry": made["id"],
        "payout": sender.ok("GET", "/v1/payouts", cast_.client_key)["data"][0]["id"],
        "event": sender.ok("GET", "/v1/events")["data"][0]["id"],
    }
    auditor = sender.ok("POST", "/v1/api-keys", KEY, {"role": "auditor"})["key"]
    return names, {
        "client": cast_.client_key,
        "freelancer": cast_.freelancer_key,
        "auditor": auditor,
        "operator": sender.ok("POST", "/v1/api-keys", KEY, {"role": "operator"})["key"],
    }


_numbers = count(1)


def marked(target: Target, names: dict[str, str]) -> dict[str, Any]:
    """The body, with a canary in every text that a person writes."""
    body = filled(target.body, names)
    for field in body.keys() & set(WORDS):
        if field == "reason" and body[field] == "refund":
            continue
        number = next(_numbers)
        text = f"{CANARY}{number}"
        body[field] = {"token": f"{body[field]}_{text}", "email": f"{text}@example.com"}.get(field, text)
        if field == "freelancer_email":
            body[field] = f"{text}@example.com"
    return body


def attack(sender: Sender, told: Told, target: Target, names: dict[str, str], keys: dict[str, str]) -> None:
    """As it should be; with a field too many, a text too long, by the wrong role, on another's object, twice."""
    body = marked(target, names)
    once(sender, told, target, names, keys, body)
    once(sender, told, target, names, keys, {**body, "unexpected": CANARY})
    for field in body.keys() & set(WORDS):
        once(sender, told, target, names, keys, {**body, field: CANARY * 2_000})
        once(sender, told, target, names, keys, {**body, field: [CANARY]})
        once(sender, told, target, names, keys, {**body, field: f"{CANARY}\0"})
    for role in keys.keys() - {target.role}:
        once(sender, told, target._replace(role=role), names, keys, body)
    nobody = dict.fromkeys(names, "con_" + "a" * 20)
    once(sender, told, target, nobody, keys, body)


def once(
    sender: Sender, told: Told, target: Target, names: dict[str, str], keys: dict[str, str], body: dict[str, Any]
) -> None:
    answer = sender.once(target.method, target.path.format(**names), keys[target.role], body, sender.new_key())
    assert answer is not None, "no answer"
    told.statuses.add(answer.status_code)
    if not answer.is_success:
        told.errors.append(answer.text + json.dumps(dict(answer.headers)))


def unauthenticated(sender: Sender, told: Told) -> None:
    for key in (f"lk_aaaaaaaaaaaa_{CANARY}", CANARY, f"lk_{CANARY}"):
        answer = sender.once("GET", "/v1/contracts", key, None, f"{CANARY}-{key}")
        assert answer is not None
        assert answer.status_code == 401
        told.errors.append(answer.text)
    answer = sender.once("GET", f"/v1/contracts?cursor={CANARY}&{CANARY}=1", KEY, None, "query")
    assert answer is not None
    told.errors.append(answer.text)


def dump(server: Running) -> dict[str, str]:
    """Every row of every table, as text; bytes as what they say."""
    tables: dict[str, str] = {}
    with database_of(server.data_dir) as postgres, psycopg.connect(postgres.url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in found:
            rows = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
            tables[table] = "\n".join(
                " ".join(one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in row)
                for row in rows
            )
    return tables


Aftermath = tuple[str, Told, list[str], dict[str, str]]


def test_the_requests_met_every_kind_of_answer(aftermath: Aftermath) -> None:
    logged, told, _, tables = aftermath
    assert {200, 201, 403, 404, 409, 422, 503} <= told.statuses
    assert CANARY in tables["vault"], "that is where they belong"
    assert logged.count('"event": "request"') > 300
    assert "internal_error" not in logged


def test_no_canary_is_in_any_line_of_the_log(aftermath: Aftermath) -> None:
    assert [line for line in aftermath[0].splitlines() if CANARY in line] == []


def test_no_canary_is_in_any_error(aftermath: Aftermath) -> None:
    assert [error for error in aftermath[1].errors if CANARY in error] == []


@pytest.mark.parametrize("table", EVENT_TABLES)
def test_no_canary_is_in_any_event_or_in_what_is_made_of_events(aftermath: Aftermath, table: str) -> None:
    assert [row for row in aftermath[3][table].splitlines() if CANARY in row] == []


def test_no_key_is_in_any_log_error_or_table(aftermath: Aftermath) -> None:
    logged, told, keys, tables = aftermath
    for key in keys:
        secret = key.split("_", 2)[2] if key.startswith("lk_") else key
        assert len(secret) > 20
        assert secret not in logged
        assert not [error for error in told.errors if secret in error]
        assert [table for table, rows in tables.items() if secret in rows] == []


def test_no_token_of_a_payment_method_is_in_any_table_but_the_vault(aftermath: Aftermath) -> None:
    """The sandbox's processor stands outside the ledger: it is told the token."""
    tables = aftermath[3]
    holding = {
        table for table, rows in tables.items() if f"pm_card_visa_{CANARY}" in rows or f"ba_test_{CANARY}" in rows
    }
    assert holding <= {"vault", "simulated_operations"}
