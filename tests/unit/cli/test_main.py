"""The command line as a program: it starts fast, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cli.main import app, assemble

HEAVY = ("pydantic", "httpx", "websockets", "litestar", "nats", "aiosqlite", "structlog")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | environment,
    )  # fmt: skip


def test_nothing_heavy_is_read_before_a_command_needs_it() -> None:
    done = python(
        "import sys; from cli.main import assemble; assemble(); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(("missing", "command"), [("litestar", "up"), ("nats", "events")])
def test_a_missing_extra_is_named_in_one_line(missing: str, command: str) -> None:
    done = python(
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['dormice', {command!r}]; "
        "from cli.main import main; main()"
    )
    assert done.returncode == 1
    assert done.stderr == (
        "dormice: this command needs the server: pip install 'dormice[server]'\n"
    )


@pytest.mark.parametrize("trace", ["", "1"])
def test_a_fault_of_ours_is_one_line_unless_its_trace_is_wanted(trace: str) -> None:
    done = python(
        f"import os, sys; os.environ['DORMICE_TRACE'] = {trace!r}; "
        "sys.argv = ['dormice', 'check']; "
        "import cli.main; from cli.client import ClientSettings; ClientSettings.load = 1 / 3; "
        "cli.main.main()"
    )
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) == bool(trace)
    if not trace:
        assert done.stderr.startswith("dormice: internal error: TypeError")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [
    pytest.param(["hosts", "--json", "--csv"], id="two forms at once"),
    pytest.param(["snapshots", "web-3", "--json", "--csv"], id="before any host is asked"),
    pytest.param(["host", "mode", "web-3", "sometimes"], id="no mode"),
    pytest.param(["job", "start", "web-3", "defragment"], id="no kind"),
    pytest.param(["silence", "add"], id="names nothing"),
    pytest.param(["silence", "add", "--tag", "lab"], id="without an end"),
    pytest.param(["threshold", "set", "--tag", "lab"], id="no threshold"),
    pytest.param(["run", "nothing"], id="no service"),
    pytest.param(["backup-state", "-", "--json"], id="two things on stdout"),
    pytest.param(["hosts", "--colour"], id="no option"),
])  # fmt: skip
def test_what_is_wrong_whatever_the_server_knows_is_exit_code_2(words: list[str]) -> None:
    done = python(
        f"import sys; sys.argv = ['dormice', *{words!r}]; from cli.main import main; main()",
        DORMICE_URL="http://127.0.0.1:1", DORMICE_TOKEN="x",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dormice: ")
    assert done.stderr.count("\n") == 1


def test_what_only_the_server_can_tell_is_exit_code_1() -> None:
    done = python(
        "import sys; sys.argv = ['dormice', 'host', 'mode', 'web-3', 'intermittent']; "
        "from cli.main import main; main()",
        DORMICE_URL="http://127.0.0.1:1", DORMICE_TOKEN="x",
    )  # fmt: skip
    assert done.returncode == 1


def commands(command: Any, path: str = "dormice") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


def test_every_command_and_option_says_what_it_is_for() -> None:
    assemble()
    known = dict(commands(typer.main.get_command(app)))
    assert len(known) > 30
    for path, command in known.items():
        assert command.help, path
        short = command.get_short_help_str(62) if path != "dormice" else ""
        assert not short.endswith("..."), f"{path}: too long for a list of commands: {short}"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{path} {parameter.name}"
