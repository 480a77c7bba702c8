"""A person at the pages: a client with the cookie of who is logged in."""

from __future__ import annotations

import html
import re

import httpx

from tests.integration.ui.world import World

PASSWORD = "correct horse battery"


async def log_in(world: World, role: str = "admin") -> httpx.AsyncClient:
    """Make an operator and log in as a browser would."""
    name = f"{role}-{len(world.folder.name)}"
    made = await world.api.post(
        "/operators", json={"name": name, "role": role, "password": PASSWORD}
    )
    assert made.status_code in (201, 409), made.text
    client = httpx.AsyncClient(base_url=world.ui.url, timeout=15)
    answer = await client.post("/login", data={"username": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return client


def text_of(page: str) -> str:
    """Return a page as it is read: tags gone, entities read, spaces single."""
    bare = re.sub(r"<(script|style|title)[^>]*>.*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", bare)).split())
