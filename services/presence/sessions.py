"""The part of presence's machine that follows sessions, and tells what became of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zlib import crc32

from libs.common.clock import EPOCH, to_rfc3339
from libs.common.events.agent import AgentHello, AgentOffline, AgentPower, OfflineReason
from libs.common.events.presence import PresenceOffline, PresenceOnline
from libs.common.loop.tx import Tx
from libs.common.session_table import forget_oldest_sessions, remember_session
from libs.common.sessions import HelloVerdict, assess_hello
from services.presence import policy, store
from services.presence import store_timeline as timeline
from services.presence.gateways import Gateways
from services.presence.policy import EndVerdict, Status
from services.presence.settings import PresenceSettings
from services.presence.store import Host

SESSIONS = "sessions"
PUT_LAST_SEEN = "put_last_seen"

_WORDS = {
    OfflineReason.HEARTBEAT_TIMEOUT: "no frame for too long",
    OfflineReason.SLEEP: "the agent said goodbye: it goes to sleep",
    OfflineReason.SHUTDOWN: "the agent said goodbye: it shuts down",
    OfflineReason.RESTART: "the agent said goodbye: it restarts",
    OfflineReason.GATEWAY_LOST: "its gateway was lost",
}


class Sessions:
    """Handlers for what agents say of themselves, and for the end of their sessions."""

    def __init__(self, settings: PresenceSettings, gateways: Gateways) -> None:
        self._settings = settings
        self._gateways = gateways

    def on_hello(self, tx: Tx, event: AgentHello) -> None:
        caller = store.find_caller(tx, event.host_id, event.gateway)
        host = caller.host
        if host.removed:
            return
        known = not remember_session(tx.db, host.id, event.session)
        verdict = assess_hello(host.connection, event.connection, known=known)
        if verdict is HelloVerdict.KNOWN:
            return
        if caller.has_many_sessions:
            forget_oldest_sessions(tx.db, host.id)
        if verdict is HelloVerdict.OLDER:
            tx.decide(
                host.id, "hello_ignored", "a late hello of an older connection changes nothing",
                rule="R3", session=event.session, connection=event.connection,
                live_session=host.session, live_connection=host.connection,
            )  # fmt: skip
            return
        if not caller.is_gateway_listening:
            self._gateways.on_heard(tx, event.gateway)
        self._go_online(tx, host, event)

    def _go_online(self, tx: Tx, host: Host, event: AgentHello) -> None:
        at = tx.time
        was_online = host.status is Status.ONLINE
        host = replace(
            host,
            status=Status.ONLINE,
            since=host.since if was_online else max(at, host.since or at),
            last_seen=at,
            session=event.session,
            connection=event.connection,
            gateway=event.gateway,
            reason=None,
            clock_offset_seconds=event.clock_offset_seconds,
            on_battery=event.on_battery,
            battery_percent=event.battery_percent,
            metered=event.metered,
            version=host.version + 1,
        )
        assert host.since is not None
        store.set_heard(tx, host.id, at)
        if not was_online:
            timeline.begin_interval(tx, host, host.since, Status.ONLINE, "hello")
        self._save(tx, host)
        self.put_later(tx, host.id)
        tx.emit(
            PresenceOnline(
                host_id=host.id, name=host.name, always_on=host.always_on,
                session=event.session, gateway=event.gateway, since=host.since,
            )
        )  # fmt: skip
        text = "a newer connection took over" if was_online else "the agent said hello"
        tx.decide(host.id, "online", text, rule="R3", session=event.session,
                  gateway=event.gateway, since=host.since)  # fmt: skip

    def on_offline(self, tx: Tx, event: AgentOffline) -> None:
        host = store.find_host(tx, event.host_id)
        if host is None or host.removed:
            return
        verdict = policy.assess_end(host.status, host.session, event.session)
        if verdict is EndVerdict.OTHER:
            tx.decide(host.id, "end_ignored", verdict.value, rule="R3", session=event.session,
                      live_session=host.session)  # fmt: skip
        elif verdict is EndVerdict.LIVE:
            self._go_offline(tx, host, event)
        elif host.last_seen is not None and event.last_seen > host.last_seen:
            # The gateway, back again, knows better than we did when we counted it as lost.
            self.put(tx, replace(host, last_seen=min(event.last_seen, tx.time)))

    def _go_offline(self, tx: Tx, host: Host, event: AgentOffline) -> None:
        noticed = tx.time
        last_seen = min(event.last_seen, noticed)
        assert host.since is not None
        since = policy.offline_since(
            last_seen, event.reason, offline_after=self._settings.offline_after,
            not_before=host.since, not_after=max(noticed, host.since),
        )  # fmt: skip
        host = replace(
            host, status=Status.OFFLINE, since=since, last_seen=last_seen, reason=event.reason,
            version=host.version + 1,
        )  # fmt: skip
        store.set_heard(tx, host.id, None)
        tx.unschedule(PUT_LAST_SEEN, host.id)
        timeline.begin_interval(tx, host, since, Status.OFFLINE, event.reason)
        self._save(tx, host)
        tx.emit(
            PresenceOffline(
                host_id=host.id, name=host.name, always_on=host.always_on, session=event.session,
                since=since, last_seen=last_seen, reason=event.reason,
            )
        )  # fmt: skip
        shown = "offline" if host.always_on else "asleep"
        tx.decide(host.id, shown, f"{_WORDS[event.reason]}; shown {shown}", rule="R2",
                  session=event.session, last_seen=last_seen, since=since,
                  reason=event.reason, until=event.until)  # fmt: skip

    def on_power(self, tx: Tx, event: AgentPower) -> None:
        host = store.find_host(tx, event.host_id)
        if host is None or host.removed or host.session != event.session:
            return
        self.put(
            tx,
            replace(
                host,
                on_battery=event.on_battery,
                battery_percent=event.battery_percent,
                metered=event.metered,
            ),
        )

    # -- bucket -----------------------------------------------------------------------------------

    def put(self, tx: Tx, host: Host) -> None:
        """Save the host and publish its state, under a new version."""
        self._save(tx, replace(host, version=host.version + 1))

    def _save(self, tx: Tx, host: Host) -> None:
        store.save_host(tx, host)
        tx.put(SESSIONS, host.id, shown(host))

    def put_later(self, tx: Tx, host_id: str) -> None:
        """The bucket follows a running session's last_seen coarsely, hosts spread over the time."""
        spread = self._settings.put_every * (crc32(host_id.encode()) / 2**32)
        self._put_at(tx, host_id, tx.now + self._settings.put_every + spread)

    def _put_at(self, tx: Tx, host_id: str, at: datetime) -> None:
        """Rounded up, so that one transaction puts what many hosts have due."""
        step = self._settings.put_step
        tx.schedule(PUT_LAST_SEEN, host_id, at + (EPOCH - at) % step)

    def on_put_last_seen_due(self, tx: Tx, host_id: str, _: datetime) -> None:
        host = store.find_host(tx, host_id)
        if host is not None and host.status is Status.ONLINE:
            self.put(tx, host)
            self._put_at(tx, host_id, tx.now + self._settings.put_every)


def shown(host: Host) -> dict[str, Any]:
    """The value in bucket `sessions`."""
    return {
        "host_id": host.id,
        "status": host.status,
        "since": to_rfc3339(host.since) if host.since else None,
        "last_seen": to_rfc3339(host.last_seen) if host.last_seen else None,
        "session": host.session,
        "connection": host.connection,
        "gateway": host.gateway,
        "reason": host.reason,
        "clock_offset_seconds": host.clock_offset_seconds,
        "on_battery": host.on_battery,
        "battery_percent": host.battery_percent,
        "metered": host.metered,
        "version": host.version,
    }
