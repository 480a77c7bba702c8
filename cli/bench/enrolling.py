"""Enrols many hosts, as agents do: `POST /enroll` with tokens of many uses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import httpx

from cli.bench.agent import Agent, Watch
from cli.client import Client
from libs.common.errors import Unavailable
from libs.common.ids import new_id

ADDRESSES = 16
AT_ONCE = 8
"""Per source address: a gateway looks at no more than ten tries of one address at a time."""

PLATFORM = {"os": "linux", "arch": "amd64", "timezone": "UTC"}


async def enrol(client: Client, gateway: str, count: int, watch: Watch) -> list[Agent]:
    """Return the agents of `count` new hosts, every other a laptop. Raises: DormiceError."""
    marks = {always_on: _token(client, count, always_on=always_on) for always_on in (True, False)}
    batch = new_id()[-6:].lower()
    names = iter([(f"bench-{batch}-{n:05d}", n % 2 == 0) for n in range(count)])
    found: list[Agent] = []
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(one) for one in _clients(gateway)]
        workers = [
            _work(line, names, marks, watch, found) for line in lines for _ in range(AT_ONCE)
        ]
        await asyncio.gather(*workers)
    return sorted(found, key=lambda agent: agent.name)


def _token(client: Client, count: int, *, always_on: bool) -> Iterator[str]:
    """Yield a token that is good for one host more, as often as there are hosts."""
    left, uses = count, 10_000
    while left > 0:
        body = {"always_on": always_on, "uses": min(left, uses), "expires_in": "1h"}
        token = client.post("/enrollment-tokens", body)["token"]
        for _ in range(min(left, uses)):
            yield token
        left -= uses


def _clients(gateway: str) -> list[httpx.AsyncClient]:
    """One for each source address; only on this machine are there several."""
    local = str(urlsplit(gateway).hostname).startswith("127.")
    addresses = [f"127.0.0.{2 + number}" for number in range(ADDRESSES)] if local else [None]
    return [
        httpx.AsyncClient(
            base_url=gateway, timeout=30, trust_env=False,
            transport=httpx.AsyncHTTPTransport(local_address=address),
        )
        for address in addresses
    ]  # fmt: skip


async def _work(
    line: httpx.AsyncClient, names: Iterator[tuple[str, bool]], marks: dict[bool, Iterator[str]],
    watch: Watch, found: list[Agent],
) -> None:  # fmt: skip
    for name, always_on in names:
        body = {"token": next(marks[always_on]), "hostname": name, **PLATFORM}
        try:
            answer = await line.post("/enroll", json=body)
        except httpx.HTTPError as error:
            raise Unavailable(f"enrolling {name}: {str(error) or type(error).__name__}") from None
        if answer.status_code != 201:
            raise Unavailable(f"enrolling {name}: {answer.status_code} {answer.text[:200]}")
        host = answer.json()
        found.append(Agent(name, host["host_id"], host["agent_token"], watch, always_on=always_on))
