"""What starts the agent with the machine: unit, plist, task."""

from __future__ import annotations

import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.commands import app
from agent.install import Installation, installation
from agent.state import Identity, StateDirectory

MINE = Path("/home") / "anna"
PYTHON = sys.executable
COMMAND = [PYTHON, "-P", "-m", "agent", "run", "--state", "/var/lib/dormice-agent"]


def verified(tmp_path: Path, wanted: Installation) -> str:
    """Return what systemd itself finds wrong with a unit."""
    unit = tmp_path / "dormice-agent.service"
    unit.write_text(wanted.text)
    program = shutil.which("systemd-analyze")
    assert program, "Debian's package is: systemd"
    done = subprocess.run(
        [program, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if unit.name in line or str(unit) in line)


@pytest.mark.parametrize("home", [None, MINE])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, home: Path | None) -> None:
    assert verified(tmp_path, installation("linux", COMMAND, home=home)) == ""
    broken = installation("linux", ["/no/such/program"], home=home)
    assert "/no/such/program" in verified(tmp_path, broken), "it would tell"


def test_the_unit_of_the_machine_and_of_a_user() -> None:
    machine = installation("linux", COMMAND, home=None)
    assert machine.path == Path("/etc/systemd/system/dormice-agent.service")
    for line in ("NoNewPrivileges=yes", "ProtectKernelTunables=yes", "WantedBy=multi-user.target",
                 "KillMode=mixed", "Restart=always"):  # fmt: skip
        assert line in machine.text.splitlines()
    assert machine.steps[-1] == "systemctl enable --now dormice-agent"
    mine = installation("linux", COMMAND, home=MINE)
    assert mine.path == MINE / ".config/systemd/user/dormice-agent.service"
    assert "WantedBy=default.target" in mine.text
    assert "CapabilityBoundingSet" not in mine.text, "a user's manager has none to give"
    assert "systemctl --user enable --now dormice-agent" in mine.steps


def test_words_of_the_command_stay_words(tmp_path: Path) -> None:
    odd = tmp_path / 'a b%n$HOME"\\'
    text = installation("linux", [PYTHON, str(odd)], home=None).text
    (line,) = [one for one in text.splitlines() if one.startswith("ExecStart=")]
    read = shlex.split(line.partition("=")[2].replace("%%", "%").replace("$$", "$"))
    assert read == [PYTHON, str(odd)]


def test_launchd() -> None:
    machine = installation("darwin", COMMAND, home=None)
    job = plistlib.loads(machine.text.encode())
    assert job["ProgramArguments"] == COMMAND
    assert (job["RunAtLoad"], job["KeepAlive"], job["Umask"]) == (True, True, 0o077)
    assert machine.path == Path("/Library/LaunchDaemons/io.dormice.agent.plist")
    assert machine.steps == (
        "launchctl bootstrap system /Library/LaunchDaemons/io.dormice.agent.plist",
    )
    mine = installation("darwin", COMMAND, home=Path("/Users/anna b"))
    assert mine.path == Path("/Users/anna b/Library/LaunchAgents/io.dormice.agent.plist")
    assert "'/Users/anna b/" in mine.steps[0]


def test_windows_is_a_command_to_type() -> None:
    wanted = installation("windows", ["C:\\Program Files\\py.exe", "-m", "agent"], home=None)
    assert wanted.path is None
    assert wanted.text.startswith('schtasks /Create /TN "Dormice agent" /SC ONSTART')
    assert '\\"C:\\Program Files\\py.exe\\" -m agent' in wanted.text


def invoke(*words: str, home: Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words), env={"HOME": str(home)})
    return done.exit_code, done.stdout, done.stderr


def test_install_writes_once_and_says_what_is_next(tmp_path: Path) -> None:
    state = tmp_path / "state"
    words = ("install", "--user", "--state", str(state))
    code, _, said = invoke(*words, home=tmp_path)
    assert (code, "dormice agent enroll" in said) == (1, True)
    files = StateDirectory(state)
    files.prepare()
    files.put_identity(Identity(host_id="h", agent_token="canary", gateway="http://gw"))
    unit = tmp_path / ".config/systemd/user/dormice-agent.service"
    code, shown, steps = invoke(*words, "--print", home=tmp_path)
    assert (code, unit.exists()) == (0, False)
    assert shown.startswith("# Written by `dormice agent install`")
    assert "next: systemctl --user daemon-reload" in steps
    code, said, _ = invoke(*words, home=tmp_path)
    assert code == 0
    assert f"wrote {unit}" in said
    assert unit.read_text() == shown
    assert "canary" not in shown
    assert "is as it should be" in invoke(*words, home=tmp_path)[1]
    unit.write_text("something else")
    assert f"replaced {unit}" in invoke(*words, home=tmp_path)[1]
    assert str(state) in unit.read_text()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    state = tmp_path / "state"
    files = StateDirectory(state)
    files.prepare()
    files.put_identity(Identity(host_id="h", agent_token="t", gateway="http://gw"))
    (tmp_path / ".config").write_text("a file is in the way")
    code, _, said = invoke("install", "--user", "--state", str(state), home=tmp_path)
    assert code == 1
    assert said.startswith("error: cannot write ")
    assert said.count("\n") == 1
