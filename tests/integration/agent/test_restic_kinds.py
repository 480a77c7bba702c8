"""Every kind of job but backups, with real restic in a real repository."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.protocol import (
    Cancel,
    FailureReason,
    JobDeclined,
    JobFinished,
    JobLog,
    JobProgress,
    JobStarted,
    RepositoryConfig,
    Run,
    RunStatus,
    SourceGroupConfig,
)
from libs.common.testing.agent_gateway import Line
from tests.integration.agent.conftest import PASSWORD, Rig
from tests.integration.agent.test_restic import locked

IMPATIENT = {"lock_patience": "0s"}


class Jobs:
    """Has an agent do one job after the other."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.number = 0

    async def do(self, kind: str = "backup", **changed: Any) -> JobFinished:
        self.number += 1
        run = Run(job_id=f"job-{self.number}", kind=kind, config_version=1, **changed)
        await self.line.send(run)
        return await self.line.expect(JobFinished, lambda one: one.job_id == run.job_id)

    async def back_up(self) -> JobFinished:
        done = await self.do(source_group_id="group-1")
        assert done.status is RunStatus.SUCCEEDED, done
        return done


def group(rig: Rig, **changed: Any) -> SourceGroupConfig:
    return SourceGroupConfig(id="group-1", name="docs", includes=[str(rig.source)], **changed)


def ended(done: JobFinished, status: RunStatus = RunStatus.SUCCEEDED) -> JobFinished:
    assert done.status is status, done
    return done


async def test_init_makes_a_repository_once(rig: Rig) -> None:
    async with rig.agent():
        jobs = Jobs(await rig.ready())
        ended(await jobs.do("init"))
        made = sorted(file.name for file in rig.repository.joinpath("keys").iterdir())
        again = ended(await jobs.do("init"))
        assert again.log_tail is not None
        assert "there already" in again.log_tail
        assert sorted(file.name for file in rig.repository.joinpath("keys").iterdir()) == made
        wrong = RepositoryConfig(url=str(rig.repository), password="another-one")
        await jobs.line.send(rig.config(2, repository=wrong))
        refused = ended(await jobs.do("init"), RunStatus.FAILED)
    assert refused.error == "wrong repository password, or the repository has no key for it"


async def test_forget_keeps_what_the_retention_says_then_prune_frees_it(rig: Rig) -> None:
    async with rig.agent():
        config = rig.config(source_groups=[group(rig, retention={"keep_last": 2, "yearly": 0})])
        jobs = Jobs(await rig.ready(config))
        for number in range(4):
            (rig.source / "noise").write_bytes(os.urandom(300_000))
            await jobs.back_up()
            assert len(await rig.snapshots()) == number + 1
        forgotten = ended(await jobs.do("forget", source_group_id="group-1"))
        assert forgotten.stats == {"snapshots_kept": 2, "snapshots_removed": 2}
        assert len(await rig.snapshots()) == 2
        size_before = _size(rig.repository / "data")
        ended(await jobs.do("prune"))
        assert _size(rig.repository / "data") < size_before - 300_000
        ended(await jobs.do("check"))


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def test_forget_leaves_other_groups_alone_and_does_nothing_without_retention(
    rig: Rig,
) -> None:
    other = SourceGroupConfig(id="group-2", name="other", includes=[str(rig.source)])
    async with rig.agent():
        kept = group(rig, retention={"keep_last": 1})
        jobs = Jobs(await rig.ready(rig.config(source_groups=[kept, other])))
        for group_id in ("group-1", "group-2", "group-1", "group-2"):
            ended(await jobs.do(source_group_id=group_id))
        ended(await jobs.do("forget", source_group_id="group-1"))
        tags = sorted(snapshot["tags"][0] for snapshot in await rig.snapshots())
        assert tags == ["docs", "other", "other"]
        refused = ended(await jobs.do("forget", source_group_id="group-2"), RunStatus.FAILED)
        assert refused.error == "the source group has no retention: nothing is forgotten"
        assert len(await rig.snapshots()) == 3


async def test_snapshots_are_listed(rig: Rig) -> None:
    async with rig.agent():
        jobs = Jobs(await rig.ready())
        absent = ended(await jobs.do("snapshots"), RunStatus.FAILED)
        assert absent.error == "there is no repository at this place yet"
        await jobs.back_up()
        await _restic(rig, "backup", "--host", "elsewhere", str(rig.source))
        mine = ended(await jobs.do("snapshots")).stats
        everyone = ended(await jobs.do("snapshots", arguments={"all_hosts": True})).stats
        of_group = ended(
            await jobs.do("snapshots", source_group_id="group-1", arguments={"all_hosts": True})
        ).stats
    assert mine is not None
    assert everyone is not None
    assert of_group == mine
    (one,) = mine["snapshots"]
    assert (one["tags"], one["paths"], len(one["id"])) == (["docs"], [str(rig.source)], 16)
    assert everyone["total"] == 2
    assert {each["hostname"] for each in everyone["snapshots"]} > {"elsewhere"}


