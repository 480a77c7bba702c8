"""R4-R10 on the whole system: who is told, of what, once."""

from __future__ import annotations

from datetime import timedelta

from libs.common.clock import SystemClock
from tests.integration.system.stack import Host, Stack


async def test_r4_r5_a_server_is_told_of_and_a_laptop_is_not(stack: Stack) -> None:
    laptop = await stack.add_host("laptop-7", always_on=False)
    server = await stack.add_host("web-3", always_on=True)
    for host in (laptop, server):
        await stack.until_display(host, "online")
        await host.agent.abort()
    await stack.until_kinds(server, "agent_offline")
    (alert,) = await stack.alerts(server)
    assert alert["message"].startswith("Agent offline for ")
    assert alert["message"].endswith("(threshold 2s)")
    assert await stack.kinds(laptop) == []
    whats = [decision["text"] for decision in await stack.decisions(laptop)]
    assert any("asleep" in text or "sleep" in text for text in whats)


async def test_r5_back_means_resolved(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True)
    await stack.until_display(server, "online")
    await server.agent.goodbye("restart")
    await stack.until_kinds(server, "agent_offline")
    await stack.connect(server)
    await stack.until_kinds(server)
    await stack.until_kinds(server, "agent_offline", state="resolved")


async def test_r5_never_seen_has_none(stack: Stack) -> None:
    never = await stack.add_host("never-1", always_on=True, connect=False)
    other = await stack.add_host("web-3", always_on=True)
    await stack.until_display(other, "online")
    await other.agent.goodbye("shutdown")
    await stack.until_kinds(other, "agent_offline")
    assert await stack.kinds(never) == []


async def test_r8_mode_changes_move_the_alert(stack: Stack) -> None:
    host = await stack.add_host("box-1", always_on=True)
    await stack.until_display(host, "online")
    await host.agent.goodbye("shutdown")
    await stack.until_kinds(host, "agent_offline")
    await stack.set_mode(host, always_on=False)
    await stack.until_kinds(host)
    await stack.until_kinds(host, "agent_offline", state="resolved")
    await stack.set_mode(host, always_on=True)
    await stack.until_kinds(host, "agent_offline")
    (first,) = await stack.alerts(host)
    await stack.set_mode(host, always_on=True)
    assert [alert["id"] for alert in await stack.alerts(host)] == [first["id"]]


async def add_laptop(stack: Stack, name: str) -> Host:
    """Enrol a laptop with a schedule that no catch-up runs: only the test backs it up."""
    laptop = await stack.add_host(name, always_on=False, connect=False)
    await stack.add_schedule(laptop, "0 2 * * *", catch_up="off")
    await stack.connect(laptop)
    return laptop


async def back_up(stack: Stack, host: Host, status: str = "succeeded") -> str:
    """Run a manual backup to its end, as the agent reports it."""
    job = (await stack.post(f"/hosts/{host.id}/backup", source_group_id=host.group))["job_id"]
    run = await host.agent.wait_for("run")
    assert run["job_id"] == job
    await host.agent.accept(job)
    await host.agent.start(job)
    await host.agent.finish(job, status)

    async def ended() -> bool:
        found = [item for item in await stack.jobs(host) if item["id"] == job]
        return bool(found) and found[0]["status"] == status

    await stack.until(ended, f"job {status}")
    return str(job)


async def test_r6_r9_stale_is_raised_once_and_cleared_by_a_success(stack: Stack) -> None:
    laptop = await add_laptop(stack, "laptop-7")
    await back_up(stack, laptop)
    await stack.patch(f"/hosts/{laptop.id}", thresholds={"stale": "1s"})
    await stack.until_kinds(laptop, "stale_schedule")
    (alert,) = await stack.alerts(laptop)
    assert alert["message"].startswith("No backup in ")
    await stack.patch(f"/hosts/{laptop.id}", thresholds={"stale": "1h"})
    await back_up(stack, laptop)
    await stack.until_kinds(laptop)


async def test_r6_no_schedule_and_never_backed_up_have_none(stack: Stack) -> None:
    bare = await stack.add_host("laptop-1", always_on=False)
    fresh = await add_laptop(stack, "laptop-2")
    stale = await add_laptop(stack, "laptop-3")
    for host in (bare, fresh, stale):
        await stack.patch(f"/hosts/{host.id}", thresholds={"stale": "1s"})
    await back_up(stack, bare)
    await back_up(stack, stale)
    await stack.until_kinds(stale, "stale_schedule")
    assert await stack.kinds(bare) == await stack.kinds(fresh) == []


async def test_r9_backup_failed_is_resolved_by_the_groups_success(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True)
    await back_up(stack, server, "failed")
    await stack.until_kinds(server, "backup_failed")
    await back_up(stack, server, "succeeded_with_warnings")
    await stack.until_kinds(server)


async def test_r7_the_same_condition_is_one_alert(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True)
    await back_up(stack, server, "failed")
    await stack.until_kinds(server, "backup_failed")
    (first,) = await stack.alerts(server)
    await back_up(stack, server, "failed")

    async def seen_again() -> bool:
        (again,) = await stack.alerts(server)
        return again["id"] == first["id"] and again["last_seen_at"] > first["last_seen_at"]

    await stack.until(seen_again, "the open alert is seen again")
    assert await stack.kinds(server) == ["backup_failed"]


async def test_r10_time_without_a_gateway_ages_nobody(stack: Stack) -> None:
    """Everything stops for longer than the floor; who returns within it is not told of."""
    server = await stack.add_host("web-3", always_on=True)
    await stack.until_display(server, "online")
    await stack.down()
    await server.agent.abort()
    started = SystemClock().now()
    await stack.up()
    await stack.connect(server)
    await stack.until_display(server, "online")
    assert SystemClock().now() - started < timedelta(seconds=20)
    assert await stack.kinds(server, "resolved") == await stack.kinds(server) == []
