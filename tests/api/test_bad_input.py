"""Bad input on every endpoint: refused with 422 and a problem, nothing written, never a 5xx."""

import socket
import time
from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.api.world import World, check_problem, offer_of

MAX = 10**15


class Target(NamedTuple):
    """A write that would be right, or refused by the state of things; `{…}` are filled in from the world."""

    method: str
    path: str
    role: str
    body: dict[str, Any]


OFFERS = {
    f"offer {kind}": Target("POST", "/v1/contracts", "client", offer_of(kind))
    for kind in ("single_payment", "milestone", "hourly", "fixed_rate")
}
POSTINGS = [
    {"account": "processor", "direction": "debit", "amount": 1, "currency": "USD"},
    {"account": "platform:adjustments", "direction": "credit", "amount": 1, "currency": "USD"},
]
TARGETS = {
    "client": Target("POST", "/v1/clients", "operator", {"name": "N", "email": "n@example.com"}),
    "freelancer": Target("POST", "/v1/freelancers", "operator", {"name": "N", "email": "n@example.com"}),
    "billing method": Target("PUT", "/v1/clients/{client}/billing-method", "client", {"token": "pm_card_visa"}),
    "payout method": Target("PUT", "/v1/freelancers/{freelancer}/payout-method", "freelancer", {"token": "ba_test"}),
    "api key": Target("POST", "/v1/api-keys", "operator", {"role": "client", "party_id": "{client}"}),
    "conversion": Target("POST", "/v1/conversions", "operator", {"client_id": "{client}", "freelancer_email": "x@y.z"}),
    **OFFERS,
    "decline": Target("POST", "/v1/contracts/{hourly}/decline", "freelancer", {"reason": "no"}),
    "complete": Target("POST", "/v1/contracts/{hourly}/complete", "client", {"reason": "done"}),
    "milestone": Target("POST", "/v1/contracts/{milestone}/milestones", "client", {"description": "d", "amount": 5}),
    "submit": Target("POST", "/v1/contracts/{milestone}/milestones/{mid}/submit", "freelancer", {"message": "m"}),
    "time": Target(
        "POST", "/v1/contracts/{hourly}/time-entries", "freelancer", {"date": "2026-01-05", "minutes": 5, "memo": "m"}
    ),
    "time again": Target(
        "PATCH", "/v1/contracts/{hourly}/time-entries/{entry}", "freelancer", {"minutes": 5, "memo": "m"}
    ),
    "bonus": Target("POST", "/v1/contracts/{hourly}/bonuses", "client", {"amount": 5, "note": "n"}),
    "questionnaire": Target(
        "POST", "/v1/contracts/{hourly}/classification/questionnaire", "freelancer", {"answers": "a"}
    ),
    "recommendation": Target(
        "POST",
        "/v1/contracts/{hourly}/classification/recommendation",
        "operator",
        {"outcome": "employee", "reasons": "r"},
    ),
    "decision": Target("POST", "/v1/contracts/{hourly}/classification/decision", "client", {"outcome": "employee"}),
    "eor": Target(
        "PUT", "/v1/contracts/{hourly}/employer-of-record", "operator", {"name": "E", "pay_schedule": "monthly"}
    ),
    "payroll": Target(
        "POST",
        "/v1/contracts/{hourly}/eor-payrolls",
        "operator",
        {"amount": 5, "period_start": "2026-01-01", "period_end": "2026-01-31"},
    ),
    "objection": Target("POST", "/v1/payouts/{payout}/objections", "client", {"reason": "r"}),
    "reduction": Target("POST", "/v1/payouts/{payout}/reduce", "freelancer", {"amount": 5}),
    "reversal": Target("POST", "/v1/payouts/{payout}/reversals", "operator", {"amount": 5, "reason": "refund"}),
    "withdrawal": Target(
        "POST", "/v1/freelancers/{freelancer}/withdrawals", "freelancer", {"amount": 5, "currency": "USD"}
    ),
    "adjustment": Target(
        "POST",
        "/v1/adjustments",
        "operator",
        {"reason": "r", "corrects_event_id": "{event}", "postings": POSTINGS, "effective_at": "2026-01-05T09:00:00Z"},
    ),
    "clock": Target("POST", "/v1/test-clock/advance", "operator", {"to": "2026-01-05T10:00:00Z"}),
}
EMPTY = {
    "accept": Target("POST", "/v1/contracts/{hourly}/accept", "freelancer", {}),
    "activate": Target("POST", "/v1/contracts/{milestone}/milestones/{mid}/activate", "client", {}),
    "withdraw objection": Target("POST", "/v1/payouts/{payout}/objections/withdraw", "client", {}),
    "retry charge": Target("POST", "/v1/payouts/{payout}/retry-charge", "operator", {}),
}

