"""The log is wiped, rewound, or outlives a long absence: noticed by all, and nobody is slandered.

Hosts, modes and open alerts stand as they were, every agent says hello again, and no alert is
raised of which the cause lay in the log only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common.bus.base import Outgoing
from libs.common.bus.topology import LOG
from libs.common.clock import SystemClock
from libs.common.events.agent import AgentHello
from libs.common.events.base import encode
from libs.common.ids import new_id
from libs.common.testing.nats import NatsServer
from tests.integration.system.stack import Host, Stack

PATIENT = {"offline_after": "5s", "agent_offline_floor": "5s", "heartbeat_interval": "500ms"}
"""Longer than the log needs to come back, on a busy machine."""


@pytest_asyncio.fixture
async def patient_stack(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Stack]:
    stack = await Stack.start(nats, tmp_path / "data", **PATIENT)
    try:
        yield stack
    finally:
        for host in stack.hosts.values():
            await host.agent.abort()
        await stack.down()


async def settle(stack: Stack) -> tuple[Host, Host, Host]:
    """Return a laptop that is asleep, a server that is online, one that is missed and told of."""
    laptop = await stack.add_host("laptop-7", always_on=False)
    server = await stack.add_host("web-3", always_on=True)
    gone = await stack.add_host("web-4", always_on=True)
    await stack.until_display(gone, "online")
    await gone.agent.goodbye("shutdown")
    await laptop.agent.goodbye("sleep")
    await stack.until_display(laptop, "asleep")
    await stack.until_kinds(gone, "agent_offline")
    return laptop, server, gone


async def until_ready(stack: Stack) -> None:
    async def ready() -> bool:
        return not stack.system.reasons_not_ready()

    await stack.until(ready, "everything is ready again")


async def check_nothing_is_lost(
    stack: Stack, hosts: tuple[Host, Host, Host], alert: dict[str, Any]
) -> None:
    """The world goes on as if the log had not been lost."""
    laptop, server, gone = hosts
    await until_ready(stack)
    await stack.connect(server)
    await stack.until_display(server, "online")
    assert {host["name"] for host in (await stack.get("/hosts"))["items"]} == set(stack.hosts)
    seen = await stack.host(laptop)
    assert (seen["always_on"], seen["display"]) == (False, "asleep")
    assert [known["id"] for known in await stack.alerts()] == [alert["id"]]
    for host in (laptop, server):
        assert await stack.kinds(host, "resolved") == []
    await stack.set_mode(laptop, always_on=True)
    assert (await stack.host(laptop))["always_on"] is True
    await stack.connect(gone)
    await stack.until_kinds(gone)  # Hidden as soon as the host is back, resolved a moment later.

    async def resolved() -> list[str]:
        return [known["id"] for known in await stack.alerts(gone, "resolved")]

    assert await stack.until(resolved, "the alert is resolved") == [alert["id"]]


async def wipe(nats: NatsServer) -> None:
    nats.stop()
    nats.wipe()
    nats.start()
    await nats.create_topology()


async def rewind(nats: NatsServer) -> None:
    nats.stop()
    nats.rewind()
    nats.start()


async def keep(nats: NatsServer) -> None:
    nats.stop()
    nats.save()
    nats.start()


async def test_a_wiped_log_under_way(nats: NatsServer, patient_stack: Stack) -> None:
    stack = patient_stack
    hosts = await settle(stack)
    (alert,) = await stack.alerts()
    await wipe(nats)
    code, _ = await hosts[1].agent.wait_closed()
    assert code == 4503
    await check_nothing_is_lost(stack, hosts, alert)


async def test_a_rewound_log_under_way(nats: NatsServer, patient_stack: Stack) -> None:
    """The log forgets all that made the three hosts what they are; their owners do not."""
    stack = patient_stack
    await stack.down()
    await keep(nats)
    await stack.up()
    hosts = await settle(stack)
    (alert,) = await stack.alerts()
    await rewind(nats)
    code, _ = await hosts[1].agent.wait_closed()
    assert code == 4503
    await check_nothing_is_lost(stack, hosts, alert)


async def test_a_wiped_log_between_two_runs(nats: NatsServer, patient_stack: Stack) -> None:
    stack = patient_stack
    hosts = await settle(stack)
    (alert,) = await stack.alerts()
    await stack.down()
    await wipe(nats)
    await stack.up()
    await check_nothing_is_lost(stack, hosts, alert)


async def test_a_log_that_outlived_the_control_plane(
    nats: NatsServer, patient_stack: Stack
) -> None:
    """While everything was down, the log dropped events that nobody had read."""
    stack = patient_stack
    hosts = await settle(stack)
    (alert,) = await stack.alerts()
    await stack.down()
    await outlive(nats)
    await stack.up()
    await check_nothing_is_lost(stack, hosts, alert)


async def outlive(nats: NatsServer) -> None:
    """Let the log forget all but its last event, of more than were ever read."""
    gateway, setup = nats.bus("gateway"), nats.bus("setup")
    await gateway.connect()
    await setup.connect()
    for number in range(20):
        event = AgentHello(host_id="ghost", session=f"s{number}", gateway="gw-9")
        event_id = new_id()
        data = encode(event, event_id=event_id, source="dormice/gateway/gw-9",
                      time=SystemClock().now() - timedelta(days=40))  # fmt: skip
        await gateway.publish([Outgoing(event_id, event.subject(), data)])
    config = (await setup.api(f"STREAM.INFO.{LOG}"))["config"]
    assert "error" not in await setup.api(f"STREAM.UPDATE.{LOG}", config | {"max_msgs": 1})
    assert "error" not in await setup.api(f"STREAM.UPDATE.{LOG}", config)
    await setup.close()
    await gateway.close()
