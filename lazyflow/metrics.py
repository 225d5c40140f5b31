"""What a service measures of itself, for Prometheus: `docs/server.md` has the table."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lazyflow.protocol import Outcome

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The metrics of one service, in a registry of its own.

    Labels are names of tables, which are the app's, and words of the protocol: nothing that clients choose.

    Parameters
    ----------
    sessions, clients, downloads
        How many there are now.

    Attributes
    ----------
    registry
        Where they are: for an app that has further ways to give them away.

    Examples
    --------
    >>> metrics = Metrics(lambda: 1, lambda: 2, lambda: 0)
    >>> metrics.failed("timeout")
    >>> [line for line in metrics.text().decode().splitlines() if line.startswith("lazyflow_errors_total")]
    ['lazyflow_errors_total{code="timeout"} 1.0']
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, sessions: Callable[[], int], clients: Callable[[], int], downloads: Callable[[], int]) -> None:
        self.registry = registry = CollectorRegistry()
        for name, what, number in (
            ("sessions", "Sessions that there are", sessions),
            ("clients", "Clients that are joined", clients),
            ("downloads", "Downloads under way", downloads),
        ):
            Gauge(f"lazyflow_{name}", what, registry=registry).set_function(number)

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"lazyflow_{name}", what, labels, registry=registry)

        def histogram(name: str, what: str, *labels: str) -> Histogram:
            return Histogram(f"lazyflow_{name}_seconds", what, labels, registry=registry, buckets=_SECONDS)

        self._changes = counter("changes", "Changes of a view that are over, by how they ended", "table", "outcome")
        self._rows = histogram("rows", "From a change to the first rows of its view", "table")
        self._statistics = histogram("statistics", "From a change to all statistics of a group", "table", "group")
        self._started = counter("statistics_queries_started", "Queries for statistics that were begun", "table")
        self._cancelled = counter("statistics_queries_cancelled", "Of these, those that were stopped", "table")
        self._errors = counter("errors", "Errors that clients were told of", "code")
        self._frames = counter("frames_sent", "Frames that were sent", "type")
        self._bytes = counter("sent_bytes", "Bytes of these, compressed where they were", "type")
        self._ended = counter(
            "clients_ended", "Clients that are gone, by the code that the service ended them with", "code"
        )

    def change_ended(self, table: str, outcome: Outcome) -> None:
        """A change of a view is over."""
        self._changes.labels(table, outcome.ended).inc()
        self._started.labels(table).inc(outcome.queries_started)
        self._cancelled.labels(table).inc(outcome.queries_cancelled)
        if outcome.rows_milliseconds is not None:
            self._rows.labels(table).observe(outcome.rows_milliseconds / 1000)
        groups = {"summary": outcome.summary_milliseconds, "distribution": outcome.distribution_milliseconds}
        for group, milliseconds in groups.items():
            if milliseconds is not None:
                self._statistics.labels(table, group).observe(milliseconds / 1000)

    def sent(self, type: str, size: int) -> None:
        """A frame of so many bytes was sent."""
        self._frames.labels(type).inc()
        self._bytes.labels(type).inc(size)

    def failed(self, code: str) -> None:
        """A client was told of an error."""
        self._errors.labels(code).inc()

    def client_ended(self, code: int) -> None:
        """A client is gone; 1000 where it went by itself."""
        self._ended.labels(str(code)).inc()

    def text(self) -> bytes:
        """All of them in Prometheus' text form, whose type is `content_type`."""
        return generate_latest(self.registry)
