"""The lines between services and bus, and agents and gateway, as a process of their own: nothing
that the agents of this test do makes a line slow, only what is asked for.

`Lines` starts it and tells it, a line of JSON per order; the proxies run in `main`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from libs.common.testing.proxy import CuttableProxy

START_SECONDS = 30.0
Address = tuple[str, int]


class Lines:
    """One line by name to each address. `ports` says where to connect instead."""

    def __init__(self, targets: Mapping[str, Address]) -> None:
        self._targets = targets
        self.ports: dict[str, int] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.lines", json.dumps(dict(self._targets)),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            self.ports = json.loads(await self._process.stdout.readline())

    async def stop(self) -> None:
        """It ends when nobody can tell it anything any more."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    def cut(self, name: str, *, refuse: bool) -> None:
        """Break every connection now; with `refuse` also those that come, until `heal`."""
        self._tell(name, cut=True, refuses=refuse)

    def slow(self, name: str, delay_seconds: float) -> None:
        """Delay every chunk until `heal`."""
        self._tell(name, delay_seconds=delay_seconds)

    def heal(self, name: str) -> None:
        self._tell(name, delay_seconds=0.0, refuses=False)

    def _tell(self, name: str, **order: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"name": name, **order}).encode() + b"\n")


async def main(targets: Mapping[str, Address]) -> None:
    proxies = {name: CuttableProxy(*address) for name, address in targets.items()}
    for proxy in proxies.values():
        await proxy.start()
    print(json.dumps({name: proxy.port for name, proxy in proxies.items()}), flush=True)
    orders = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(orders)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await orders.readline():
        _obey(proxies, json.loads(line))
    os._exit(0)  # Whoever is still connected is dead as well.


def _obey(proxies: Mapping[str, CuttableProxy], order: dict[str, Any]) -> None:
    proxy = proxies[order["name"]]
    proxy.delay_seconds = order.get("delay_seconds", proxy.delay_seconds)
    proxy.refuses = order.get("refuses", proxy.refuses)
    if order.get("cut"):
        proxy.cut()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
