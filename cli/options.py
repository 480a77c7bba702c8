"""The options that many commands share, written once.

    @app.command()
    @listing
    def alerts(ask: Ask, state: … = "open") -> None: …

A decorated command takes an `Ask` first. `asking` adds --url, --token, --data and --json;
`listing` also --csv, --wide and --watch.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from cli.errors import BadCommand

if TYPE_CHECKING:
    from cli.client import Client, ClientSettings
    from cli.output import Output

P = ParamSpec("P")
Command = Callable[..., None]

Url = Annotated[
    str | None, typer.Option("--url", help="Address of the API (DORMICE_URL).", metavar="URL")
]
Token = Annotated[
    str | None,
    typer.Option("--token", help="API token; better in DORMICE_TOKEN.", metavar="TOKEN"),
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="State directory of a `dormice up` (DORMICE_DATA).")
]
Json = Annotated[bool, typer.Option("--json", help="For machines: JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="For machines: CSV.")]
Wide = Annotated[bool, typer.Option("--wide", help="All columns, nothing cut.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Keep showing it until Ctrl-C.")]

_ASKING: dict[str, Any] = {"url": Url, "token": Token, "data": DataFolder, "as_json": Json}
_LISTING: dict[str, Any] = {**_ASKING, "as_csv": Csv, "wide": Wide, "watch": Watch}
_FLAGS = frozenset({"as_json", "as_csv", "wide", "watch"})


@dataclass(frozen=True)
class Ask:
    """What a command needs: whom to ask (`client`) and how to answer (`out`)."""

    url: str | None = None
    token: str | None = None
    data: Path | None = None
    as_json: bool = False
    as_csv: bool = False
    wide: bool = False
    watch: bool = False

    def __post_init__(self) -> None:
        """Raises: BadCommand."""
        if self.as_json and self.as_csv:
            raise BadCommand("--json or --csv, not both")

    @cached_property
    def settings(self) -> ClientSettings:
        from cli.client import ClientSettings

        return ClientSettings.load(url=self.url, token=self.token, data=self.data)

    @cached_property
    def client(self) -> Client:
        """Raises: BadInput, Unauthorized: nobody knows where to ask, or as whom."""
        from cli.client import Client, find_where
        from cli.output import warn

        if self.token:
            warn("warning: a token as an argument is seen by every user of this machine")
        return Client(find_where(self.settings))

    @cached_property
    def out(self) -> Output:
        from cli.output import Output
        from cli.terminal import look_at

        return Output(self.as_json, self.as_csv, self.watch, look_at(wide=self.wide))


def asking(command: Callable[Concatenate[Ask, P], None]) -> Command:
    """Give a command --url, --token, --data and --json."""
    return _with_options(command, _ASKING)


def listing(command: Callable[Concatenate[Ask, P], None]) -> Command:
    """Give a command the options of `asking`, and --csv, --wide and --watch."""
    return _with_options(command, _LISTING)


def _with_options(command: Callable[..., None], options: dict[str, Any]) -> Command:
    """Return `command` with its first parameter replaced by `options`, as Typer sees it."""
    seen = inspect.signature(command, eval_str=True)
    own = list(seen.parameters.values())[1:]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=kind,
            default=False if name in _FLAGS else None,
        )
        for name, kind in options.items()
    ]  # fmt: skip

    def run(**given: Any) -> None:
        ask = Ask(**{name: given.pop(name) for name in options})
        with contextlib.ExitStack() as end:
            end.callback(_close, ask)
            command(ask, **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__module__ = command.__module__
    vars(run)["__signature__"] = seen.replace(
        parameters=[*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *added]
    )
    run.__annotations__ = {one.name: one.annotation for one in [*own, *added]}
    return run


def _close(ask: Ask) -> None:
    if "client" in vars(ask):
        ask.client.close()
