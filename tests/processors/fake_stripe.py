"""A small Stripe on the loopback interface: the endpoints that the ledger uses, with books of their own.

It is strict as Stripe is: an unknown parameter, a missing customer or another body under a known key is refused. It remembers
idempotency keys for 24 hours, 500s included, and its search sees nothing younger than a minute. `fail_next` makes it lose an
answer after it has acted, answer 500, 429 or 409, or not be reached at all.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import stripe

from tests.processes import PATIENCE_SECONDS
from tests.processors.fake_books import Books, Json, Refusal, no_more_than

SECRET_KEY = "sk_test_the_secret_key_of_the_tests"
KEY_LIFE = timedelta(hours=24)
SEARCH_LAG = timedelta(minutes=1)
LOSE, UNREACHED, BROKEN, BROKEN_AFTER, BUSY, LOCKED = "lose", "unreached", "500", "500 after", "429", "409"
"""What may go wrong with a request: done but the answer lost; never arrived; 500 with nothing done; done, then 500; 429; 409."""


class Asked(NamedTuple):
    """A request as it arrived."""

    what: str
    params: Json
    key: str | None


class Saved(NamedTuple):
    """An answer kept under an idempotency key, with the body that it answered."""

    at: datetime
    params: Json
    status: int
    answer: Json


class FakeStripe:
    """`now` is Stripe's clock. Everything it did is in `books`, everything it was asked in `asked`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.books = Books(now)
        self.asked: list[Asked] = []
        self.key_life = KEY_LIFE
        self.search_lag = SEARCH_LAG
        self.url = ""
        self.answering = threading.Event()
        self.answering.set()
        """Cleared, every request is taken and none is answered, until it is set again."""
        self.waiting = 0
        self._now = now
        self._saved: dict[tuple[str | None, str], Saved] = {}
        self._faults: deque[tuple[str, str]] = deque()
        self._mutex = threading.Lock()

    def fail_next(self, fault: str, what: str = "POST /v1/payment_intents") -> None:
        """The next request that begins so goes wrong in this way."""
        self._faults.append((fault, what))

    def count(self, what: str) -> int:
        """How many requests arrived that are exactly this."""
        return sum(1 for one in self.asked if one.what == what)

    def answer(self, what: str, params: Json, key: str | None, account: str | None) -> tuple[int, Json] | None:
        """The status and the body; None where the connection breaks."""
        with self._mutex:
            self.waiting += 1
        self.answering.wait(PATIENCE_SECONDS)
        with self._mutex:
            self.waiting -= 1
            fault = self._fault(what)
            if fault == UNREACHED:
                return None
            self.asked.append(Asked(what, params, key))
            if fault in (BUSY, LOCKED):
                return int(fault), _error("idempotency_error" if fault == LOCKED else "api_error", "rate_limit")
            saved = self._saved.get((account, key)) if key else None
            if saved is not None and self._now() - saved.at < self.key_life:
                if saved.params != params:
                    return 400, _error("idempotency_error", None)
                status, answer = saved.status, saved.answer
            else:
                status, answer = (
                    (500, _error("api_error", None)) if fault == BROKEN else self._do(what, params, account)
                )
                if fault == BROKEN_AFTER:
                    status, answer = 500, _error("api_error", None)
                if key is not None and status not in (400, 404):
                    self._saved[account, key] = Saved(self._now(), params, status, answer)
            return None if fault == LOSE else (status, answer)

    def _fault(self, what: str) -> str | None:
        if self._faults and what.startswith(self._faults[0][1]):
            return self._faults.popleft()[0]
        return None

    def _do(self, what: str, params: Json, account: str | None) -> tuple[int, Json]:
        expand = set(params.get("expand", {}).values())
        try:
            return 200, _shown(self._carry_out(what, params, account), expand)
        except Refusal as refusal:
            return refusal.status, {"error": _shown(refusal.error, set())}

    def _carry_out(self, what: str, params: Json, account: str | None) -> Json:
        books, parts = self.books, what.split("/")
        match [what.partition(" ")[0], *parts[2:]]:
            case ["GET", "payment_methods", method]:
                return books.method(method)
            case ["GET", "payment_intents", "search"]:
                return self._search(params)
            case ["GET", "payment_intents", payment]:
                return books.find(books.payments, payment)
            case ["POST", "payment_intents"]:
                return books.pay(params)
            case ["POST", "payment_intents", payment, "cancel"]:
                return books.cancel(payment)
            case ["GET", "refunds" | "disputes" as kind]:
                no_more_than(params, "payment_intent", "limit")
                return _list([one for one in books.all(kind) if one["payment_intent"] == params["payment_intent"]])
            case ["POST", "refunds"]:
                no_more_than(params, "payment_intent", "amount", "metadata")
                return books.refund(params["payment_intent"], int(params["amount"]), params["metadata"])
            case ["GET", "transfers"]:
                no_more_than(params, "transfer_group", "limit")
                return _list(
                    [one for one in books.all("transfers") if one["transfer_group"] == params["transfer_group"]]
                )
            case ["POST", "transfers"]:
                return books.transfer(params)
            case ["POST", "transfers", transfer, "reversals"]:
                return books.take_back(transfer)
            case ["GET", "payouts"]:
                since = int(params["created"]["gte"])
                own = [one for one in books.all("payouts") if one["account"] == account]
                return _list([one for one in own if one["created"] >= since])
            case ["POST", "payouts"]:
                return books.pay_out(params, account or "")
        raise Refusal(404, "invalid_request_error", "resource_missing")

    def _search(self, params: Json) -> Json:
        match = re.fullmatch(r"metadata\['payout_id'\]:'(\w+)'", params["query"])
        if match is None:
            raise Refusal(400, "invalid_request_error", "query_invalid")
        indexed = self._now() - self.search_lag
        found = [one for one in self.books.payments.values() if one["metadata"]["payout_id"] == match[1]]
        data = [one for one in found if one["created"] <= indexed.timestamp()]
        return {"object": "search_result", "url": "/v1/payment_intents/search", "has_more": False, "data": data}


