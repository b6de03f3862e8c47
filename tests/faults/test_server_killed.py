"""`kill -9` of the server under load: what it acknowledged is there, nothing is half, and a retry has one effect."""

from pathlib import Path

import pytest

from api.cli.serving import working
from ledger.bootstrap import Ledger
from ledger.worker import Worker
from tests.faults.rounds import chance, rounds
from tests.faults.running import KEY, Audit, Notes, Running, Sender, Told, Writers, cast, database_of, running, wait_for
from tests.play import Play

KILLS = rounds(ci=25, soak=500)
WRITERS = 4
RETRIED = 6
"""How many of the requests of a round are sent again after it."""


def test_what_a_killed_server_had_acknowledged_is_there_and_a_retry_has_one_effect_and_one_answer() -> None:
    notes = Notes()
    with running() as server:
        sender = Sender(server.url, notes, "set-up")
        people = cast(sender, WRITERS)
        for number in range(KILLS):
            random = chance("server killed", number)
            already = len(notes.told)
            with Writers(server.url, people, notes, name=f"round-{number}"):
                sender.stopped.wait(random.uniform(0.05, 0.6))
                server.kill()
                sender.stopped.wait(
                    2.2 if number % 8 == 7 else 0.0
                )  # PostgreSQL is still there, or has stopped as well
                server.start()
                server.wait_until_up()
                wait_for(lambda told=already: any(one.kept for one in notes.told[told:]), "somebody is told something")
                sender.stopped.wait(random.uniform(0.05, 0.2))
            told = [one for one in notes.told[already:] if one.kept]
            assert not notes.wrong, notes.wrong
            again(sender, random.sample(told, min(RETRIED, len(told))))
        sender.close()
        audit(server, notes)
    assert notes.broken >= KILLS, "the kills were noticed"


def again(sender: Sender, told: list[Told]) -> None:
    """The first answer, whatever happened to the server since."""
    for one in told:
        answer = sender.once(one.method, one.path, one.api_key, one.body, one.key)
        assert answer is not None
        assert answer.headers.get("idempotent-replayed") == "true", one
        assert (answer.status_code, answer.content) == (one.status, one.content), one


def audit(server: Running, notes: Notes) -> None:
    with database_of(server.data_dir) as postgres:
        check = Audit(postgres.url, server.data_dir)
        check.check(notes.told)
        check.verify()


def test_a_server_that_cannot_write_its_log_still_answers() -> None:
    """Whatever standard error leads to may be full: a line that is lost is no reason to refuse anybody."""
    notes = Notes()
    with running(log=Path("/dev/full")) as server:
        sender = Sender(server.url, notes, "full")
        people = cast(sender, 1)
        refused = sender.once("POST", f"/v1/contracts/{people.hourly}/accept", people.client_key, {}, sender.new_key())
        assert refused is not None
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        server.kill_postgres()
        down = sender.once("GET", "/v1/contracts", KEY, None, sender.new_key())
        assert down is not None
        assert down.status_code in (200, 503)
        sender.close()
    assert not notes.wrong


def test_a_server_that_starts_again_answers_from_all_that_was_acknowledged_before(ledger: Ledger) -> None:
    """Of a party's own writes only the process that took them knew: before another one answers, they are projected."""
    play = Play(ledger, up=False)
    contract = play.active("hourly", hourly_rate=6_000)
    assert ledger.reader.contract(contract) is None, "nothing has projected it yet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "run", lambda self: None)
        with working(ledger, workers=True):
            assert ledger.reader.position() == ledger.log.head()
            assert ledger.reader.contract(contract) == play.contract(contract)
