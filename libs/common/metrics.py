"""Prometheus metrics: one registry per service, so that several live in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from libs.common.loop.service import Service

disable_created_metrics()  # type: ignore[no-untyped-call]  # Nobody reads that second series.

PREFIX = "dormice_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LOOP_METRICS = {
    "dormice_ready": "1 while bus and database are there and the log has been read to its tail.",
    "dormice_log_position": "Sequence of the last event of the log that was applied.",
    "dormice_events_applied_total": "Events of the log that were applied since the start.",
    "dormice_dead_letters_total": "Events that could not be applied since the start.",
    "dormice_unknown_events_total": "Events of unknown types, skipped since the start.",
    "dormice_log_resets_total": "Times that the log was found wiped, rewound or outlived.",
    "dormice_outbox_waiting": "Decided events that the bus has not yet acknowledged.",
}
"""What every service measures of its loop."""


class Metrics:
    """The metrics of one service. Names get the prefix `dormice_`; make each one once."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.registry = CollectorRegistry(auto_describe=False)
        self._others: list[Metrics] = []

    @classmethod
    def of(cls, service: Service) -> Metrics:
        """Return the metrics of a service that measures nothing but its loop."""
        metrics = cls(service.machine.name)
        metrics.watch(service)
        return metrics

    def counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(PREFIX + name, text, tuple(labels), registry=self.registry)

    def gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(PREFIX + name, text, tuple(labels), registry=self.registry)

    def gauge_of(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is computed when it is read."""
        self.gauge(name, text).set_function(value)

    def histogram(self, name: str, text: str, labels: Iterable[str] = ()) -> Histogram:
        return Histogram(PREFIX + name, text, tuple(labels), registry=self.registry)

    def watch(self, service: Service) -> None:
        """Add what every service measures of its loop."""
        self.registry.register(_LoopCollector(service))

    def include(self, others: Iterable[Metrics]) -> None:
        """Answer also for other services of this process."""
        self._others.extend(others)

    def render(self) -> bytes:
        """Return the text that Prometheus reads; a metric of several services stands there once."""
        joined = _Joined([self.registry, *(other.registry for other in self._others)])
        return generate_latest(joined)


class _Joined:
    """Several registries as one."""

    def __init__(self, registries: Sequence[CollectorRegistry]) -> None:
        self._registries = registries

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for registry in self._registries:
            for family in registry.collect():
                known = families.setdefault(family.name, family)
                if known is not family:
                    known.samples.extend(family.samples)
        return families.values()


class _LoopCollector(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        service = self._service
        values = {
            "dormice_ready": float(not service.reasons_not_ready),
            "dormice_log_position": service.position,
            "dormice_events_applied_total": service.events_applied,
            "dormice_dead_letters_total": service.dead_letters,
            "dormice_unknown_events_total": service.unknown_events,
            "dormice_log_resets_total": service.log_resets,
            "dormice_outbox_waiting": service.sender.waiting,
        }
        for name, value in values.items():
            counts = name.endswith("_total")
            family = CounterMetricFamily if counts else GaugeMetricFamily
            metric = family(name, LOOP_METRICS[name], labels=("service",))
            metric.add_metric((service.machine.name,), float(value))
            yield metric
