"""`SIGTERM` under load: what was accepted is carried out and answered, and nothing more is accepted."""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import TupleRow

from tests.faults.running import KEY, START, Audit, Notes, Sender, cast, database_of, wait_for
from tests.processes import PATIENCE_SECONDS
from tests.serving import serving

CALLERS = 8


def test_a_server_that_is_told_to_end_finishes_what_it_has_accepted_and_accepts_nothing_more() -> None:
    """The log's head is held by somebody else until the server was told; so all of it is under way then."""
    notes = Notes()
    with serving(clock_start=START, operator_key=KEY) as server:
        data_dir = Path(server.env["LEDGER_DATA_DIR"])
        sender = Sender(server.url, notes, "set-up")
        people = cast(sender, 1)
        path = f"/v1/contracts/{people.hourly}/bonuses"
        with database_of(data_dir) as postgres, ThreadPoolExecutor(CALLERS) as pool:
            with head_held(postgres.url) as holder:
                keys = [f"accepted {number}" for number in range(CALLERS)]
                asked = [pool.submit(sender.once, "POST", path, people.client_key, {"amount": 1}, key) for key in keys]
                wait_for(lambda: under_way(holder) == CALLERS, "every request is under way")
                server.process.send_signal(signal.SIGTERM)
                wait_for(lambda: not listens(server.url), "nobody listens any more")
                assert not any(request.done() for request in asked)
            answers = [request.result(PATIENCE_SECONDS) for request in asked]
            assert [answer.status_code if answer else None for answer in answers] == [201] * CALLERS
            assert server.process.wait(PATIENCE_SECONDS) == 0
            check = Audit(postgres.url, data_dir)
            check.check(notes.told)
            assert granted(postgres.url) == CALLERS
        sender.close()


@contextmanager
def head_held(url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """Somebody is about to append for as long as the block lasts."""
    with psycopg.connect(url) as holder:
        holder.execute("SELECT * FROM log_head FOR UPDATE")
        yield holder


def under_way(connection: psycopg.Connection[TupleRow]) -> int:
    """How many requests have claimed their key and are not answered."""
    return one(connection, "SELECT count(*) FROM idempotency WHERE status IS NULL")


def granted(url: str) -> int:
    with psycopg.connect(url) as connection:
        return one(connection, "SELECT count(*) FROM events WHERE topic = 'contract.bonus_granted.v1'")


def one(connection: psycopg.Connection[TupleRow], query: str) -> Any:
    (row,) = connection.execute(query.encode()).fetchall()
    return row[0]


def listens(url: str) -> bool:
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname, where.port)).close()
    except ConnectionRefusedError:
        return False
    return True