DEEP: Any = reduce(lambda inner, _: [inner], range(10), "x")

NO_INTEGER: list[Any] = [1.5, 10.0, "10", True, None, [], {}, -1, MAX + 1, 10**19, 10**400, 1e300]
NO_TEXT: list[Any] = ["", 5, True, [], {}, "a\x00b", "x" * 10_001]
NO_EMAIL: list[Any] = [
    "",
    "a",
    "@",
    "a@",
    "@b",
    "a b@c.d",
    "a@b@c",
    "a\n@b.c",
    "a\x00@b.c",
    "a@" + "b" * 254,
    "a@[x",
    "a,b@evil.example",
    "a@b.c,",
    "a;b@evil.example",
    "ada<a@evil.example>",
    "to:a@evil.example;",
    "a(b)@c.d",
    '"a"@b.c',
    "=?utf-8?q?a?=@b.c",
    "(" * 200 + "@b.c",
    5,
    None,
    [],
]
NO_TIME: list[Any] = [
    "",
    "now",
    "2026-01-05",
    "2026-01-05T09:00:00",
    "2026-13-05T09:00:00Z",
    "2026-01-05T09:00:60Z",
    1767603600,
]
NO_TIME += [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-01-05T09:00:00+99:00",
    "٢٠٢٦-01-05T09:00:00Z",
    True,
]
NO_DATE: list[Any] = [
    "",
    "today",
    "2026-02-30",
    "0001-01-01",
    "9999-12-31",
    "2026-1-5",
    "2026-01-05T00:00:00Z",
    20260105,
    None,
]
WRONG: dict[str, list[Any]] = {
    "amount": [*NO_INTEGER],
    "rate": [*NO_INTEGER, 0],
    "hourly_rate": [*NO_INTEGER, 0, 10**9 + 1],
    "weekly_limit_minutes": [one for one in NO_INTEGER if one is not None] + [0, 10_081],
    "minutes": [one for one in NO_INTEGER if one is not None] + [0, 1441],
    "currency": ["usd", "XXX", "XTS", "XAU", "ZZZ", "", "US", 840, None, ["USD"]],
    "freelancer_email": NO_EMAIL,
    "email": NO_EMAIL,
    "title": [*NO_TEXT, "x" * 201, None],
    "name": [*NO_TEXT, "x" * 10_001, None],
    "description": [*NO_TEXT, None],
    "token": [*NO_TEXT, "x" * 256, None],
    "reasons": [*NO_TEXT, None],
    "reason": NO_TEXT,
    "message": NO_TEXT,
    "memo": NO_TEXT,
    "note": NO_TEXT,
    "kind": ["", "salary", 5, None, []],
    "cadence": ["monthly", "", 5, None],
    "outcome": ["contractor", 5, None],
    "role": ["admin", "", 5, None],
    "party_id": ["nobody", "cli_" + "a" * 20, 5, "", "a\x00b", None],
    "client_id": ["nobody", "cli_" + "a" * 20, 5, "", None],
    "pay_schedule": ["daily", 5, None],
    "date": NO_DATE,
    "period_start": [*NO_DATE, "2026-02-01"],
    "period_end": [*NO_DATE, "2025-12-31"],
    "to": [*NO_TIME, None, "2026-01-05T08:59:59Z", "2201-01-01T00:00:00Z"],
    "effective_at": [*NO_TIME, "2100-01-01T00:00:00Z"],
    "answers": ["", [], {}, None, 5, True, "x" * 10_000, {"a\x00": "b"}, ["a\x00"], DEEP],
    "corrects_event_id": ["", "evt_1", "evt_cli_" + "a" * 20 + "_1", "evt_\x00", 5, None, "x" * 65],
    "milestones": [[], {}, "one", None, [{}], [{"description": "d"}], [{"description": "d", "amount": 0}], [None], 5],
    "postings": [
        [],
        POSTINGS[:1],
        [POSTINGS[0], {**POSTINGS[1], "amount": 2}],
        [POSTINGS[0], {**POSTINGS[1], "currency": "EUR"}],
        [POSTINGS[0], {**POSTINGS[1], "amount": 1.0}],
        *(
            [POSTINGS[0], {**POSTINGS[1], "account": account}]
            for account in ("", "fre_x:available", "bank", "cli_:returned")
        ),
        [POSTINGS[0], {**POSTINGS[1], "account": "fre_" + "a" * 20 + ":available"}],
        [POSTINGS[0], {**POSTINGS[1], "account": "fre_" + "a" * 20 + ":pending"}],
        [POSTINGS[0], {**POSTINGS[1], "account": "eor_\x00:available"}],
        [POSTINGS[0], {**POSTINGS[1], "account": "eor_" + "a" * 20 + ":available"}],
        None,
        5,
    ],
}
OPTIONAL = ("reason", "message", "memo", "note", "effective_at", "weekly_limit_minutes", "minutes")
RAW = {
    "nothing": b"",
    "not JSON": b"{not json",
    "a number": b"5",
    "a text": b'"x"',
    "a list": b"[]",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "NaN": b'{"amount": NaN}',
    "infinity": b'{"amount": Infinity}',
    "deeply nested lists": b"[" * 100_000,
    "deeply nested objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "NUL": b"\x00",
    "half": b'{"amount": 1',
}


