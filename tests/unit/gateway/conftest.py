"""The gateway's machine without socket or bus: hellos and frames are inputs, time is virtual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.events.agent import AgentHello
from libs.common.events.host import HostChanged, HostEnrolled, HostRecord, HostRemoved
from libs.common.protocol import Frame, Hello
from libs.common.testing.rig import Rig
from services.gateway import sessions
from services.gateway.machine import GatewayMachine
from services.gateway.reports import Received, Taken, take_frames
from services.gateway.sessions import Accepted, Ended, Heard, Offer, Refused
from services.gateway.settings import GatewaySettings
from services.gateway.store_hosts import Token

HOST = "host-1"
HELLO: dict[str, Any] = {
    "protocol": 1, "agent_version": "1", "hostname": "h", "os": "linux", "arch": "amd64",
    "timezone": "UTC", "boot_id": "b", "config_version": 1,
}  # fmt: skip


class GatewayRig:
    """Says what agents say."""

    def __init__(self) -> None:
        self.settings = GatewaySettings()
        self.machine = GatewayMachine(self.settings)
        self.rig = Rig(self.machine)
        self.offset = timedelta()
        self.rig.input("gateway", self.machine.on_connected)

    @property
    def now(self) -> datetime:
        return self.rig.now

    def advance(self, seconds: float) -> None:
        self.rig.advance(timedelta(seconds=seconds))

    def hello(
        self, session: str = "s1", connection: int | None = 1, host_id: str = HOST, **fields: Any
    ) -> Accepted | Refused:
        hello = Hello.model_validate(HELLO | {"connection": connection} | fields)
        offer = Offer(session, Token(host_id, 1), None, hello, self.offset, "127.0.0.1", self.now)
        answer: Accepted | Refused = self.rig.input(
            "gateway", lambda tx: sessions.take_hello(tx, offer, self.settings)
        )
        return answer

    def frames(self, *frames: Frame, session: str = "s1", host_id: str = HOST) -> Taken | None:
        received = [Received(frame, self.now, self.offset) for frame in frames]
        taken: Taken | None = self.rig.input(
            "gateway", lambda tx: take_frames(tx, host_id, session, received)
        )
        return taken

    def heard(self, session: str = "s1", host_id: str = HOST, at: datetime | None = None) -> None:
        heard = [Heard(host_id, session, at or self.now)]
        self.rig.input("gateway", lambda tx: sessions.take_heard(tx, heard, self.settings))

    def pulse(self, *heard: Heard) -> None:
        self.rig.input("gateway", lambda tx: self.machine.take_pulse(tx, list(heard)))

    def ended(self) -> list[Ended]:
        return [value for _, topic, value in self.rig.signals if topic == sessions.ENDED]

    def wanted(self) -> list[str]:
        return [value for _, topic, value in self.rig.signals if topic == sessions.CONFIG_WANTED]

    def record(self, version: int = 1, **fields: Any) -> HostRecord:
        given = {"id": HOST, "name": "atlas", "enrolled_at": datetime(2026, 1, 1, tzinfo=UTC)}
        return HostRecord.model_validate(
            given | {"version": version, "config_version": version} | fields
        )

    def enroll(self, version: int = 1) -> None:
        self.rig.publish(HostEnrolled(host_id=HOST, record=self.record(version)))

    def change(self, version: int, *changed: str) -> None:
        record = self.record(version)
        self.rig.publish(HostChanged(host_id=HOST, record=record, changed=changed))

    def remove(self, version: int = 9) -> None:
        self.rig.publish(HostRemoved(host_id=HOST, record=self.record(version, removed=True)))

    def foreign_hello(self, session: str, connection: int | None, **fields: Any) -> AgentHello:
        event = AgentHello(host_id=HOST, session=session, gateway="gw-2", connection=connection,
                           **fields)  # fmt: skip
        self.rig.publish(event)
        return event


@pytest.fixture
def gw() -> GatewayRig:
    return GatewayRig()
