"""Which silence covers an alert: what the rules of silences are given, from the tables."""

from __future__ import annotations

from typing import Protocol

from libs.common.events.alert import AlertKind
from libs.common.loop.tx import Tx
from services.alerting import policy_silence, store
from services.alerting import store_silences as silences
from services.alerting.policy_silence import Scope, Silence, Subject

DEADLINE = "silence"
ALL = "all"
"""The key of the deadline at which a silence begins or ends; others are of one host."""


class Condition(Protocol):
    """What is silenced or not: an alert, or one that is about to be raised."""

    @property
    def kind(self) -> AlertKind: ...
    @property
    def host_id(self) -> str | None: ...
    @property
    def dedup_key(self) -> str: ...


def find_cover(tx: Tx, condition: Condition, current: list[Silence]) -> Silence | None:
    """Return the one of `current` that covers such an alert now, or None.

    A mass outage of a site has the tag of that site.
    """
    kind, host_id, site = condition.kind, condition.host_id, condition.dedup_key
    if not current:
        return None
    host = store.find_host(tx, host_id) if host_id is not None else None
    tags = frozenset(host.tags) if host is not None else frozenset[str]()
    if kind is AlertKind.FLEET_OUTAGE and site:
        tags = frozenset({site})
    return policy_silence.find_cover(current, Subject(kind, host_id, tags), tx.now)


def find_cover_of_new(tx: Tx, condition: Condition) -> Silence | None:
    """Return the silence that covers what is raised now, or None; look again when that can change.

    It was said before when that is, but the clock may have been set back since.
    """
    current = silences.list_current(tx)
    if current:
        expect_change(tx, current)
    return find_cover(tx, condition, current)


def expect_change(tx: Tx, current: list[Silence]) -> None:
    """Look again when the next silence begins or ends."""
    at = policy_silence.next_change(current, tx.now)
    if at is None:
        tx.unschedule(DEADLINE, ALL)
    else:
        tx.schedule(DEADLINE, ALL, at)


def describe(scope: Scope) -> str:
    """Return whom a silence is for, in words: `agent_offline, hosts tagged lab`."""
    parts = (
        scope.kind and str(scope.kind),
        scope.tag and f"hosts tagged {scope.tag}",
        scope.host_id and f"host {scope.host_id}",
    )
    return ", ".join(part for part in parts if part)
