"""Presence: who is online, since when, and since when not.

A host moves by two facts of the log only: a newer hello, and the end of its live session.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from pydantic import AwareDatetime, BaseModel

from libs.common.clock import to_rfc3339
from libs.common.errors import HostNotFound
from libs.common.events.agent import (
    AgentHello,
    AgentOffline,
    AgentPower,
    GatewayListening,
    GatewayLost,
    GatewayStopped,
)
from libs.common.events.host import (
    Actor,
    HostChanged,
    HostEnrolled,
    HostFact,
    HostModeChanged,
    HostRecord,
    HostRemoved,
)
from libs.common.loop.machine import Buckets, Machine, Verb
from libs.common.loop.tx import Tx
from libs.common.session_table import forget_oldest_sessions, remember_session
from services.presence import policy, store
from services.presence import store_timeline as timeline
from services.presence.gateways import LOST, Gateways
from services.presence.policy import Interval, Status
from services.presence.sessions import PUT_LAST_SEEN, SESSIONS, Sessions, shown
from services.presence.settings import PresenceSettings
from services.presence.store import Host

TIMELINE_SPAN = timedelta(days=14)
FLAP_SPAN = timedelta(hours=24)
HOSTS_AT_ONCE = 1000
"""How many records of the bucket are written together: fast, and not all of them in memory."""


class TimelineOf(BaseModel):
    """Arguments of `timeline`; `since` None: the last 14 days."""

    host_id: str
    since: AwareDatetime | None = None


class SessionOf(BaseModel):
    """Arguments of `get_session`."""

    host_id: str


class PresenceMachine(Machine):
    """The only judge of who is online, and of a lost gateway."""

    name = "presence"
    package = "services.presence"
    buckets = ("hosts", SESSIONS)
    needs_beat = True
    unhurried = True

    def __init__(self, settings: PresenceSettings) -> None:
        super().__init__()
        self._gateways = gateways = Gateways(settings)
        self._sessions = sessions = Sessions(settings, gateways)
        self.handlers = {
            HostEnrolled: self.on_host,
            HostChanged: self.on_host,
            HostModeChanged: self.on_host,
            HostRemoved: self.on_host_removed,
            AgentHello: sessions.on_hello,
            AgentOffline: sessions.on_offline,
            AgentPower: sessions.on_power,
            GatewayListening: gateways.on_listening,
            GatewayStopped: gateways.on_stopped,
            GatewayLost: gateways.on_lost,
        }
        self.deadlines = {
            LOST: gateways.on_lost_due,
            PUT_LAST_SEEN: sessions.on_put_last_seen_due,
        }
        self.verbs = {
            "timeline": Verb(self.on_timeline, TimelineOf),
            "get_session": Verb(self.on_get_session, SessionOf),
        }
        self.live = {"dormice-live.beat.*": gateways.on_beat}

    # -- start ------------------------------------------------------------------------------------

    def load(self, tx: Tx, buckets: Buckets) -> None:
        found, known = iter(buckets.get("hosts", {}).values()), store.list_ids(tx)
        while batch := list(islice(found, HOSTS_AT_ONCE)):
            self._take_records(tx, batch, known)
        for data in buckets.get(SESSIONS, {}).values():
            self._take_session(tx, json.loads(data))

    def _take_records(self, tx: Tx, found: Sequence[bytes], known: Container[str]) -> None:
        briefs = [store.read_brief(data) for data in found]
        new = [one for one in briefs if one.id not in known and not one.removed]
        store.add_hosts(tx, new)
        enrolled = ((one.id, datetime.fromisoformat(one.enrolled_at)) for one in new)
        timeline.begin_all(tx, enrolled, Status.NEVER_SEEN, "enrolled")
        for brief, data in zip(briefs, found, strict=True):
            if brief.id in known or brief.removed:
                self._take_record(tx, HostRecord.model_validate_json(data))

    def _take_session(self, tx: Tx, value: Mapping[str, Any]) -> None:
        """Take a value of our own bucket, if our file has lost it; none of a removed host stays."""
        host = store.find_host(tx, value["host_id"])
        if host is not None and host.removed:
            tx.put(SESSIONS, host.id, None)
            return
        if host is None or host.version >= value["version"]:
            return
        status, since = Status(value["status"]), datetime.fromisoformat(value["since"])
        last_seen = datetime.fromisoformat(value["last_seen"])
        host = replace(
            host,
            status=status,
            since=since,
            last_seen=last_seen,
            session=value["session"],
            connection=value.get("connection"),
            gateway=value.get("gateway"),
            reason=value.get("reason"),
            version=value["version"],
        )
        store.save_host(tx, host)
        timeline.begin_interval(tx, host, since, status, host.reason or "hello")
        if host.session:
            remember_session(tx.db, host.id, host.session)
            forget_oldest_sessions(tx.db, host.id)
        if status is Status.ONLINE:
            store.set_heard(tx, host.id, last_seen)
            self._sessions.put_later(tx, host.id)
            if host.gateway:
                self._gateways.expect(tx, host.gateway)

    def republish(self, tx: Tx) -> None:
        for host in store.list_seen_hosts(tx):
            self._sessions.put(tx, host)

    def on_connected(self, tx: Tx) -> None:
        self._gateways.give_grace(tx)

    # -- hosts ------------------------------------------------------------------------------------

    def on_host(self, tx: Tx, event: HostFact) -> None:
        self._take_record(tx, event.record)

    def _take_record(self, tx: Tx, record: HostRecord) -> None:
        host = store.find_host(tx, record.id)
        if host is not None and (host.removed or record.version <= host.record_version):
            return
        if record.removed:
            store.forget_host(tx, record)
            return
        if host is not None:
            store.save_record(tx, record)
            return
        enrolled = (record.id, record.enrolled_at)
        timeline.begin_all(tx, [enrolled], Status.NEVER_SEEN, "enrolled")
        new = Host(
            record.id, record.name, always_on=record.always_on, record_version=record.version
        )
        store.save_host(tx, new)

    def on_host_removed(self, tx: Tx, event: HostRemoved) -> None:
        host = store.find_host(tx, event.host_id)
        if host is not None and host.removed:
            return
        store.forget_host(tx, event.record)
        tx.unschedule(PUT_LAST_SEEN, event.host_id)
        tx.put(SESSIONS, event.host_id, None)
        tx.decide(event.host_id, "forgotten", "the host was removed")

    # -- requests ---------------------------------------------------------------------------------

    def on_timeline(self, tx: Tx, _: Actor, wanted: TimelineOf) -> list[dict[str, Any]]:
        """Return the host's history, oldest first. `cause` began an interval, `reason` ended it."""
        self._get_host(tx, wanted.host_id)
        since = min(wanted.since or tx.now - TIMELINE_SPAN, tx.now)
        return [
            {
                "from": to_rfc3339(piece.start),
                "to": to_rfc3339(piece.end) if piece.end else None,
                "state": piece.state,
                "cause": piece.cause,
                "reason": piece.reason,
            }
            for piece in self._timeline(tx, wanted.host_id, since)
        ]

    def _timeline(self, tx: Tx, host_id: str, since: datetime) -> list[Interval]:
        return policy.overlay(
            timeline.list_intervals(tx, host_id, since), timeline.list_gaps(tx, since)
        )

    def on_get_session(self, tx: Tx, _: Actor, wanted: SessionOf) -> dict[str, Any]:
        """Return the host's session with its flaps of a day and its shares of 14 days."""
        host = self._get_host(tx, wanted.host_id)
        since = tx.now - TIMELINE_SPAN
        shares = policy.assess_shares(self._timeline(tx, host.id, since), since=since, now=tx.now)
        flaps = timeline.count_flaps(tx, host.id, tx.now - FLAP_SPAN)
        return {**shown(host), "flaps_24h": flaps, "shares_14d": shares}

    def _get_host(self, tx: Tx, host_id: str) -> Host:
        host = store.find_host(tx, host_id)
        if host is None or host.removed:
            raise HostNotFound(f"no host has the id {host_id[:64]}")
        return host
