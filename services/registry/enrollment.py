"""Part of the machine: how hosts join. An enrollment token is shown once and stored as a hash."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.clock import to_rfc3339
from libs.common.errors import Conflict, Unauthorized
from libs.common.events.host import SYSTEM, Actor, HostEnrolled, HostRecord
from libs.common.ids import new_secret
from libs.common.loop.tx import Tx
from libs.common.security import hash_token
from services.registry import agent_tokens, changes, checks, policy, store, token_store
from services.registry.arguments import CreateEnrollmentToken, Enroll
from services.registry.changes import Deed
from services.registry.errors import NameTaken
from services.registry.policy import EnrollmentVerdict
from services.registry.token_store import EnrollmentToken

EXPIRY = "enrollment_token_expiry"
MAX_OPEN_TOKENS = 100_000


def on_create_enrollment_token(
    tx: Tx, actor: Actor, wanted: CreateEnrollmentToken
) -> dict[str, Any]:
    """Return a new token, the only time that it is shown, and when it ends."""
    if token_store.count_enrollment_tokens(tx) >= MAX_OPEN_TOKENS:
        raise Conflict(f"there are {MAX_OPEN_TOKENS} enrollment tokens; wait until some expire")
    secret = new_secret()
    token = EnrollmentToken(
        hash=hash_token(secret),
        id=tx.new_id(),
        name=None if wanted.name is None else checks.check_name(wanted.name),
        always_on=wanted.always_on,
        tags=checks.check_tags(wanted.tags),
        uses_left=wanted.uses,
        expires_at=tx.now + timedelta(seconds=wanted.expires_in_seconds),
    )
    token_store.insert_enrollment_token(tx, token)
    tx.schedule(EXPIRY, token.id, token.expires_at)
    shown = {
        "name": token.name,
        "always_on": token.always_on,
        "tags": list(token.tags),
        "uses": token.uses_left,
        "expires_at": to_rfc3339(token.expires_at),
    }
    changes.audit(tx, Deed(actor, "enrollment_token.created", token.id), after=shown)
    return {"token": secret, "expires_at": to_rfc3339(token.expires_at)}


def on_enrollment_expiry(tx: Tx, token_id: str, _: datetime) -> None:
    """Forget a token whose time is over."""
    if token_store.delete_enrollment_token(tx, token_id):
        changes.audit(tx, Deed(SYSTEM, "enrollment_token.expired", token_id))


def on_enroll(tx: Tx, actor: Actor, wanted: Enroll) -> dict[str, Any]:
    """Admit a host; the token is used up in the same transaction, and only if it is admitted.

    Raises: Unauthorized, BadInput, NameTaken; the token stays good after the last two.
    """
    checks.check_system(actor)
    token = _admitting_token(tx, wanted.token.get_secret_value())
    record = _new_record(tx, token, wanted)
    agent = Actor(kind="agent", id=record.id, name=record.name)
    secret = agent_tokens.issue_first(tx, record.id)
    _use(tx, token)
    changes.write(tx, record, HostEnrolled(host_id=record.id, record=record))
    store.save_zone(tx, record.id, is_set=False, reported=record.timezone)
    changes.audit(
        tx,
        Deed(agent, "host.enrolled", record.id, record.id),
        after={"name": record.name, "always_on": record.always_on, "tags": list(record.tags),
               "enrollment_token_id": token.id},
    )  # fmt: skip
    return {"host_id": record.id, "agent_token": secret}


def _admitting_token(tx: Tx, secret: str) -> EnrollmentToken:
    """Which of the reasons it is stays our secret: a guesser learns nothing."""
    token = token_store.find_enrollment_token(tx, hash_token(secret))
    verdict = policy.assess_enrollment(token.expires_at if token else None, tx.now)
    if token is None or verdict is not EnrollmentVerdict.VALID:
        raise Unauthorized("this enrollment token is unknown, used or expired")
    return token


def _use(tx: Tx, token: EnrollmentToken) -> None:
    if token.uses_left > 1:
        token_store.use_enrollment_token(tx, token.id)
    else:
        token_store.delete_enrollment_token(tx, token.id)
        tx.unschedule(EXPIRY, token.id)


def _new_record(tx: Tx, token: EnrollmentToken, wanted: Enroll) -> HostRecord:
    """The name that the agent asks for goes before the token's: it may be one that we offered."""
    by_hostname = checks.check_hostname(wanted.hostname)
    asked = wanted.name if wanted.name is not None else token.name
    name = by_hostname if asked is None else checks.check_name(asked)
    platform = {
        "os": checks.check_platform(wanted.os, "os"),
        "arch": checks.check_platform(wanted.arch, "arch"),
        "timezone": checks.check_zone(wanted.timezone or "UTC"),
    }
    require_free_name(tx, name)
    return HostRecord(
        id=tx.new_id(),
        name=name,
        always_on=token.always_on,
        tags=token.tags,
        enrolled_at=tx.now,
        **platform,
    )


def require_free_name(tx: Tx, name: str, host_id: str = "") -> None:
    """Raises: NameTaken, with a name that is free."""
    if not store.is_name_free(tx, name, host_id):
        raise NameTaken(name, policy.free_name(name, store.taken_names(tx)))
