"""A full disk, a real one: 503 with Retry-After and never a false success; nothing is lost, and it recovers.

The data directory is on a file system of its own in memory, which only root may mount:
`conftest.py` leaves this file out for others.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.rounds import chance, rounds
from tests.faults.running import Notes, Sender, Writers, cast, running, wait_for
from tests.faults.test_server_killed import again, audit

ROUNDS = rounds(ci=5, soak=50)
DISK_BYTES = 200 * 2**20
WRITERS = 3
LEFT_BYTES = (0, 0, 8_192, 300_000)
"""What still fits on the full disk: nothing, a page of a table, some more."""


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ledger-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "ledger", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    shutil.rmtree(folder)


def test_on_a_full_disk_callers_get_503_nothing_is_lost_and_it_recovers(small_disk: Path) -> None:
    notes = Notes()
    with running(disk=small_disk) as server:
        sender = Sender(server.url, notes, "set-up")
        people = cast(sender, WRITERS)
        for number in range(ROUNDS):
            random = chance("disk full", number)
            already = len(notes.told)
            with Writers(server.url, people, notes, name=f"round-{number}"):
                sender.stopped.wait(random.uniform(0.1, 0.4))
                fill_and_empty(small_disk / "filler", notes, random.choice(LEFT_BYTES))
            assert not notes.wrong, notes.wrong
            told = [one for one in notes.told[already:] if one.kept]
            again(sender, random.sample(told, min(6, len(told))))
        assert {status for status, _ in notes.refused} <= {503}, notes.refused
        sender.close()
        audit(server, notes)


def fill_and_empty(filler: Path, notes: Notes, leaving: int) -> None:
    """Until somebody was refused; and then until somebody was not."""
    refused = len(notes.refused) + WRITERS
    fill(filler, leaving)
    wait_for(lambda: len(notes.refused) > refused, "somebody is refused")
    told = len(notes.told) + WRITERS
    filler.unlink()
    wait_for(lambda: len(notes.told) > told, "it recovers")


def fill(filler: Path, leaving: int) -> None:
    """Writes until nothing fits any more, and gives back what is to be left."""
    with filler.open("wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left"):
            file.writelines(bytes(2**16) for _ in range(2 * DISK_BYTES // 2**16))
        file.truncate(max(0, file.tell() - leaving))
