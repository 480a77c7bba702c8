"""An agent that has nothing to do: it is small, and it is still."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from agent import host
from libs.common.protocol import Heartbeat
from tests.integration.agent.conftest import Rig

LIMIT_BYTES = 45 * 2**20
"""As `systemctl status` and `ps` count; the bench says it to the byte."""


async def test_an_idle_agent_is_small(rig: Rig) -> None:
    async with rig.process() as process:
        line = await rig.ready(interval=0.2)
        await line.expect(Heartbeat)
        size = psutil.Process(process.pid).memory_info().rss
    assert size <= LIMIT_BYTES, f"{size / 1e6:.1f} MB"


@pytest.mark.parametrize(
    ("system", "variables", "may"),
    [
        ("linux", {}, False), ("linux", {"https_proxy": "http://box:3128"}, True),
        ("linux", {"HTTPS_PROXY": "http://box:3128"}, True), ("darwin", {}, True),
    ],
)  # fmt: skip
def test_where_a_proxy_may_be(
    system: str, variables: dict[str, str], may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "system", lambda: system)
    monkeypatch.setattr(host.os, "environ", variables)
    assert host.may_have_proxy() is may


async def test_a_proxy_that_is_named_is_asked(rig: Rig) -> None:
    """Nobody answers at this one, so the gateway is not reached. Also: what is loaded late is."""
    away = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
    async with rig.process(environment=away) as process:
        log = rig.state / "agent.log"
        async with asyncio.timeout(20):
            while "cannot reach the gateway" not in (log.read_text() if log.exists() else ""):
                await asyncio.sleep(0.05)
        assert process.returncode is None
