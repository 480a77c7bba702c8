"""Which silence covers an alert: what the rules of silences are given, from the tables."""

from __future__ import annotations

from typing import Protocol

from libs.common.events.alert import AlertKind
from libs.common.loop.tx import Tx
from services.alerting import policy_silence, store
from services.alerting import store_silences as silences
from services.alerting.policy_silence import Scope, Silence, Subject


class Condition(Protocol):
    """What is silenced or not: an alert, or one that is about to be raised."""

    @property
    def kind(self) -> AlertKind: ...
    @property
    def host_id(self) -> str | None: ...
    @property
    def dedup_key(self) -> str: ...


def find_cover(
    tx: Tx, condition: Condition, current: list[Silence] | None = None
) -> Silence | None:
    """Return the silence that covers such an alert now, or None; `current` spares reading them.

    A mass outage of a site has the tag of that site.
    """
    kind, host_id, site = condition.kind, condition.host_id, condition.dedup_key
    found = silences.list_current(tx) if current is None else current
    if not found:
        return None
    host = store.find_host(tx, host_id) if host_id is not None else None
    tags = frozenset(host.tags) if host is not None else frozenset[str]()
    if kind is AlertKind.FLEET_OUTAGE and site:
        tags = frozenset({site})
    return policy_silence.find_cover(found, Subject(kind, host_id, tags), tx.now)


def describe(scope: Scope) -> str:
    """Return whom a silence is for, in words: `agent_offline, hosts tagged lab`."""
    parts = (
        scope.kind and str(scope.kind),
        scope.tag and f"hosts tagged {scope.tag}",
        scope.host_id and f"host {scope.host_id}",
    )
    return ", ".join(part for part in parts if part)