async def _restic(rig: Rig, *words: str) -> None:
    restic = await asyncio.create_subprocess_exec(
        "restic", "--repo", str(rig.repository), *words,
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await restic.wait() == 0


async def test_restore_takes_all_or_some_back(rig: Rig, tmp_path: Path) -> None:
    """Names that are patterns, and one with a newline, stand for themselves."""
    odd = rig.source / "a[1]*\nb.txt"
    odd.write_text("odd")
    (rig.source / "a1b.txt").write_text("matches the odd one as a pattern")
    async with rig.agent():
        jobs = Jobs(await rig.ready())
        snapshot = ((await jobs.back_up()).stats or {})["snapshot_id"]
        all_of_it = {"snapshot": "latest", "target": str(tmp_path / "all")}
        done = ended(await jobs.do("restore", arguments=all_of_it))
        assert done.stats is not None
        assert done.stats["snapshot_id"].startswith(snapshot)
        some = {"snapshot": snapshot[:8], "target": str(tmp_path / "some"), "paths": [str(odd)]}
        ended(await jobs.do("restore", arguments=some))
    restored = tmp_path / "all" / rig.source.relative_to("/")
    assert sorted(file.name for file in restored.iterdir()) == [
        "a1b.txt", "a[1]*\nb.txt", "letter.txt",
    ]  # fmt: skip
    assert (restored / "letter.txt").read_text() == (rig.source / "letter.txt").read_text()
    some_of_it = tmp_path / "some" / rig.source.relative_to("/")
    assert [file.name for file in some_of_it.iterdir()] == [odd.name]


async def test_restore_says_what_is_not_there(rig: Rig, tmp_path: Path) -> None:
    target = tmp_path / "target"
    async with rig.agent():
        jobs = Jobs(await rig.ready())
        await jobs.back_up()
        gone = {"snapshot": "latest", "target": str(target), "paths": ["/nowhere/to/be/found"]}
        failed = ended(await jobs.do("restore", arguments=gone), RunStatus.FAILED)
        assert failed.error == "not in the snapshot: /nowhere/to/be/found"
        unknown = {"snapshot": "deadbeef", "target": str(target)}
        failed = ended(await jobs.do("restore", arguments=unknown), RunStatus.FAILED)
        assert failed.error is not None
        assert "deadbeef" in failed.error
        failed = ended(await jobs.do("restore", arguments={"snapshot": "latest"}), RunStatus.FAILED)
        assert failed.error is not None
        assert failed.error.startswith("arguments.target: ")
    assert not target.exists()


async def test_unlock_removes_stale_locks_only(rig: Rig) -> None:
    rig.source.joinpath("much").write_bytes(os.urandom(8 * 1024 * 1024))
    async with rig.agent(**IMPATIENT):
        jobs = Jobs(await rig.ready())
        await jobs.back_up()
        async with locked(rig):
            ended(await jobs.do("unlock"))
            assert len(list(rig.repository.joinpath("locks").iterdir())) == 1
        ended(await jobs.do("unlock"))  # Who held it was killed.
        assert list(rig.repository.joinpath("locks").iterdir()) == []


async def test_a_job_removes_a_stale_lock_that_is_in_its_way(rig: Rig) -> None:
    rig.source.joinpath("much").write_bytes(os.urandom(8 * 1024 * 1024))
    async with rig.agent(**IMPATIENT):
        jobs = Jobs(await rig.ready())
        await jobs.back_up()
        async with locked(rig):
            refused = ended(await jobs.do("prune"), RunStatus.FAILED)
            assert refused.error is not None
            assert refused.error.startswith("the repository is locked: ")
        assert len(list(rig.repository.joinpath("locks").iterdir())) == 1
        await jobs.back_up()


async def test_a_job_waits_for_a_lock_and_can_be_cancelled_meanwhile(rig: Rig) -> None:
    rig.source.joinpath("much").write_bytes(os.urandom(8 * 1024 * 1024))
    async with rig.agent():
        jobs = Jobs(await rig.ready())
        await jobs.back_up()
        async with locked(rig):
            await jobs.line.send(Run(job_id="waits", kind="check", config_version=1))
            await jobs.line.expect(JobStarted, lambda one: one.job_id == "waits")
            await jobs.line.send(Cancel(job_id="waits"))
            done = await jobs.line.expect(JobFinished, lambda one: one.job_id == "waits")
    assert done.status is RunStatus.CANCELLED


async def test_a_damaged_repository_is_found_by_check(rig: Rig) -> None:
    async with rig.agent():
        jobs = Jobs(await rig.ready())
        await jobs.back_up()
        for index in rig.repository.joinpath("index").iterdir():
            index.unlink()
        failed = ended(await jobs.do("check"), RunStatus.FAILED)
    assert failed.error is not None
    assert failed.error.startswith("the repository is damaged: ")
    assert failed.reason == FailureReason.REPOSITORY_DAMAGED
    assert "canary" not in failed.model_dump_json()


async def test_a_job_is_stopped_after_its_time(rig: Rig, tmp_path: Path) -> None:
    slow = tmp_path / "restic"
    slow.write_text('#!/bin/sh\n[ "$1" = version ] && exec restic version\nexec sleep 600\n')
    slow.chmod(0o755)
    async with rig.agent(restic=str(slow)):
        jobs = Jobs(await rig.ready())
        done = ended(await jobs.do("check", timeout_seconds=0.3), RunStatus.FAILED)
    assert done.error == "stopped after 0s: it took too long"
    assert done.reason == FailureReason.TIMED_OUT


async def test_too_old_a_restic_is_said_plainly(rig: Rig, tmp_path: Path) -> None:
    old = tmp_path / "restic"
    old.write_text("#!/bin/sh\necho restic 0.9.6 compiled with go1.13.4 on linux/amd64\n")
    old.chmod(0o755)
    async with rig.agent(restic=str(old)):
        jobs = Jobs(await rig.ready())
        done = ended(await jobs.do(source_group_id="group-1"), RunStatus.FAILED)
    assert done.error == "restic 0.9 is too old: Dormice needs 0.11 or later"
    assert done.reason == FailureReason.PROGRAM_TOO_OLD


async def test_another_engine_declines_what_only_restic_does(rig: Rig) -> None:
    async with rig.agent(engine="command", command="true {includes}"):
        line = await rig.ready(rig.config(repository=None))
        await line.send(Run(job_id="job-1", kind="check", config_version=1))
        assert (await line.expect(JobDeclined)).reason == "unsupported_kind"


@pytest.mark.parametrize("kind", ["forget", "backup"])
async def test_a_kind_that_needs_a_source_group_is_declined_without(rig: Rig, kind: str) -> None:
    async with rig.agent():
        line = await rig.ready()
        await line.send(Run(job_id="job-1", kind=kind, config_version=1))
        assert (await line.expect(JobDeclined)).reason == "unknown_group"


@pytest.fixture
def small_disk(rig: Rig) -> Iterator[Path]:
    """The repository's disk has 3 MiB; mounting takes root."""
    rig.repository.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(rig.repository)]
    subprocess.run(mount, check=True)
    yield rig.repository
    subprocess.run(["umount", "--lazy", str(rig.repository)], check=True)


