"""Where a columnar fold runs: DuckDB, in this process, or Spark, here or on a cluster. Both get the same Ibis expressions."""

import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

import duckdb
import ibis
import pyarrow as pa
from ibis.expr.types import Table

from replay.archive.columnar import EVENTS
from replay.sources import SourceUnavailable

Engine = Literal["duckdb", "spark"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
MEMORY_LIMIT = "1GB"
"""What DuckDB may keep in memory; what is more goes to a temporary folder."""
LOCAL_MASTER = "local[*]"
"""Spark in this process, on every core."""
_LOGGING = Path(__file__).with_name("spark-log4j2.properties")
_MASTER = re.compile(r"local(\[.*\])?|spark://.+|k8s://.+|yarn")
REACHED_WITHIN_SECONDS = 10.0

Run = Callable[[Table], pa.Table]
"""Computes an expression."""


class EngineUnavailable(SourceUnavailable):
    """The engine cannot be used: what was tried, what stood against it, what to do."""


@contextmanager
def open_engine(engine: Engine, files: Sequence[Path], master: str | None = None) -> Iterator[Run]:
    """What computes an expression over `replay.archive.columnar.EVENTS`, which are the rows of these files: at least one.

    On a cluster every worker reads the files by the same paths: they have to be on storage that all of them see.
    Raises EngineUnavailable.
    """
    with _spark(files, master or LOCAL_MASTER) if engine == "spark" else _duckdb(files) as run:
        yield run


@contextmanager
def _duckdb(files: Sequence[Path]) -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="replay-") as spilled:
        connection = ibis.duckdb.connect(
            memory_limit=MEMORY_LIMIT, temp_directory=spilled, preserve_insertion_order=False
        )
        try:
            paths = [_literal(path) for path in files]
            connection.read_parquet(paths, table_name=EVENTS.get_name(), hive_partitioning=False)
            yield connection.to_pyarrow
        except duckdb.Error as error:
            raise EngineUnavailable(f"DuckDB cannot read the archive: {error}") from error
        finally:
            connection.disconnect()


def _literal(path: Path) -> str:
    """A path as DuckDB takes it: a bracket or a star in a folder's name is no pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path.resolve()))


def _escaped(path: Path) -> str:
    """A path as Spark takes it, likewise."""
    return "file://" + re.sub(r"([*?\[\]{}\\])", r"\\\1", str(path.resolve()))


@contextmanager
def _spark(files: Sequence[Path], master: str) -> Iterator[Run]:
    _require_java()
    _require_reachable(master)
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EngineUnavailable(
            f"Spark is not installed ({error.name} is missing): install it with `pip install 'ledger[spark]'`"
        ) from error
    try:
        with _quiet():
            session = SparkSession.builder.master(master).appName("replay run").config(map=_SETTINGS).getOrCreate()
        try:
            connection = ibis.pyspark.connect(session)
            rows = session.read.parquet(*(_escaped(path) for path in files))
            rows.createOrReplaceTempView(EVENTS.get_name())
            yield connection.to_pyarrow
        finally:
            session.stop()
    except (PySparkException, Py4JError) as error:
        raise EngineUnavailable(f"Spark at {master} cannot fold the archive: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What Spark says is wrong, without Java's account of where."""
    lines = [line.strip(": ") for line in str(error).splitlines() if "An error occurred while calling" not in line]
    return next(filter(None, lines), repr(error))


@contextmanager
def _quiet() -> Iterator[None]:
    """Spark's Java writes only what nobody says otherwise: that a cluster gives no resources, or does not answer.

    It reads how when it starts, and from the environment alone; whoever names a log4j configuration there keeps it.
    """
    options = environ.get("SPARK_SUBMIT_OPTS", "")
    if "log4j" in options:
        yield
        return
    environ["SPARK_SUBMIT_OPTS"] = f"{options} -Dlog4j2.configurationFile={_LOGGING.as_uri()}".strip()
    try:
        yield
    finally:
        environ["SPARK_SUBMIT_OPTS"] = options


_SETTINGS: dict[str, bool | float | int | str | None] = {
    "spark.ui.enabled": False,
    "spark.ui.showConsoleProgress": False,
    "spark.sql.session.timeZone": "UTC",
}


def _require_java() -> None:
    home = environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and shutil.which("java", path=f"{home}/bin"))):
        raise EngineUnavailable(
            "Spark needs Java 17 or later, and there is none: install it (Debian: openjdk-17-jre-headless) or name it in"
            " JAVA_HOME; --engine duckdb needs none"
        )


def _require_reachable(master: str) -> None:
    """Says at once that a standalone master is not there: Spark would ask for a minute. `spark://a:7077,b:7077` names two."""
    if not _MASTER.fullmatch(master):
        raise EngineUnavailable(
            f"{master!r} is no Spark master: write it as spark://host:7077, or as local[2] for two cores here"
        )
    if not master.startswith("spark://"):
        return
    errors = []
    for place in master.removeprefix("spark://").split(","):
        try:
            where = urlsplit(f"//{place}")
            with socket.create_connection((where.hostname or "", where.port or 7077), REACHED_WITHIN_SECONDS):
                return
        except (OSError, ValueError) as error:
            errors.append(f"{place}: {error}")
    raise EngineUnavailable(f"no Spark master can be reached at {master} ({'; '.join(errors)}): check --master")
