"""Operators, who log in on the pages, and API tokens, with which programs ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.main import app
from cli.options import Ask, asking, listing

operator_app = typer.Typer(help="Say who may log in, and as what.", no_args_is_help=True)
app.add_typer(operator_app, name="operator")
token_app = typer.Typer(help="Make and remove API tokens.", no_args_is_help=True)
app.add_typer(token_app, name="token")

Operator = Annotated[str, typer.Argument(metavar="OPERATOR", help="Their user name, or its id.")]
Role = Annotated[str, typer.Option("--role", help="viewer, operator or admin.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="- is stdin; else you are asked.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@operator_app.command("list")
@listing
def list_operators(ask: Ask) -> None:
    """List operators: their role, and when they last logged in."""
    from cli.people import fetch_operators

    ask.out.show_list(lambda: fetch_operators(ask.client))


@operator_app.command("add")
@asking
def add_operator(
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="With which they log in.")],
    role: Role = "operator",
    password_file: PasswordFile = None,
) -> None:
    """Add an operator.

    The password never is an argument: it is asked for, or comes from a file or stdin.

    \b
    Examples:
      dormice operator add ada
      pass show dormice/bob | dormice operator add bob --role viewer
    """
    from cli.people import create_operator

    create_operator(ask, name, role, password_file)


@operator_app.command("role")
@asking
def change_role(
    ask: Ask,
    operator: Operator,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
) -> None:
    """Give an operator another role; it holds at once."""
    from cli.people import set_role

    set_role(ask, operator, role)


@operator_app.command("password")
@asking
def change_password(ask: Ask, operator: Operator, password_file: PasswordFile = None) -> None:
    """Give an operator a new password; all their sessions end.

    It never is an argument: it is asked for, or comes from a file or stdin.

    \b
    Examples:
      dormice operator password ada
      pass show dormice/ada | dormice operator password ada
    """
    from cli.people import set_password

    set_password(ask, operator, password_file)


@operator_app.command("remove")
@asking
def remove_operator(ask: Ask, operator: Operator, yes: Yes = False) -> None:
    """Remove an operator; all their sessions end.

    The last admin who can log in stays.
    """
    from cli.people import delete_operator

    delete_operator(ask, operator, sure=yes)


@token_app.command("list")
@listing
def list_tokens(ask: Ask) -> None:
    """List API tokens: by whom made, until when, when last used."""
    from cli.people import fetch_tokens

    ask.out.show_list(lambda: fetch_tokens(ask.client))


@token_app.command("add")
@asking
def add_token(
    ask: Ask,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    role: Role = "viewer",
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="After 12h, 90d; else it goes on working."),
    ] = None,
) -> None:
    """Make an API token; it is shown this once.

    Only the token is on stdout.

    \b
    Examples:
      dormice token add "uptime monitor" --expires 365d
      dormice token add ci --role operator > token
    """
    from cli.people import create_token

    create_token(ask, name, role, expires)


@token_app.command("remove")
@asking
def remove_token(
    ask: Ask,
    which: Annotated[str, typer.Argument(metavar="TOKEN", help="Its name or id, not its secret.")],
    yes: Yes = False,
) -> None:
    """Remove an API token; whoever uses it is shut out at once."""
    from cli.people import delete_token

    delete_token(ask, which, sure=yes)
