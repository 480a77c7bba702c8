"""Agents in this process, or as processes of their own, against a scripted gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.app import Agent
from agent.settings import AgentSettings
from agent.state import Identity, StateDirectory
from libs.common.protocol import (
    Config,
    ConfigApplied,
    RepositoryConfig,
    ScheduleConfig,
    SourceGroupConfig,
)
from libs.common.testing.agent_gateway import Line, ScriptedGateway

HOST = "host-1"
TWO = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
TOKEN = "agent-token-canary-0815"
PASSWORD = "password-canary-4711"


class OffsetClock:
    """The real clock, set to another time: a fire can be made to come right now."""

    def __init__(self, start: datetime | None = None) -> None:
        self.offset = timedelta() if start is None else start - datetime.now(UTC)  # noqa: TID251

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset  # noqa: TID251

    def strike(self) -> None:
        """Go on to 02:00, when `nightly` fires."""
        self.offset += TWO - self.now()


QUICK: dict[str, Any] = {
    "backoff_min": "10ms", "backoff_max": "50ms", "autonomy_after": "300ms", "clock_slice": "30ms",
    "token_retry": "50ms", "stop_grace": "2s",
}  # fmt: skip


class Rig:
    """One enrolled machine: its state directory, a folder to back up, a repository."""

    def __init__(self, folder: Path, gateway: ScriptedGateway) -> None:
        self.gateway = gateway
        self.state = folder / "state"
        self.source = folder / "source"
        self.repository = folder / "repository-canary-1234"
        self.source.mkdir()
        (self.source / "letter.txt").write_text("Dear dormouse, " * 100)
        files = StateDirectory(self.state)
        files.prepare()
        files.put_identity(Identity(host_id=HOST, agent_token=TOKEN, gateway=gateway.url))

    def settings(self, **changed: Any) -> AgentSettings:
        return AgentSettings.load(None, state=self.state, **{**QUICK, **changed})

    def config(self, version: int = 1, **changed: Any) -> Config:
        given: dict[str, Any] = {
            "source_groups": [
                SourceGroupConfig(id="group-1", name="docs", includes=[str(self.source)])
            ],
            "schedules": [
                ScheduleConfig(
                    id="nightly", name="nightly", cron="0 2 * * *", source_group_ids=["group-1"]
                )
            ],
            "repository": RepositoryConfig(url=str(self.repository), password=PASSWORD),
        }
        return Config(version=version, **{**given, **changed})

    async def ready(self, config: Config | None = None, *, interval: float = 30.0) -> Line:
        """Return a welcomed line of an agent that has applied its configuration."""
        line = await self.gateway.welcomed(interval=interval)
        await line.send(config or self.config())
        await line.expect(ConfigApplied)
        return line

    @contextlib.asynccontextmanager
    async def agent(self, clock: OffsetClock | None = None, **changed: Any) -> AsyncIterator[Agent]:
        """An agent inside this process, stopped at the end."""
        agent = Agent(self.settings(**changed), clock=clock, random=Random(1))
        task = asyncio.create_task(agent.run())
        try:
            yield agent
        finally:
            agent.stop()
            await task

    @contextlib.asynccontextmanager
    async def process(
        self, *, environment: dict[str, str] | None = None, **changed: Any
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """An agent as a process of its own, killed at the end if it still runs."""
        settings = {**QUICK, "log_form": "json", **changed}
        variables = {
            f"DORMICE_AGENT_{name.upper()}": str(value) for name, value in settings.items()
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", "run", "--state", str(self.state),
            env={**os.environ, **variables, **(environment or {})},
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )  # fmt: skip
        reader = asyncio.create_task(process.stderr.read())  # type: ignore[union-attr]
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self.stderr = (await reader).decode()

    async def snapshots(self) -> list[dict[str, Any]]:
        """What restic itself finds in the repository."""
        restic = await asyncio.create_subprocess_exec(
            "restic", "--repo", str(self.repository), "snapshots", "--json",
            env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await restic.communicate()
        return json.loads(output or b"[]") or []


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    async with ScriptedGateway() as gateway:
        yield gateway


@pytest.fixture
def rig(tmp_path: Path, gateway: ScriptedGateway) -> Rig:
    return Rig(tmp_path, gateway)


@pytest.fixture
def at_two() -> Callable[[float], OffsetClock]:
    """A clock that stands some seconds before 02:00, when `nightly` fires; by itself it takes long
    to get there: the agent is to be ready then, however busy this machine is."""

    def clock(seconds_before: float = 25) -> OffsetClock:
        return OffsetClock(TWO - timedelta(seconds=seconds_before))

    return clock


@pytest.fixture
def sleeper(tmp_path: Path) -> str:
    """A command for engine `command` that goes on until it is stopped."""
    script = tmp_path / "sleeper"
    script.write_text(
        '#!/bin/sh\ntrap "kill \\$!; exit 130" INT\necho at work\nsleep 600 &\nwait $!\n'
    )
    script.chmod(0o755)
    return f"{script} {{includes}}"
