"""Asks a person: for a yes, for a secret. Secrets never come from arguments."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from libs.common.errors import BadInput


def confirm(question: str) -> None:
    """Return if the answer is yes. Raises: BadInput if it is no, or nobody is there to ask."""
    if not sys.stdin.isatty():
        raise BadInput("nobody is there to ask; say --yes")
    if not typer.confirm(question):
        raise BadInput("nothing was changed")


def read_secret(what: str, file: Path | None) -> str:
    """Return the secret in the file (`-`: stdin), of stdin if that is no terminal, else ask.

    Raises: BadInput if there is none.
    """
    if file is not None and str(file) != "-":
        secret = read_text(file).strip("\r\n")
    elif file is None and sys.stdin.isatty():
        secret = str(typer.prompt(what, hide_input=True, confirmation_prompt=True))
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise BadInput(f"{what.lower()} is missing: give a file, or write it to stdin")
    return secret


def read_text(file: Path) -> str:
    """Raises: BadInput if the file cannot be read."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {file}: {error}") from None


def read_environment(file: Path) -> dict[str, str]:
    """Return the lines NAME=value of a file; blank lines and `#` are skipped. Raises: BadInput."""
    found = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"{file}, line {number}: write NAME=value")
        found[name.strip()] = value.strip().strip("\"'")
    return found
