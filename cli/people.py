"""Listing, making, changing and removing operators and API tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.asking import read_secret
from cli.client import Client
from cli.errors import BadCommand
from cli.finding import SHOWN, Ambiguous, find_by_id, label, short
from cli.options import Ask
from cli.output import Listing, warn
from cli.removing import remove
from cli.table import Column, Row, Table
from cli.times import moment, since
from libs.common.clock import SystemClock
from libs.common.errors import NotFound

ROLES = ("viewer", "operator", "admin")
OPERATOR_FIELDS = ("id", "name", "role", "created_at", "last_login_at", "disabled")
TOKEN_FIELDS = (
    "id", "name", "role", "created_by", "created_at", "expires_at", "last_used_at",
)  # fmt: skip


# --- Operators ------------------------------------------------------------------------------------


def fetch_operators(client: Client) -> Listing:
    rows = list(client.items("/operators"))
    step = "" if rows else "dormice setup-code"
    return Listing(operator_table(SystemClock().now()), rows, "", step)


def operator_table(now: datetime) -> Table:
    columns = (
        Column("NAME", lambda one: str(one["name"]), keep=9, least=12),
        Column("ROLE", lambda one: _role_of(one), keep=9),
        Column("MADE", lambda one: _ago(one["created_at"], now), keep=5),
        Column("LAST LOGIN", lambda one: _ago(one["last_login_at"], now), keep=7),
        Column("ID", lambda one: short(one["id"]), keep=6),
    )
    return Table(columns, OPERATOR_FIELDS, "No operator: nobody can log in on the pages.")


def _role_of(operator: Row) -> str:
    return f"{operator['role']}, disabled" if operator["disabled"] else str(operator["role"])


def create_operator(ask: Ask, name: str, role: str, password_file: Path | None) -> None:
    body = {"name": name, "role": _known(role)}
    body["password"] = read_secret("Password", password_file)
    made = ask.client.post("/operators", body)
    said = f"operator {made['name']} added, role {made['role']}"
    ask.out.result(made, said, f"they log in on {ask.client.where.url}/login")


def set_role(ask: Ask, word: str, role: str) -> None:
    wanted = _known(role)
    found = find_operator(ask.client, word)
    changed = ask.client.patch(f"/operators/{found['id']}", {"role": wanted})
    ask.out.result(changed, f"operator {found['name']}: role {wanted}, was {found['role']}")


def set_password(ask: Ask, word: str, password_file: Path | None) -> None:
    found = find_operator(ask.client, word)
    body = {"password": read_secret(f"New password of {found['name']}", password_file)}
    changed = ask.client.patch(f"/operators/{found['id']}", body)
    ask.out.result(changed, f"operator {found['name']}: new password, all sessions ended")


def delete_operator(ask: Ask, word: str, *, sure: bool) -> None:
    found = find_operator(ask.client, word)
    question = f"Remove operator {found['name']} ({found['role']})? All their sessions end."
    said = f"operator {found['name']} removed, all sessions ended"
    remove(ask, "/operators", found, question, said, sure=sure)


def find_operator(client: Client, word: str) -> Row:
    """Raises: NotFound, Ambiguous."""
    return find_named(client.items("/operators"), word.strip().lower(), "operator")


def find_named(things: Iterable[Row], word: str, what: str) -> Row:
    """Return what has exactly this name, or this id or a part of it: no beginning of a name, as
    whom it means is shut out. Raises: NotFound, Ambiguous.
    """
    known = list(things)
    named = [one for one in known if one["name"] == word]
    if len(named) > 1:
        ids = ", ".join(short(one["id"]) for one in named[:SHOWN])
        raise Ambiguous(f"{len(named)} are called {word[:64]!r}; say which by its id: {ids}")
    if named:
        return named[0]
    try:
        return find_by_id(known, word, what)
    except NotFound:
        names = ", ".join(label(one) for one in known[:SHOWN]) or "none"
        raise NotFound(f"no {what} {word[:64]!r} here; there is: {names}") from None


def _known(role: str) -> str:
    """Raises: BadCommand."""
    if role not in ROLES:
        raise BadCommand(f"{role[:32]!r} is no role; there are {', '.join(ROLES)}")
    return role


# --- API tokens -----------------------------------------------------------------------------------


def fetch_tokens(client: Client) -> Listing:
    rows = list(client.items("/api-tokens"))
    return Listing(token_table(SystemClock().now()), rows)


def token_table(now: datetime) -> Table:
    columns = (
        Column("NAME", lambda one: str(one["name"]), keep=9, least=12),
        Column("ROLE", lambda one: str(one["role"]), keep=9),
        Column("MADE", lambda one: _ago(one["created_at"], now), keep=4),
        Column("BY", lambda one: str(one["created_by"]), keep=3, least=11),
        Column("EXPIRES", lambda one: _end(one, now), keep=8),
        Column("LAST USED", lambda one: _ago(one["last_used_at"], now), keep=7),
        Column("ID", lambda one: short(one["id"]), keep=8),
    )
    return Table(columns, TOKEN_FIELDS, "No API token.")


def _end(token: Row, now: datetime) -> str:
    at = moment(token["expires_at"])
    if at is None:
        return "never"
    return f"{at.astimezone():%Y-%m-%d}" if at >= now else "expired"


def create_token(ask: Ask, name: str, role: str, expires: str | None) -> None:
    """Print the token alone, so that it can be piped; all else is said beside it."""
    body: dict[str, Any] = {"name": name, "role": _known(role)}
    if expires is not None:
        body["expires_in"] = expires
    made = ask.client.post("/api-tokens", body)
    if ask.as_json:
        ask.out.json(made)
        return
    print(made["token"], flush=True)
    at = moment(made["expires_at"])
    until = f"until {at.astimezone():%Y-%m-%d %H:%M}" if at else "until it is removed"
    warn(f"role {made['role']}, {until}; it is not shown again")
    warn(f"next: where it is used, DORMICE_URL={ask.client.where.url} DORMICE_TOKEN=...")


def delete_token(ask: Ask, word: str, *, sure: bool) -> None:
    found = find_named(ask.client.items("/api-tokens"), word, "API token")
    question = f"Remove API token {found['name']} ({found['role']})? Whoever uses it is shut out."
    said = f"API token {found['name']} removed"
    remove(ask, "/api-tokens", found, question, said, sure=sure)


def _ago(text: str | None, now: datetime) -> str:
    at = moment(text)
    return since(at, now) if at else "never"
