"""Folders that are not like others: very many files, and names that no line of text can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.protocol import JobLog, JobProgress, RunStatus, SourceGroupConfig
from tests.integration.agent.conftest import Rig
from tests.integration.agent.test_restic import manual, run_to_its_end

ODD = ("new\nline", "carriage\rreturn", "esc\x1b[2Jape", "tab\tin it", "quo'te \"s", "*?[a]", "-x")
FOLDERS, FILES_EACH = 20, 500
FRAMES = 60


def fill(folder: Path, folders: int) -> None:
    for number in range(folders):
        inner = folder / f"folder-{number}"
        inner.mkdir()
        for file in range(FILES_EACH):
            (inner / f"file-{file}").write_bytes(b"")


async def test_many_files_make_no_more_frames_than_few(rig: Rig) -> None:
    """What is told of a run grows with its time, not with its files."""
    fill(rig.source, FOLDERS)
    async with rig.agent():
        line = await rig.ready()
        done = await run_to_its_end(line, manual())
    assert done.status is RunStatus.SUCCEEDED
    assert done.stats is not None
    assert done.stats["files_new"] == FOLDERS * FILES_EACH + 1
    assert len(line.seen(JobProgress)) + len(line.seen(JobLog)) < FRAMES


async def test_names_with_newlines_are_backed_up_and_come_back(rig: Rig, tmp_path: Path) -> None:
    for name in (*ODD, "byte\udcff"):
        (rig.source / name).write_text(name, errors="surrogateescape")
    back = tmp_path / "back"
    async with rig.agent():
        line = await rig.ready()
        done = await run_to_its_end(line, manual())
        assert done.status is RunStatus.SUCCEEDED
        wanted = [str(rig.source / name) for name in ODD]
        arguments = {"snapshot": "latest", "target": str(back), "paths": wanted}
        restore = manual("restore", kind="restore", source_group_id=None, arguments=arguments)
        assert (await run_to_its_end(line, restore)).status is RunStatus.SUCCEEDED
    restored = back / rig.source.relative_to("/")
    assert sorted(file.name for file in restored.iterdir()) == sorted(ODD)


@pytest.mark.parametrize("name", ["gone\nFatal: forged", "gone\x1b[2J"])
async def test_a_name_begins_no_line_of_its_own(rig: Rig, name: str) -> None:
    missing = str(rig.source / name)
    group = SourceGroupConfig(id="group-1", name="docs", includes=[str(rig.source), missing])
    async with rig.agent():
        line = await rig.ready(rig.config(source_groups=[group]))
        done = await run_to_its_end(line, manual())
    assert done.status is RunStatus.SUCCEEDED_WITH_WARNINGS
    assert done.error is not None
    for text in (done.error, *(one.text.rstrip("\n") for one in line.seen(JobLog))):
        assert text.isprintable(), text
    assert not any(text.startswith("Fatal: forged") for text in (done.log_tail or "").splitlines())
