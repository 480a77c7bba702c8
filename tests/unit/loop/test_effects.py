"""Effects: carried out after the commit, each at most once at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from libs.common.loop.effects import Effects
from libs.common.loop.step import Effect

EFFECT = Effect(1, "send", "k", {})


async def test_an_effect_is_not_begun_again_before_its_outcome_is_written_down() -> None:
    """A reconnect hands out again whatever the file still holds."""
    begun: list[str] = []
    may_end, ended = asyncio.Event(), asyncio.Event()

    async def send(key: str, _: dict[str, Any]) -> dict[str, Any]:
        begun.append(key)
        await may_end.wait()
        return {"ok": True}

    effects = Effects({"send": send}, lambda *_: ended.set())
    for _ in range(2):
        effects.start([EFFECT])
        await asyncio.sleep(0)
    assert begun == ["k"]
    may_end.set()
    await ended.wait()
    effects.start([EFFECT])
    await asyncio.sleep(0)
    assert begun == ["k"]
    effects.decided(EFFECT.row_id)
    effects.start([EFFECT])
    await asyncio.sleep(0)
    assert begun == ["k", "k"]
    await effects.stop()
