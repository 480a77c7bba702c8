"""Takes the pictures of docs/screenshots: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from tests.browser.browsing import chromium
from tests.browser.story import start_world, tell_two_weeks
from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import PASSWORD, log_in

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
SIZES = {1440: 900, 375: 812}


async def take(world: World, browser: Browser, paths: dict[str, str], folder: Path) -> list[str]:
    """Take each page in light and dark, wide and narrow; return what the browser complained of."""
    complaints: list[str] = []
    for theme in ("light", "dark"):
        for width, height in SIZES.items():
            context = await browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme,  # type: ignore[arg-type]
                timezone_id="UTC",
            )  # fmt: skip
            page = await context.new_page()
            page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(f"{world.ui.url}/login")
            await page.fill("[name=username]", f"admin-{len(world.folder.name)}")
            await page.fill("[name=password]", PASSWORD)
            await page.click("button.primary")
            for name, path in paths.items():
                await page.goto(world.ui.url + path)
                if path == "/hosts/new":
                    await page.click("button.primary")
                await page.wait_for_selector("#live[data-state=live]")
                wide = await page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    complaints.append(f"{path} is {wide} wide at {width}")
                picture = folder / f"{name}-{theme}-{width}.png"
                await page.screenshot(path=str(picture), full_page=name != "fleet" or width < 500)
            await context.close()
    return complaints


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as data:
        world = await start_world(Path(data))
        try:
            hosts = await tell_two_weeks(world)
            await (await log_in(world)).aclose()
            paths = {
                "fleet": "/", "host": f"/hosts/{hosts['laptop-7'].host_id}", "alerts": "/alerts",
                "add-host": "/hosts/new",
            }  # fmt: skip
            async with chromium() as browser:
                for line in await take(world, browser, paths, folder):
                    print(line)
        finally:
            await world.__aexit__()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
