"""The exact texts of UI.md, on the pages as served, in each state of a host."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import text_of

AGO = r"(just now|\d+ (s|min|h|d) ago|yesterday)"
HELP = (
    "Uncheck for an intermittent host (laptop/workstation): it won’t raise offline alerts when "
    "asleep, shows an “asleep” state, and catches up a missed backup ~1 minute after it reconnects."
)


async def page(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def in_state(world: World, state: str) -> str:
    host_id = await world.enroll("box", always_on=state == "offline")
    if state != "never-seen":
        session = await world.hello(host_id)
        if state in ("asleep", "offline"):
            await world.goodbye(host_id, session)
    return host_id


@pytest.mark.parametrize(
    ("state", "row", "detail", "label"),
    [
        pytest.param(
            "asleep", rf"asleep · {AGO} · will catch up on return asleep",
            rf"asleep · last seen {AGO} · will catch up on return", "asleep",
        ),
        pytest.param("offline", rf"last seen {AGO}", rf"last seen {AGO}", "offline"),
        pytest.param("online", r"online", rf"online · last heartbeat {AGO}", None),
        pytest.param("never-seen", r"never connected", r"never connected", None),
    ],
)  # fmt: skip
async def test_texts_of_each_state(
    world: World, admin: httpx.AsyncClient, state: str, row: str, detail: str, label: str | None
) -> None:
    host_id = await in_state(world, state)
    fleet = await page(admin, "/")
    assert re.search(row, text_of(fleet))
    assert f'class="dot dot-{state}"' in fleet.split("<tbody>")[1]
    assert (f'<span class="label label-{label}">{label}</span>' in fleet) == (label is not None)
    host = await page(admin, f"/hosts/{host_id}")
    assert re.search(detail, text_of(host))
    assert f'class="dot dot-{state}"' in host


async def test_chip_stands_only_at_hosts_expected_around_the_clock(
    world: World, admin: httpx.AsyncClient
) -> None:
    server, laptop = await world.enroll("web-3"), await world.enroll("tp", always_on=False)
    chip = 'title="Expected online 24×7 — offline raises an alert">24×7<'
    fleet = await page(admin, "/")
    assert fleet.count(chip) == 1
    assert fleet.count("24×7<") == 1
    assert chip in await page(admin, f"/hosts/{server}")
    assert chip not in await page(admin, f"/hosts/{laptop}")


@pytest.mark.parametrize("always_on", [True, False])
async def test_presence_form(world: World, admin: httpx.AsyncClient, always_on: bool) -> None:
    host_id = await world.enroll("box", always_on=always_on)
    host = await page(admin, f"/hosts/{host_id}")
    assert re.search(r'<button[^>]* title="Change presence mode"[^>]*>presence</button>', host)
    box = re.search(r'<input type="checkbox" name="always_on"[^>]*>([^<]*)</label>', host)
    assert box is not None
    assert box[1].strip() == "Always On — expected online 24×7"
    assert ("checked" in box[0]) == always_on
    assert HELP in text_of(host)
    assert re.search(r"<button[^>]*>Save presence</button>", host)


async def test_a_dot_stands_only_at_a_host_that_is_so(
    world: World, admin: httpx.AsyncClient
) -> None:
    """The counts above the list are of every state, and have shapes of their own."""
    await world.enroll("tablet", always_on=False)
    fleet = await page(admin, "/")
    assert set(re.findall(r"dot-[a-z-]+", fleet)) == {"dot-never-seen"}


async def test_no_host_and_no_alert(admin: httpx.AsyncClient) -> None:
    assert "No host yet." in text_of(await page(admin, "/"))
    assert "Nothing needs you." in text_of(await page(admin, "/alerts"))


async def test_every_page_keeps_to_itself(world: World, admin: httpx.AsyncClient) -> None:
    host_id = await world.enroll("box")
    paths = ("/", f"/hosts/{host_id}", f"/hosts/{host_id}/snapshots", "/alerts", "/jobs", "/audit",
             "/schedules", "/restore", "/settings", "/silences", "/hosts/new", "/login",
             "/setup")  # fmt: skip
    for path in paths:
        answer = await admin.get(path, follow_redirects=True)
        assert answer.status_code == 200, (path, answer.text)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", answer.text), path
        assert not re.search(r'(src|href|action)="(https?:)?//', answer.text), path
    for name in ("dormice.css", "live.js", "live-worker.js", "page.js", "htmx.min.js"):
        assert (await admin.get(f"/static/{name}")).status_code == 200
    assert (await admin.get("/static/nothing.js")).status_code == 404


async def test_hostile_names_stay_text(world: World, admin: httpx.AsyncClient) -> None:
    nasty = "<script>alert(1)</script>"
    host_id = await world.enroll("box", tags=["tag"])
    await world.post(f"/hosts/{host_id}/source-groups", name=nasty, includes=[f"/{nasty}"])
    for path in ("/", f"/hosts/{host_id}", "/audit", f"/?q={nasty}"):
        answer = await admin.get(path)
        assert "<script>alert" not in answer.text
