"""Whatever a text says, it is a text: in every field of every request, in every path, query and header."""

from typing import Any
from urllib.parse import quote

import pytest

from replay.verify.live import verify
from tests.api.test_bad_input import EMPTY, TARGETS, Target, filled, names
from tests.api.world import World

__all__ = ["names"]  # a fixture

HOSTILE = {
    "SQL": "'; DROP TABLE events; --",
    "SQL in a comment": "*/ OR 1=1; DELETE FROM vault; /*",
    "a dollar quote": "$$; TRUNCATE events; $$ $1",
    "placeholders": "%s %(x)s %% {0} {x} {{}} :x ?",
    "a backslash": "\\'; SELECT pg_sleep(99); \\",
    "COPY's end": "\\.\nx\tx\\N",
    "JSON": '"},"amount":1,"x":{"y":"',
    "HTML": "<script>alert(1)</script>&amp;<!--",
    "a terminal": "\x1b[2J\x1b]0;x\x07\r\n\x7f",
    "a log line": 'x"}\n{"level":"info","event":"forged"}',
    "a header": "x\r\nSet-Cookie: a=b\r\n\r\n",
    "a template": "{{7*7}} ${7*7} #{7*7} <%= 7*7 %>",
    "direction": "\u202eabc\u2066\u200f\ufeff",
    "combining": "Z\u0351\u036b\u0343 e\u0301 \u1100\u1161\u11a8",
    "other planes": "\U0001f4b8\U0001f469\u200d\U0001f4bb\U0010ffff",
    "a path": "../../../../etc/passwd",
    "a formula": "=cmd|' /C calc'!A0",
}
FREE = ("name", "title", "description", "reason", "reasons", "message", "memo", "note", "answers")
"""Fields that hold any text but U+0000, and give it back as it was."""


def texts(target: Target) -> list[str]:
    return [field for field, value in target.body.items() if isinstance(value, str)]


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if texts(target)])
def test_a_hostile_text_in_any_field_is_stored_as_it_is_or_refused(
    world: World, names: dict[str, str], name: str
) -> None:
    """`send` checks that every answer has the shape that is declared for it; none is a 5xx."""
    target = TARGETS[name]
    for field in texts(target):
        for text in HOSTILE.values():
            body = {**filled(target.body, names), field: text}
            answer = world.web.send(target.method, target.path.format(**names), world.key(target.role), body)
            assert answer.status_code < 500, answer.text
            if not answer.is_success:
                assert text not in answer.json()["detail"], "what was sent is not repeated"
            elif field in FREE and field in answer.json():
                assert answer.json()[field] == text


def test_texts_come_back_as_they_were_sent(world: World) -> None:
    web, kinds = world.web, world.contracts
    for text in HOSTILE.values():
        offered = {"freelancer_email": "x@example.com", "title": text, "cadence": "weekly", "currency": "USD"}
        milestones = [{"description": text, "amount": 5}]
        made = web.ok(
            "POST", "/v1/contracts", world.client_key, {**offered, "kind": "milestone", "milestones": milestones}
        )
        read = web.ok("GET", f"/v1/contracts/{made['id']}", world.client_key)
        assert (read["title"], read["milestones"][0]["description"]) == (text, text)
        path = f"/v1/contracts/{kinds['hourly']['id']}/bonuses"
        web.ok("POST", path, world.client_key, {"amount": 1, "note": text})
    notes = [one["note"] for one in web.ok("GET", path.removesuffix("/bonuses"), world.client_key)["bonuses"]]
    assert set(HOSTILE.values()) <= set(notes)


IDS = (
    *HOSTILE.values(),
    "con_\u0430aaaaaaaaaaaaaaaaaaa",  # a Cyrillic a
    "con_" + "\uff41" * 20,
    "con_aaaaaaaaaaaaaaaaaaaa\u0000",
    "con_aaaaaaaaaaaaaaaaaaaa ",
    "\u0663",
    "CON_" + "a" * 20,
    "con_" + "a" * 20_000,
)


@pytest.mark.parametrize("name", {**TARGETS, **EMPTY})
def test_a_hostile_id_in_a_path_names_nothing(world: World, names: dict[str, str], name: str) -> None:
    target = {**TARGETS, **EMPTY}[name]
    for hostile in IDS if "{" in target.path else ():
        odd = dict.fromkeys(names, quote(hostile, safe=""))
        answer = world.web.send(
            target.method, target.path.format(**odd), world.key(target.role), filled(target.body, names)
        )
        assert answer.status_code in (404, 405), answer.text


@pytest.mark.parametrize("path", ["/v1/contracts", "/v1/payouts", "/v1/events", "/v1/api-keys", "/v1/contracts/{}"])
def test_a_hostile_query_is_refused_or_finds_nothing(world: World, path: str) -> None:
    for hostile in IDS[:-1]:
        for parameter in ("cursor", "limit", "status", "contract_id", "payout_id", "type", "after", "known_at"):
            query = f"{path.format(quote(hostile, safe=''))}?{parameter}={quote(hostile, safe='')}"
            answer = world.web.send("GET", query, world.auditor_key)
            assert answer.status_code in (200, 404, 422), answer.text
            if answer.status_code == 200:
                assert answer.json()["data"] == []


@pytest.mark.parametrize(
    "header", ["Idempotency-Key", "If-Match", "Ledger-Min-Position", "Authorization", "Content-Type"]
)
def test_a_hostile_header_is_refused_or_is_only_a_text(world: World, header: str) -> None:
    path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
    for hostile in HOSTILE.values():
        if "\n" in hostile or not hostile.isascii() or not hostile.isprintable():
            continue  # no HTTP client sends these
        answer = world.web.send("POST", path, world.client_key, {"amount": 1}, headers={header: hostile})
        assert answer.status_code in (201, 401, 409, 412, 415, 422), answer.text


def test_after_all_that_the_ledger_is_whole(world: World) -> None:
    world.web.ledger.worker.drain()
    report = verify(world.web.ledger.database)
    assert report.ok, report.findings


def test_no_statement_of_the_program_has_a_value_written_into_it(world: World) -> None:
    """Everything that was sent went as a parameter: PostgreSQL has seen none of it in a statement."""
    with world.web.ledger.database.connection() as connection:
        rows: list[Any] = connection.execute("SELECT query FROM pg_stat_activity").fetchall()
    seen = " ".join(str(row["query"]) for row in rows)
    assert not [text for text in HOSTILE.values() if text in seen]
