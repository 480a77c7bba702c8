"""In one process the ui's listener answers for every service."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from cli.services import NAMES
from tests.integration.system.stack import Stack


async def test_readiness_and_metrics_are_those_of_the_whole_system(stack: Stack) -> None:
    ready = await stack.api.get(stack.web + "/readyz")
    assert (ready.status_code, ready.json()["reasons"]) == (200, [])
    text = (await stack.api.get(stack.web + "/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    said = {sample.labels["service"]: sample.value for sample in families["dormice_ready"].samples}
    assert said == dict.fromkeys(NAMES, 1.0)
    assert "dormice_gateway_agents" in families
