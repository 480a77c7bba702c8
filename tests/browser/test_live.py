"""The pages in a real browser: logging in, live changes, what survives them, restarts."""

from __future__ import annotations

from playwright.async_api import Page, expect

from libs.common.bus.memory import MemoryBus
from tests.integration.ui.world import World

LIVE = "#live[data-state=live]"


async def open_fleet(world: World, page: Page) -> None:
    await page.goto(f"{world.ui.url}/")
    await page.wait_for_selector(LIVE)
    await page.evaluate("window.notReloaded = true")


async def test_a_lid_closes_and_the_page_says_so_without_reload(world: World, page: Page) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    await open_fleet(world, page)
    row = page.locator(f"[data-host='{host_id}']")
    await expect(row.locator(".dot-online")).to_be_visible()
    await world.goodbye(host_id, session)
    await expect(row.locator(".dot-asleep")).to_be_visible()
    await expect(row).to_contain_text("will catch up on return")
    await expect(page.locator("#count-asleep")).to_have_text("1")
    assert await page.evaluate("window.notReloaded")


async def test_many_changes_of_all_kinds_at_once_all_arrive(world: World, page: Page) -> None:
    """Cells and other pieces come in one frame, in any order."""
    hosts = [await world.enroll(f"box-{number}", always_on=False) for number in range(10)]
    await open_fleet(world, page)
    for _ in range(3):
        sessions = [await world.hello(host_id) for host_id in hosts]
        await expect(page.locator("tbody .dot-online")).to_have_count(10)
        for host_id, session in zip(hosts, sessions, strict=True):
            await world.goodbye(host_id, session)
        await expect(page.locator("tbody .dot-asleep")).to_have_count(10)
        await expect(page.locator("#count-asleep")).to_have_text("10")


async def test_ticks_focus_and_order_survive_live_changes(world: World, page: Page) -> None:
    hosts = [await world.enroll(f"box-{number}", always_on=False) for number in range(5)]
    await open_fleet(world, page)
    box = page.locator(f"[data-host='{hosts[2]}'] input")
    await box.check()
    for _ in range(3):
        for host_id in hosts:
            session = await world.hello(host_id)
            await world.goodbye(host_id, session)
    await expect(page.locator(".dot-asleep")).to_have_count(5)
    await expect(box).to_be_checked()
    await expect(box).to_be_focused()
    rows = page.locator("[data-host]")
    order = await rows.evaluate_all("all => all.map(one => one.dataset.host)")
    assert order == hosts
    await expect(page.locator("[data-ticked]")).to_have_text("1")
    await expect(page.locator("[data-plan]")).to_have_text("→ 0 now, 1 when they wake")


async def test_the_presence_form(world: World, page: Page) -> None:
    host_id = await world.enroll("box")
    await page.goto(f"{world.ui.url}/hosts/{host_id}")
    box = page.get_by_label("Always On — expected online 24×7")
    await expect(box).to_be_hidden()
    await page.get_by_title("Change presence mode").click()
    await expect(box).to_be_checked()
    await box.uncheck()
    await page.get_by_role("button", name="Save presence").click()
    await page.wait_for_url(f"**/hosts/{host_id}")
    await expect(page.locator(".host-mode")).to_have_text("intermittent")
    assert (await world.get(f"/hosts/{host_id}"))["always_on"] is False


async def test_a_row_that_no_longer_matches_stays_until_the_list_is_updated(
    world: World, page: Page
) -> None:
    host_id = await world.enroll("box", always_on=False)
    session = await world.hello(host_id)
    await page.goto(f"{world.ui.url}/?q=state:online")
    await page.wait_for_selector(LIVE)
    await world.goodbye(host_id, session)
    await expect(page.locator("[data-list]")).to_contain_text("1 row no longer matches")
    await expect(page.locator("[data-host]")).to_have_count(1)
    await page.get_by_text("Update list").click()
    await expect(page.locator("[data-host]")).to_have_count(0)


