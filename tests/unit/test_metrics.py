"""`/metrics` of a process with several services: each metric once, with a line for each of them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from libs.common.metrics import Metrics


def measured(service: str, value: float) -> Metrics:
    metrics = Metrics(service)
    metrics.gauge("shared", "Something that every service has.", ["service"]).labels(service).set(
        value
    )
    return metrics


def test_a_metric_of_several_services_is_described_once():
    metrics = measured("ui", 1)
    own = measured("gateway", 2)
    own.counter("own", "Something of the gateway alone.").inc()
    metrics.include([own])
    text = metrics.render().decode()
    assert text.count("# TYPE dormice_shared gauge") == 1
    families = {family.name: family for family in text_string_to_metric_families(text)}
    lines = {
        sample.labels["service"]: sample.value for sample in families["dormice_shared"].samples
    }
    assert lines == {"ui": 1, "gateway": 2}
    assert "dormice_own" in families
    assert metrics.render().decode() == text
