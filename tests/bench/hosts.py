"""Fake agents of a running control plane, and backups of theirs that fail."""

from __future__ import annotations

from datetime import timedelta

from libs.common.clock import SystemClock, to_rfc3339
from libs.common.ids import new_id
from libs.common.runs import job_id, run_id
from libs.common.testing.fake_agent import FakeAgent
from libs.common.testing.webhook_receiver import WebhookReceiver
from tests.bench.system import Running

RUNS_AT_ONCE = 50  # An agent has no more than 100 reports unacknowledged.
PATIENCE_SECONDS = 60.0


async def add_channel(running: Running, receiver: WebhookReceiver) -> None:
    await running.post("/channels", name="hook", kind="webhook", config={"url": receiver.url})


async def connected(running: Running, count: int) -> list[FakeAgent]:
    """Enrol so many, and connect them, with a heartbeat every second."""
    token = (await running.post("/enrollment-tokens", always_on=True, uses=count))["token"]
    agents = [
        await FakeAgent.enroll(running.gateway, token, hostname=f"h{number}")
        for number in range(count)
    ]
    for agent in agents:
        await agent.connect()
        agent.start_heartbeats(timedelta(seconds=1))
    return agents


async def fail(agent: FakeAgent, times: int) -> None:
    """Report backups of that many groups, each failed: an alert each."""
    fire_time = SystemClock().now().replace(second=0, microsecond=0)
    for number in range(times):
        schedule, group = new_id(), new_id()
        job = job_id(run_id(agent.host_id, schedule, group, fire_time), 1)
        named = {"schedule_id": schedule, "source_group_id": group, "attempt": 1,
                 "fire_time": to_rfc3339(fire_time)}  # fmt: skip
        await agent.report("job_started", job_id=job, at=agent.now(), **named)
        seq = await agent.report("job_finished", **agent.end_of(job, "failed", **named))
        if number % RUNS_AT_ONCE == RUNS_AT_ONCE - 1 or number == times - 1:
            await agent.wait_acked(seq, PATIENCE_SECONDS)
