"""How pages behave under a person's hands: several tabs, menus, keys, what is held meanwhile."""

from __future__ import annotations

from playwright.async_api import Page, expect

from libs.common.rpc import call
from tests.integration.ui.test_jobs import ready
from tests.integration.ui.world import World

LIVE = "#live[data-state=live]"


async def open_page(world: World, page: Page, path: str) -> None:
    await page.goto(f"{world.ui.url}{path}")
    await page.wait_for_selector(LIVE)


async def test_two_tabs_with_two_hosts_stay_apart(world: World, page: Page) -> None:
    server, laptop = await world.enroll("web-3"), await world.enroll("tp", always_on=False)
    other = await page.context.new_page()
    await open_page(world, page, f"/hosts/{server}")
    await open_page(world, other, f"/hosts/{laptop}")
    session = await world.hello(laptop)
    await world.hello(server)
    await world.goodbye(laptop, session)
    await expect(other.locator("main .dot-asleep")).to_have_count(1)
    await expect(page.locator("main .dot-online")).to_have_count(1)
    await expect(page.locator(".host-mode")).to_have_text("24×7")
    await expect(other.locator(".host-mode")).to_have_text("intermittent")


async def test_a_query_that_is_wrong_takes_nothing_from_the_other_tabs(
    world: World, page: Page
) -> None:
    host_id = await world.enroll("web-3")
    await open_page(world, page, "/")
    wrong = await page.context.new_page()
    await open_page(world, wrong, "/?q=state:wrong")
    await expect(wrong.get_by_role("alert")).to_contain_text("is none of")
    await world.hello(host_id)
    await expect(page.locator(f"[data-host='{host_id}'] .dot-online")).to_be_visible()
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")


async def test_reasons_that_are_read_stay_open_as_new_ones_come(world: World, page: Page) -> None:
    host_id = await world.enroll("laptop", always_on=False)
    session = await world.hello(host_id)
    await world.goodbye(host_id, session)
    await open_page(world, page, f"/hosts/{host_id}")
    lines = page.locator(".why .decision")
    before = await lines.count()
    await lines.first.locator("summary").click()
    held = await lines.first.inner_text()
    await world.hello(host_id)
    await expect(lines.filter(has_text="woke")).to_have_count(1)
    await expect(lines.filter(has_text="the agent said hello")).to_have_count(2)
    assert await lines.count() > before
    await expect(page.locator(".why details[open]")).to_have_count(1)
    assert await page.locator(".why .decision:has(details[open])").inner_text() == held
    await expect(page.locator(".why summary:focus")).to_have_count(1)


async def test_menus_by_keyboard(world: World, page: Page) -> None:
    host_id = await world.enroll("box", tags=["nas"])
    await open_page(world, page, "/")
    box = page.locator(f"[data-host='{host_id}'] input")
    await box.check()
    await box.press("Enter")  # Must not press the first button that it finds.
    assert page.url == f"{world.ui.url}/"
    opener = page.get_by_role("button", name="Tags")
    await opener.press("Enter")
    await expect(opener).to_have_attribute("aria-expanded", "true")
    field = page.locator("#tags-menu input")
    await expect(field).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(opener).to_be_focused()
    await expect(opener).to_have_attribute("aria-expanded", "false")
    await page.get_by_role("button", name="Mode", exact=True).click()
    await opener.click()
    await expect(page.locator("#mode-menu")).to_be_hidden()
    await field.fill("paris")
    await field.press("Enter")
    await expect(page.get_by_text("Tags saved for 1.")).to_be_visible()
    assert (await world.get(f"/hosts/{host_id}"))["tags"] == ["nas", "paris"]


async def test_the_menu_of_a_row_by_keyboard_and_through_live_changes(
    world: World, page: Page
) -> None:
    host_id, _ = await ready(world)
    await world.enroll("other")
    await open_page(world, page, "/")
    opener = page.get_by_label("Menu of laptop")
    menu = page.locator(f"[data-host='{host_id}'] .row-menu .menu-items")
    await opener.focus()
    await page.keyboard.press("Enter")
    await expect(menu).to_be_visible()
    await page.keyboard.press("Tab")
    back_up = menu.get_by_role("button")
    await expect(back_up).to_be_focused()
    await expect(back_up).to_have_text("Back up when it wakes")
    session = await world.hello(host_id)
    await expect(back_up).to_have_text("Back up now")
    await world.goodbye(host_id, session)
    await expect(back_up).to_have_text("Back up when it wakes")
    await expect(back_up).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(opener).to_be_focused()
    await opener.click()
    await page.get_by_label("Menu of other").press("Enter")
    await expect(menu).to_be_hidden()
    await opener.click()
    await back_up.click()
    await expect(page.get_by_text("Backup requested: 0 now, 1 when they wake.")).to_be_visible()
    assert len((await world.get("/jobs"))["items"]) == 1