def _shown(thing: Json, expand: set[str]) -> Json:
    """A copy with the ids of what nobody asked to see whole."""
    copy: Json = json.loads(json.dumps(thing))
    for place, name in ((copy, "latest_charge"), (copy.get("payment_intent"), "payment_intent.latest_charge")):
        if isinstance(place, dict) and isinstance(place.get("latest_charge"), dict) and name not in expand:
            place["latest_charge"] = place["latest_charge"]["id"]
    for one in copy.get("data", []) if copy.get("object") == "search_result" else []:
        if isinstance(one["latest_charge"], dict) and "data.latest_charge" not in expand:
            one["latest_charge"] = one["latest_charge"]["id"]
    return copy


def _list(data: list[Json]) -> Json:
    return {"object": "list", "url": "/v1/list", "has_more": False, "data": data[::-1]}


def _error(kind: str, code: str | None) -> Json:
    return {"error": {"type": kind, "code": code, "message": f"it is {code}"}}


class InProcess(stripe.HTTPClient):
    """The way to a fake without a network, for tests that ask it thousands of times."""

    name = "in process"

    def __init__(self, fake: FakeStripe) -> None:
        super().__init__()
        self._fake = fake

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        parts, headers = urlsplit(url), headers or {}
        params = nested(parse_qsl(post_data or parts.query, keep_blank_values=True))
        what = f"{method.upper()} {parts.path}"
        answer = self._fake.answer(what, params, headers.get("Idempotency-Key"), headers.get("Stripe-Account"))
        if answer is None:
            raise stripe.APIConnectionError("the connection broke")  # type: ignore[no-untyped-call]
        return json.dumps(answer[1]), answer[0], {}


@contextmanager
def running(now: Callable[[], datetime]) -> Iterator[FakeStripe]:
    """A fake that listens on a free port, until the block is left."""
    fake = FakeStripe(now)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            url = urlsplit(self.path)
            params = nested(parse_qsl(body or url.query, keep_blank_values=True))
            key, account = self.headers.get("Idempotency-Key"), self.headers.get("Stripe-Account")
            answer: tuple[int, Json] | None = (401, _error("invalid_request_error", None))
            if self.headers.get("Authorization") == f"Bearer {SECRET_KEY}":
                what = f"{self.command} {url.path}"
                answer = fake.answer(what, params, key if self.command == "POST" else None, account)
            if answer is None:
                self.close_connection = True
                return
            content = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Request-Id", "req_fake")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join(10)


def nested(pairs: list[tuple[str, str]]) -> Json:
    """`metadata[payout_id]=x` as {"metadata": {"payout_id": "x"}}."""
    params: Json = {}
    for name, value in pairs:
        first, *inner = re.findall(r"[^\[\]]+", name)
        place = params
        for step in inner:
            place, first = place.setdefault(first, {}), step
        place[first] = value
    return params