@pytest.fixture(scope="module")
def names(world: World) -> dict[str, str]:
    """What the paths name: contracts, a milestone, a time entry, a payout, an event."""
    web, contracts = world.web, world.contracts
    single = contracts["single_payment"]
    milestone = f"/v1/contracts/{single['id']}/milestones/{single['milestones'][0]['id']}"
    web.ok("POST", f"{milestone}/submit", world.freelancer_key)
    web.ok("POST", f"{milestone}/approve", world.client_key)
    entry = web.ok(
        "POST",
        f"/v1/contracts/{contracts['hourly']['id']}/time-entries",
        world.freelancer_key,
        {"date": "2026-01-05", "minutes": 9},
    )
    return {
        "client": world.client,
        "freelancer": world.freelancer,
        "hourly": contracts["hourly"]["id"],
        "milestone": contracts["milestone"]["id"],
        "mid": contracts["milestone"]["milestones"][0]["id"],
        "entry": entry["id"],
        "payout": web.ok("GET", "/v1/payouts", world.client_key)["data"][0]["id"],
        "event": web.ok("GET", "/v1/events")["data"][0]["id"],
    }


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    return value.format(**names) if isinstance(value, str) else value


def refused(world: World, target: Target, names: dict[str, str], **body: Any) -> Any:
    path = target.path.format(**names)
    return world.web.refused(422, "validation_error", target.method, path, world.key(target.role), **body)


@pytest.mark.parametrize("name", TARGETS)
def test_a_field_that_is_wrong_is_422(world: World, names: dict[str, str], name: str) -> None:
    target = TARGETS[name]
    valid = filled(target.body, names)
    for field in valid:
        wrong = [0, *WRONG[field]] if (field, name) != ("amount", "reduction") and field == "amount" else WRONG[field]
        for value in wrong:
            problem = refused(world, target, names, body={**valid, field: value})
            assert problem["errors"], f"{field} = {value!r}"


@pytest.mark.parametrize("name", TARGETS)
def test_a_field_that_is_missing_is_422(world: World, names: dict[str, str], name: str) -> None:
    target = TARGETS[name]
    valid = filled(target.body, names)
    for field in valid.keys() - set(OPTIONAL):
        refused(world, target, names, body={key: value for key, value in valid.items() if key != field})


@pytest.mark.parametrize("name", {**TARGETS, **EMPTY})
def test_an_unknown_field_is_422(world: World, names: dict[str, str], name: str) -> None:
    target = {**TARGETS, **EMPTY}[name]
    problem = refused(world, target, names, body={**filled(target.body, names), "s3cr3t_field": "s3cr3t_value"})
    assert "s3cr3t_value" not in str(problem)