async def test_the_menu_of_a_row_leads_to_presence_silence_and_why(
    world: World, page: Page
) -> None:
    host_id = await world.enroll("laptop", always_on=False)

    async def choose(word: str) -> None:
        await open_page(world, page, "/")
        await page.get_by_label("Menu of laptop").click()
        await page.locator(".row-menu[open]").get_by_text(word, exact=True).click()
        await page.wait_for_url(lambda url: url != f"{world.ui.url}/")

    await choose("presence")
    await expect(page.locator("#presence-form input")).to_be_focused()
    await expect(page.get_by_role("button", name="presence", exact=True)).to_have_attribute(
        "aria-expanded", "true"
    )
    await choose("silence")
    await expect(page.locator("[name=host]")).to_be_visible()
    await expect(page.locator("[name=host]")).to_have_value("laptop")
    await choose("why")
    assert page.url.endswith(f"/hosts/{host_id}#h-why")


async def test_a_restore_begins_in_the_navigation(world: World, page: Page) -> None:
    host_id, _ = await ready(world)
    await world.serve_commands()
    session = await world.hello(host_id)
    job = await world.post(f"/hosts/{host_id}/jobs", kind="snapshots")
    listed = {"snapshots": [{"id": "1a2b3c4d5e6f7081", "time": "2026-06-15T02:00:00Z"}]}
    await world.finish(host_id, session, job["job_id"], "succeeded", stats=listed)
    await world.until_answer(f"/hosts/{host_id}/snapshots")
    await open_page(world, page, "/")
    await page.get_by_label("Main").get_by_text("Restore").click()
    await page.get_by_role("link", name="laptop").click()
    await expect(page.locator("[name=snapshot]")).to_have_value("latest")
    await page.get_by_role("link", name="Restore from 1a2b3c4d").click()
    await expect(page.locator("[name=snapshot]")).to_have_value("1a2b3c4d5e6f7081")
    await page.fill("[name=target]", "/back")
    await page.get_by_role("button", name="Restore", exact=True).click()
    await expect(page.locator(".facts")).to_contain_text("of snapshot 1a2b3c4d5e6f7081 into /back")


async def test_the_usual_causes_are_told_after_a_minute(world: World, page: Page) -> None:
    await page.clock.install()
    await page.goto(f"{world.ui.url}/hosts/new")
    await page.get_by_role("button", name="Make the line to run").click()
    await page.wait_for_selector(LIVE)
    causes = page.locator(".causes")
    await page.clock.fast_forward(30_000)
    await expect(causes).to_be_hidden()
    await page.clock.fast_forward(30_000)
    await expect(causes.get_by_text("firewalls")).to_be_visible()
    line = await page.locator("#line").inner_text()
    token = line.split("DORMICE_ENROLL_TOKEN=")[1].split()[0]
    facts = {"hostname": "x", "os": "linux", "arch": "x86_64", "timezone": "UTC"}
    reply = await call(world.gateway, "registry", "enroll", {"token": token, **facts})
    await world.hello(str(reply.result["host_id"]), config_version=1)
    await expect(page.locator(".steps .done")).to_have_text(
        ["token used", "connected", "config applied"]
    )
    await expect(causes).to_be_hidden()


async def test_what_is_done_elsewhere_cannot_be_done_again_here(world: World, page: Page) -> None:
    host_id = await world.enroll("box")
    group = await world.post(f"/hosts/{host_id}/source-groups", name="home", includes=["/home"])
    await world.put(f"/hosts/{host_id}/repository", url="/srv/restic", password="correct horse")
    await world.serve_commands()
    session = await world.hello(host_id)
    backup = await world.post(f"/hosts/{host_id}/backup", source_group_id=group["id"])
    await open_page(world, page, f"/jobs/{backup['job_id']}")
    cancel = page.get_by_role("button", name="Cancel")
    await expect(cancel).to_be_visible()
    await world.finish(host_id, session, backup["job_id"], "failed")
    await expect(page.locator(".state-line")).to_contain_text("failed")
    await expect(cancel).to_be_hidden()
    await expect(page.locator(".facts")).to_contain_text("Ended")
    await open_page(world, page, "/alerts")
    acknowledge = page.get_by_role("button", name="Acknowledge")
    await expect(acknowledge).to_be_visible()
    (alert,) = (await world.get("/alerts"))["items"]
    await world.post(f"/alerts/{alert['id']}/acknowledge")
    await expect(acknowledge).to_be_hidden()
    await expect(page.locator("[data-list]")).to_contain_text("1 row no longer matches")
