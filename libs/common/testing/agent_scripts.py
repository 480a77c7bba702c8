"""What a fake agent does by itself when it is told to run: `agent.script = auto_succeed`."""

from __future__ import annotations

from typing import Any

from libs.common.testing.fake_agent import FakeAgent


async def auto_succeed(agent: FakeAgent, run: dict[str, Any]) -> None:
    """Accept, start, succeed: each report is acknowledged before the next."""
    await agent.accept(run["job_id"])
    await agent.start(run["job_id"])
    await agent.finish(run["job_id"])


async def auto_fail(agent: FakeAgent, run: dict[str, Any]) -> None:
    """Accept, start, fail."""
    await agent.accept(run["job_id"])
    await agent.start(run["job_id"])
    await agent.finish(run["job_id"], "failed")


async def auto_accept(agent: FakeAgent, run: dict[str, Any]) -> None:
    """Accept and start, and go on for ever."""
    await agent.accept(run["job_id"])
    await agent.start(run["job_id"])


async def auto_decline(agent: FakeAgent, run: dict[str, Any]) -> None:
    """Decline as busy."""
    await agent.decline(run["job_id"], "busy")
