"""A run that is cut off with real restic: the lock that it leaves is in nobody's way."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.common.protocol import JobFinished, JobLog, JobStarted, Run, RunStatus
from libs.common.testing.agent_gateway import Line
from tests.integration.agent.conftest import Rig
from tests.integration.agent.test_restic import manual, run_to_its_end

PR_SET_CHILD_SUBREAPER = 36
MUCH = 6 * 1024 * 1024


@pytest.fixture
def slow_restic(tmp_path: Path) -> str:
    """Real restic that writes half a MiB a second."""
    script = tmp_path / "restic"
    script.write_text('#!/bin/sh\nexec restic --limit-upload 512 "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def slow_prune(tmp_path: Path) -> str:
    """Real restic whose prune holds its exclusive lock for long: it is a slow check."""
    script = tmp_path / "restic-prune"
    script.write_text(
        '#!/bin/sh\n[ "$1" = prune ] && exec restic --limit-download 1 check --read-data\n'
        'exec restic "$@"\n'
    )
    script.chmod(0o755)
    return str(script)


def locks_of(rig: Rig) -> list[str]:
    folder = rig.repository / "locks"
    return [file.name for file in folder.iterdir() if len(file.name) == 64]


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Be the parent of orphans: a dead one that nobody buries counts as alive, also for restic."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


async def cut_off(rig: Rig, process: asyncio.subprocess.Process, line: Line, run: Run) -> None:
    """Kill the agent and restic in the middle of a run, as a power cut does."""
    await line.send(run)
    await line.expect(JobStarted, lambda one: one.job_id == run.job_id)
    async with asyncio.timeout(20):
        while not locks_of(rig):
            await asyncio.sleep(0.01)
    pid = int((rig.state / "program").read_text().split()[0])
    with adopting():
        process.kill()
        await process.wait()
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, pid, 0)
    assert locks_of(rig), "restic had no time to remove its lock"


async def test_killed_with_its_restic_it_is_interrupted_then_unlocked_and_run_again(
    rig: Rig, slow_restic: str
) -> None:
    async with rig.process() as process:
        line = await rig.ready()
        assert (await run_to_its_end(line, manual("first"))).status is RunStatus.SUCCEEDED
        process.send_signal(signal.SIGTERM)
        await process.wait()
    rig.source.joinpath("much").write_bytes(os.urandom(MUCH))
    async with rig.process(restic=slow_restic) as process:
        await cut_off(rig, process, await rig.gateway.welcomed(), manual("attempt-1"))
    async with rig.process():
        line = await rig.gateway.welcomed()
        ended = await line.expect(JobFinished)
        assert (ended.job_id, ended.status) == ("attempt-1", RunStatus.INTERRUPTED)
        again = await run_to_its_end(line, manual("attempt-2", attempt=2))
        assert again.status is RunStatus.SUCCEEDED
        assert again.log_tail is not None
        assert "successfully removed locks" in again.log_tail
        assert locks_of(rig) == []
        pruned = await run_to_its_end(line, manual("p", kind="prune", source_group_id=None))
        assert pruned.status is RunStatus.SUCCEEDED
    assert len(await rig.snapshots()) == 2


async def test_a_prune_that_was_cut_off_keeps_no_backup_from_running(
    rig: Rig, slow_prune: str
) -> None:
    """Its lock is exclusive: without `unlock` nothing could be backed up any more."""
    async with rig.process() as process:
        line = await rig.ready()
        await run_to_its_end(line, manual("first"))
        process.send_signal(signal.SIGTERM)
        await process.wait()
    async with rig.process(restic=slow_prune) as process:
        prune = manual("prune", kind="prune", source_group_id=None)
        await cut_off(rig, process, await rig.gateway.welcomed(), prune)
    async with rig.process(lock_patience="0s"):
        line = await rig.gateway.welcomed()
        await line.expect(JobFinished)
        done = await run_to_its_end(line, manual("next"))
    assert done.status is RunStatus.SUCCEEDED
    assert locks_of(rig) == []


async def test_a_lost_lock_is_no_failure(rig: Rig, tmp_path: Path) -> None:
    """restic from 0.15 on gives up so after a long sleep; its words are played."""
    script = tmp_path / "restic"
    script.write_text(
        '#!/bin/sh\n[ "$1" = version ] && exec restic version\n'
        "echo 'Fatal: failed to refresh lock in time' >&2\nexit 1\n"
    )
    script.chmod(0o755)
    async with rig.agent(restic=str(script)):
        line = await rig.ready()
        done = await run_to_its_end(line, manual())
    assert (done.status, done.error) == (
        RunStatus.INTERRUPTED, "restic lost its lock on the repository",
    )  # fmt: skip
    assert line.seen(JobLog)
