"""Part of the machine: where hosts back up to. Sealed at rest, told to the gateway alone (R20)."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import SecretStr

from libs.common.errors import BadInput
from libs.common.events.host import Actor
from libs.common.loop.tx import Tx
from libs.common.security import SecretUnreadable, Vault
from services.registry import agent_tokens, changes, checks, policy, store
from services.registry.arguments import OfHosts, SetRepository
from services.registry.changes import Deed

MAX_TEXT = 4096
MAX_VARIABLES = 64
MAX_BYTES = 64 * 1024

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OURS = ("RESTIC_PASSWORD", "RESTIC_REPOSITORY")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def on_set_repository(vault: Vault, tx: Tx, actor: Actor, wanted: SetRepository) -> dict[str, Any]:
    """Store a host's repository. Nothing of it is in the event but a salted id."""
    record = store.get_host(tx, wanted.host_id).record
    settings = _checked(wanted)
    old = _find(vault, tx, record.id)
    new_id = policy.repository_id(settings["url"], store.salt(tx))
    if settings != old:
        store.save_repository(tx, record.id, vault.seal(json.dumps(settings).encode()))
        changes.change(tx, record, {"repository_id": new_id}, also=["repository"])
    changes.audit(
        tx,
        Deed(actor, "repository.set", record.id, record.id),
        before={"repository_id": record.repository_id},
        after={"repository_id": new_id, "environment_names": sorted(settings["environment"])},
    )
    return {}


def on_secrets(vault: Vault, tx: Tx, actor: Actor, wanted: OfHosts) -> dict[str, Any]:
    """Return what hosts' agents need and no event may hold, by host. For the gateway only.

    A host that is not there is left out; of one whose secrets cannot be read the answer is
    {"error": why}. Raises: Forbidden.
    """
    checks.check_system(actor)
    hosts = (store.find_host(tx, host_id) for host_id in wanted.host_ids)
    present = (host.record.id for host in hosts if host is not None and not host.record.removed)
    return {host_id: _secrets(vault, tx, host_id) for host_id in present}


def _secrets(vault: Vault, tx: Tx, host_id: str) -> dict[str, Any]:
    try:
        return {
            "repository": _find(vault, tx, host_id),
            "agent_token": agent_tokens.undelivered(vault, tx, host_id),
        }
    except SecretUnreadable as error:
        return {"error": error.message}


def _find(vault: Vault, tx: Tx, host_id: str) -> dict[str, Any] | None:
    sealed = store.find_repository(tx, host_id)
    return None if sealed is None else dict(json.loads(vault.open(sealed)))


def _checked(wanted: SetRepository) -> dict[str, Any]:
    """Return {url, password, environment}. Raises BadInput, which never repeats a value."""
    environment = wanted.environment
    if len(environment) > MAX_VARIABLES:
        raise BadInput(f"environment may have at most {MAX_VARIABLES} variables")
    settings = {
        "url": _line(wanted.url, "url", least=1).strip(),
        "password": _line(wanted.password, "password", least=1),
        "environment": {
            _variable(name): _line(value, f"environment.{name}")
            for name, value in environment.items()
        },
    }
    if not settings["url"]:
        raise BadInput("url must not be blank")
    if len(json.dumps(settings)) > MAX_BYTES:
        raise BadInput("a repository's settings may have at most 64 KiB")
    return settings


def _line(value: SecretStr, what: str, *, least: int = 0) -> str:
    """A line break would end the file or the variable that it is handed to restic in."""
    text = value.get_secret_value()
    if not least <= len(text) <= MAX_TEXT or _CONTROL.search(text):
        raise BadInput(f"{what} must be one line of {least} to {MAX_TEXT} characters")
    return text


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise BadInput(f"environment: {name[:40]!a} is not a variable's name")
    if name.upper().startswith(_OURS):
        raise BadInput(f"environment: {name} is set by Dormice itself")
    return name
