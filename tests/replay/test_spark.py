"""The same expressions on a real Spark standalone cluster: a master and two workers, each a process, on loopback."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pyspark
import pytest
from msgspec.structs import replace

from benchmarks.histories import history
from ledger.codec import decode
from ledger.events import AdjustmentApproved, Posting
from ledger.money import MAX_AMOUNT
from replay.archive import manifest as archive_manifest
from replay.archive.writing import archive
from replay.balances import trial_balance
from replay.live import Live
from replay.values import instant, plain
from tests.processes import PATIENCE_SECONDS
from tests.properties.everything import everything, golden
from tests.replay.archives import Log
from tests.replay.conftest import Copy

SPARK = Path(pyspark.__file__).parent
WORKERS = 2
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A Java that is gone in seconds need not make itself fast first."""
SETTINGS = f"""
spark.executor.memory 512m
spark.executor.cores 1
spark.executor.extraJavaOptions {SHORT_LIVED}
spark.driver.memory 512m
spark.driver.extraJavaOptions {SHORT_LIVED}
"""
needs_java = pytest.mark.skipif(
    shutil.which("java") is None, reason="Java is not installed, and Spark needs it: install openjdk-17-jre-headless"
)


@dataclass(frozen=True)
class Cluster:
    """A running one; `environment` is what its processes and its drivers are started with."""

    url: str
    web: str
    folder: Path
    environment: dict[str, str]

    def applications(self) -> list[dict[str, Any]]:
        """Those that have ended, as the master tells."""
        with urlopen(f"{self.web}/json/", timeout=PATIENCE_SECONDS) as answer:
            return list(json.loads(answer.read())["completedapps"])

    def executors(self, application: str) -> list[Path]:
        """What each worker ran for an application."""
        return sorted(self.folder.glob(f"worker-*/{application}/*"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("spark")
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text(SETTINGS)
    environment = os.environ | {
        "SPARK_HOME": str(SPARK),
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "scratch"),
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_DAEMON_JAVA_OPTS": SHORT_LIVED,
        "SPARK_NO_DAEMONIZE": "1",
    }
    for name in ("SPARK_MASTER_HOST", "SPARK_MASTER_PORT", "SPARK_WORKER_PORT", "SPARK_CONNECT_MODE_ENABLED"):
        environment.pop(name, None)
    anywhere = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    with ExitStack() as stack:
        master = folder / "master.log"
        stack.enter_context(daemon("master.Master", *anywhere, log=master, environment=environment))
        url = said(master, r"Starting Spark master at (spark://\S+)")
        web = said(master, r"MasterWebUI to \S+, and started at (http://\S+)|started at (http://\S+)")
        for number in range(WORKERS):
            log = folder / f"worker-{number}.log"
            work = ("--cores", "1", "--memory", "512m", "--work-dir", str(folder / f"worker-{number}"), url)
            stack.enter_context(daemon("worker.Worker", *anywhere, *work, log=log, environment=environment))
        for number in range(WORKERS):
            said(folder / f"worker-{number}.log", r"(Successfully registered with master)")
        yield Cluster(url, web, folder, environment)


@contextmanager
def daemon(name: str, *arguments: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """A process of the cluster; at the end it is gone, with everything that it started."""
    command = [str(SPARK / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def said(log: Path, pattern: str) -> str:
    """What a process has written, waited for."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return next(filter(None, found.groups()))
        time.sleep(0.1)
    raise AssertionError(f"{log.name} never said {pattern!r}:\n{log.read_text(errors='replace')[-3_000:]}")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own: Spark's Java would stay with this one."""
    command = [sys.executable, "-c", "from replay.cli import app; app(prog_name='replay')", "run", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@needs_java
def test_the_cluster_comes_to_the_live_balances_to_the_minor_unit(
    cluster: Cluster, live: Live, shared: Copy, tmp_path: Path
) -> None:
    archive(live.log, tmp_path)
    where = {"LEDGER_DATABASE_URL": shared.url, "LEDGER_DATA_DIR": str(shared.folder)}
    result = run(
        *("--engine", "spark", "--master", cluster.url, "--source", str(tmp_path), "--json"),
        **(cluster.environment | where),
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["ok"], found["engine"], found["against"], found["differences"]) == (True, "spark", "live", [])
    assert found["accounts"] == plain(trial_balance(live.log).accounts)
    position, balances = live.reader.trial_balance()
    assert found["position"] == position
    assert [(one["account"], one["currency"], one["balance"]) for one in found["accounts"]] == balances
    ran = cluster.applications()[0]
    assert (ran["name"], ran["state"]) == ("replay run", "FINISHED")
    assert len(cluster.executors(ran["id"])) == WORKERS, "each worker had a part in it"


@needs_java
def test_the_cluster_folds_every_kind_of_event_adjustments_and_sums_beyond_64_bits(
    cluster: Cluster, tmp_path: Path
) -> None:
    log = Log((new.stream, new.version, new.event) for new in history(3_000))
    for one in everything().log:
        log.append(one.stream, one.version, one.event)
    charged = replace(decode("payout.charged.v1", golden("payout.charged.v1")), amount=MAX_AMOUNT)
    for number in range(10_000):
        log.append(f"pay_{number}", 1, charged)
    adjusted = decode(AdjustmentApproved.TOPIC, golden(AdjustmentApproved.TOPIC))
    what = {"amount": MAX_AMOUNT, "currency": "USD"}
    sides = (("fre_\u00e9 '%:available", "debit"), ("fre_b:available", "credit"))
    postings = tuple(Posting(account=account, direction=direction, **what) for account, direction in sides) * 10_000
    log.append("adj_1", 1, replace(adjusted, postings=postings))
    archive(log, tmp_path, events_of_a_file=2_000)
    as_of = max(log.rows[2_000].event.occurred_at, charged.occurred_at, adjusted.occurred_at)
    expected = trial_balance(log, as_of=as_of).accounts
    assert any(one.credits > 2**63 for one in expected)
    result = run(
        *("--engine", "spark", "--master", cluster.url, "--source", str(tmp_path), "--json", "--against", "archive"),
        *("--as-of", instant(as_of)),
        **(cluster.environment | {"TZ": "Asia/Tokyo"}),
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["ok"], found["differences"]) == (True, [])
    assert found["accounts"] == plain(expected)


def some_archive(folder: Path) -> str:
    archive(Log((new.stream, new.version, new.event) for new in history(100)), folder)
    return str(folder)


@needs_java
def test_a_master_that_is_not_there_ends_with_2_at_once(tmp_path: Path) -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        url = f"spark://127.0.0.1:{bound.getsockname()[1]}"
        arguments = ("--engine", "spark", "--master", url, "--source", some_archive(tmp_path), "--against", "archive")
        result = run(*arguments, **os.environ)
    assert result.returncode == 2
    assert f"no Spark master can be reached at {url}" in result.stderr
    assert "Traceback" not in result.stderr


@needs_java
def test_a_file_that_is_no_parquet_ends_with_2_and_one_sentence(cluster: Cluster, tmp_path: Path) -> None:
    source = Path(some_archive(tmp_path))
    manifest = archive_manifest.read(source)
    *others, last = manifest.files
    (source / last.path).write_bytes(bytes(last.bytes))
    changed = replace(last, sha256=archive_manifest.sha256_of(source / last.path))
    archive_manifest.write(source, replace(manifest, files=(*others, changed)))
    arguments = ("--engine", "spark", "--master", "local[1]", "--source", str(source), "--against", "archive")
    result = run(*arguments, **cluster.environment)
    assert result.returncode == 2
    assert result.stdout == ""
    said = [line for line in result.stderr.splitlines() if not line.startswith("WARNING: Using incubator modules")]
    assert len(said) == 1, result.stderr
    assert said[0].startswith("replay: Spark at local[1] cannot fold the archive: ")
    assert Path(last.path).name in said[0]


def test_a_master_that_is_none_is_refused(tmp_path: Path) -> None:
    arguments = ("--engine", "spark", "--master", "nonsense", "--source", some_archive(tmp_path))
    result = run(*arguments, "--against", "archive", **os.environ)
    assert result.returncode == 2
    assert "write it as spark://host:7077" in result.stderr or "Spark needs Java" in result.stderr


def test_without_java_spark_says_what_to_install(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    arguments = ("--engine", "spark", "--source", some_archive(tmp_path / "archive"), "--against", "archive")
    result = run(*arguments, **(environment | {"PATH": str(tmp_path)}))
    assert result.returncode == 2
    assert "Spark needs Java 17 or later, and there is none" in result.stderr
    assert "Traceback" not in result.stderr
