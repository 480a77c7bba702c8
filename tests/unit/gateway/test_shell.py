"""The parts of the shell that need no bus: settings, listening, beats, pacing, the fake's twin."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from libs.common import health, listener
from libs.common.errors import SettingsError
from libs.common.listener import Listener
from libs.common.metrics import Metrics
from libs.common.protocol import Power
from services.gateway.beats import split_hosts
from services.gateway.connections import Connection, Hub
from services.gateway.pacer import Pacer
from services.gateway.reports import Received
from services.gateway.settings import GatewaySettings
from services.gateway.tokens import bearer_token

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)


class Ready:
    """A service that says why it is not ready."""

    def __init__(self, *reasons: str) -> None:
        self.reasons_not_ready = list(reasons)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({"gateway_id": "a.b"}, "DORMICE_GATEWAY_ID", id="an id with a dot"),
        pytest.param({"gateway_id": ""}, "DORMICE_GATEWAY_ID", id="an empty id"),
        pytest.param({"heartbeat_interval": "0s"}, "DORMICE_HEARTBEAT_INTERVAL", id="no interval"),
        pytest.param({"offline_after": "0s"}, "DORMICE_OFFLINE_AFTER", id="no time at all"),
        pytest.param({"offline_after": "90"}, "DORMICE_OFFLINE_AFTER", id="no unit"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        GatewaySettings.load(**given)


@pytest.mark.parametrize(
    ("interval", "after", "asked"),
    [
        pytest.param("30s", "90s", 30, id="as set"),
        pytest.param("2s", "3s", 2, id="as set, though tight"),
        pytest.param("30s", "3s", 1, id="a third of what would end every session"),
    ],
)
def test_how_often_agents_beat(interval: str, after: str, asked: int) -> None:
    settings = GatewaySettings.load(heartbeat_interval=interval, offline_after=after)
    assert settings.agent_interval == timedelta(seconds=asked)


def test_r18_last_seen_is_written_every_ten_seconds_or_sooner() -> None:
    assert GatewaySettings.load().pulse_interval == timedelta(seconds=10)
    assert GatewaySettings.load(offline_after="3s").pulse_interval == timedelta(seconds=0.5)


async def _send(_: dict[str, Any]) -> None:
    pass


@pytest.mark.parametrize("waits", [True, False])
def test_r6_who_has_a_report_that_waits_to_be_stored_is_behind(waits: bool) -> None:
    hub, connection = Hub(), Connection(_send, None, "")
    hub.claim(connection, "host-1", "s1")
    hub.note_frame(connection, NOW)
    if waits:
        frame = Power(on_battery=True, percent=40)
        connection.pending = deque([Received(frame, NOW, timedelta())])
    (heard,) = hub.take_unwritten()
    assert heard.is_behind is waits


@pytest.mark.parametrize("listen", ["", "8481", "host", "host:", "host:x", "host:70000", ":\u0663"])
async def test_what_cannot_be_listened_on_is_named(listen: str) -> None:
    with pytest.raises(SettingsError, match="DORMICE_GATEWAY_LISTEN"):
        await Listener(None, listen, setting="DORMICE_GATEWAY_LISTEN").start()


async def test_two_listeners_in_one_process_and_a_port_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "BIND_WAIT_SECONDS", 0)
    pages = Litestar(health.routes(Ready(), Metrics("one")), openapi_config=None)
    first = Listener(pages, "127.0.0.1:0", setting="A")
    second = Listener(pages, "127.0.0.1:0", setting="B")
    await first.start()
    await second.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        for one in (first, second):
            assert (await client.get(f"{one.url}/healthz")).json() == {"status": "alive"}
    host, port = first.address
    with pytest.raises(SettingsError, match="C: cannot listen"):
        await Listener(pages, f"{host}:{port}", setting="C").start()
    await first.stop()
    await second.stop()


async def test_readiness_says_why_not_and_what_else() -> None:
    routes = health.routes(Ready("bus away"), Metrics("one"), lambda: ["durability unknown"])
    server = Listener(Litestar(routes, openapi_config=None), "127.0.0.1:0", setting="A")
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{server.url}/readyz")
    await server.stop()
    assert answer.status_code == 503
    told = {"status": "not ready", "reasons": ["bus away"], "notes": ["durability unknown"]}
    assert answer.json() == told


@pytest.mark.parametrize(
    ("hosts", "room", "parts"),
    [
        pytest.param([], 100, [[]], id="nobody: one empty beat"),
        pytest.param(["a", "b"], 100, [["a", "b"]], id="all in one"),
        pytest.param(["a", "b", "c"], 10, [["a", "b"], ["c"]], id="exactly full"),
        pytest.param(["a", "b"], 5, [["a"], ["b"]], id="one each"),
    ],
)
def test_beats_are_split(hosts: list[str], room: int, parts: list[list[str]]) -> None:
    assert [list(part) for part in split_hosts(hosts, room)] == parts


def test_a_beat_stays_within_its_size() -> None:
    hosts = [f"01ARZ3NDEKTSV4RRFFQ69G{count:04}" for count in range(30_000)]
    parts = list(split_hosts(hosts, 255 * 1024))
    assert [host for part in parts for host in part] == hosts
    assert max(len(json.dumps(list(part))) for part in parts) <= 255 * 1024


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        pytest.param([], None, id="none"),
        pytest.param([(b"authorization", b"Bearer abc")], "abc", id="a token"),
        pytest.param([(b"authorization", b"bearer  abc ")], "abc", id="written otherwise"),
        pytest.param([(b"authorization", b"Basic abc")], None, id="another scheme"),
        pytest.param([(b"authorization", b"Bearer ")], None, id="an empty one"),
        pytest.param([(b"authorization", b"Bearer " + b"x" * 513)], None, id="too long"),
        pytest.param([(b"authorization", b"Bearer \xff")], "\xff", id="any byte"),
    ],
)
def test_bearer_tokens(headers: list[tuple[bytes, bytes]], token: str | None) -> None:
    assert bearer_token(headers) == token


async def test_the_pacer_spaces_a_storm() -> None:
    loop = asyncio.get_running_loop()
    pacer, start = Pacer(per_second=1000, at_once=300), loop.time()

    async def pass_through() -> None:
        async with pacer.turn():
            pass

    await asyncio.gather(*(pass_through() for _ in range(300)))
    assert 0.2 <= loop.time() - start <= 2


async def test_the_pacer_lets_only_some_be_under_way() -> None:
    pacer, under_way, most = Pacer(per_second=100_000, at_once=3), 0, 0
    go_on = asyncio.Event()

    async def hold() -> None:
        nonlocal under_way, most
        async with pacer.turn():
            under_way += 1
            most = max(most, under_way)
            await go_on.wait()
            under_way -= 1

    held = [asyncio.create_task(hold()) for _ in range(20)]
    while under_way < 3:
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*held)
    assert most == 3


def test_the_file_lies_in_the_data_directory(tmp_path: Path) -> None:
    assert GatewaySettings.load(data=tmp_path).database_path == tmp_path / "gateway.db"
