"""Small parts: power, secrets cut out, the command's arguments, program output."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from agent import host
from agent.engines import process
from agent.engines.choice import end_leftover
from agent.engines.command import CommandEngine
from agent.engines.process import ControlledProcess, find_leftover
from agent.engines.secrets import Cleaner
from agent.errors import StateUnusable
from agent.settings import AgentSettings
from agent.work import Outcome, Progress, Stopped, Work
from libs.common.protocol import RepositoryConfig, RunStatus, SourceGroupConfig
from libs.common.settings import SettingsError


def supply(folder: Path, name: str, **files: str) -> None:
    (folder / name).mkdir()
    for file, text in files.items():
        (folder / name / file).write_text(text + "\n")


def test_power_of_a_laptop(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="0")
    supply(tmp_path, "BAT0", type="Battery", status="Discharging", capacity="40")
    supply(tmp_path, "BAT1", type="Battery", status="Unknown", capacity="60")
    supply(tmp_path, "mouse", type="Battery", scope="Device", status="Discharging", capacity="1")
    power = host.power(tmp_path)
    assert power is not None
    assert (power.on_battery, power.percent) == (True, 50)


def test_power_of_a_server(tmp_path: Path) -> None:
    assert host.power(tmp_path) is None
    assert host.power(tmp_path / "missing") is None


def test_the_zone_is_one_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":America/New_York")
    assert host.timezone() == "America/New_York"
    monkeypatch.setenv("TZ", "nonsense")
    assert host.timezone()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Fatal: rest:http://joe:s3cr%21t@host:8000/x is away", "Fatal: <repository> is away"),
        ("wrong hunter22", "wrong ***"),
        ("joe:s3cr%21t and s3cr!t", "joe:*** and ***"),
        ("key AKIA123", "key ***"),
        ("nothing", "nothing"),
    ],
)
def test_secrets_are_cut_out(text: str, clean: str) -> None:
    repository = RepositoryConfig(
        url="rest:http://joe:s3cr%21t@host:8000/x",
        password="hunter22",
        environment={"AWS_ACCESS_KEY_ID": "AKIA123", "SHORT": "abc"},
    )
    assert Cleaner(repository).clean(text) == clean


class Ear:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_log(self, line: str) -> None:
        self.lines.append(line)

    def on_progress(self, progress: Progress) -> None: ...


async def carried_out(tmp_path: Path, template: list[str], *includes: str) -> tuple[Outcome, Ear]:
    engine = CommandEngine(template, tmp_path / "archives", "box", [1])
    group = SourceGroupConfig(id="g", name="my/docs", includes=list(includes), excludes=["*.o"])
    ear = Ear()
    process = ControlledProcess(tmp_path / "note", grace=timedelta(seconds=1))
    outcome = await engine.perform(Work("j1", group, None), process, ear)
    return outcome, ear


async def test_the_template_is_filled_without_a_shell(tmp_path: Path) -> None:
    folder = tmp_path / "a b; $(x)"
    folder.mkdir()
    template = ["printf", "%s\\n", "{target}.tgz", "{group}@{host}", "{includes}", "{excludes}"]
    outcome, ear = await carried_out(tmp_path, template, str(folder), str(tmp_path))
    assert outcome.status is RunStatus.SUCCEEDED
    assert ear.lines == [
        str(tmp_path / "archives" / "my-docs-j1.tgz"), "my/docs@box", str(folder), str(tmp_path),
        "*.o",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        ("exit 0", RunStatus.SUCCEEDED, None),
        ("echo changed >&2; exit 1", RunStatus.SUCCEEDED_WITH_WARNINGS, "changed"),
        ("echo boom >&2; exit 2", RunStatus.FAILED, "boom"),
        ("exit 2", RunStatus.FAILED, "sh exited with 2"),
    ],
)
async def test_exit_codes(
    tmp_path: Path, script: str, status: RunStatus, error: str | None
) -> None:
    outcome, _ = await carried_out(tmp_path, ["sh", "-c", script], str(tmp_path))
    assert (outcome.status, outcome.error) == (status, error)


async def test_a_missing_program_and_missing_folders(tmp_path: Path) -> None:
    outcome, _ = await carried_out(tmp_path, ["no-such-program"], str(tmp_path))
    assert outcome.error == "no-such-program is not installed here"
    outcome, _ = await carried_out(tmp_path, ["true"], "/gone", "\x00", "x" * 9999)
    assert outcome.status is RunStatus.FAILED
    assert (outcome.error or "").startswith("nothing to back up")


async def output_of(tmp_path: Path, code: str) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    process = ControlledProcess(tmp_path / "note", grace=timedelta(seconds=1))
    await process.run(
        [sys.executable, "-c", code], {}, lambda stream, line: lines.append((stream, line))
    )
    return lines


async def test_output_is_told_line_by_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.stdout.buffer.write(b'a\\r\\n\\xff\\n' + b'z' * 3_000_000 + b'\\nend');"
        "sys.stderr.write('bad\\n')"
    )
    lines = await output_of(tmp_path, code)
    out = [line for stream, line in lines if stream == "stdout"]
    assert out[:2] == ["a", "�"]
    assert len(out[2]) < 3_000_000  # An endless line is cut.
    assert ("stderr", "bad") in lines
    assert not (tmp_path / "note").exists()


async def test_a_child_that_holds_the_output_open_does_not_hold_the_job(tmp_path: Path) -> None:
    code = "import subprocess; subprocess.Popen(['sleep', '600']); print('done')"
    async with asyncio.timeout(5):
        assert await output_of(tmp_path, code) == [("stdout", "done")]


async def test_a_program_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    process = ControlledProcess(tmp_path / "note", grace=timedelta(milliseconds=50))

    def on_line(stream: str, line: str) -> None:
        process.stop()

    code = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(600)"
    )
    assert await process.run([sys.executable, "-c", code], {}, on_line) == -9
    with pytest.raises(Stopped):
        await process.run(["true"], {}, on_line)


def test_a_note_about_another_process_ends_nobody(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text("1 12345")
    leftover = find_leftover(note)
    assert leftover is not None
    assert leftover.signal(0) is False


async def test_a_leftover_is_gone_before_anything_else_starts(tmp_path: Path) -> None:
    """It ends itself a while after it was asked to; one that does not is killed."""
    note = tmp_path / "note"
    settings = AgentSettings.load(None, state=tmp_path, stop_grace="300ms")
    for on_int, status in (("sleep 0.2; exit 7", 7), (":", -9)):
        script = f"trap '{on_int}' INT; echo up; while :; do sleep 0.05; done"
        program = await asyncio.create_subprocess_exec(
            "sh", "-c", script, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        assert program.stdout is not None
        await program.stdout.readline()
        note.write_text(f"{program.pid} {process.birth_of(program.pid)}")
        await end_leftover(note, settings)
        assert not note.exists()
        assert await program.wait() == status


async def test_a_program_that_cannot_be_noted_does_not_run_on(tmp_path: Path) -> None:
    started = ControlledProcess(tmp_path / "missing" / "note", grace=timedelta(seconds=1))
    with pytest.raises(StateUnusable):
        await started.run(["sleep", "600.0815"], {}, lambda *_: None)
    async with asyncio.timeout(5):
        while any(b"600.0815" in line for line in await asyncio.to_thread(command_lines)):
            await asyncio.sleep(0.02)


def command_lines() -> list[bytes]:
    """Return how every process of this machine was called; one that has ended shows nothing."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(file.read_bytes())
    return lines


async def test_a_command_gets_none_of_our_own_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DORMICE_ENROLL_TOKEN", "token-canary")
    monkeypatch.setenv("OF_THE_USER", "kept")
    _, ear = await carried_out(tmp_path, ["env"], str(tmp_path))
    assert "OF_THE_USER=kept" in ear.lines
    assert "token-canary" not in "".join(ear.lines)


def test_settings_fit_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DORMICE_AGENT_COMMAND"):
        AgentSettings.load(None, state=tmp_path, engine="command")
    monkeypatch.setenv("DORMICE_AGENT_COMMAND", "tar -czf '{target} x.gz' {includes}")
    monkeypatch.setenv("DORMICE_AGENT_COMMAND_WARNINGS", "1,2")
    found = AgentSettings.load(None, state=tmp_path, engine="command")
    assert found.command == ["tar", "-czf", "{target} x.gz", "{includes}"]
    assert found.command_warnings == [1, 2]
    monkeypatch.setenv("DORMICE_AGENT_BACKOFF_MIN", "2m")
    with pytest.raises(SettingsError, match="BACKOFF_MIN"):
        AgentSettings.load(None, state=tmp_path, engine="command")