@pytest.mark.parametrize("name", {**TARGETS, **EMPTY})
def test_an_unknown_query_parameter_is_422(world: World, names: dict[str, str], name: str) -> None:
    target = {**TARGETS, **EMPTY}[name]
    refused(world, target, names, body=filled(target.body, names), params={"dry_run": "1"})


@pytest.mark.parametrize("name", {**TARGETS, **EMPTY})
def test_a_body_that_is_no_json_object_is_422(world: World, names: dict[str, str], name: str) -> None:
    target = {**TARGETS, **EMPTY}[name]
    optional = not target.body or name in ("decline", "complete", "submit")
    for raw in RAW.values():
        if raw or not optional:
            refused(world, target, names, content=raw, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("name", ["client", "freelancer", "conversion", *OFFERS])
def test_an_address_that_is_not_one_is_refused_in_words(world: World, names: dict[str, str], name: str) -> None:
    target = TARGETS[name]
    (field,) = target.body.keys() & {"email", "freelancer_email"}
    problem = refused(world, target, names, body={**filled(target.body, names), field: "a,b@evil.example"})
    (error,) = problem["errors"]
    assert error["field"].endswith(field)
    assert error["message"] == "must be one e-mail address, such as ada@example.com"


def test_the_input_is_never_repeated(world: World, names: dict[str, str]) -> None:
    for body in ({"role": "s3cr3t"}, {"s3cr3t": 1}, {"role": "client", "party_id": "s3cr3t\x00"}, {"role": ["s3cr3t"]}):
        problem = refused(world, TARGETS["api key"], names, body=body)
        assert all("s3cr3t" not in error["message"] for error in problem["errors"])


@pytest.mark.parametrize("name", ["client", "offer milestone", "bonus"])
def test_a_body_over_one_mebibyte_is_413_with_or_without_a_content_length(
    world: World, names: dict[str, str], name: str
) -> None:
    target = TARGETS[name]
    path, key = target.path.format(**names), world.key(target.role)

    def chunks() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * 2**18

    for content in (b" " * (2**20 + 1), chunks()):
        world.web.refused(413, "body_too_large", target.method, path, key, content=content)
    world.web.refused(422, "validation_error", target.method, path, key, content=b" " * 2**20)


def test_a_request_that_breaks_off_before_its_body_does_nothing(world: World, names: dict[str, str]) -> None:
    """Even where the body may be left out."""
    url, head = urlsplit(world.web.url), world.web.ledger.log.head()
    with socket.create_connection((url.hostname, url.port)) as connection:
        path = EMPTY["activate"].path.format(**names)
        lines = (
            f"POST {path} HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {world.client_key}",
            "Content-Length: 2",
            "",
            "",
        )
        connection.sendall("\r\n".join(lines).encode())
    time.sleep(0.2)
    assert world.web.ledger.log.head() == head


def test_a_body_that_is_not_json_by_its_own_word_is_415(world: World, names: dict[str, str]) -> None:
    target = TARGETS["bonus"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"):
        more = {"content": b'{"amount": 1}', "headers": {"Content-Type": kind}}
        path = target.path.format(**names)
        world.web.refused(415, "unsupported_media_type", target.method, path, world.client_key, **more)


QUERIES = {
    "/v1/contracts": [
        "limit=0",
        "limit=101",
        "limit=1.0",
        "limit=x",
        "limit=",
        "limit=-1",
        "limit=1e1",
        "limit=%00",
        "limit=%D9%A1",
    ],
    "/v1/payouts": [
        "status=paid",
        "available_on[gte]=2026-01-05",
        "available_on[lt]=x",
        "contract_id=",
        "contract_id=%00",
    ],
    "/v1/events": [
        "after=-1",
        "after=x",
        f"after={2**63}",
        "after=1&cursor=MQ",
        "type=%00",
        "type=" + "x" * 65,
        "contract_id=%00",
    ],
    "/v1/freelancers/{freelancer}/balance": [
        "as_of=2026-01-05",
        "as_of=2026-01-05T09:00:00",
        "as_of=2100-01-01T00:00:00Z",
        "known_at=2100-01-01T00:00:00Z",
        "known_at=x",
        "as_of=",
        "at_position=-1",
        "at_position=1.0",
        "at_position=100000000",
        f"at_position={2**63}",
        "at_position=1&as_of=2026-01-05T09:00:00Z",
        "at_position=1&known_at=2026-01-05T09:00:00Z",
    ],
    "/v1/freelancers/{freelancer}/balance-transactions": [
        "from=x",
        "to=2026-01-05",
        "from=2026-01-05T09:00:00Z&to=2026-01-05T08:00:00Z",
        "cursor=MQ",
        "cursor=OTIyMzM3MjAzNjg1NDc3NTgwNy4x",
        "cursor=MS4yLjM",
        "cursor=MS4yLjU1OTI0MDU5",
    ],
}


@pytest.mark.parametrize(("path", "query"), [(path, query) for path, queries in QUERIES.items() for query in queries])
def test_a_query_that_is_wrong_is_422(world: World, names: dict[str, str], path: str, query: str) -> None:
    world.web.refused(422, "validation_error", "GET", f"{path.format(**names)}?{query}", world.freelancer_key)


@pytest.mark.parametrize(
    "query",
    [
        "archived=1",
        "archived=yes",
        "archived=",
        "status=archived",
        "cursor=x",
        "cursor=",
        "cursor=%00",
        "cursor=MS4y",
        "nope=1",
    ],
)
def test_a_filter_or_cursor_that_is_wrong_is_422(world: World, query: str) -> None:
    world.web.refused(422, "validation_error", "GET", f"/v1/contracts?{query}", world.client_key)


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "1"},
        {"If-Match": 'W/"1"'},
        {"If-Match": '"x"'},
        {"If-Match": '"1", "2"'},
        {"If-Match": '"' + "9" * 30 + '"'},
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "x" * 256},
        {"Idempotency-Key": "a\tb"},
    ],
)
def test_a_header_that_is_wrong_is_422(world: World, names: dict[str, str], headers: dict[str, str]) -> None:
    refused(world, TARGETS["bonus"], names, body={"amount": 1}, headers=headers)


