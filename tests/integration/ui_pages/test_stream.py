"""The live stream: first all that a page shows, then what changes, until the process ends."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.ui.pages import stream
from tests.integration.ui.world import World

WAIT_SECONDS = 10


async def frames(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def next_with(told: AsyncIterator[dict[str, Any]], text: str) -> dict[str, Any]:
    """Return the next frame that has a piece with this text."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for frame in told:
            if any(text in piece for piece in frame["pieces"]):
                return frame
    raise AssertionError(f"the stream ended without {text!r}")


def tab(*rows: str, **more: Any) -> dict[str, Any]:
    return {"tabs": [{"rows": list(rows), **more}]}


async def test_first_everything_then_only_what_changed_and_never_a_row(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    other = await world.enroll("other")
    async with admin.stream("POST", "/live", json=tab(host_id)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = frames(answer)
        first = await next_with(told, f'id="h-{host_id}-state"')
        assert any("never connected" in piece for piece in first["pieces"])
        session = await world.hello(host_id)
        await world.hello(other)
        await next_with(told, "dot-online")
        await world.goodbye(host_id, session)
        frame = await next_with(told, "will catch up on return")
        assert not any("<tr" in piece or other in piece for piece in frame["pieces"])


async def test_who_comes_back_is_told_what_was_missed(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    async with admin.stream("POST", "/live", json=tab(host_id)) as answer:
        await next_with(frames(answer), "dot-online")
    await world.goodbye(host_id, session)
    async with admin.stream("POST", "/live", json=tab(host_id)) as answer:
        await next_with(frames(answer), "dot-asleep")


async def test_a_host_page_hears_of_its_mode_and_alerts(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id = await world.enroll("box")
    async with admin.stream("POST", "/live", json=tab(host=host_id)) as answer:
        told = frames(answer)
        await next_with(told, "24×7")
        await world.put(f"/hosts/{host_id}/mode", always_on=False)
        await next_with(told, "intermittent")


async def test_tabs_with_two_hosts_do_not_take_each_others_pieces(
    world: World, admin: httpx.AsyncClient
) -> None:
    """One stream serves all tabs: an element's id names the host that it shows."""
    server, laptop = await world.enroll("web-3"), await world.enroll("tp", always_on=False)
    tabs = {"tabs": [{"host": server}, {"host": laptop}]}
    async with admin.stream("POST", "/live", json=tabs) as answer:
        first = await next_with(frames(answer), "24×7")
    for host_id, mode in ((server, "24×7"), (laptop, "intermittent")):
        (piece,) = [one for one in first["pieces"] if f'id="host-{host_id}-mode"' in one]
        assert mode in piece
        page = (await admin.get(f"/hosts/{host_id}")).text
        ids = {re.match(r'<\w+ id="([^"]+)"', one)[1] for one in first["pieces"]}  # type: ignore[index]
        for own in (one for one in ids if host_id in one):
            assert f'id="{own}"' in page


async def test_each_tab_hears_of_its_own_list(world: World, admin: httpx.AsyncClient) -> None:
    """The same list in two tabs, of which one was opened before a host joined."""
    host_id = await world.enroll("box")
    old = {"id": "list-old", "of": "hosts", "q": "", "known": [], "total": 0}
    new = {"id": "list-new", "of": "hosts", "q": "", "known": [host_id], "total": 1}
    body = {"tabs": [{"list": old}, {"list": new}]}
    async with admin.stream("POST", "/live", json=body) as answer:
        first = await next_with(frames(answer), "1 more matches")
    assert sum("Update list" in piece for piece in first["pieces"]) == 1
    ids = {re.search(r'id="(list-[^"]+)"', (await admin.get("/")).text)[1] for _ in range(2)}  # type: ignore[index]
    assert len(ids) == 2


async def test_an_alert_that_left_its_tab_is_told(world: World, admin: httpx.AsyncClient) -> None:
    wanted = {"id": "list-a", "of": "alerts", "q": "open", "known": ["01JALERT"], "total": 1}
    async with admin.stream("POST", "/live", json={"tabs": [{"list": wanted}]}) as answer:
        await next_with(frames(answer), "1 row no longer matches")


async def test_a_stream_ends_with_the_session_however_busy_it_is(
    world: World, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LOOK_AT_SESSION", timedelta(0))
    host_id = await world.enroll("laptop", always_on=False)
    async with admin.stream("POST", "/live", json=tab(host_id)) as answer:
        told = frames(answer)
        await next_with(told, "never connected")
        await admin.post("/logout")
        await world.hello(host_id)
        async with asyncio.timeout(WAIT_SECONDS):
            assert not any("dot-online" in str(frame) for frame in [one async for one in told])


async def test_streams_end_with_the_process(world: World, admin: httpx.AsyncClient) -> None:
    async with admin.stream("POST", "/live", json=tab()) as answer:
        told = frames(answer)
        await next_with(told, "count-total")
        async with asyncio.timeout(WAIT_SECONDS):
            stopping = asyncio.create_task(world.stop("ui"))
            assert [frame async for frame in told] == []
            await stopping


async def test_who_may_listen(world: World, admin: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=world.ui.url) as nobody:
        assert (await nobody.post("/live", json=tab())).status_code == 401
    elsewhere = {"Origin": "https://evil.example"}
    assert (await admin.post("/live", json=tab(), headers=elsewhere)).status_code == 403
    for body in (b"", b"{", b'{"tabs": [7]}', b'{"tabs": "' + b"x" * 100 + b'"}'):
        assert (await admin.post("/live", content=body)).status_code == 400


async def test_the_schedules_of_a_host_on_both_pages_that_show_them(
    world: World, admin: httpx.AsyncClient
) -> None:
    host_id = await world.enroll("web-1")
    made = await world.post(
        f"/hosts/{host_id}/schedules", name="nightly", cron="@daily", source_group_ids=[]
    )
    shown = {"tabs": [{"plans": [host_id]}, {"host": host_id}]}
    async with admin.stream("POST", "/live", json=shown) as answer:
        told = frames(answer)
        first = " ".join((await anext(told))["pieces"])
        assert f'id="p-{made["id"]}-last"' in first
        assert "Disable</button>" in first
        await world.patch(f"/hosts/{host_id}/schedules/{made['id']}", enabled=False)
        pieces = (await next_with(told, f'id="p-{made["id"]}-next"'))["pieces"]
        assert any(f'id="p-{made["id"]}-next"' in one and "disabled" in one for one in pieces)
        assert any("Enable</button>" in one for one in pieces)
        await world.patch(f"/hosts/{host_id}", name="web-2", tags=["lab"])
        title = await next_with(told, f'id="host-{host_id}-title"')
        assert any("web-2" in one and "lab" in one for one in title["pieces"])
