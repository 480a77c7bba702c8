"""A group's hooks: when they run, what they see, what their failure means."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.engines.command import CommandEngine
from agent.engines.hooks import HookedEngine
from agent.engines.process import ControlledProcess
from agent.work import Outcome, Work
from libs.common.protocol import FailureReason, RepositoryConfig, RunStatus, SourceGroupConfig
from tests.unit.agent.test_parts import Ear

SECRETS = RepositoryConfig(
    url="rest:http://host/canary-url",
    password="canary-password",
    environment={"AWS_SECRET_ACCESS_KEY": "canary-key"},
)


def hooked(
    tmp_path: Path, command: str, **hooks: Any
) -> tuple[HookedEngine, Work, ControlledProcess]:
    engine = HookedEngine(CommandEngine(["sh", "-c", command], tmp_path / "target", "box", []))
    group = SourceGroupConfig(id="g", name="docs", includes=[str(tmp_path)], hooks=hooks)
    process = ControlledProcess(tmp_path / "note", grace=timedelta(seconds=5))
    return engine, Work("job-1", group, SECRETS), process


async def carried_out(tmp_path: Path, command: str, **hooks: Any) -> tuple[Outcome, list[str]]:
    engine, work, process = hooked(tmp_path, command, **hooks)
    ear = Ear()
    return await engine.perform(work, process, ear), ear.lines


@pytest.mark.parametrize(
    ("command", "hooks", "status", "lines"),
    [
        pytest.param(
            "echo backup", {"before": ["echo", "a;b"], "after": 'echo "$DORMICE_STATUS"'},
            RunStatus.SUCCEEDED, ["before: a;b", "backup", "after: succeeded"], id="around it",
        ),
        pytest.param(
            "echo backup", {"before": "echo no; exit 3", "after": 'echo "$DORMICE_STATUS"'},
            RunStatus.FAILED, ["before: no", "after: failed"], id="before fails: no backup",
        ),
        pytest.param(
            "exit 1", {"after": 'echo "$DORMICE_STATUS"; exit 4'}, RunStatus.FAILED,
            ["after: failed"], id="after a failure",
        ),
        pytest.param(
            "echo backup", {"after": "exit 4"}, RunStatus.SUCCEEDED_WITH_WARNINGS, ["backup"],
            id="after fails: a warning",
        ),
        pytest.param(
            "echo backup", {"before": ["no-such-program"]}, RunStatus.FAILED, [],
            id="before is not there",
        ),
        pytest.param("echo backup", {"other": "x"}, RunStatus.SUCCEEDED, ["backup"], id="unknown"),
    ],
)  # fmt: skip
async def test_hooks(
    tmp_path: Path, command: str, hooks: dict[str, Any], status: RunStatus, lines: list[str]
) -> None:
    outcome, said = await carried_out(tmp_path, command, **hooks)
    assert (outcome.status, said) == (status, lines)


async def test_a_hook_that_fails_says_why(tmp_path: Path) -> None:
    outcome, _ = await carried_out(tmp_path, "true", before="echo the database is busy; exit 3")
    assert outcome.error == "the hook `before` exited with 3: the database is busy"
    assert outcome.reason is FailureReason.HOOK_FAILED
    outcome, _ = await carried_out(tmp_path, "true", before=["no-such-program"])
    assert outcome.error == "the hook `before` exited with 127: No such file or directory"


async def test_r20_a_hook_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORMICE_ENROLL_TOKEN", "canary-token")
    _, lines = await carried_out(tmp_path, "true", before="env; echo canary-password")
    assert "before: DORMICE_JOB_ID=job-1" in lines
    assert "before: DORMICE_GROUP=docs" in lines
    assert "before: ***" in lines
    assert "canary" not in "".join(lines)


async def test_r20_a_hook_is_given_nothing_of_the_repository(tmp_path: Path) -> None:
    """Not even where what it says is not cleaned."""
    seen = tmp_path / "seen"
    await carried_out(tmp_path, "true", before=f"env > {seen}", after=f"env >> {seen}")
    assert seen.read_text().count("DORMICE_JOB_ID=job-1") == 2
    assert "canary" not in seen.read_text()


async def test_after_runs_when_the_backup_is_stopped(tmp_path: Path) -> None:
    engine, work, process = hooked(
        tmp_path, "echo up; exec sleep 600", after="sleep 0.1; echo started again"
    )
    ear = Ear()
    job = asyncio.create_task(engine.perform(work, process, ear))
    async with asyncio.timeout(10):
        while "up" not in ear.lines:
            await asyncio.sleep(0.02)
        process.stop()
        outcome = await job
    assert outcome.status is RunStatus.FAILED  # Whoever stopped it knows what to call that.
    assert ear.lines == ["up", "after: started again"]
