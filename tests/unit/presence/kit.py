"""What the tests of presence and alerting publish: hosts, sessions, gateways."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.events.agent import (
    AgentHello,
    AgentOffline,
    GatewayListening,
    GatewayStopped,
    OfflineReason,
)
from libs.common.events.host import HostEnrolled, HostRecord
from libs.common.testing.rig import START, Fleet, Rig
from services.presence.machine import PresenceMachine
from services.presence.settings import PresenceSettings

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OFFLINE_AFTER = timedelta(seconds=90)
LOST_AFTER = timedelta(seconds=120)


def record(host_id: str = "h1", **fields: Any) -> HostRecord:
    fields = {"name": host_id, "enrolled_at": START} | fields
    return HostRecord(id=host_id, **fields)


def enrolled(host_id: str = "h1", **fields: Any) -> HostEnrolled:
    return HostEnrolled(host_id=host_id, record=record(host_id, **fields))


def hello(host_id: str = "h1", session: str = "s1", connection: int | None = 1, **fields: Any):
    return AgentHello(
        host_id=host_id, session=session, connection=connection, **({"gateway": "gw-1"} | fields)
    )


def offline(
    last_seen: datetime, host_id: str = "h1", session: str = "s1",
    reason: OfflineReason = OfflineReason.HEARTBEAT_TIMEOUT,
) -> AgentOffline:  # fmt: skip
    return AgentOffline(host_id=host_id, session=session, last_seen=last_seen, reason=reason)


def listening(since: datetime, gateway: str = "gw-1") -> GatewayListening:
    return GatewayListening(gateway=gateway, since=since)


def stopped(at: datetime, gateway: str = "gw-1") -> GatewayStopped:
    return GatewayStopped(gateway=gateway, at=at)


def beat(fleet: Fleet, *hosts: str, gateway: str = "gw-1", since: datetime = START) -> None:
    """Let every machine hear a beat of `gateway`."""
    data = {
        "gateway": gateway, "since": since.isoformat(), "at": fleet.now.isoformat(),
        "hosts": list(hosts),
    }  # fmt: skip
    for name, core in fleet.cores.items():
        if core.machine.live:
            fleet.live(name, f"dormice-live.beat.{gateway}", data)


def beat_for(fleet: Fleet, span: timedelta, *hosts: str, every: timedelta = 5 * SECOND) -> None:
    """Let time pass in which `gw-1` beats."""
    end = fleet.now + span
    while fleet.now < end:
        fleet.advance(min(every, end - fleet.now))
        beat(fleet, *hosts)


def presence(**fields: Any) -> Rig:
    """Return presence with one listening gateway and one enrolled host."""
    rig = Rig(PresenceMachine(PresenceSettings.load(**fields)))
    rig.publish(listening(START), enrolled())
    return rig


def online(rig: Rig) -> Rig:
    rig.publish(hello())
    beat(rig, "h1")
    return rig


def session_of(rig: Rig, host_id: str = "h1") -> dict:
    return rig.ask("get_session", host_id=host_id)


def states(rig: Rig, host_id: str = "h1", **arguments) -> list[tuple[str, str | None]]:
    return [
        (piece["state"], piece["reason"])
        for piece in rig.ask("timeline", host_id=host_id, **arguments)
    ]
