"""What Prometheus may scrape: requests by route and status, the log, what is due, what was answered from outside."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ledger.bootstrap import Ledger


class Metrics:
    """The metrics of one application; several in one process do not mix."""

    def __init__(self, ledger: Ledger) -> None:
        self._registry = CollectorRegistry()
        names = ["method", "route", "status"]
        self._requests = Counter("ledger_http_requests", "HTTP requests.", names, registry=self._registry)
        self._seconds = Histogram(
            "ledger_http_request_seconds", "Seconds to answer a request.", names[:2], registry=self._registry
        )
        self._registry.register(_OfLedger(ledger))

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request; `route` is its path template."""
        method = method if method in ("GET", "POST", "PUT", "PATCH", "DELETE") else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self._registry)


class _OfLedger(Collector):
    """What the ledger itself knows, read when it is scraped; charges and appends are those of this process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._reader = ledger, ledger.reader

    def describe(self) -> Iterator[Metric]:
        """Nothing is read when it is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("ledger_log_position", "Position of the last event.", value=self._reader.head())
        backlog = self._ledger.agenda.backlog(self._ledger.clock.now())
        yield GaugeMetricFamily("ledger_due_backlog", "Deadlines that have come and wait.", value=backlog)
        appended = self._ledger.log.appended
        yield CounterMetricFamily("ledger_appends", "Transactions that appended events.", value=appended.batches)
        yield CounterMetricFamily("ledger_appended_events", "Events appended.", value=appended.events)
        yield GaugeMetricFamily("ledger_largest_append", "Events of the largest append.", value=appended.largest)
        asked = CounterMetricFamily("ledger_asked_outside", "Answers from outside.", labels=["kind", "outcome"])
        for (kind, outcome), count in sorted(self._ledger.outside.outcomes.items()):
            asked.add_metric([kind, outcome], count)
        yield asked
        lag = GaugeMetricFamily("ledger_projection_lag_events", "Events a projection is behind.", labels=["projection"])
        failed = GaugeMetricFamily(
            "ledger_projection_failed", "1 when a projection has stopped.", labels=["projection"]
        )
        for one in self._reader.health():
            lag.add_metric([one.name], one.lag)
            failed.add_metric([one.name], float(one.error is not None))
        yield lag
        yield failed
