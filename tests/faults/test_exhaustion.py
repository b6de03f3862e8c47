"""All database connections are taken: 503 in bounded time with Retry-After, no loss, and it recovers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx

from ledger.bootstrap import Ledger
from ledger.events import ContractOffered
from ledger.store.database import Database
from replay.verify.live import verify
from tests.api.world import Web, build, offer_of, operated, served
from tests.databases import Server, sandbox
from tests.faults.rounds import rounds
from tests.faults.running import wait_for
from tests.processes import PATIENCE_SECONDS

POOL_ROUNDS = rounds(ci=5, soak=50)
CALLERS, CONNECTIONS = 200, 5
POOL_WAIT_SECONDS = 1.0
MANY = httpx.Limits(max_connections=CALLERS, max_keepalive_connections=0)  # each caller comes anew


def test_two_hundred_callers_on_five_connections_get_503_in_bounded_time_and_all_succeed_in_the_end(
    server: Server, tmp_path: Path
) -> None:
    """All five are held by somebody else until many callers were refused; then the same requests, again."""
    url = server.create()
    settings = operated(sandbox(url, tmp_path), sandbox=False)
    database = Database(url, pool_size=CONNECTIONS, max_overflow=0, wait_seconds=POOL_WAIT_SECONDS)
    ledger = Ledger(settings, database)
    ledger.views.prepare()
    with served(ledger) as address, httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, limits=MANY) as http:
        web = Web(address, ledger)
        world = build(web)
        for number in range(POOL_ROUNDS):
            requests = [f"round {number} caller {caller}" for caller in range(CALLERS)]
            before = ledger.log.head()
            refused, answered = while_held(http, world.client_key, database, requests)
            assert refused, "somebody was refused"
            again_until_done(http, world.client_key, requests, answered)
            offered = [
                stored for stored in ledger.log.read_all(after=before) if isinstance(stored.event, ContractOffered)
            ]
            assert len(offered) == len({stored.stream for stored in offered}) == CALLERS, "each has one effect"
        ledger.worker.drain()
        assert verify(database).ok
        web.http.close()
    database.close()
    server.drop(url)


def while_held(
    http: httpx.Client, client_key: str, database: Database, requests: list[str]
) -> tuple[int, dict[str, bytes]]:
    """Sends all at once while nobody gives a connection; how many were refused, and what the others were told."""
    enough, refused, answered = threading.Event(), 0, dict[str, bytes]()
    with ExitStack() as held, ThreadPoolExecutor(CALLERS) as pool:
        for _ in range(CONNECTIONS):
            held.enter_context(database.connection())
        for key, answer in pool.map(lambda key: (key, offer(http, client_key, key)), requests):
            if answer.status_code == 201:
                answered[key] = answer.content
            else:
                assert answer.status_code == 503, answer.text
                assert answer.headers["retry-after"].isdigit()
                refused += 1
            if refused >= CALLERS // 10 and not enough.is_set():
                enough.set()
                held.close()
    return refused, answered


def again_until_done(http: httpx.Client, client_key: str, requests: list[str], answered: dict[str, bytes]) -> None:
    """Every caller comes back, few at a time as Retry-After spreads them, until each has an answer; the first one stays."""

    def done(key: str) -> bool:
        answer = offer(http, client_key, key)
        if answer.status_code != 201:
            return False
        assert answered.setdefault(key, answer.content) == answer.content
        return True

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for key, finished in zip(requests, pool.map(done, requests), strict=True):
            if not finished:
                wait_for(lambda key=key: done(key), key)


def offer(http: httpx.Client, client_key: str, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {client_key}", "Idempotency-Key": key}
    return http.post("/v1/contracts", json=offer_of("single_payment", title=key), headers=headers)
