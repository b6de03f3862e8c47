"""`kill -9` of PostgreSQL under load: 503 and never a false success; back within ten seconds without help; nothing lost."""

from tests.faults.rounds import chance, rounds
from tests.faults.running import Cast, Notes, Running, Sender, Writers, cast, running, wait_for
from tests.faults.test_server_killed import again, audit

KILLS = rounds(ci=5, soak=50)
WRITERS = 4
BACK_WITHIN_SECONDS = 10.0


def test_callers_of_a_killed_postgresql_get_503_and_it_is_back_within_ten_seconds_with_everything() -> None:
    notes = Notes()
    with running() as server:
        sender = Sender(server.url, notes, "set-up")
        people = cast(sender, WRITERS)
        for number in range(KILLS):
            random = chance("postgresql killed", number)
            already = len(notes.told)
            with Writers(server.url, people, notes, name=f"round-{number}"):
                sender.stopped.wait(random.uniform(0.1, 0.8))
                killed = server.postmaster()
                server.kill_postgres()
                wait_for(lambda before=killed: is_back(server, before, sender, people), "a write", BACK_WITHIN_SECONDS)
                sender.stopped.wait(random.uniform(0.05, 0.2))
            assert not notes.wrong, notes.wrong
            told = [one for one in notes.told[already:] if one.kept]
            again(sender, random.sample(told, min(6, len(told))))
        assert notes.broken == 0, "the server itself answered all the time"
        assert {status for status, _ in notes.refused} == {503}, notes.refused
        sender.close()
        audit(server, notes)


def is_back(server: Running, before: int | None, sender: Sender, people: Cast) -> bool:
    """Whether another PostgreSQL runs, and a write succeeds at the first attempt."""
    if server.postmaster() in (before, None):
        return False
    path, body = f"/v1/contracts/{people.hourly}/bonuses", {"amount": 1}
    answer = sender.once("POST", path, people.client_key, body, sender.new_key())
    return answer is not None and answer.status_code == 201
