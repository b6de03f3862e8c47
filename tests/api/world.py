"""A real server on a real database, and the people who use it: two clients, two freelancers, an auditor, two operators."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import uvicorn
from fastapi.routing import APIRoute
from pydantic import SecretStr, TypeAdapter

from api.app import ROUTERS, create_app
from api.auth import OPEN
from ledger.bootstrap import Ledger, open_ledger
from ledger.settings import Settings
from ledger.store.keys import Keys
from tests.databases import NO_LIMIT
from tests.processes import PATIENCE_SECONDS
from tests.serving import LIMITS

OPERATOR_KEY = "operator-key-for-tests-0123456789abcdef"
START = "2026-01-05T09:00:00Z"
"""A Monday: where the clock of `conftest.sandbox` starts."""


def operated(settings: Settings, **more: Any) -> Settings:
    """The same, with the operator's key, and whatever else is set."""
    return settings.model_copy(update={"operator_key": SecretStr(OPERATOR_KEY), **more})


@contextmanager
def served(ledger: Ledger) -> Iterator[str]:
    """The application over HTTP, in a thread; answers its URL."""
    app = create_app(ledger)
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:  # by its protocol asyncio knows to send at once
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
            app.state.desk.idempotency.close()


@dataclass
class Web:
    """Sends requests. `ledger` is the ledger behind the server, to look at and never to write to."""

    url: str
    ledger: Ledger
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, limits=LIMITS)

    def send(
        self, method: str, path: str, key: str | None = OPERATOR_KEY, body: Any = None, **more: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            more["json"] = body
        answer = self.http.request(method, path, headers={**headers, **more.pop("headers", {})}, **more)
        check_answer(method, answer)
        return answer

    def ok(self, method: str, path: str, key: str | None = OPERATOR_KEY, body: Any = None, **more: Any) -> Any:
        """The JSON of an answer that must be 2xx."""
        answer = self.send(method, path, key, body, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def refused(
        self, status: int, code: str, method: str, path: str, key: str | None = OPERATOR_KEY, **more: Any
    ) -> Any:
        """The problem of an answer that must be refused so, with nothing written."""
        before = self.ledger.log.head()
        answer = self.send(method, path, key, **more)
        problem = check_problem(answer)
        assert (answer.status_code, problem["code"]) == (status, code), answer.text
        assert self.ledger.log.head() == before, "a refused request wrote events"
        return problem

    def advance(self, to: str) -> None:
        self.ok("POST", "/v1/test-clock/advance", body={"to": to})


def check_answer(method: str, answer: httpx.Response) -> None:
    """Every answer, whatever it is for, has the shape that is declared for it."""
    assert answer.headers["request-id"].startswith("req_")
    if not answer.is_success:
        check_problem(answer)
        return
    route = route_of(method, answer.request.url.path)
    assert answer.status_code == (route.status_code or 200)
    if route.response_model is not None:
        assert answer.headers["content-type"] == "application/json"
        TypeAdapter(route.response_model).validate_json(answer.content, strict=True)
    elif answer.status_code == 204:
        assert answer.content == b""
    if answer.request.url.path not in OPEN:
        assert int(answer.headers["ledger-position"]) >= 0


def route_of(method: str, path: str) -> APIRoute:
    """The route that a path is for."""
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and method in route.methods and route.path_regex.match(path):
                return route
    raise LookupError(f"no route for {method} {path}")


def check_problem(answer: httpx.Response) -> Any:
    """The problem+json of a refusal, whole."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "instance", "code", "request_id"}
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["request-id"] or "idempotent-replayed" in answer.headers
    return problem


@dataclass
class World:
    """Everybody with a key, and a contract of each kind between the first client and the first freelancer."""

    web: Web
    client: str
    client_key: str
    freelancer: str
    freelancer_key: str
    other_client_key: str
    other_freelancer: str
    other_freelancer_key: str
    auditor_key: str
    operator_key: str
    """An operator who is another person than the bootstrap key's."""
    contracts: dict[str, Any]

    def key(self, role: str) -> str:
        return {
            "client": self.client_key,
            "freelancer": self.freelancer_key,
            "auditor": self.auditor_key,
            "operator": OPERATOR_KEY,
        }[role]


OFFERS: dict[str, dict[str, Any]] = {
    "single_payment": {"kind": "single_payment", "amount": 50_000},
    "milestone": {
        "kind": "milestone",
        "milestones": [{"description": "One", "amount": 20_000}, {"description": "Two", "amount": 30_000}],
    },
    "hourly": {"kind": "hourly", "hourly_rate": 6_000, "weekly_limit_minutes": 2_400},
    "fixed_rate": {"kind": "fixed_rate", "rate": 80_000},
}
FREELANCER_EMAIL = "ada@example.com"


def offer_of(kind: str, **more: Any) -> dict[str, Any]:
    """The body of an offer."""
    terms = {"freelancer_email": FREELANCER_EMAIL, "title": f"A {kind}", "cadence": "weekly", "currency": "USD"}
    return {**terms, **OFFERS[kind], **more}


def party(web: Web, role: str, name: str) -> tuple[str, str]:
    """A registered party and its key."""
    identifier = web.ok("POST", f"/v1/{role}s", body={"name": name, "email": f"{name.lower()}@example.com"})["id"]
    key = web.ok("POST", "/v1/api-keys", body={"role": role, "party_id": identifier})["key"]
    return identifier, key


def another_operator(web: Web) -> str:
    """The key of an operator who is another person; such a key is made on the server's side."""
    now = web.ledger.clock.now()
    _, text = Keys(web.ledger.database).create(
        "key_" + "b" * 20, "operator", party_id=None, person="per_another", created_by="command line", now=now
    )
    return text


def build(web: Web) -> World:
    client, client_key = party(web, "client", "Northwind")
    freelancer, freelancer_key = party(web, "freelancer", "Ada")
    _, other_client_key = party(web, "client", "Southwind")
    other_freelancer, other_freelancer_key = party(web, "freelancer", "Grace")
    auditor_key = web.ok("POST", "/v1/api-keys", body={"role": "auditor"})["key"]
    web.ok("PUT", f"/v1/clients/{client}/billing-method", client_key, {"token": "pm_card_visa"})
    web.ok("PUT", f"/v1/freelancers/{freelancer}/payout-method", freelancer_key, {"token": "ba_test"})
    contracts = {}
    for kind in OFFERS:
        made = web.ok("POST", "/v1/contracts", client_key, offer_of(kind))
        contracts[kind] = web.ok("POST", f"/v1/contracts/{made['id']}/accept", freelancer_key, {})
    return World(
        web,
        client,
        client_key,
        freelancer,
        freelancer_key,
        other_client_key,
        other_freelancer,
        other_freelancer_key,
        auditor_key,
        another_operator(web),
        contracts,
    )


@contextmanager
def world_of(ledger: Ledger) -> Iterator[World]:
    """A server of this ledger, whatever its limits are; the people were there before, by one with the usual ones."""
    with open_ledger(ledger.settings.model_copy(update={"rate_limit": NO_LIMIT})) as usual, served(usual) as address:
        web = Web(address, usual)
        world = build(web)
        web.http.close()
    with served(ledger) as address:
        web = Web(address, ledger)
        yield replace(world, web=web)
        web.http.close()
