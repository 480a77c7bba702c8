"""The configuration of nats-server, written from the table of rights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from libs.common.bus.rights import DORMICE, READERS, USERS, permissions
from libs.common.bus.topology import EXPORTED

MAX_PAYLOAD = 2 * 2**20
_ANSWERS = '{ max: 1, expires: "2m" }'


def server_config(
    passwords: Mapping[str, str], listen: str, store_dir: Path, monitor: str | None = None
) -> str:
    """Return a complete configuration file; it holds the passwords, so write it with mode 0600.

    `sync_interval: always`: what is acknowledged has been fsynced.

    Raises:
        KeyError: a user of the table has no password.
    """
    lines = [
        f"listen: {_quoted(listen)}",
        *([f"http: {_quoted(monitor)}"] if monitor else []),
        'server_name: "dormice"',
        f"max_payload: {MAX_PAYLOAD}",
        "jetstream {",
        f"  store_dir: {_quoted(str(store_dir))}",
        "  sync_interval: always",
        "}",
        "accounts {",
        *_account(DORMICE, passwords, _exports()),
        *_account(READERS, passwords, _imports()),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _account(name: str, passwords: Mapping[str, str], sharing: str) -> Iterable[str]:
    yield f"  {name} {{"
    yield "    jetstream: enabled"
    yield f"    {sharing}"
    yield "    users: ["
    for user, account in USERS.items():
        if account == name:
            yield from _user(user, passwords[user])
    yield "    ]"
    yield "  }"


def _user(user: str, password: str) -> Iterable[str]:
    allowed = permissions(user)
    yield f"      {{ user: {_quoted(user)}, password: {_quoted(password)}, permissions: {{"
    yield f"        publish: {{ allow: {json.dumps(list(allowed.publish))} }}"
    yield f"        subscribe: {{ allow: {json.dumps(list(allowed.subscribe))} }}"
    if allowed.answers:
        yield f"        allow_responses: {_ANSWERS}"
    yield "      } }"


def _exports() -> str:
    return "exports: [" + ", ".join(f"{{ stream: {_quoted(s)} }}" for s in EXPORTED) + "]"


def _imports() -> str:
    source = f"account: {DORMICE}, subject:"
    return (
        "imports: ["
        + ", ".join(f"{{ stream: {{ {source} {_quoted(s)} }} }}" for s in EXPORTED)
        + "]"
    )


def _quoted(text: str) -> str:
    return json.dumps(text)
