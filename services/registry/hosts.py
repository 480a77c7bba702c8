"""Part of the machine: reading, changing and removing hosts, and their mode (R1, R8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.common.errors import BadInput
from libs.common.events.host import Actor, HostModeChanged, HostRecord, HostRemoved, Thresholds
from libs.common.loop.tx import Tx
from services.registry import agent_tokens, changes, checks, policy, store
from services.registry.arguments import ListHosts, OfHost, PatchHost, SetMode, ThresholdsPatch
from services.registry.changes import Deed
from services.registry.enrollment import require_free_name
from services.registry.policy import ModeVerdict
from services.registry.store import Host


def on_get_host(tx: Tx, _: Actor, wanted: OfHost) -> HostRecord:
    return store.get_host(tx, wanted.host_id).record


def on_list_hosts(tx: Tx, _: Actor, wanted: ListHosts) -> list[HostRecord]:
    return store.list_hosts(tx, after=wanted.after or "", limit=wanted.limit)


def on_patch_host(offline_after: timedelta, tx: Tx, actor: Actor, wanted: PatchHost) -> HostRecord:
    """Change what was given. A zone that an operator sets stays, whatever the agent reports.

    A host is offline after `offline_after`: no threshold of silence is shorter.
    """
    host = store.get_host(tx, wanted.host_id)
    given = wanted.given("timezone", "thresholds")
    fields: dict[str, Any] = {}
    if "name" in given:
        fields["name"] = checks.check_name(given["name"])
        require_free_name(tx, fields["name"], host.record.id)
    if "tags" in given:
        fields["tags"] = checks.check_tags(given["tags"])
    if "thresholds" in given:
        fields["thresholds"] = _thresholds(
            host.record.thresholds, given["thresholds"], offline_after
        )
    if "timezone" in given:
        fields["timezone"] = _set_zone(tx, host, given["timezone"])
    new = changes.change(tx, host.record, fields)
    changed = policy.changed_fields(host.record, fields)
    if changed:
        deed = Deed(actor, "host.updated", new.id, new.id)
        before = host.record.model_dump(mode="json", include={*changed})
        changes.audit(
            tx, deed, before=before, after=new.model_dump(mode="json", include={*changed})
        )
    return new


def _thresholds(
    present: Thresholds, patch: ThresholdsPatch | None, offline_after: timedelta
) -> Thresholds:
    if patch is None:
        return Thresholds()
    given = {
        name: checks.check_threshold(getattr(patch, name), name, offline_after)
        for name in patch.model_fields_set
    }
    return present.model_copy(update=given)


def _set_zone(tx: Tx, host: Host, zone: str | None) -> str:
    """Return the zone that holds from now on: the operator's, or the agent's own again."""
    if zone is not None:
        checks.check_zone(zone)
    store.save_zone(tx, host.record.id, is_set=zone is not None, reported=host.reported_zone)
    return zone or known_zone(host.reported_zone) or host.record.timezone


def known_zone(reported: str) -> str | None:
    """Return what an agent reported if it is a time zone here."""
    try:
        return checks.check_zone(reported)
    except BadInput:
        return None


def on_set_mode(tx: Tx, actor: Actor, wanted: SetMode) -> HostRecord:
    """Save the mode. Each save is audited; only a real change is told and moves anything (R8)."""
    record = store.get_host(tx, wanted.host_id).record
    verdict = policy.assess_mode(record, always_on=wanted.always_on)
    new = record
    if verdict is ModeVerdict.CHANGED:
        new = policy.next_record(record, {"always_on": wanted.always_on})
        fact = HostModeChanged(host_id=new.id, record=new, always_on=new.always_on)
        changes.write(tx, new, fact)
    changes.audit(
        tx,
        Deed(actor, "host.mode_updated", record.id, record.id, rule="R8", why=verdict.value),
        before={"always_on": record.always_on},
        after={"always_on": new.always_on},
    )
    return new


def on_remove_host(tx: Tx, actor: Actor, wanted: OfHost) -> dict[str, Any]:
    """Take a host out of the fleet for ever: a tombstone stays, tokens and repository go."""
    record = store.get_host(tx, wanted.host_id).record
    gone = policy.tombstone(record)
    forget(tx, record.id)
    changes.write(tx, gone, HostRemoved(host_id=gone.id, record=gone))
    changes.audit(tx, Deed(actor, "host.removed", gone.id, gone.id), before={"name": record.name})
    return {}


def forget(tx: Tx, host_id: str) -> None:
    """End and delete all that speaks for, or is known of, a removed host."""
    agent_tokens.end_all(tx, host_id)
    store.forget_host(tx, host_id)
