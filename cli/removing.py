"""Removes a thing for good, once a person has said yes."""

from __future__ import annotations

from cli.asking import confirm
from cli.options import Ask
from cli.table import Row


def remove(ask: Ask, path: str, thing: Row, question: str, said: str, *, sure: bool) -> None:
    """Delete `thing` of the list at `path`, and say so; `sure`: without asking.

    Raises: BadInput (the answer is no, or nobody is there), and what the client raises.
    """
    if not sure:
        confirm(question)
    ask.client.delete(f"{path}/{thing['id']}")
    ask.out.result({"id": thing["id"], "removed": True}, said)