async def test_not_live_while_the_ui_is_away_and_live_again_with_nothing_missed(
    world: World, page: Page
) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    await open_fleet(world, page)
    address = world.ui.url.removeprefix("http://")
    await world.stop("ui")
    await expect(page.locator("#live")).to_contain_text("NOT LIVE since", timeout=3000)
    await expect(page.locator("#live")).to_contain_text("retrying")
    world.settings["ui_listen"] = address
    away = MemoryBus(world.log, "away")
    await away.connect()
    await _goodbye_unseen(world, host_id, session)
    await world.start("ui")
    await page.wait_for_selector(LIVE, timeout=5000)
    await expect(page.locator(f"[data-host='{host_id}'] .dot-asleep")).to_be_visible()
    assert await page.evaluate("window.notReloaded")
    await away.close()


async def _goodbye_unseen(world: World, host_id: str, session: str) -> None:
    """Say goodbye while no ui is there to see it."""
    from libs.common.bus.base import Outgoing
    from libs.common.events.agent import AgentOffline, OfflineReason
    from libs.common.events.base import encode
    from libs.common.ids import new_id

    event = AgentOffline(
        host_id=host_id, session=session, last_seen=world.now, reason=OfflineReason.SLEEP
    )
    event_id = new_id()
    data = encode(event, event_id=event_id, source="dormice/gateway", time=world.now)
    await world.gateway.publish([Outgoing(event_id, event.subject(), data)])


async def test_tabs_share_one_stream(world: World, page: Page) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    tabs = [page] + [await page.context.new_page() for _ in range(8)]
    for tab in tabs:
        await tab.goto(f"{world.ui.url}/")
        await tab.wait_for_selector(LIVE)
    session = await world.hello(host_id)
    await world.goodbye(host_id, session)
    for tab in tabs:
        await expect(tab.locator(f"[data-host='{host_id}'] .dot-asleep")).to_have_count(1)


async def test_a_new_host_step_by_step(world: World, page: Page) -> None:
    from libs.common.rpc import call

    await page.goto(f"{world.ui.url}/hosts/new")
    await page.fill("[name=name]", "newcomer")
    await page.get_by_role("button", name="Make the line to run").click()
    line = await page.locator("#line").inner_text()
    token = line.split("DORMICE_ENROLL_TOKEN=")[1].split()[0]
    await page.wait_for_selector(LIVE)
    facts = {"hostname": "x", "os": "linux", "arch": "x86_64", "timezone": "UTC"}
    reply = await call(world.gateway, "registry", "enroll", {"token": token, **facts})
    await expect(page.locator(".steps")).to_contain_text("token used")
    await world.hello(str(reply.result["host_id"]))
    await expect(page.locator(".steps .done")).to_have_count(2)
    await page.get_by_role("link", name="Go to newcomer").click()
    await expect(page.locator("h1")).to_contain_text("newcomer")


async def test_the_strip_has_one_tab_stop_and_walks_by_day(world: World, page: Page) -> None:
    host_id = await world.enroll("box")
    await page.goto(f"{world.ui.url}/hosts/{host_id}")
    strip = page.locator(".host-strip")
    await strip.focus()
    await page.keyboard.press("Home")
    first = await strip.locator("output").inner_text()
    await page.keyboard.press("ArrowRight")
    second = await strip.locator("output").inner_text()
    assert first != second
    await page.keyboard.press("End")
    await expect(strip.locator("[data-day].at")).to_have_count(1)


async def test_the_strip_keeps_its_place_through_a_live_change(world: World, page: Page) -> None:
    host_id = await world.enroll("box")
    session = await world.hello(host_id)
    await page.goto(f"{world.ui.url}/hosts/{host_id}")
    await page.wait_for_selector(LIVE)
    strip = page.locator(".host-strip")
    await strip.focus()
    await page.keyboard.press("Home")
    said = await strip.locator("output").inner_text()
    await page.evaluate("document.querySelector('.host-strip').dataset.before = 'yes'")
    await world.goodbye(host_id, session)
    await expect(page.locator(".host-strip[data-before]")).to_have_count(0)
    await expect(strip).to_be_focused()
    await expect(strip.locator("[data-day].at")).to_have_count(1)
    assert await strip.locator("output").inner_text() == said
