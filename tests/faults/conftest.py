"""Logs as a server writes them: structlog would otherwise write for people, with the values of local variables."""

import os
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from api.cli.logs import configure_logging
from ledger.bootstrap import open_ledger
from tests.api.world import Web, World, build, operated, served
from tests.databases import Server, sandbox


def may_mount() -> bool:
    """Whether a small disk can be mounted: as root, but not in every container."""
    with tempfile.TemporaryDirectory(prefix="ledger-disk-") as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "ledger", folder], check=False, stderr=subprocess.DEVNULL)
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True)
    return mounted.returncode == 0


collect_ignore = [] if os.geteuid() == 0 and may_mount() else ["test_disk_full.py"]
"""`docs/reliability.md` says so."""


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging()


@pytest.fixture(scope="module")
def world(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with people and contracts on it, shared by the tests of a file."""
    url = server.create()
    settings = operated(sandbox(url, tmp_path_factory.mktemp("ledger")))
    with open_ledger(settings) as ledger, served(ledger) as address:
        web = Web(address, ledger)
        yield build(web)
        web.http.close()
    server.drop(url)
