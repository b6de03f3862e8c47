"""Fifty identical requests under one Idempotency-Key at once, to two servers on one database: one effect, one answer."""

from contextlib import ExitStack
from pathlib import Path

import httpx

from ledger import events as e
from ledger.bootstrap import open_ledger
from replay.verify.live import verify
from tests.api.world import Web, build, operated, served
from tests.databases import Server, sandbox
from tests.faults.rounds import rounds
from tests.processes import PATIENCE_SECONDS, together
from tests.serving import LIMITS

ROUNDS = rounds(ci=20, soak=500)
CALLERS = 50


def test_fifty_identical_requests_at_once_have_one_effect_and_one_answer(server: Server, tmp_path: Path) -> None:
    url = server.create()
    settings = operated(sandbox(url, tmp_path))
    with ExitStack() as stack:
        ledgers = [stack.enter_context(open_ledger(settings)) for _ in range(2)]
        addresses = [stack.enter_context(served(ledger)) for ledger in ledgers]
        world = build(Web(addresses[0], ledgers[0]))
        path = f"/v1/contracts/{world.contracts['hourly']['id']}/bonuses"
        callers = [stack.enter_context(client_of(addresses[n % 2])) for n in range(CALLERS)]
        for number in range(ROUNDS):
            key = f"round {number}"
            headers = {"Authorization": f"Bearer {world.client_key}", "Idempotency-Key": key}
            body = {"amount": number + 1, "note": key}
            before = ledgers[0].log.head()

            def send(http: httpx.Client, body: object = body, headers: dict[str, str] = headers) -> httpx.Response:
                return http.post(path, json=body, headers=headers)

            answers = together(*[lambda http=http, send=send: send(http) for http in callers])
            one_answer(answers, [send(http) for http in callers[:2]])
            granted = [one for one in ledgers[0].log.read_all(after=before) if isinstance(one.event, e.BonusGranted)]
            assert len(granted) == 1, f"{len(granted)} effects"
        ledgers[0].worker.drain()
        assert verify(ledgers[0].database).ok
        world.web.http.close()
    server.drop(url)


def client_of(address: str) -> httpx.Client:
    return httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, limits=LIMITS)


def one_answer(answers: list[httpx.Response], later: list[httpx.Response]) -> None:
    """201 with one body, or, of those that came while it ran, 409 `idempotency_in_progress`; afterwards always the first."""
    first = [one for one in answers if one.status_code == 201]
    running = [one for one in answers if one.status_code == 409]
    assert len(first) + len(running) == len(answers), {(one.status_code, one.text) for one in answers}
    assert {one.json()["code"] for one in running} <= {"idempotency_in_progress"}
    assert len([one for one in first if "idempotent-replayed" not in one.headers]) == 1, "one was the first"
    assert {one.headers.get("idempotent-replayed") for one in later} == {"true"}
    assert len({one.content for one in [*first, *later]}) == 1
