"""Every kind of job from the API to real restic in a real repository, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.app import Agent
from agent.settings import AgentSettings
from agent.state import Identity, StateDirectory
from libs.common.testing.fake_agent import post_enroll
from tests.integration.system.stack import Host, Stack

TARGET = "target"


class Machine:
    """A host with a real agent, a folder and a repository of its own."""

    def __init__(self, stack: Stack, folder: Path, host: Host) -> None:
        self.stack, self.folder, self.host = stack, folder, host
        self.source, self.repository = folder / "source", folder / "repository"

    async def do(self, kind: str, **more: Any) -> dict[str, Any]:
        """Start a job, and return it once it has ended."""
        path = f"/hosts/{self.host.id}/jobs"
        started = await self.stack.post(path, kind=kind, when_it_wakes=True, **more)
        return await self.ended(started["job_id"])

    async def ended(self, job_id: str) -> dict[str, Any]:
        async def end() -> Any:
            job = await self.stack.get(f"/jobs/{job_id}")
            return job if job["finished_at"] else None

        job: dict[str, Any] = await self.stack.until(end, f"the end of {job_id}")
        return job


@asynccontextmanager
async def machine(
    stack: Stack, folder: Path, *, always_on: bool = True, url: str = "", **settings: Any
) -> AsyncIterator[Machine]:
    """Enrol a host, give it all that a backup needs, and run its agent."""
    token = (await stack.post("/enrollment-tokens", always_on=always_on))["token"]
    joined = (await post_enroll(stack.gateway, token=token, hostname="box")).json()
    made = Machine(stack, folder, Host(joined["host_id"], "box", None))  # type: ignore[arg-type]
    made.source.mkdir()
    (made.source / "letter").write_text("dear dormouse")
    files = StateDirectory(folder / "state")
    files.prepare()
    files.put_identity(
        Identity(host_id=made.host.id, agent_token=joined["agent_token"], gateway=stack.gateway)
    )
    await stack.put(
        f"/hosts/{made.host.id}/repository", url=url or str(made.repository), password="canary-4711"
    )
    group = await stack.post(
        f"/hosts/{made.host.id}/source-groups", name="docs", includes=[str(made.source)],
        retention={"keep_last": 1},
    )  # fmt: skip
    made.host.group = group["id"]
    agent = Agent(AgentSettings.load(None, state=folder / "state", **settings))
    task = asyncio.create_task(agent.run())
    try:
        await stack.until_display(made.host, "online")
        yield made
    finally:
        agent.stop()
        await task


async def test_every_kind_from_the_api_to_restic_and_back(stack: Stack, tmp_path: Path) -> None:
    async with machine(stack, tmp_path) as box:
        assert (await box.do("init"))["status"] == "succeeded"
        group = {"source_group_id": box.host.group}
        for _ in range(2):
            assert (await box.do("backup", **group))["status"] == "succeeded"
        forgotten = await box.do("forget", **group)
        assert forgotten["stats"] == {"snapshots_kept": 1, "snapshots_removed": 1}
        for kind in ("prune", "check", "unlock"):
            assert (await box.do(kind))["status"] == "succeeded", kind
        never = await stack.api.get(f"/hosts/{box.host.id}/snapshots")
        assert never.status_code == 404
        await box.do("snapshots")
        listed = await stack.get(f"/hosts/{box.host.id}/snapshots")
        (one,) = listed["items"]
        assert (listed["total"], one["tags"], one["paths"]) == (1, ["docs"], [str(box.source)])
        target = tmp_path / TARGET
        restored = await box.do("restore", arguments={"snapshot": one["id"], "target": str(target)})
        assert restored["status"] == "succeeded", restored
        assert (target / box.source.relative_to("/") / "letter").read_text() == "dear dormouse"
        assert restored["arguments"]["target"] == str(target)


async def test_a_damaged_repository_raises_check_failed_until_it_is_sound(
    stack: Stack, tmp_path: Path
) -> None:
    async with machine(stack, tmp_path) as box:
        await box.do("backup", source_group_id=box.host.group)
        sound = tmp_path / "sound"
        shutil.copytree(box.repository, sound)
        for index in (box.repository / "index").iterdir():
            index.unlink()
        failed = await box.do("check")
        assert failed["status"] == "failed"
        assert failed["error"].startswith("the repository is damaged: ")
        await stack.until_kinds(box.host, "check_failed")
        shutil.rmtree(box.repository)
        sound.rename(box.repository)
        assert (await box.do("check"))["status"] == "succeeded"
        await stack.until_kinds(box.host)


async def test_progress_and_log_are_live_and_a_cancel_stops_restic(
    stack: Stack, tmp_path: Path
) -> None:
    slow = tmp_path / "restic"
    slow.write_text('#!/bin/sh\nexec restic --limit-upload 256 --verbose "$@"\n')
    slow.chmod(0o755)
    async with machine(stack, tmp_path, restic=str(slow)) as box:
        await box.do("init")
        for number in range(16):
            (box.source / f"noise-{number}").write_bytes(os.urandom(1024 * 1024))
        path = f"/hosts/{box.host.id}/jobs"
        asked = {"kind": "backup", "source_group_id": box.host.group}
        job_id = (await stack.post(path, **asked))["job_id"]

        async def told() -> Any:
            job = await stack.get(f"/jobs/{job_id}")
            return job if job["bytes_done"] and job["percent"] else None

        job = await stack.until(told, "progress")
        assert job["status"] == "running"
        assert 0 < job["percent"] <= 100
        assert job["bytes_total"] >= job["bytes_done"]
        assert job["files_done"] is not None
        busy = await stack.api.post(path, json=asked)
        assert (busy.status_code, busy.json()["code"]) == (409, "busy")
        await stack.post(f"/jobs/{job_id}/cancel")
        ended = await box.ended(job_id)
        assert ended["status"] == "cancelled"
        assert not list((box.repository / "locks").iterdir()), "restic ended in order"
