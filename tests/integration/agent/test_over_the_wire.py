"""The agent with real restic, whose repository is on a REST server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from libs.common.protocol import Config, FailureReason, JobFinished, RepositoryConfig, RunStatus
from tests.integration.agent.conftest import PASSWORD, Rig
from tests.integration.agent.test_cut_off import MUCH, cut_off, locks_of, slow_restic
from tests.integration.agent.test_restic import manual, run_to_its_end
from tests.integration.rest_server import RestServer, rest_server

__all__ = ["slow_restic"]


@pytest_asyncio.fixture
async def server(rig: Rig, tmp_path: Path) -> AsyncIterator[RestServer]:
    """A server, and the rig's repository where that keeps it."""
    async with rest_server(tmp_path / "served") as server:
        rig.repository = server.folder / rig.repository.name
        yield server


def config_of(rig: Rig, server: RestServer) -> Config:
    return rig.config(repository=RepositoryConfig(url=server.url, password=PASSWORD))


async def test_backup_list_check_and_restore(rig: Rig, server: RestServer, tmp_path: Path) -> None:
    back = tmp_path / "back"
    async with rig.agent():
        line = await rig.ready(config_of(rig, server))
        first = await run_to_its_end(line, manual())
        assert first.status is RunStatus.SUCCEEDED
        arguments = {"snapshot": "latest", "target": str(back)}
        for kind in ("snapshots", "check", "restore", "unlock", "prune"):
            run = manual(kind, kind=kind, source_group_id=None, arguments=arguments)
            assert (await run_to_its_end(line, run)).status is RunStatus.SUCCEEDED, kind
    letter = rig.source / "letter.txt"
    assert (back / letter.relative_to("/")).read_text() == letter.read_text()
    assert len(await rig.snapshots()) == 1


async def test_cut_off_unlocked_and_run_again(
    rig: Rig, server: RestServer, slow_restic: str
) -> None:
    async with rig.process() as process:
        line = await rig.ready(config_of(rig, server))
        await run_to_its_end(line, manual("first"))
        (rig.source / "much").write_bytes(os.urandom(MUCH))
        process.terminate()
        await process.wait()
    async with rig.process(restic=slow_restic) as process:
        line = await rig.gateway.welcomed(interval=30)
        await cut_off(rig, process, line, manual("cut-off"))
    async with rig.agent():
        line = await rig.gateway.welcomed(interval=30)
        ended = await line.expect(JobFinished, lambda frame: frame.job_id == "cut-off")
        assert ended.status is RunStatus.INTERRUPTED
        again = await run_to_its_end(line, manual("again", attempt=2))
        assert again.status is RunStatus.SUCCEEDED
    assert locks_of(rig) == []
    assert len(await rig.snapshots()) == 2


async def test_out_of_reach_it_says_so_and_makes_no_repository(
    rig: Rig, server: RestServer
) -> None:
    async with rig.agent():
        line = await rig.ready(config_of(rig, server))
        await server.stop()
        for number, kind in enumerate(("backup", "prune", "snapshots", "init")):
            group = "group-1" if kind == "backup" else None
            run = manual(f"down-{number}", kind=kind, source_group_id=group)
            ended = await run_to_its_end(line, run)
            assert ended.status is RunStatus.FAILED, kind
            assert ended.reason == FailureReason.REPOSITORY_UNREACHABLE, kind
            assert ended.error is not None
            assert ended.error.startswith("the repository cannot be reached: "), kind
            assert "canary" not in ended.model_dump_json()
        await server.start()
        assert (await run_to_its_end(line, manual("up"))).status is RunStatus.SUCCEEDED
    assert len(await rig.snapshots()) == 1


async def test_a_name_that_nobody_has_is_out_of_reach(rig: Rig) -> None:
    nowhere = RepositoryConfig(url="rest:http://no-such-box.invalid/", password=PASSWORD)
    async with rig.agent():
        line = await rig.ready(rig.config(repository=nowhere))
        ended = await run_to_its_end(line, manual())
    assert ended.reason == FailureReason.REPOSITORY_UNREACHABLE


async def test_a_disk_that_is_not_plugged_in_is_out_of_reach(rig: Rig) -> None:
    """A repository on this machine's own paths that was used, and is not there."""
    async with rig.agent():
        line = await rig.ready()
        await run_to_its_end(line, manual())
        rig.repository.rename(rig.repository.with_name("unplugged"))
        ended = await run_to_its_end(line, manual("job-2"))
    assert ended.reason == FailureReason.REPOSITORY_UNREACHABLE
    assert ended.error == "the repository is gone; is its disk mounted?"