async def test_a_full_disk_is_said_plainly(rig: Rig, small_disk: Path) -> None:
    async with rig.agent():
        jobs = Jobs(await rig.ready())
        ended(await jobs.do("init"))
        (small_disk / "ballast").write_bytes(os.urandom(2_800_000))
        (rig.source / "much").write_bytes(os.urandom(1_000_000))
        await jobs.line.send(Run(job_id="b", source_group_id="group-1", config_version=1))
        await jobs.line.expect(JobLog, lambda one: "no space left" in one.text)
        await jobs.line.send(Cancel(job_id="b"))  # restic itself tries for 15 minutes.
        done = await jobs.line.expect(JobFinished, lambda one: one.job_id == "b")
        assert done.status is RunStatus.CANCELLED
        (small_disk / "ballast").unlink()
        await jobs.back_up()


async def test_a_full_disk_is_the_reason_that_is_told(rig: Rig, tmp_path: Path) -> None:
    """restic's last words about a full disk, which it says after a quarter of an hour."""
    full = tmp_path / "restic"
    full.write_text(
        "#!/bin/sh\n"
        '[ "$1" = version ] && exec restic version\n'
        "echo 'Save(<data/1a>) failed: write /repo/data/1a: no space left on device' >&2\n"
        "echo 'Fatal: unable to save snapshot: write: no space left on device' >&2\n"
        "exit 1\n"
    )
    full.chmod(0o755)
    async with rig.agent(restic=str(full)):
        jobs = Jobs(await rig.ready())
        done = ended(await jobs.do(source_group_id="group-1"), RunStatus.FAILED)
    assert done.error is not None
    assert done.error.startswith("no space left: ")
    assert done.reason == FailureReason.NO_SPACE


async def test_a_restic_that_is_killed_is_told_as_such(rig: Rig, tmp_path: Path) -> None:
    """The system ends it when memory is short; the agent goes on."""
    slow = tmp_path / "restic"
    slow.write_text('#!/bin/sh\nexec restic --limit-upload 64 "$@"\n')
    slow.chmod(0o755)
    async with rig.agent(restic=str(slow)):
        jobs = Jobs(await rig.ready())
        ended(await jobs.do("init"))
        (rig.source / "much").write_bytes(os.urandom(4_000_000))
        await jobs.line.send(Run(job_id="b", source_group_id="group-1", config_version=1))
        await jobs.line.expect(JobProgress, lambda one: one.job_id == "b")
        pid = int((rig.state / "program").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        done = await jobs.line.expect(JobFinished, lambda one: one.job_id == "b")
    assert (done.status, done.error, done.reason) == (
        RunStatus.FAILED, "restic was ended by signal SIGKILL", FailureReason.PROGRAM_KILLED,
    )  # fmt: skip
