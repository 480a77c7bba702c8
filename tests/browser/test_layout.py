"""How pages lie on screens from 320 px up: nothing is cut off, nothing breaks that has room."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from tests.integration.ui.world import World

LONG_NAME = "a-machine-in-the-cellar-of-the-house-in-paris-0123456789"
LONG_ERROR = "Fatal: unable to open repository at /srv/restic: another host still holds its lock"
WIDE = "document.scrollingElement.scrollWidth - innerWidth"


async def with_backup(world: World, name: str, *, always_on: bool, **more: list[str]) -> str:
    """Enrol a host with a source group, a schedule and a repository; return its id."""
    host_id = await world.enroll(name, always_on=always_on, **more)
    here = f"/hosts/{host_id}"
    group = await world.post(f"{here}/source-groups", name="home", includes=["/home", "/etc"])
    await world.post(f"{here}/schedules", cron="0 2 * * *", source_group_ids=[group["id"]])
    await world.put(f"{here}/repository", url="/srv/restic", password="correct horse")
    return host_id


async def fail_a_backup(world: World, host_id: str) -> None:
    """Have a host's backup fail, so that there is an alert."""
    session = await world.hello(host_id)
    (group,) = (await world.get(f"/hosts/{host_id}/source-groups"))["items"]
    made = await world.post(f"/hosts/{host_id}/backup", source_group_id=group["id"])
    await world.finish(host_id, session, made["job_id"], "failed", error=LONG_ERROR)
    await world.until_field(host_id, "open_alerts", 1)


async def tell_a_fleet(world: World) -> dict[str, str]:
    """Tell of a server whose backup failed, a laptop that sleeps while one waits, a new host."""
    await world.serve_commands()
    server = await with_backup(world, LONG_NAME, always_on=True, tags=["paris", "production"])
    laptop = await with_backup(world, "lap-3", always_on=False, tags=["laptop"])
    await fail_a_backup(world, server)
    session = await world.hello(laptop)
    await world.goodbye(laptop, session)
    (group,) = (await world.get(f"/hosts/{laptop}/source-groups"))["items"]
    asked = {"source_group_id": group["id"], "when_it_wakes": True}
    await world.post(f"/hosts/{laptop}/backup", **asked)
    await world.enroll("new", always_on=False)
    await world.post("/silences", tag="paris", **{"for": "2h"}, reason="the cellar is rebuilt")
    return {"server": server, "laptop": laptop}


async def open_at(world: World, page: Page, path: str, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto(f"{world.ui.url}{path}")


async def box_of(found: Locator) -> dict[str, float]:
    box = await found.bounding_box()
    assert box is not None
    return dict(box)


@pytest.mark.parametrize("width", [320, 375, 768, 900, 901, 1100, 1440])
async def test_no_page_scrolls_sideways(world: World, page: Page, width: int) -> None:
    hosts = await tell_a_fleet(world)
    (job, *_) = (await world.get("/jobs"))["items"]
    paths = ["/", "/alerts", "/jobs", f"/jobs/{job['id']}", "/schedules", "/restore", "/audit",
             "/settings", "/silences", "/silences?host=lap-3", "/hosts/new"]  # fmt: skip
    for host_id in hosts.values():
        paths += [f"/hosts/{host_id}", f"/hosts/{host_id}/snapshots"]
    too_wide = {}
    for path in paths:
        await open_at(world, page, path, width)
        if more := await page.evaluate(WIDE):
            too_wide[path] = more
    assert {path: more for path, more in too_wide.items() if more > 0} == {}


async def test_an_asleep_row_has_one_line_for_its_state_and_one_for_what_waits(
    world: World, page: Page
) -> None:
    hosts = await tell_a_fleet(world)
    await open_at(world, page, "/", 1440)
    state = page.locator(f"#h-{hosts['laptop']}-state")
    dot, words = await box_of(state.locator(".dot")), await box_of(state.locator(".state-text"))
    waits = await box_of(state.locator(".overlay"))
    assert abs(dot["y"] - words["y"]) < words["height"] / 2, "the crescent stands beside its words"
    assert words["height"] < 30, "the state is one line"
    assert waits["y"] >= words["y"] + words["height"] - 2, "what waits stands on the next line"
    assert abs(waits["x"] - words["x"]) <= 2, "both begin below each other"


async def test_the_label_of_an_asleep_host_is_seen_on_a_phone(world: World, page: Page) -> None:
    hosts = await tell_a_fleet(world)
    await open_at(world, page, "/", 375)
    await expect(page.locator(f"#h-{hosts['laptop']}-label .label-asleep")).to_be_visible()


async def test_jobs_are_cards_on_a_phone(world: World, page: Page) -> None:
    await tell_a_fleet(world)
    await open_at(world, page, "/jobs", 375)
    row = page.locator("[data-job]").filter(has_text="Fatal")
    assert (await box_of(row))["height"] < 220
    for cell in (row.locator("td[id$=error]"), row.locator("td[id$=when]")):
        box = await box_of(cell)
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375


async def test_no_table_of_a_phone_is_cut_off(world: World, page: Page) -> None:
    hosts = await tell_a_fleet(world)
    for path in ("/jobs", "/audit", "/schedules", "/silences", "/restore",
                 f"/hosts/{hosts['laptop']}", f"/hosts/{hosts['server']}"):  # fmt: skip
        await open_at(world, page, path, 375)
        cut = await page.evaluate(
            "[...document.querySelectorAll('.scroll, main table')].filter("
            "one => one.scrollWidth > one.clientWidth + 1).map(one => one.ariaLabel)"
        )
        assert cut == [], path
    await open_at(world, page, "/audit", 375)
    action = page.locator("td code").filter(has_text="source_group.created").first
    assert (await box_of(action))["height"] < 30, "a word stays whole"


async def test_a_host_name_breaks_only_where_there_is_no_room(world: World, page: Page) -> None:
    host_id = await with_backup(world, "lap-3", always_on=True)
    await world.serve_commands()
    await fail_a_backup(world, host_id)
    (alert,) = (await world.get("/alerts"))["items"]
    await world.post(f"/alerts/{alert['id']}/acknowledge", note="the disk comes on Monday, " * 8)
    shown = {"/alerts?tab=acknowledged": ".alerts tbody th a", "/": ".verdict a:not(.muted)"}
    for path, name in shown.items():
        for width in (375, 901, 1440):
            await open_at(world, page, path, width)
            assert (await box_of(page.locator(name)))["height"] < 34, (path, width)


async def test_days_before_a_host_connected_look_like_nothing_else(
    world: World, page: Page
) -> None:
    host_id = await world.enroll("lap-3", always_on=False)
    await world.goodbye(host_id, await world.hello(host_id))
    await open_at(world, page, f"/hosts/{host_id}", 1440)
    await expect(page.locator(".host-strip .p-never_seen")).to_have_count(1)
    look = "one => [getComputedStyle(one).fill, getComputedStyle(one).strokeDasharray]"
    fill, dashes = await page.locator(".p-never_seen").evaluate(look)
    band, _ = await page.locator(".host-strip .band").evaluate(look)
    assert dashes != "none"
    assert fill not in (band, "none")
    await expect(page.locator(".legend")).to_contain_text("not yet connected")
    await open_at(world, page, "/", 1440)
    await expect(page.locator(".legend")).to_contain_text("not yet connected")
