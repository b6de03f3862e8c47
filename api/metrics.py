"""What Prometheus may scrape: requests by route and status, and how far the projections are behind the log."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ledger.store.reader import Reader


class Metrics:
    """The metrics of one application; several in one process do not mix."""

    def __init__(self, reader: Reader) -> None:
        self._registry = CollectorRegistry()
        names = ["method", "route", "status"]
        self._requests = Counter("ledger_http_requests", "HTTP requests.", names, registry=self._registry)
        self._seconds = Histogram(
            "ledger_http_request_seconds", "Seconds to answer a request.", names[:2], registry=self._registry
        )
        self._registry.register(_Projections(reader))

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request; `route` is its path template."""
        method = method if method in ("GET", "POST", "PUT", "PATCH", "DELETE") else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self._registry)


class _Projections(Collector):
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing is read when it is registered."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("ledger_log_position", "Position of the last event.", value=self._reader.head())
        lag = GaugeMetricFamily("ledger_projection_lag_events", "Events a projection is behind.", labels=["projection"])
        failed = GaugeMetricFamily(
            "ledger_projection_failed", "1 when a projection has stopped.", labels=["projection"]
        )
        for one in self._reader.health():
            lag.add_metric([one.name], one.lag)
            failed.add_metric([one.name], float(one.error is not None))
        yield lag
        yield failed
