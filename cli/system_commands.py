"""Joining, setting up, and looking whether everything is well here."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.main import ConfigFile, Data, app
from cli.options import Ask, Json, asking


@app.command("enroll-token")
@asking
def enroll_token(
    ask: Ask,
    intermittent: Annotated[
        bool, typer.Option("--intermittent", help="The host may sleep: a laptop, a workstation.")
    ] = False,
    name: Annotated[str | None, typer.Option("--name", help="The host's name.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    uses: Annotated[int, typer.Option("--uses", min=1, help="How many hosts.")] = 1,
    expires: Annotated[str, typer.Option("--expires", help="Such as 30m, 1h, 7d.")] = "1h",
) -> None:
    """Make a token with which an agent joins.

    Only the token is on stdout.

    \b
    Examples:
      dormice enroll-token --intermittent --tag paris
      dormice enroll-token --uses 20 --expires 7d > token
    """
    from cli.joining import make_token

    wanted = {
        "always_on": not intermittent, "name": name, "tags": tag or None, "uses": uses,
        "expires_in": expires,
    }  # fmt: skip
    make_token(ask, {key: value for key, value in wanted.items() if value is not None})


@app.command("setup-code")
@asking
def setup_code(ask: Ask) -> None:
    """Make a new code with which an admin is set up.

    On the page /setup, within 30 min, once; the code before it no longer works.
    """
    from cli.joining import make_setup_code

    make_setup_code(ask)


@app.command()
def doctor(data: Data = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Look whether all is well here, and how to mend what is not.

    Looks at this machine only: settings, data directory, ports, programs, clock, disk, and at a
    running `up`. Exit code 1 if anything fails; warnings alone are 0.
    """
    from cli.doctor import examine, print_findings

    findings = examine(data, config)
    print_findings(findings, as_json=as_json)
    raise typer.Exit(1 if any(one.state == "fail" for one in findings) else 0)
