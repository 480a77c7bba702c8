"""R3-R10 over a real bus: who may judge, and when. The clock is ours, the loops are real."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.bus.base import Outgoing
from libs.common.clock import TICK
from libs.common.errors import RemoteError
from libs.common.events.agent import (
    AgentOffline,
    GatewayLost,
    GatewayStopped,
    OfflineReason,
)
from libs.common.events.alert import AlertAcknowledged, AlertRaised, AlertResolved
from libs.common.events.host import HostEnrolled
from libs.common.events.presence import PresenceOffline
from libs.common.rpc import call
from libs.common.testing.nats import NatsServer
from libs.common.testing.rig import START, VIEWER
from tests.integration.judges.running import Judges
from tests.unit.alerting.kit import (
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    STALE_AFTER,
    enrolled,
    finished,
    hello,
    laptop,
    listening,
    mode_changed,
    offline,
    record,
    synced,
)
from tests.unit.presence.kit import LOST_AFTER

LAPTOP = HostEnrolled(host_id="h2", record=laptop(host_id="h2"))


async def server_and_laptop_away(judges: Judges) -> None:
    """h1, a server, and h2, a laptop: last seen at START, offline 90 s later."""
    await judges.publish(listening(START), enrolled(), LAPTOP, hello(), hello("h2"))
    judges.beat("gw-1", "h1", "h2")
    await judges.settle()
    await judges.let_pass(OFFLINE_AFTER)
    await judges.publish(offline(START), offline(START, "h2"))


async def test_r4_r5_two_hours_of_silence(nats: NatsServer, tmp_path: Path) -> None:
    async with Judges(nats, tmp_path) as judges:
        await server_and_laptop_away(judges)
        await judges.let_pass(FLOOR - OFFLINE_AFTER - TICK)
        assert await judges.open_kinds() == []
        await judges.let_pass(TICK)
        await judges.let_pass(2 * HOUR - FLOOR)
        alert = (await judges.until(AlertRaised)).alert
        assert alert.message == "Agent offline for 15m0s (threshold 15m0s)"
        assert await judges.open_kinds() == ["agent_offline"]
        shown = await judges.ask("presence", "get_session", host_id="h2")
        assert shown["status"] == "offline"
        await judges.publish(hello(session="s2", connection=2))
        assert (await judges.until(AlertResolved)).reason == "host_returned"
        assert await judges.buses["ui"].load_bucket("alerts") == {}


async def test_r10_after_a_start_nobody_is_judged_before_a_beat(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with Judges(nats, tmp_path) as judges:
        await server_and_laptop_away(judges)
        await judges.stop("alerting")
        judges.clock.advance(5 * HOUR)
        await judges.publish(hello("h2", session="s2", connection=2))
        await judges.start("alerting")
        await judges.settle()
        assert await judges.open_kinds() == []  # Long due; but is anyone listening at all?
        judges.beat()
        assert (await judges.until(AlertRaised)).alert.host_id == "h1"


async def test_r10_back_before_the_service_is(nats: NatsServer, tmp_path: Path) -> None:
    async with Judges(nats, tmp_path) as judges:
        await server_and_laptop_away(judges)
        await judges.stop("alerting")
        judges.clock.advance(5 * HOUR)
        await judges.publish(hello(session="s2", connection=2))
        await judges.start("alerting")
        judges.beat()
        await judges.settle()
        assert await judges.count(AlertRaised) == 0


async def test_r3_r5_a_lost_gateway(nats: NatsServer, tmp_path: Path) -> None:
    async with Judges(nats, tmp_path) as judges:
        judges.since["gw-2"] = START
        await judges.publish(listening(START), listening(START, "gw-2"), enrolled(), hello())
        judges.beat("gw-1", "h1")
        await judges.settle()
        await judges.let_pass(LOST_AFTER - TICK, "gw-2")
        assert await judges.count(GatewayLost) == 0
        await judges.let_pass(TICK, "gw-2")
        lost = await judges.until(GatewayLost)
        assert (lost.gateway, lost.at) == ("gw-1", START + LOST_AFTER)
        assert (await judges.until(AgentOffline)).reason is OfflineReason.GATEWAY_LOST
        assert (await judges.until(PresenceOffline)).since == START + OFFLINE_AFTER
        await judges.let_pass(FLOOR - TICK, "gw-2")
        assert await judges.open_kinds() == []
        await judges.let_pass(TICK, "gw-2")
        raised = (await judges.until(AlertRaised)).alert
        assert raised.raised_at == START + LOST_AFTER + FLOOR


@pytest.mark.parametrize("cut", ["bus", "service"])
async def test_r10_after_a_cut_gateways_have_a_full_grace(
    nats: NatsServer, tmp_path: Path, cut: str
) -> None:
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(listening(START), enrolled(), hello())
        judges.beat("gw-1", "h1")
        await judges.settle()
        if cut == "bus":
            back = [judges.expect(service) for service in judges.services.values()]
            nats.stop()
            judges.clock.advance(HOUR)
            nats.start()
            await asyncio.gather(*(connected.wait() for connected in back))
        else:
            await judges.stop("presence")
            judges.clock.advance(HOUR)
            await judges.start("presence")
        judges.since["gw-2"] = judges.clock.now()
        await judges.let_pass(LOST_AFTER - TICK, "gw-2")
        assert await judges.count(GatewayLost) == 0
        await judges.let_pass(TICK, "gw-2")
        assert (await judges.until(GatewayLost)).gateway == "gw-1"


async def test_r10_after_a_start_no_gateway_is_judged_before_a_beat(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(listening(START), enrolled(), hello())
        await judges.stop("presence")
        await judges.start("presence")
        judges.clock.advance(LOST_AFTER)
        await judges.publish(enrolled("h2"))
        await judges.settle()
        assert await judges.count(GatewayLost) == 0  # Long due; but does anyone beat at all?
        judges.since["gw-2"] = judges.clock.now()
        judges.beat("gw-2")
        assert (await judges.until(GatewayLost)).gateway == "gw-1"


async def test_r6_r8_r9_stale_once_and_cleared_by_a_backup(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(listening(START), LAPTOP, hello("h2"), synced("h2"))
        await judges.publish(finished(START, host_id="h2"), offline(START, "h2"))
        judges.clock.advance(STALE_AFTER + 26 * HOUR)
        judges.beat()
        alert = (await judges.until(AlertRaised)).alert
        assert alert.message == "No backup in 8d2h0m (threshold 7d0h0m)"
        await judges.publish(hello("h2", session="s2", connection=2))
        await judges.publish(finished(judges.clock.now(), host_id="h2", job_id="j2"))
        assert (await judges.until(AlertResolved)).reason == "backup_succeeded"
        await judges.publish(mode_changed(record("h2", version=2)))
        assert await judges.open_kinds() == []
        assert await judges.count(AlertRaised) == 1


async def test_r6_after_an_outage_a_stale_laptop_is_judged_by_its_reports(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(listening(START), LAPTOP, hello("h2"), synced("h2"))
        await judges.publish(finished(START, host_id="h2"), offline(START, "h2"))
        judges.clock.advance(STALE_AFTER - OFFLINE_AFTER)
        await judges.publish(GatewayStopped(gateway="gw-1", at=judges.clock.now()))
        judges.clock.advance(OFFLINE_AFTER)
        judges.since["gw-1"] = judges.clock.now()
        await judges.publish(listening(judges.clock.now()))
        await judges.let_pass(MINUTE)
        await judges.publish(hello("h2", session="s2", connection=2))
        await judges.let_pass(MINUTE)
        assert await judges.open_kinds() == []
        await judges.publish(synced("h2", "s2"))
        await judges.settle()
        judges.beat()
        alert = (await judges.until(AlertRaised)).alert
        assert alert.message == "No backup in 7d0h2m (threshold 7d0h0m)"


async def test_r18_lost_files_come_back_from_the_buckets(nats: NatsServer, tmp_path: Path) -> None:
    """What the buckets hold brings both services back to the same answers."""
    async with Judges(nats, tmp_path) as judges:
        await server_and_laptop_away(judges)
        await judges.let_pass(FLOOR)
        await judges.until(AlertRaised)
        before = await judges.ask("alerting", "list_alerts", state="open")
        session = await judges.ask("presence", "get_session", host_id="h2")
        for name in ("alerting", "presence"):
            await judges.stop(name)
            lose_file(tmp_path, name)
        # The registry is only played here: its bucket would hold the hosts.
        await judges.buses["registry"].publish(host_values())
        for name in ("presence", "alerting"):
            await judges.start(name)
        judges.beat()
        await judges.settle()
        after = await judges.ask("alerting", "list_alerts", state="open")
        assert [alert["id"] for alert in after] == [alert["id"] for alert in before]
        again = await judges.ask("presence", "get_session", host_id="h2")
        assert (again["status"], again["last_seen"]) == (session["status"], session["last_seen"])
        await judges.publish(hello(session="s2", connection=2))
        assert await judges.open_kinds() == []


def lose_file(folder: Path, name: str) -> None:
    for file in folder.glob(f"{name}.db*"):
        file.unlink()


def host_values() -> list[Outgoing]:
    return [
        Outgoing(f"put-{new.id}", new.id, new.model_dump_json().encode(), bucket="hosts")
        for new in (record(), laptop(host_id="h2"))
    ]


async def test_r20_calls_and_roles(nats: NatsServer, tmp_path: Path) -> None:
    async with Judges(nats, tmp_path) as judges:
        await server_and_laptop_away(judges)
        await judges.let_pass(FLOOR)
        alert_id = (await judges.until(AlertRaised)).alert.id
        ui = judges.buses["ui"]
        with pytest.raises(RemoteError) as refused:
            await call(ui, "alerting", "acknowledge", {"alert_id": alert_id}, actor=VIEWER)
        assert refused.value.code == "forbidden"
        with pytest.raises(RemoteError) as unknown:
            await call(ui, "alerting", "resolve", {"alert_id": "x" * 65}, actor=VIEWER)
        assert unknown.value.code in ("forbidden", "bad_input")
        taken = await judges.ask("alerting", "acknowledge", alert_id=alert_id, note="mine")
        assert taken["state"] == "acknowledged"
        assert (await judges.until(AlertAcknowledged)).alert.note == "mine"
        with pytest.raises(RemoteError) as again:
            await judges.ask("alerting", "acknowledge", alert_id=alert_id)
        assert again.value.code == "conflict"
        timeline = await judges.ask("presence", "timeline", host_id="h1")
        assert [piece["state"] for piece in timeline] == ["online", "offline"]
        with pytest.raises(RemoteError) as nobody:
            await judges.ask("presence", "timeline", host_id="nobody")
        assert nobody.value.code == "host_not_found"
        assert await judges.ask("alerting", "forecast", host_id="h2") is None
        decided = await judges.ask("alerting", "decisions", host_id="h2")
        assert "intermittent hosts raise none while asleep" in json.dumps(decided)


async def test_r18_last_seen_of_a_running_session(nats: NatsServer, tmp_path: Path) -> None:
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(listening(START), enrolled(), hello())
        await judges.let_pass(5 * MINUTE, "gw-1", "h1")
        await judges.stop("presence")
        await judges.start("presence")
        seen = await judges.ask("presence", "get_session", host_id="h1")
        assert seen["last_seen"] == (START + timedelta(minutes=5)).isoformat().replace(
            "+00:00", "Z"
        )
