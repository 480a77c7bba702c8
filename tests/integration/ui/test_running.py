"""The ui as a process: owners away, the bus away, restarts, a wiped log, stopping, health."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar import get
from litestar.response import Stream

from libs.common.errors import SettingsError, StoreBroken
from libs.common.events.alert import Alert, AlertKind, AlertState, Severity
from services.ui import store_alerts, web
from services.ui.app import build
from services.ui.settings import UiSettings
from services.ui.site import site_of
from tests.integration.ui.world import World


async def test_an_owner_that_is_away_is_503_and_reads_go_on(world: World) -> None:
    host_id = await world.enroll("web-1")
    await world.stop("registry", "presence")
    answer = await world.api.put(f"/hosts/{host_id}/mode", json={"always_on": False})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert (await world.get(f"/hosts/{host_id}"))["name"] == "web-1"
    answer = await world.api.get(f"/hosts/{host_id}/decisions")
    assert (answer.status_code, answer.headers["dormice-missing"]) == (200, "registry, presence")


async def test_while_the_bus_is_away_pages_read_and_health_says_so(world: World) -> None:
    host_id = await world.enroll("web-1")
    world.log.take_away()
    await world.until(lambda: world.ui.reasons_not_ready)
    assert (await world.get(f"/hosts/{host_id}"))["name"] == "web-1"
    assert (await world.get("/fleet"))["total"] == 1
    health = await world.get("/fleet/health")
    assert (health["status"], health["reasons"]) == ("failing", world.ui.reasons_not_ready)
    answer = await world.api.put(f"/hosts/{host_id}/mode", json={"always_on": False})
    assert answer.status_code == 503
    async with world.client() as browser:
        assert (await browser.get(f"{world.ui.url}/healthz")).status_code == 200
        assert (await browser.get(f"{world.ui.url}/readyz")).status_code == 503
    world.log.bring_back()
    await world.until(lambda: not world.ui.reasons_not_ready)
    await world.until(lambda: not world.services["registry"].reasons_not_ready)
    assert (await world.put(f"/hosts/{host_id}/mode", always_on=False))["always_on"] is False


async def test_what_is_shown_survives_a_restart(world: World) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    await world.goodbye(host_id, session)
    before = await world.get(f"/hosts/{host_id}")
    audit = await world.get("/audit", service="registry")
    await world.stop("ui")
    await world.start("ui")
    assert await world.get(f"/hosts/{host_id}") == before
    assert await world.get("/audit", service="registry") == audit


async def test_an_empty_file_boots_from_the_buckets(world: World) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    await world.goodbye(host_id, session)
    before = await world.get(f"/hosts/{host_id}")
    await world.stop("ui")
    for file in world.folder.glob("ui.db*"):
        file.unlink()
    await world.start("ui")
    assert await world.get(f"/hosts/{host_id}") == before


async def test_a_wiped_log_leaves_no_ghosts(world: World) -> None:
    """What ended while nobody could tell us is asked of its owner."""
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    await world.goodbye(host_id, session)
    ghost = Alert(
        id="GHOST", host_id=host_id, kind=AlertKind.CHECK_FAILED, severity=Severity.CRITICAL,
        message="m", state=AlertState.OPEN, raised_at=world.now, last_seen_at=world.now,
    )  # fmt: skip
    await world.ui.service.submit(lambda tx: store_alerts.save_alert(tx, ghost))
    assert (await world.get("/fleet"))["alerts"] == 1
    world.log.take_away()
    world.log.wipe()
    world.log.bring_back()
    async with asyncio.timeout(15):
        while (await world.get("/fleet"))["alerts"]:
            await asyncio.sleep(0.05)
    host = await world.get(f"/hosts/{host_id}")
    assert (host["name"], host["display"], host["always_on"]) == ("laptop", "asleep", False)
    assert (await world.put(f"/hosts/{host_id}/mode", always_on=True))["display"] == "offline"


async def test_metrics_and_health_are_served(world: World) -> None:
    async with world.client() as browser:
        assert (await browser.get(f"{world.ui.url}/readyz")).json()["status"] == "ready"
        metrics = (await browser.get(f"{world.ui.url}/metrics")).text
        assert 'dormice_ready{service="ui"} 1.0' in metrics


async def test_stopping_ends_open_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @get("/test-stream")
    async def stream(request: web.Request) -> Stream:
        async def words() -> AsyncIterator[bytes]:
            yield b"open\n"
            await site_of(request).closing.wait()

        return Stream(words())

    routes = web.api_routes
    monkeypatch.setattr(web, "api_routes", lambda: [*routes(), stream])
    async with (
        World(tmp_path, owners=()) as world,
        world.client() as browser,
        browser.stream("GET", f"{world.ui.url}/test-stream") as answer,
    ):
        assert await anext(answer.aiter_bytes()) == b"open\n"
        async with asyncio.timeout(2):
            await world.stop("ui")


async def test_a_folder_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("not a folder")
    async with World(tmp_path / "other", owners=()) as world:
        ui = build(UiSettings(data=folder, ui_listen="127.0.0.1:0"), world.gateway)
        with pytest.raises(StoreBroken, match="admin-token"):
            await ui.run()
        assert stat.S_ISREG(folder.stat().st_mode)


async def test_before_its_file_is_open_it_says_try_again(tmp_path: Path) -> None:
    """A predecessor may still hold the lock while browsers ask already."""
    async with World(tmp_path, owners=()) as world:
        database = world.ui.service.database
        database.is_open = False
        answer = await world.api.get("/fleet")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        database.is_open = True
        assert (await world.get("/fleet"))["total"] == 0


async def test_an_address_in_use_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.listener.BIND_WAIT_SECONDS", 0.1)
    async with World(tmp_path, owners=()) as world:
        listen = world.ui.url.removeprefix("http://")
        ui = build(UiSettings(data=tmp_path / "second", ui_listen=listen), world.gateway)
        with pytest.raises(SettingsError, match="DORMICE_UI_LISTEN"):
            await ui.run()
