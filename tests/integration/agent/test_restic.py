"""The agent with real restic in real repositories."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.protocol import (
    Cancel,
    FailureReason,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    RepositoryConfig,
    Run,
    RunStatus,
    SourceGroupConfig,
)
from libs.common.testing.agent_gateway import Line
from tests.integration.agent.conftest import PASSWORD, Rig


def manual(job_id: str = "job-1", **changed: object) -> Run:
    return Run(**{"job_id": job_id, "source_group_id": "group-1", "config_version": 1, **changed})


async def run_to_its_end(line: Line, run: Run) -> JobFinished:
    await line.send(run)
    return await line.expect(JobFinished, lambda frame: frame.job_id == run.job_id)


async def test_a_backup_succeeds_and_leaves_a_tagged_snapshot(rig: Rig) -> None:
    async with rig.agent():
        line = await rig.ready()
        finished = await run_to_its_end(line, manual())
        assert finished.status is RunStatus.SUCCEEDED
        assert finished.exit_code == 0
        assert finished.stats is not None
        assert finished.stats["files_new"] == 1
        assert [frame.job_id for frame in line.seen(JobStarted)] == ["job-1"]
        second = await run_to_its_end(line, manual("job-2"))
        assert second.status is RunStatus.SUCCEEDED
    snapshots = await rig.snapshots()
    assert [snapshot["tags"] for snapshot in snapshots] == [["docs"], ["docs"]]
    assert snapshots[0]["paths"] == [str(rig.source)]
    assert rig.state.joinpath("restic", "password").stat().st_mode & 0o777 == 0o600


async def test_a_vanished_folder_beside_a_real_one_is_a_warning(rig: Rig) -> None:
    group = SourceGroupConfig(
        id="group-1", name="docs", includes=[str(rig.source), str(rig.source / "gone")]
    )
    async with rig.agent():
        line = await rig.ready(rig.config(source_groups=[group]))
        finished = await run_to_its_end(line, manual())
    assert finished.status is RunStatus.SUCCEEDED_WITH_WARNINGS
    assert finished.error is not None
    assert "gone" in finished.error
    assert len(await rig.snapshots()) == 1


async def test_only_vanished_folders_are_a_failure(rig: Rig) -> None:
    group = SourceGroupConfig(id="group-1", name="docs", includes=[str(rig.source / "gone")])
    async with rig.agent():
        line = await rig.ready(rig.config(source_groups=[group]))
        finished = await run_to_its_end(line, manual())
    assert finished.status is RunStatus.FAILED
    assert finished.error is not None
    assert finished.error.startswith("nothing to back up: does not exist:")
    assert finished.reason == FailureReason.NOTHING_TO_BACK_UP


async def test_an_exit_code_3_is_a_warning(rig: Rig, tmp_path: Path) -> None:
    """Root reads everything, so a restic that cannot read a file is played by a script."""
    fake = tmp_path / "restic"
    fake.write_text(
        "#!/bin/sh\n"
        'echo \'{"message_type":"error","error":{"message":"open: permission denied"},'
        '"during":"archival","item":"/secret"}\' >&2\n'
        'echo \'{"message_type":"summary","files_new":1,"snapshot_id":"abc"}\'\n'
        "exit 3\n"
    )
    fake.chmod(0o755)
    async with rig.agent(restic=str(fake)):
        line = await rig.ready()
        finished = await run_to_its_end(line, manual())
    assert finished.status is RunStatus.SUCCEEDED_WITH_WARNINGS
    assert finished.exit_code == 3
    assert finished.error == "open: permission denied (/secret)"
    assert finished.stats == {"files_new": 1, "snapshot_id": "abc"}


async def test_a_wrong_password_is_said_plainly(rig: Rig) -> None:
    wrong = RepositoryConfig(url=str(rig.repository), password="another-canary")
    async with rig.agent():
        line = await rig.ready()
        await run_to_its_end(line, manual())
        await line.send(rig.config(2, repository=wrong))
        finished = await run_to_its_end(line, manual("job-2"))
    assert finished.status is RunStatus.FAILED
    assert finished.error is not None
    assert "wrong repository password" in finished.error
    assert finished.reason == FailureReason.WRONG_PASSWORD
    assert "another-canary" not in finished.model_dump_json()


async def test_a_repository_that_vanished_is_not_made_again(rig: Rig) -> None:
    async with rig.agent():
        line = await rig.ready()
        await run_to_its_end(line, manual())
        rig.repository.rename(rig.repository.with_name("unmounted"))
        finished = await run_to_its_end(line, manual("job-2"))
    assert finished.status is RunStatus.FAILED
    assert finished.error == "the repository is gone; is its disk mounted?"
    assert not rig.repository.exists()


async def test_a_repository_that_cannot_be_made(rig: Rig) -> None:
    rig.repository.write_text("a file is in the way")
    async with rig.agent():
        line = await rig.ready()
        finished = await run_to_its_end(line, manual())
    assert finished.status is RunStatus.FAILED
    assert finished.error


async def test_two_hosts_that_make_one_repository_at_once(rig: Rig, tmp_path: Path) -> None:
    """The other one is faster: its `init` comes between our look and ours."""
    slow = tmp_path / "restic"
    slow.write_text('#!/bin/sh\n[ "$1" = init ] && restic init >/dev/null 2>&1\nexec restic "$@"\n')
    slow.chmod(0o755)
    async with rig.agent(restic=str(slow)):
        line = await rig.ready()
        finished = await run_to_its_end(line, manual())
    assert finished.status is RunStatus.SUCCEEDED
    assert len(await rig.snapshots()) == 1


async def test_a_locked_repository_is_said_plainly(rig: Rig) -> None:
    rig.source.joinpath("much").write_bytes(os.urandom(8 * 1024 * 1024))  # To be read slowly.
    async with rig.agent(lock_patience="0s"):
        line = await rig.ready()
        await run_to_its_end(line, manual())
        async with locked(rig):
            finished = await run_to_its_end(line, manual("job-2"))
    assert finished.status is RunStatus.FAILED
    assert finished.error is not None
    assert finished.error.startswith("the repository is locked: ")
    assert finished.reason == FailureReason.REPOSITORY_LOCKED
    assert "exclusively by PID" in finished.error
    assert "canary" not in finished.model_dump_json()


@contextlib.asynccontextmanager
async def locked(rig: Rig) -> AsyncIterator[None]:
    """Hold the exclusive lock, as another host's `restic check` does: one that stands still."""
    check = await asyncio.create_subprocess_exec(
        "restic", "--repo", str(rig.repository), "--limit-download", "1", "check", "--read-data",
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while not _locks_of(rig.repository):
                await asyncio.sleep(0.01)
        check.send_signal(signal.SIGSTOP)
        yield
    finally:
        check.kill()
        await check.wait()


def _locks_of(repository: Path) -> list[str]:
    """Return the locks; one that is still being written has a longer name."""
    return [file.name for file in repository.joinpath("locks").iterdir() if len(file.name) == 64]


async def test_missing_restic_names_the_package(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    async with rig.agent():
        line = await rig.ready()
        finished = await run_to_its_end(line, manual())
    assert finished.status is RunStatus.FAILED
    assert finished.error == "restic is not installed here; Debian's package is: restic"
    assert finished.reason == FailureReason.PROGRAM_MISSING


async def test_without_a_repository_a_run_is_declined(rig: Rig) -> None:
    async with rig.agent():
        line = await rig.ready(rig.config(repository=None))
        await line.send(manual())
        declined = await line.expect(JobDeclined)
    assert declined.reason == "no_repository"


async def test_any_other_program_by_a_template(rig: Rig) -> None:
    command = "tar -czf {target}.tar.gz {includes}"
    async with rig.agent(engine="command", command=command):
        line = await rig.ready(rig.config(repository=None))
        finished = await run_to_its_end(line, manual())
    assert finished.status is RunStatus.SUCCEEDED
    assert rig.state.joinpath("archives", "docs-job-1.tar.gz").stat().st_size > 0


async def test_cancel_ends_the_job(rig: Rig, sleeper: str) -> None:
    async with rig.agent(engine="command", command=sleeper):
        line = await rig.ready()
        await line.send(manual())
        await line.expect(JobStarted)
        await line.send(Cancel(job_id="another"))
        await line.send(manual("job-2"))
        assert (await line.expect(JobDeclined)).reason == "busy"
        await line.send(Cancel(job_id="job-1"))
        finished = await line.expect(JobFinished)
    assert finished.status is RunStatus.CANCELLED


async def test_secrets_are_nowhere(rig: Rig, tmp_path: Path) -> None:
    """Password and repository: in no argument, frame, log or status; the token neither."""
    spy = tmp_path / "restic"
    seen = tmp_path / "seen"
    spy.write_text(
        f"#!/bin/sh\ncat /proc/$$/cmdline >> {seen}; cat /proc/$$/environ >> {seen}\n"
        f'cat /proc/$PPID/cmdline >> {seen}\nexec /usr/bin/restic "$@"\n'
    )
    spy.chmod(0o755)
    key = "cloud-key-canary-99"
    repository = RepositoryConfig(
        url=str(rig.repository), password=PASSWORD, environment={"AWS_SECRET_ACCESS_KEY": key}
    )
    async with rig.process(restic=str(spy), log_level="debug") as process:
        line = await rig.ready(rig.config(repository=repository))
        await run_to_its_end(line, manual())
        for kind in ("init", "check", "snapshots", "unlock", "restore", "prune"):
            arguments = {"snapshot": "latest", "target": str(tmp_path / "back")}
            run = manual(kind, kind=kind, source_group_id=None, arguments=arguments)
            assert (await run_to_its_end(line, run)).status is RunStatus.SUCCEEDED, kind
        wrong = RepositoryConfig(url=str(rig.repository), password="wrong-canary-1")
        await line.send(rig.config(2, repository=wrong))
        await run_to_its_end(line, manual("job-2"))
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)
    frames = "".join(frame.model_dump_json() for frame in [line.hello, *line.frames])
    public = {
        "frames": frames,
        "log": rig.state.joinpath("agent.log").read_text(),
        "stderr": rig.stderr,
        "status": rig.state.joinpath("status.json").read_text(),
    }
    for where, text in public.items():
        for secret in (PASSWORD, "wrong-canary", "canary-1234", "agent-token-canary", key):
            assert secret not in text, where
    told_to_restic = seen.read_text()
    for command in ("backup", "check", "snapshots", "unlock", "restore", "prune"):
        assert command in told_to_restic
    assert key in told_to_restic  # Cloud keys: restic's own environment is their place.
    for secret in (PASSWORD, "wrong-canary", "canary-1234", "agent-token-canary"):
        assert secret not in told_to_restic


async def test_accepted_is_said_with_its_state(rig: Rig) -> None:
    async with rig.agent():
        line = await rig.ready()
        await run_to_its_end(line, manual())
        await line.send(manual())
        again = await line.expect(JobAccepted, lambda frame: frame.state != "accepted")
        assert again.state == "succeeded"
        assert len(line.seen(JobStarted)) == 1
    assert len(await rig.snapshots()) == 1
