"""A site loses its network, on the whole system: told once, to those whose hosts it took."""

from __future__ import annotations

from typing import Any

from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.integration.system.stack import Host, Stack

ELSEWHERE = 12
"""With the five of Berlin: less than 30 % of the fleet left, so it is no outage of the fleet."""


async def add_fleet(stack: Stack) -> tuple[list[Host], list[Host]]:
    """Five servers of Berlin, and many of Paris."""
    berlin = [await stack.add_host(f"berlin-{n}", always_on=True) for n in range(5)]
    paris = [await stack.add_host(f"paris-{n}", always_on=True) for n in range(ELSEWHERE)]
    for hosts, site in ((berlin, "site:berlin"), (paris, "site:paris")):
        for host in hosts:
            await stack.patch(f"/hosts/{host.id}", tags=[site])
    return berlin, paris


async def add_channel(stack: Stack, receiver: WebhookReceiver, name: str, *tags: str) -> None:
    url = f"{receiver.url}/{name}"
    wanted = {"filter": {"tags": list(tags)}} if tags else {}
    await stack.post("/channels", name=name, kind="webhook", config={"url": url}, **wanted)


def told(receiver: WebhookReceiver, name: str) -> list[tuple[str, str]]:
    return [
        (one.event, one.json["alerts"][0]["kind"])
        for one in receiver.received if one.path.endswith(f"/{name}")
    ]  # fmt: skip


async def test_r5_one_message_for_a_site_to_those_whose_hosts_it_took(stack: Stack) -> None:
    async with WebhookReceiver() as receiver:
        await add_channel(stack, receiver, "all")
        await add_channel(stack, receiver, "berlin", "site:berlin")
        await add_channel(stack, receiver, "paris", "site:paris")
        berlin, _ = await add_fleet(stack)
        for host in berlin:
            await host.agent.goodbye("shutdown")
        for host in berlin:
            await stack.until_kinds(host, "agent_offline")
        await receiver.wait_for(2)
        (outage,) = [one for one in await stack.alerts() if one["kind"] == "fleet_outage"]
        assert outage["message"].startswith("5 of 5 always-on hosts of site:berlin went offline")
        held: list[Any] = [one["held_by"] for host in berlin for one in await stack.alerts(host)]
        assert held == [outage["id"]] * 5
        for host in berlin:
            await stack.connect(host)
        for host in berlin:
            await stack.until_kinds(host)
        await receiver.wait_for(4)
        life = [("raised", "fleet_outage"), ("resolved", "fleet_outage")]
        assert told(receiver, "all") == told(receiver, "berlin") == life
        assert told(receiver, "paris") == []
