"""What an operator does and sees, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

PAGE = 1000
FRESH = httpx.Limits(max_keepalive_connections=0)
"""A connection for every request: one that the server lets go meanwhile is no fault of it."""


class Unknown(Exception):
    """No answer, or a 5xx: nobody knows whether it was done."""


class Refused(AssertionError):
    """The answer was a 4xx; the message has it."""


class Api:
    """The HTTP API as its admin."""

    def __init__(self, web: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(
            base_url=f"{web}/api/v1", headers=headers, timeout=15, limits=FRESH, trust_env=False
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the answer's body. Raises: Unknown, Refused."""
        try:
            answer = await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Unknown(repr(error)) from None
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Unknown(f"{answer.status_code} {answer.text[:200]}")
        if not answer.is_success:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    async def all_of(self, path: str, **filters: str) -> list[dict[str, Any]]:
        """Return every item of a list, page after page."""
        found: list[dict[str, Any]] = []
        where = httpx.QueryParams({**filters, "limit": str(PAGE)})
        while True:
            page = await self.ask("GET", f"{path}?{where}")
            found += page["items"]
            if page["next"] is None:
                return found
            where = where.set("cursor", page["next"])
