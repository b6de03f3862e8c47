"""The embedded PostgreSQL, with a real server and real kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ledger.store.embedded import EmbeddedPostgres, EmbeddedPostgresError, is_supervised
from ledger.store.embedded_folder import Folder
from tests.processes import PATIENCE_SECONDS

PROJECT = Path(__file__).parents[2]
BACK_WITHIN_SECONDS = 10.0
"""What is promised of a server that was killed; everything else here is waited for as long as it takes."""
USER = """
import sys
from pathlib import Path
from ledger.store.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as postgres:
    print(postgres.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that any user can walk through, as /srv is; under root nobody else can walk to `tmp_path`."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    folder.chmod(0o755)
    yield folder
    delete(folder)


@pytest.fixture
def new_dir(reachable: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; its server has ended before the folder is deleted."""
    yield reachable / "data"
    clean_up(reachable / "data")


@pytest.fixture
def data_dir(new_dir: Path, at_rest: Path) -> Path:
    """A data directory with a database of its own that is not running; a copy, as that takes a tenth of making one."""
    subprocess.run(["cp", "-a", at_rest, new_dir], check=True)
    return new_dir


@pytest.fixture(scope="module")
def at_rest() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    folder.chmod(0o755)
    bring_to_rest(folder / "data")
    yield folder / "data"
    delete(folder)


@pytest.fixture
def private_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory under a folder with mode 0700."""
    tmp_path.chmod(0o700)
    yield tmp_path / "data"
    clean_up(tmp_path / "data")


@pytest.fixture(scope="module")
def shared(at_rest: Path) -> Iterator[EmbeddedPostgres]:
    """One server for the tests that only look at it."""
    data_dir = at_rest.with_name("shared")
    subprocess.run(["cp", "-a", at_rest, data_dir], check=True)
    with EmbeddedPostgres(data_dir) as postgres:
        yield postgres
    clean_up(data_dir)


def clean_up(data_dir: Path) -> None:
    if data_dir.exists():
        (data_dir / "users.lock").unlink(missing_ok=True)  # to the supervisor the folder is gone: it ends
        eventually(lambda: not is_supervised(Folder(data_dir)))
        if (data_dir / "location").exists():
            shutil.rmtree(cluster_of(data_dir), ignore_errors=True)  # a test may have deleted it


def delete(folder: Path) -> None:
    """Whatever a server still writes there, or takes away itself."""

    def is_gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    eventually(is_gone)


def eventually(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until it is true."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, f"not so within {seconds:.0f} s"
        time.sleep(0.02)


def ask(url: str, query: str) -> Any:
    with psycopg.connect(url, connect_timeout=int(PATIENCE_SECONDS)) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def do(url: str, statement: str) -> None:
    with psycopg.connect(url, connect_timeout=int(PATIENCE_SECONDS)) as connection:
        connection.execute(statement)


def answers(url: str) -> bool:
    try:
        return bool(ask(url, "SELECT 1") == 1)
    except psycopg.OperationalError:
        return False


def cluster_of(data_dir: Path) -> Path:
    return data_dir / str(json.loads((data_dir / "location").read_text())["cluster"])


def postmaster(data_dir: Path) -> int:
    return int((cluster_of(data_dir) / "postmaster.pid").read_text().split()[0])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def bring_to_rest(data_dir: Path) -> None:
    """Use the server once and stop it without the usual grace."""
    with EmbeddedPostgres(data_dir):
        supervisor = parent_of(postmaster(data_dir))
    os.kill(supervisor, signal.SIGTERM)
    eventually(lambda: not is_supervised(Folder(data_dir)))


def new_user(data_dir: Path) -> subprocess.Popen[str]:
    """Another process that uses the server until its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=PROJECT, start_new_session=True,
    )  # fmt: skip


def url_from(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def end(user: subprocess.Popen[str]) -> None:
    user.kill()
    user.communicate()


def test_a_new_data_directory_gets_a_database_that_its_role_owns_without_being_superuser(new_dir: Path) -> None:
    with EmbeddedPostgres(new_dir) as postgres:
        assert ask(postgres.url, "SELECT current_user || '@' || current_database()") == "ledger@ledger"
        powers = "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = user"
        assert ask(postgres.url, powers) is False
        assert ask(postgres.url, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'ledger'") == "ledger"
        do(postgres.url, "CREATE TABLE public.mine (id int)")
        assert ask(postgres.admin_url, powers) is True


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("timezone", "UTC"),
        ("server_encoding", "UTF8"),
    ],
)
def test_the_server_promises_durability_and_listens_to_nobody_else(
    shared: EmbeddedPostgres, setting: str, value: str
) -> None:
    assert ask(shared.url, f"SHOW {setting}") == value


def test_a_wrong_password_is_refused_and_so_is_none(shared: EmbeddedPostgres) -> None:
    for password in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(make_conninfo(shared.url, password=password))


def test_nobody_else_may_read_the_passwords_or_the_cluster(shared: EmbeddedPostgres) -> None:
    cluster = Path(ask(shared.admin_url, "SHOW data_directory"))
    assert cluster.stat().st_mode & 0o777 == 0o700
    assert cluster.parent.stat().st_mode & 0o067 == 0
    assert (cluster.parent / "credentials").stat().st_mode & 0o777 == 0o600


def test_leaving_twice_is_harmless_and_there_is_no_url_before_a_start(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    postgres.stop()
    with pytest.raises(EmbeddedPostgresError, match=r"Call start\(\) first"):
        _ = postgres.url
    with postgres:
        postgres.start()
    postgres.stop()
    postgres.stop()


def test_a_restart_keeps_the_data_and_the_url(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        do(postgres.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        first = postgres.url
    eventually(lambda: not is_supervised(Folder(data_dir)))
    with EmbeddedPostgres(data_dir) as postgres:
        assert postgres.url == first
        assert ask(postgres.url, "SELECT answer FROM kept") == 42


def test_two_processes_that_start_at_once_on_a_new_directory_share_one_server(new_dir: Path) -> None:
    users = [new_user(new_dir) for _ in range(2)]
    try:
        first, second = (url_from(user) for user in users)
        assert first == second
        assert answers(first)
        assert (new_dir / "server.log").read_text().count("starting PostgreSQL") == 1
        end(users[0])
        time.sleep(2.0)
        assert answers(second), "the server stays for the one who is left"
    finally:
        for user in users:
            end(user)


def test_a_server_killed_with_kill_9_under_load_is_back_within_ten_seconds_with_all_that_was_committed(
    data_dir: Path,
) -> None:
    committed = 0
    stop = threading.Event()

    def load(url: str) -> None:
        nonlocal committed
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO rows VALUES (%s)", (committed + 1,))
                committed += 1

    def busy(url: str) -> None:  # a backend that computes does not notice that its postmaster is gone
        ask(url, "SELECT sum(sqrt(i)) FROM generate_series(1, 1000000000) AS i")

    def ignoring_the_break(work: Callable[[str], None], url: str) -> None:
        with pytest.raises(psycopg.OperationalError):
            work(url)

    with EmbeddedPostgres(data_dir) as postgres:
        do(postgres.url, "CREATE TABLE rows (id int)")
        threads = [threading.Thread(target=ignoring_the_break, args=(work, postgres.url)) for work in (load, busy)]
        for thread in threads:
            thread.start()
        eventually(lambda: committed > 50)
        killed = postmaster(data_dir)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not is_running(killed) and answers(postgres.url), BACK_WITHIN_SECONDS)
        stop.set()
        for thread in threads:
            thread.join()
        assert ask(postgres.url, "SELECT count(*) FROM rows") in (committed, committed + 1)  # one may lack its answer


def test_a_supervisor_killed_with_kill_9_is_replaced_by_a_running_user(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        server = postmaster(data_dir)
        supervisor = parent_of(server)
        os.kill(supervisor, signal.SIGKILL)
        eventually(lambda: is_supervised(Folder(data_dir)) and not is_running(server) and answers(postgres.url))
        assert parent_of(postmaster(data_dir)) != supervisor


def test_the_next_start_recovers_when_supervisor_and_server_were_killed_with_kill_9(data_dir: Path) -> None:
    user = new_user(data_dir)
    do(url_from(user), "CREATE TABLE kept AS SELECT 42 AS answer")
    server = postmaster(data_dir)
    for pid in (parent_of(server), server):
        os.kill(pid, signal.SIGKILL)
    end(user)
    with EmbeddedPostgres(data_dir) as postgres:
        assert ask(postgres.url, "SELECT answer FROM kept") == 42


@pytest.mark.parametrize("supervisor_too", [False, True])
def test_no_server_is_left_after_all_its_users_were_killed(data_dir: Path, supervisor_too: bool) -> None:
    users = [new_user(data_dir) for _ in range(2)]
    for user in users:
        assert answers(url_from(user))
    server = postmaster(data_dir)
    for user in users:
        end(user)
    if supervisor_too:
        os.kill(parent_of(server), signal.SIGKILL)
    eventually(lambda: not is_running(server))
    eventually(lambda: not is_supervised(Folder(data_dir)))


def test_control_c_in_the_terminal_of_one_user_does_not_reach_the_server(data_dir: Path) -> None:
    user = new_user(data_dir)
    url_from(user)
    with EmbeddedPostgres(data_dir) as postgres:
        server = postmaster(data_dir)
        for order in (signal.SIGINT, signal.SIGTERM):
            os.killpg(user.pid, order)
        user.communicate()
        time.sleep(0.5)
        assert is_running(server)
        assert answers(postgres.url)


def test_a_data_directory_that_was_deleted_starts_empty_even_under_a_running_server(new_dir: Path) -> None:
    with EmbeddedPostgres(new_dir) as before:
        do(before.url, "CREATE TABLE old (id int)")
        former = postmaster(new_dir)
        delete(new_dir)
        with EmbeddedPostgres(new_dir) as after:
            assert after.url != before.url
            assert ask(after.url, "SELECT to_regclass('old')") is None
            eventually(lambda: not is_running(former))
            assert answers(after.url), "the former server's end does not take the new one's socket away"


def test_a_data_directory_under_a_folder_of_mode_0700_works_and_starts_empty_when_deleted(private_dir: Path) -> None:
    with EmbeddedPostgres(private_dir) as postgres:
        do(postgres.url, "CREATE TABLE old (id int)")
        former = cluster_of(private_dir)
        assert former.is_relative_to("/var/lib/ledger" if os.geteuid() == 0 else private_dir)
    delete(private_dir)
    with EmbeddedPostgres(private_dir) as postgres:
        assert cluster_of(private_dir) != former
        assert ask(postgres.url, "SELECT to_regclass('old')") is None
    shutil.rmtree(former, ignore_errors=True)  # as an ordinary user it was in the data directory


def test_a_long_path_has_its_socket_elsewhere(reachable: Path) -> None:
    data_dir = reachable / ("long" * 25) / "data"
    with EmbeddedPostgres(data_dir) as postgres:
        assert answers(postgres.url)
        socket_dir = Path(json.loads((data_dir / "location").read_text())["socket_dir"])
        assert not socket_dir.is_relative_to(data_dir)
        assert socket_dir.stat().st_mode & 0o777 == 0o700
    clean_up(data_dir)
    assert not socket_dir.exists()


def test_a_cluster_that_is_lost_is_an_error_and_not_an_empty_ledger(data_dir: Path) -> None:
    shutil.rmtree(cluster_of(data_dir))
    with pytest.raises(EmbeddedPostgresError, match=r"is not at .*\n.*[Rr]estore it from a backup"):
        EmbeddedPostgres(data_dir).start()


def test_a_server_that_cannot_start_says_why_with_the_tail_of_its_log(data_dir: Path) -> None:
    with (cluster_of(data_dir) / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = on\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        EmbeddedPostgres(data_dir).start()


def test_a_stale_process_id_that_now_belongs_to_a_stranger_does_not_block_a_start(data_dir: Path) -> None:
    pid_file = cluster_of(data_dir) / "postmaster.pid"
    owner = cluster_of(data_dir).stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None, cwd="/")
    try:
        pid_file.write_text(f"{stranger.pid}\n{cluster_of(data_dir)}\n")
        os.chown(pid_file, owner, -1)
        with EmbeddedPostgres(data_dir) as postgres:
            assert answers(postgres.url)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_folder_that_everyone_may_write_to_is_refused(reachable: Path) -> None:
    reachable.chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="everyone may write"):
        EmbeddedPostgres(reachable).start()


def test_the_server_never_runs_as_root(shared: EmbeddedPostgres) -> None:
    cluster = Path(ask(shared.admin_url, "SHOW data_directory"))
    server = (cluster / "postmaster.pid").read_text().split()[0]
    assert Path("/proc", server).stat().st_uid != 0
