"""What the unit tests of notify share: alerts, a machine, and a receiver's answers."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import Any

from libs.common.events.alert import (
    Alert,
    AlertAcknowledged,
    AlertKind,
    AlertRaised,
    AlertResolved,
    AlertState,
    AlertUnsilenced,
    Severity,
)
from libs.common.events.host import HostEnrolled, HostRecord
from libs.common.loop.core import Effect
from libs.common.security import Vault
from libs.common.testing.rig import START, Rig
from services.notify import queue
from services.notify.machine import NotifyMachine
from services.notify.queue import Delivery
from services.notify.settings import NotifySettings

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
URL = "http://ada:pass%40word@127.0.0.1:9/hook/T0KEN?x=1"
SECRET = "correct horse"
OK = {"status": 200}
BUSY = {"status": 503}


def make_alert(name: str = "a1", host: str | None = "h1", **changes: Any) -> Alert:
    given = {
        "id": name,
        "host_id": host,
        "host_name": f"name-{host}" if host else "",
        "kind": AlertKind.AGENT_OFFLINE,
        "severity": Severity.WARNING,
        "message": "Agent offline for 17m0s (threshold 15m0s)",
        "state": AlertState.OPEN,
        "raised_at": START,
        "last_seen_at": START,
        **changes,
    }
    return Alert.model_validate(given)


def outage(name: str = "o1", **changes: Any) -> Alert:
    return make_alert(name, None, kind=AlertKind.FLEET_OUTAGE, severity=Severity.CRITICAL,
                      message="6 of 10 hosts went silent within 2m0s", **changes)  # fmt: skip


def resolved(alert: Alert, at: datetime = START, **changes: Any) -> AlertResolved:
    ended = alert.model_copy(update={"state": AlertState.RESOLVED, "resolved_at": at})
    return AlertResolved(alert=ended, reason="back", **changes)


def acknowledged(alert: Alert, by: str = "ada") -> AlertAcknowledged:
    update = {"state": AlertState.ACKNOWLEDGED, "acknowledged_by": by}
    return AlertAcknowledged(alert=alert.model_copy(update=update))


def raised(*alerts: Alert) -> list[AlertRaised]:
    return [AlertRaised(alert=alert) for alert in alerts]


def unsilenced(alert: Alert, changes: int = 1) -> AlertUnsilenced:
    update = {"silenced": False, "silence_changes": changes}
    return AlertUnsilenced(alert=alert.model_copy(update=update))


def enrolled(host: str, version: int = 1, **changes: Any) -> HostEnrolled:
    record = HostRecord(id=host, name=f"name-{host}", enrolled_at=START, version=version, **changes)
    return HostEnrolled(host_id=host, record=record)


class World(Rig):
    """Notify with its vault, a virtual clock, and short words for what tests do."""

    def __init__(self, **settings: Any) -> None:
        self.vault = Vault.generate()
        given = {"allow_targets": LOOPBACK, **settings}
        super().__init__(NotifyMachine(self.vault, NotifySettings(**given)))

    def channel(self, name: str = "ops", **changes: Any) -> str:
        given = {"kind": "webhook", "config": {"url": URL, "secret": SECRET}, **changes}
        created: str = self.ask("create_channel", name=name, **given)["id"]
        return created

    @property
    def handed_out(self) -> list[Effect]:
        return self.effects["notify"]

    def message(self, effect: Effect) -> dict[str, Any]:
        """Return the body that an effect would send."""
        return queue.body_of(self.db, effect.key)

    @property
    def in_flight(self) -> list[str]:
        """Return what is handed out, as `event:first alert`."""
        return [self._word(self.message(effect)) for effect in self.handed_out]

    @staticmethod
    def _word(body: dict[str, Any]) -> str:
        return ":".join([body["event"], *(alert["id"] for alert in body["alerts"][:1])])

    def answer(self, outcome: dict[str, Any] = OK, effect: Effect | None = None) -> str:
        """End the oldest try so; return what it was."""
        ending = effect or self.handed_out[0]
        word = self._word(self.message(ending))
        self.end_effect("notify", ending, **outcome)
        return word

    def answer_all(self, outcome: dict[str, Any] = OK) -> list[str]:
        """End every try so until none is left; return what was sent, in order."""
        sent = []
        while self.handed_out:
            sent.append(self.answer(outcome))
        return sent

    def deliveries(self, channel_id: str) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.ask("deliveries", channel_id=channel_id, limit=1000)
        return listed

    def states(self, channel_id: str) -> list[str]:
        """Return the states of the channel's deliveries, oldest first."""
        return [f"{row['event']} {row['state']}" for row in reversed(self.deliveries(channel_id))]

    def row(self, delivery_id: str) -> Delivery:
        found = queue.find(self.db, delivery_id)
        assert found is not None
        return found


MINUTE = timedelta(minutes=1)
