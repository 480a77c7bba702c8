"""Operators and API tokens under a person's hands: what is asked before, what can be copied."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser.test_names import PROBLEMS
from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import PASSWORD

SIZES = (1440, 375)


async def open_settings(world: World, page: Page) -> None:
    await page.goto(f"{world.ui.url}/settings")
    await page.wait_for_selector("#live[data-state=live]")


async def look_over(page: Page) -> None:
    """Everything has a name, and the page never is wider than the window."""
    assert await page.evaluate(PROBLEMS) == []
    for width in SIZES:
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_a_new_token_is_copied_and_gone_afterwards(world: World, page: Page) -> None:
    await open_settings(world, page)
    await look_over(page)
    await page.get_by_text("Make an API token").click()
    form = page.locator("form[action='/settings/tokens']")
    await form.get_by_label("Name").fill("uptime monitor")
    await form.get_by_label("Expires after").fill("90d")
    await form.get_by_role("button", name="Make token").click()
    secret = await page.locator("#new-token").inner_text()
    await look_over(page)
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("getSelection().toString()") == secret
    async with world.client(secret) as api:
        assert (await api.get("/fleet")).status_code == 200
    assert secret not in page.url
    await page.goto(page.url)
    await page.wait_for_url("**/settings")
    assert secret not in await page.content()
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Remove API token uptime monitor").click()
    await expect(page.get_by_text("API token removed.")).to_be_visible()
    assert len((await world.get("/api-tokens"))["items"]) == 1


async def test_an_operator_is_removed_only_after_a_yes(world: World, page: Page) -> None:
    await world.post("/operators", name="ada", password=PASSWORD)
    await open_settings(world, page)
    await page.get_by_label("Role of ada", exact=True).select_option("operator")
    await page.get_by_role("button", name="Save role of ada").click()
    await expect(page.get_by_text("Role saved.")).to_be_visible()
    await page.locator("summary[aria-label='New password for ada']").press("Enter")
    field = page.locator("input[aria-label='New password for ada']")
    await field.fill("another " + PASSWORD)
    await look_over(page)
    await field.press("Enter")
    await expect(page.get_by_text("Password saved.")).to_be_visible()
    assert await world.ui.site.auth.log_in("ada", "another " + PASSWORD, "1.2.3.4")
    remove = page.get_by_role("button", name="Remove operator ada")
    page.once("dialog", lambda dialog: dialog.dismiss())
    await remove.click()
    await expect(remove).to_be_visible()
    assert len((await world.get("/operators"))["items"]) == 2
    page.once("dialog", lambda dialog: dialog.accept())
    await remove.click()
    await expect(page.get_by_text("Operator removed.")).to_be_visible()
    assert len((await world.get("/operators"))["items"]) == 1
