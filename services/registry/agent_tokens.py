"""Part of the machine: the tokens with which agents connect, and their rotation.

A rotation makes a new token that is valid at once. It reaches the agent inside its configuration;
the first hello that uses it ends the older ones, and 24 h end them in any case.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from libs.common.clock import to_rfc3339
from libs.common.errors import Conflict
from libs.common.events.agent import AgentHello
from libs.common.events.host import SYSTEM, Actor
from libs.common.ids import new_secret
from libs.common.loop.tx import Tx
from libs.common.security import Vault, hash_token
from services.registry import changes, checks, policy, store, token_store
from services.registry.arguments import FindTokens, OfHost
from services.registry.changes import Deed
from services.registry.store import Host
from services.registry.token_store import AgentToken

EXPIRY = "agent_token_expiry"
BUCKET = "agent-tokens"
MAX_VALID_TOKENS = 10


class TokenEntry(BaseModel):
    """What the bucket says under the hash of a token."""

    host_id: str
    token_version: int


def issue_first(tx: Tx, host_id: str) -> str:
    """Return the first token of a new host."""
    secret = new_secret()
    _save(tx, AgentToken(hash_token(secret), host_id, version=1))
    return secret


def put(tx: Tx, token: AgentToken) -> None:
    """Tell the gateways that this token speaks for its host."""
    entry = TokenEntry(host_id=token.host_id, token_version=token.version)
    tx.put(BUCKET, token.hash, entry)


def _save(tx: Tx, token: AgentToken) -> None:
    token_store.save_agent_token(tx, token)
    put(tx, token)


def _end(tx: Tx, token: AgentToken) -> None:
    token_store.delete_agent_token(tx, token.hash)
    tx.unschedule(EXPIRY, _expiry_key(token))
    tx.put(BUCKET, token.hash, None)


def end_all(tx: Tx, host_id: str) -> None:
    """End every token of a host that is removed."""
    for token in token_store.agent_tokens(tx, host_id):
        _end(tx, token)


def on_find_tokens(tx: Tx, actor: Actor, wanted: FindTokens) -> dict[str, Any]:
    """Return whose tokens these hashes are; what is nobody's is left out. Raises: Forbidden."""
    checks.check_system(actor)
    found = (token_store.find_agent_token(tx, one) for one in wanted.token_hashes)
    return {
        token.hash: {"host_id": token.host_id, "token_version": token.version}
        for token in found
        if token is not None and policy.is_token_valid(token.valid_until, tx.now)
    }


def on_rotate_token(vault: Vault, tx: Tx, actor: Actor, wanted: OfHost) -> dict[str, Any]:
    """Give a host a new token; return its version and when the older ones end at the latest."""
    host = store.get_host(tx, wanted.host_id)
    tokens = token_store.agent_tokens(tx, wanted.host_id)
    if len(tokens) >= MAX_VALID_TOKENS:
        raise Conflict("too many rotations under way; wait for the host, or for 24 h")
    version = max((token.version for token in tokens), default=0) + 1
    until = tx.now + policy.ROTATION_GRACE
    for old in tokens:
        _replace(tx, old, until)
    secret = new_secret()
    sealed = vault.seal(secret.encode())
    _save(tx, AgentToken(hash_token(secret), wanted.host_id, version, sealed=sealed))
    changes.change(tx, host.record, {}, also=["agent_token"])
    shown = {"token_version": version, "old_valid_until": to_rfc3339(until)}
    deed = Deed(actor, "agent_token.rotated", wanted.host_id, wanted.host_id)
    changes.audit(tx, deed, after=shown)
    return shown


def _replace(tx: Tx, token: AgentToken, until: datetime) -> None:
    """Give a token its end; one that was replaced before keeps the end that it has."""
    ends = until if token.valid_until is None else token.valid_until
    token_store.save_agent_token(tx, replace(token, valid_until=ends, sealed=None))
    tx.schedule(EXPIRY, _expiry_key(token), ends)


def confirm(tx: Tx, host: Host, hello: AgentHello) -> None:
    """End the tokens that a hello with a newer one replaces. The same hello again ends none."""
    tokens = token_store.agent_tokens(tx, hello.host_id)
    ended = policy.replaced_versions((token.version for token in tokens), hello.token_version)
    for token in tokens:
        if token.version in ended:
            _end(tx, token)
        elif token.version == hello.token_version and token.sealed is not None:
            token_store.save_agent_token(tx, replace(token, sealed=None))
    if ended:
        agent = Actor(kind="agent", id=host.record.id, name=host.record.name)
        deed = Deed(agent, "agent_token.confirmed", hello.host_id, hello.host_id)
        changes.audit(tx, deed, after={"token_version": hello.token_version, "ended": ended})


def on_token_expiry(tx: Tx, key: str, _due: datetime) -> None:
    """End a token that was replaced 24 h ago, although its host never used the new one."""
    host_id, _, version = key.rpartition(".")
    for token in token_store.agent_tokens(tx, host_id):
        if token.version == int(version) and token.valid_until is not None:
            _end(tx, token)
            expired = Deed(SYSTEM, "agent_token.expired", host_id, host_id)
            changes.audit(tx, expired, after={"ended": [token.version]})


def undelivered(vault: Vault, tx: Tx, host_id: str) -> str | None:
    """Return the new token while a rotation is under way. Raises SecretUnreadable."""
    tokens = token_store.agent_tokens(tx, host_id)
    if not tokens or tokens[-1].sealed is None:
        return None
    return vault.open(tokens[-1].sealed).decode()


def _expiry_key(token: AgentToken) -> str:
    return f"{token.host_id}.{token.version}"
