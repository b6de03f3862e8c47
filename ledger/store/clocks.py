"""The two clocks. Only the system clock reads the time, and only the sandbox's clock stands still."""

from datetime import UTC, datetime

from ledger.store.database import Database


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class TestClock:
    """The sandbox's clock: it stands where it was set, in the database, for every process alike."""

    __test__ = False

    def __init__(self, database: Database, start: datetime) -> None:
        """`start` counts only on a database whose clock was never set."""
        self._database = database
        database.execute("INSERT INTO test_clock (now) VALUES (%s) ON CONFLICT DO NOTHING", (start,))

    def now(self) -> datetime:
        now: datetime = self._database.fetch("SELECT now FROM test_clock")[0]["now"]
        return now

    def set(self, instant: datetime) -> None:
        """Moves the clock forward; it never goes back."""
        self._database.execute("UPDATE test_clock SET now = greatest(now, %s)", (instant,))
