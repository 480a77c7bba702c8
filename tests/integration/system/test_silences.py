"""Silences on the whole system: nobody is told, over a restart too; then who is still away."""

from __future__ import annotations

from typing import Any

from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.integration.system.stack import Host, Stack


async def test_silenced_over_a_restart_and_told_once_at_the_end(stack: Stack) -> None:
    async with WebhookReceiver() as receiver:
        await stack.post("/channels", name="ops", kind="webhook", config={"url": receiver.url})
        web, box = [await stack.add_host(name, always_on=True) for name in ("web-3", "box-1")]
        await stack.patch(f"/hosts/{web.id}", tags=["lab"])
        of_tag = await stack.post("/silences", tag="Lab", reason="new disks", **{"for": "1h"})
        await stack.post("/silences", host_id=box.id, kind="agent_offline", **{"for": "1h"})
        for host in (web, box):
            await stack.until_display(host, "online")
            await host.agent.goodbye("shutdown")
            await stack.until_kinds(host, "agent_offline")
            assert [alert["silenced"] for alert in await stack.alerts(host)] == [True]
        await stack.down()
        await stack.up()
        await stack.connect(box)
        await stack.until_kinds(box)
        assert [alert["silenced"] for alert in await stack.alerts(web)] == [True]
        await stack.post("/silences", host_id=web.id, **{"for": "1s"})
        assert (await stack.api.delete(f"/silences/{of_tag['id']}")).status_code == 204
        await receiver.wait_for(1)
        await stack.until(lambda: is_loud(stack, web), "the alert is silenced no more")
        await stack.connect(web)
        await receiver.wait_for(2)
        said = [(one.event, one.json["alerts"][0]["host_name"]) for one in receiver.received]
        assert said == [("raised", "web-3"), ("resolved", "web-3")]
        await stack.until(lambda: explained(stack, web), "every step is explained")


async def is_loud(stack: Stack, host: Host) -> bool:
    return [alert["silenced"] for alert in await stack.alerts(host)] == [False]


async def explained(stack: Stack, host: Host) -> Any:
    whats = {(one["service"], one["what"]) for one in await stack.decisions(host)}
    return whats >= {
        ("alerting", "alert_raised"), ("alerting", "alert_silenced"),
        ("alerting", "alert_unsilenced"), ("notify", "held_back"), ("notify", "notified"),
    }  # fmt: skip