@pytest.mark.parametrize("position", ["x", "-1", "1.0", str(2**63), "", "1 2"])
def test_a_minimum_position_that_is_none_is_422(world: World, position: str) -> None:
    headers = {"Ledger-Min-Position": position}
    world.web.refused(422, "validation_error", "GET", "/v1/contracts", world.client_key, headers=headers)


def test_random_bytes_in_the_path_are_404(world: World) -> None:
    for path in ("/v1/payouts/%ff%fe", "/v1/payouts/..%2f..%2fetc", "/v1/contracts/%00/milestones/%00/submit", "/%ff"):
        answer = world.web.send("GET" if "submit" not in path else "POST", path, world.freelancer_key)
        assert answer.status_code == 404
        check_problem(answer)


@pytest.mark.parametrize("kind", ["hourly", "fixed_rate", "milestone", "single_payment"])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"freelancer_email": "nobody"}, "body.freelancer_email"),
        ({"freelancer_email": ...}, "body.freelancer_email"),
        ({"surprise": 1}, "body.surprise"),
        ({"classification": {"by": "client_decision", "outcome": "x"}}, "body.classification.outcome"),
        ({"classification": {"by": "client_decision"}}, "body.classification.outcome"),
        ({"classification": {"by": "x"}}, "body.classification"),
        ({"kind": "x"}, "body"),
    ],
)
def test_the_field_is_named_as_it_was_sent(world: World, kind: str, change: dict[str, Any], field: str) -> None:
    sent = {name: value for name, value in {**offer_of(kind), **change}.items() if value is not ...}
    refused = world.web.refused(422, "validation_error", "POST", "/v1/contracts", world.client_key, body=sent)
    assert [one["field"] for one in refused["errors"]] == [field]


def test_the_field_of_an_item_is_named_by_its_number(world: World) -> None:
    milestones = [{"description": "one", "amount": 5}, {"description": "two", "amount": 0}, {"amount": 5}]
    sent = offer_of("milestone", milestones=milestones)
    refused = world.web.refused(422, "validation_error", "POST", "/v1/contracts", world.client_key, body=sent)
    assert [one["field"] for one in refused["errors"]] == ["body.milestones.1.amount", "body.milestones.2.description"]
