"""How a change of the registry is written: the record, its bucket, its event, who did it and why.

The bucket is always put before the event, so that whoever acts on the event finds no older state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from libs.common.events.host import Actor, Audit, HostChanged, HostFact, HostRecord
from libs.common.loop.tx import Tx
from services.registry import policy, store

SERVICE = "registry"
HOSTS = "hosts"
FLEET = "fleet"
"""Stands for the host in decisions that are about none."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did what to whom, for the audit log: never with a secret in it."""

    actor: Actor
    action: str  # <noun>.<past participle>
    target: str
    host_id: str | None = None
    rule: str = ""
    why: str = ""


def write(tx: Tx, record: HostRecord, fact: HostFact) -> None:
    """Store a record, put it into the bucket, then tell it."""
    store.save_record(tx, record)
    tx.put(HOSTS, record.id, record)
    tx.emit(fact)


def change(
    tx: Tx, record: HostRecord, wanted: Mapping[str, Any], also: Iterable[str] = ()
) -> HostRecord:
    """Bring a record to `wanted` and tell it as HostChanged; if nothing differs, do nothing.

    `also` names what changed beside the record (`repository`, `agent_token`).
    """
    changed = tuple(sorted({*policy.changed_fields(record, wanted), *also}))
    if not changed:
        return record
    new = policy.next_record(record, wanted, also)
    write(tx, new, HostChanged(host_id=new.id, record=new, changed=changed))
    return new


def audit(
    tx: Tx, deed: Deed, *,
    before: BaseModel | dict[str, Any] | None = None,
    after: BaseModel | dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Emit the audit entry of a deed and leave it as a decision of its host (R19)."""
    entry = Audit(
        service=SERVICE,
        target=deed.target,
        action=deed.action,
        actor=deed.actor,
        at=tx.now,
        host_id=deed.host_id,
        before=_public(before),
        after=_public(after),
    )
    tx.emit(entry)
    action = deed.action.replace(".", "_")
    text = f"{action.replace('_', ' ')} by {deed.actor.name}{': ' if deed.why else ''}{deed.why}"
    tx.decide(
        deed.host_id or FLEET, action, text, rule=deed.rule,
        target=deed.target, before=entry.before, after=entry.after,
    )  # fmt: skip


def _public(value: BaseModel | dict[str, Any] | None) -> dict[str, Any] | None:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
