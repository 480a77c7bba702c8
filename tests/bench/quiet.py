"""What an agent takes that has nothing to do: memory, and share of a core."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil

from agent.state import Identity, StateDirectory
from libs.common.protocol import Config, ConfigApplied, ScheduleConfig, SourceGroupConfig
from libs.common.testing.agent_gateway import ScriptedGateway

WARM_SECONDS = 2
WATCHED_SECONDS = 60
HOURLY = ScheduleConfig(id="s", name="hourly", cron="0 * * * *", source_group_ids=["g"])
HOME = SourceGroupConfig(id="g", name="home", includes=["/home"])


async def measure(folder: Path) -> dict[str, float]:
    """Megabytes of resident memory, and percent of one core, with heartbeats every 30 s."""
    async with ScriptedGateway() as gateway:
        files = StateDirectory(folder / "state")
        files.prepare()
        files.put_identity(Identity(host_id="h", agent_token="t", gateway=gateway.url))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", "run", "--state", str(files.root),
            env={**os.environ, "DORMICE_AGENT_LOG_FORM": "json"},
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        line = await gateway.welcomed(interval=30.0)
        await line.send(Config(version=1, schedules=[HOURLY], source_groups=[HOME]))
        await line.expect(ConfigApplied)
        await asyncio.sleep(WARM_SECONDS)
        before = _busy_seconds(process.pid)
        await asyncio.sleep(WATCHED_SECONDS)
        busy = _busy_seconds(process.pid) - before
        size = psutil.Process(process.pid).memory_info().rss
        process.terminate()
        await process.wait()
    return {"megabytes": size / 1e6, "percent": 100 * busy / WATCHED_SECONDS}


def _busy_seconds(pid: int) -> float:
    """Time on a core, to the nanosecond: what psutil tells is in hundredths of a second."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
