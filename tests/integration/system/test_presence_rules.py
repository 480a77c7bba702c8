"""R1-R3 on the whole system: mode, presence, sessions."""

from __future__ import annotations

from libs.common.testing.nats import NatsServer
from tests.integration.system.stack import Stack


async def test_r1_always_on_is_the_default_and_a_toggle_is_seen_everywhere(stack: Stack) -> None:
    token = (await stack.post("/enrollment-tokens"))["token"]
    from libs.common.testing.fake_agent import FakeAgent

    agent = await FakeAgent.enroll(stack.gateway, token, hostname="atlas")
    path = f"/hosts/{agent.host_id}"
    assert (await stack.get(path))["always_on"] is True
    answer = await stack.put(f"{path}/mode", always_on=False)
    assert answer["always_on"] is False
    assert (await stack.get(path))["always_on"] is False
    listed = (await stack.get("/hosts"))["items"]
    assert [host["always_on"] for host in listed] == [False]


async def test_r1_mode_survives_a_restart_of_everything(stack: Stack) -> None:
    laptop = await stack.add_host("laptop-7", always_on=False, connect=False)
    await stack.down()
    await stack.up()
    seen = await stack.host(laptop)
    assert (seen["always_on"], seen["display"]) == (False, "never_seen")


async def test_r2_goodbye_is_asleep_for_a_laptop_and_offline_for_a_server(stack: Stack) -> None:
    laptop = await stack.add_host("laptop-7", always_on=False)
    server = await stack.add_host("web-3", always_on=True)
    for host in (laptop, server):
        await stack.until_display(host, "online")
        await host.agent.goodbye("sleep")
    assert (await stack.until_display(laptop, "asleep"))["status"] == "offline"
    assert (await stack.until_display(server, "offline"))["status"] == "offline"


async def test_r3_a_closed_socket_changes_nothing_before_the_time(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True)
    await stack.until_display(server, "online")
    await server.agent.abort()
    await stack.connect(server)
    seen = await stack.until_display(server, "online")
    timeline = (await stack.get(f"/hosts/{server.id}/timeline"))["items"]
    assert [part["state"] for part in timeline if part["state"] == "offline"] == []
    assert seen["open_alerts"] == [] or seen["open_alerts"] == 0


async def test_r3_silence_is_dated_at_the_last_frame(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True)
    await stack.until_display(server, "online")
    await server.agent.abort()
    seen = await stack.until_display(server, "offline")
    assert seen["last_seen_at"] is not None


async def test_r3_the_larger_counter_wins_and_the_older_cannot_undo_it(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True)
    first = server.agent
    second = type(first)(stack.gateway, first.token, first.host_id, first.hostname)
    second.connection = 10
    await second.connect()
    code, reason = await first.wait_closed()
    assert code == 4409
    assert "11" in reason
    await stack.until_display(server, "online")
    await second.abort()


async def test_r18_bus_restart_keeps_everyone_online(stack: Stack, nats: NatsServer) -> None:
    server = await stack.add_host("web-3", always_on=True)
    await stack.until_display(server, "online")
    nats.restart()

    async def ready() -> bool:
        return not stack.system.reasons_not_ready()

    await stack.until(ready, "everything is ready again")
    assert await stack.kinds(server, "resolved") == []
