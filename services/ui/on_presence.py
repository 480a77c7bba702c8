"""What the read model makes of presence, gateways and agents' hellos. Handlers of `machine`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.clock import from_micros, to_micros
from libs.common.events import agent, presence
from libs.common.loop.tx import Tx
from services.ui import store, store_presence


def on_presence_online(tx: Tx, event: presence.PresenceOnline) -> None:
    is_news = store_presence.add_stretch(tx, event.host_id, event.session, "online", event.since)
    if is_news and store_presence.set_online(tx, event):
        store.refresh(tx, event.host_id)


def on_presence_offline(tx: Tx, event: presence.PresenceOffline) -> None:
    is_news = store_presence.add_stretch(
        tx, event.host_id, event.session, "offline", event.since, event.reason.value
    )
    if is_news and store_presence.set_offline(tx, event):
        store.refresh(tx, event.host_id)


def load_session(tx: Tx, value: dict[str, Any]) -> None:
    """Take a record of bucket `sessions`, unless something later is known."""
    known = store.find(tx, value["host_id"])
    since = _micros(value.get("since"))
    if known is None or since is None or (known["since"] or 0) > since:
        return
    store_presence.add_stretch(
        tx, value["host_id"], value["session"], value["status"], from_micros(since),
        value.get("reason"),
    )  # fmt: skip
    store.update(
        tx, value["host_id"], status=value["status"], since=since, session=value["session"],
        gateway=value.get("gateway"), offline_reason=value.get("reason"),
        last_seen_at=max(known["last_seen_at"] or 0, _micros(value.get("last_seen")) or since),
        on_battery=value.get("on_battery"), battery=value.get("battery_percent"),
        metered=value.get("metered"), clock_offset=value.get("clock_offset_seconds"),
    )  # fmt: skip


def _micros(text: str | None) -> int | None:
    return None if text is None else to_micros(datetime.fromisoformat(text))


def on_agent_hello(tx: Tx, event: agent.AgentHello) -> None:
    is_news = store.update(
        tx, event.host_id, unless_ended=event.session, on_battery=event.on_battery,
        battery=event.battery_percent, metered=event.metered,
        clock_offset=event.clock_offset_seconds, config_version=event.config_version,
    )  # fmt: skip
    if is_news:
        tx.signal("host", event.host_id)


def on_agent_config_applied(tx: Tx, event: agent.AgentConfigApplied) -> None:
    if event.error is None and store.set_config_version(tx, event.host_id, event.version):
        tx.signal("host", event.host_id)


def on_agent_power(tx: Tx, event: agent.AgentPower) -> None:
    is_news = store.update(
        tx, event.host_id, unless_ended=event.session, on_battery=event.on_battery,
        battery=event.battery_percent, metered=event.metered,
    )  # fmt: skip
    if is_news:
        tx.signal("host", event.host_id)


def on_gateway_listening(tx: Tx, event: agent.GatewayListening) -> None:
    store_presence.gateway_listens(tx, event.gateway, event.since, max(event.since, tx.time))
    tx.signal("gateway", event.gateway)


def on_gateway_ended(tx: Tx, event: agent.GatewayStopped | agent.GatewayLost) -> None:
    store_presence.gateway_ended(tx, event.gateway, event.at)
    tx.signal("gateway", event.gateway)


def on_beat(tx: Tx, _subject: str, beat: dict[str, Any]) -> None:
    at = datetime.fromisoformat(beat["at"])
    since = datetime.fromisoformat(beat["since"])
    store_presence.gateway_listens(tx, beat["gateway"], since, at)
    store.heard_of(tx, beat.get("hosts", []), at)
