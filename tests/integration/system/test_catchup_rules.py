"""R11-R17 on the whole system: what runs, when, and never twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from libs.common.clock import SystemClock
from libs.common.runs import job_id, run_id
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.nats import NatsServer
from tests.integration.system.stack import Host, Stack

YEARLY = "0 0 1 1 *"


async def succeed(agent: FakeAgent, run: dict[str, Any]) -> None:
    await agent.accept(run["job_id"])
    await agent.start(run["job_id"])
    await agent.finish(run["job_id"])


async def until_idle(stack: Stack, host: Host) -> None:
    async def idle() -> bool:
        seen = await stack.host(host)
        return seen["catch_up"] is None and seen["current_job_id"] is None

    await stack.until(idle, "the catch-up is over")


async def test_r11_r13_r14_a_waking_laptop_catches_up_once(stack: Stack) -> None:
    laptop = await stack.add_host("laptop-7", always_on=False, cron=YEARLY)
    run = await laptop.agent.wait_for("run")
    assert run["kind"] == "backup"
    fire = SystemClock().now().replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    assert run["job_id"] == job_id(run_id(laptop.id, laptop.schedule, laptop.group, fire), 1)
    await succeed(laptop.agent, run)
    await until_idle(stack, laptop)
    (job,) = await stack.jobs(laptop)
    assert (job["origin"], job["status"]) == ("catchup", "succeeded")
    await laptop.agent.goodbye("sleep")
    await stack.until_display(laptop, "asleep")
    await stack.connect(laptop)
    await stack.until_display(laptop, "online")
    await until_idle(stack, laptop)
    assert len(await stack.jobs(laptop)) == 1


async def test_r11_a_server_is_never_armed(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True, cron=YEARLY)
    laptop = await stack.add_host("laptop-7", always_on=False, cron=YEARLY)
    await laptop.agent.wait_for("run")
    assert await stack.jobs(server) == []
    assert (await stack.host(server))["catch_up"] is None


async def test_r12_asleep_when_due_is_dropped_and_the_next_hello_arms_again(stack: Stack) -> None:
    laptop = await stack.add_host("laptop-7", always_on=False, cron=YEARLY)
    await laptop.agent.goodbye("sleep")
    await stack.until_display(laptop, "asleep")

    async def dropped() -> bool:
        return any("catch" in d["text"].lower() or d["rule"] == "R12"
                   for d in await stack.decisions(laptop))  # fmt: skip

    await stack.until(dropped, "the arm is dropped")
    assert await stack.jobs(laptop) == []
    await stack.connect(laptop)
    await succeed(laptop.agent, await laptop.agent.wait_for("run"))
    await until_idle(stack, laptop)
    assert len(await stack.jobs(laptop)) == 1


@pytest.mark.parametrize("change", [{"enabled": False}, {"catch_up": "off"},
                                    {"source_group_ids": []}])  # fmt: skip
async def test_r13_what_must_not_run_does_not(stack: Stack, change: dict[str, Any]) -> None:
    quiet = await stack.add_host("laptop-1", always_on=False, cron=YEARLY, connect=False)
    await stack.patch(f"/hosts/{quiet.id}/schedules/{quiet.schedule}", **change)
    busy = await stack.add_host("laptop-2", always_on=False, cron=YEARLY, connect=False)
    await stack.connect(quiet)
    await stack.connect(busy)
    await busy.agent.wait_for("run")
    await until_idle(stack, quiet)
    assert await stack.jobs(quiet) == []


async def test_r13_no_repository_ends_the_catch_up_with_that_reason(stack: Stack) -> None:
    token = (await stack.post("/enrollment-tokens", always_on=False))["token"]
    agent = await FakeAgent.enroll(stack.gateway, token, hostname="bare")
    host = stack.hosts["bare"] = Host(agent.host_id, "bare", agent)
    group = await stack.post(f"/hosts/{host.id}/source-groups", name="home", includes=["/home"])
    host.group = group["id"]
    await stack.add_schedule(host, YEARLY)
    answer = await stack.api.post(f"/hosts/{host.id}/backup", json={"source_group_id": host.group})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_repository")
    await stack.connect(host)

    async def skipped() -> bool:
        return any("repository" in decision["text"] for decision in await stack.decisions(host))

    await stack.until(skipped, "skipped: no repository")


@pytest_asyncio.fixture
async def patient_stack(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Stack]:
    """One in which a silent host counts as connected for long."""
    stack = await Stack.start(nats, tmp_path / "data", offline_after="1m", agent_offline_floor="1m")
    try:
        yield stack
    finally:
        for host in stack.hosts.values():
            await host.agent.abort()
        await stack.down()


async def test_r16_a_run_that_could_not_be_sent_goes_out_after_the_next_hello(
    patient_stack: Stack,
) -> None:
    stack = patient_stack
    laptop = await stack.add_host("laptop-7", always_on=False, cron=YEARLY)
    await laptop.agent.abort()

    async def failed() -> bool:
        rules = [decision["rule"] for decision in await stack.decisions(laptop)]
        return rules.count("R16") == 2  # That of jobs, and that of catch-up.

    await stack.until(failed, "nobody takes the run")
    assert (await stack.host(laptop))["catch_up"]["state"] != "running"
    await stack.connect(laptop)
    await succeed(laptop.agent, await laptop.agent.wait_for("run"))
    await until_idle(stack, laptop)
    (job,) = await stack.jobs(laptop)
    assert (job["attempt"], job["status"]) == (1, "succeeded")


async def test_r15_a_fire_runs_once_whoever_starts_it(stack: Stack) -> None:
    """The agent reports a fire, is told to run, and reports it again after a reconnect."""
    server = await stack.add_host("web-3", always_on=True, cron="* * * * *")
    fire = SystemClock().now().replace(second=0, microsecond=0)
    await server.agent.fire(server.schedule, server.group, fire)
    run = await server.agent.wait_for("run")
    assert run["job_id"] == job_id(run_id(server.id, server.schedule, server.group, fire), 1)
    await succeed(server.agent, run)
    await server.agent.abort()
    await stack.connect(server)
    await server.agent.fire(server.schedule, server.group, fire)
    next_fire = fire + timedelta(minutes=1)
    await server.agent.fire(server.schedule, server.group, next_fire)
    second = await server.agent.wait_for("run")
    assert second["job_id"] == job_id(
        run_id(server.id, server.schedule, server.group, next_fire), 1
    )


async def test_r15_an_agent_that_was_alone_is_believed(stack: Stack) -> None:
    """Fire, start and end are reported after the fact: one succeeded job, and no run."""
    server = await stack.add_host("web-3", always_on=True, cron="* * * * *", connect=False)
    fire = SystemClock().now().replace(second=0, microsecond=0) - timedelta(minutes=5)
    alone = job_id(run_id(server.id, server.schedule, server.group, fire), 1)
    at = server.agent.now()
    server.agent.spool("schedule_fired", schedule_id=server.schedule,
                       source_group_id=server.group, fire_time=fire.isoformat())  # fmt: skip
    server.agent.spool("job_started", job_id=alone, at=at)
    server.agent.spool("job_finished", **server.agent.end_of(alone))
    await stack.connect(server)

    async def known() -> bool:
        jobs = await stack.jobs(server)
        return [(job["id"], job["status"]) for job in jobs] == [(alone, "succeeded")]

    await stack.until(known, "the run of its own is in the ledger")


async def test_r17_a_declined_fire_is_tried_again_and_given_up_loudly(stack: Stack) -> None:
    server = await stack.add_host("web-3", always_on=True, cron="* * * * *")

    async def decline(agent: FakeAgent, run: dict[str, Any]) -> None:
        await agent.decline(run["job_id"], "busy")

    server.agent.script = decline
    fire = SystemClock().now().replace(second=0, microsecond=0)
    await server.agent.fire(server.schedule, server.group, fire)
    await stack.until_kinds(server, "pending_run_abandoned")
    (job,) = await stack.jobs(server)
    assert job["status"] == "abandoned"
    audit = (await stack.get("/audit"))["items"]
    assert any("abandoned" in entry["action"] for entry in audit)


async def test_r17_when_it_wakes_waits_for_the_host(stack: Stack) -> None:
    laptop = await stack.add_host("laptop-7", always_on=False)
    await laptop.agent.goodbye("sleep")
    await stack.until_display(laptop, "asleep")
    path = f"/hosts/{laptop.id}/backup"
    refused = await stack.api.post(path, json={"source_group_id": laptop.group})
    assert refused.status_code == 409
    made = await stack.post(path, source_group_id=laptop.group, when_it_wakes=True)
    await stack.connect(laptop)
    run = await laptop.agent.wait_for("run")
    assert run["job_id"] == made["job_id"]
    await succeed(laptop.agent, run)
