"""A ui with its owners, and a person at a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from tests.browser.browsing import chromium
from tests.integration.ui.world import World
from tests.integration.ui_pages.browser import PASSWORD, log_in


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as started:
        yield started


def refusals(said: str) -> list[str]:
    """Return what the browser says if it refused something for the page's own policy."""
    return [said] if "Security Policy" in said else []


@pytest_asyncio.fixture
async def page(world: World) -> AsyncIterator[Page]:
    """A page of someone who has just logged in; it must never complain."""
    await (await log_in(world)).aclose()
    complaints: list[str] = []
    async with chromium() as browser:
        page = await (await browser.new_context()).new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.extend(refusals(said.text)))
        await page.goto(f"{world.ui.url}/")
        await page.fill("[name=username]", f"admin-{len(world.folder.name)}")
        await page.fill("[name=password]", PASSWORD)
        await page.click("text=Log in >> nth=-1")
        await page.wait_for_selector("#live[data-state=live]")
        yield page
    assert complaints == []
