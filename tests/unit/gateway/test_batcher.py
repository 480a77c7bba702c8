"""Questions that come together are asked together."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.errors import DormiceError, Unavailable
from services.gateway.batcher import Batcher


class Oracle:
    """Knows the length of every word but `nothing`; answers when it is told to go on."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.go_on = asyncio.Event()
        self.error: DormiceError | None = None

    async def ask(self, words: list[str]) -> dict[str, int]:
        self.asked.append(words)
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return {word: len(word) for word in words if word != "nothing"}


async def asking(batcher: Batcher[str, int], words: list[str]) -> list[asyncio.Task[int | None]]:
    tasks = [asyncio.create_task(batcher.get(word)) for word in words]
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_meanwhile_is_asked_together() -> None:
    oracle = Oracle()
    batcher = Batcher(oracle.ask, most=3)
    first = await asking(batcher, ["a"])
    await asyncio.sleep(0)
    rest = await asking(batcher, ["bb", "ccc", "nothing", "bb"])
    oracle.go_on.set()
    assert await asyncio.gather(*first, *rest) == [1, 2, 3, None, 2]
    assert oracle.asked == [["a"], ["bb", "ccc", "nothing"], ["bb"]]


async def test_the_same_word_is_asked_once() -> None:
    oracle = Oracle()
    oracle.go_on.set()
    tasks = await asking(Batcher(oracle.ask, most=10), ["bb", "bb"])
    assert await asyncio.gather(*tasks) == [2, 2]
    assert oracle.asked == [["bb"]]


async def test_an_error_is_everybodys_who_waits_and_nobodys_after() -> None:
    oracle = Oracle()
    batcher = Batcher(oracle.ask, most=1)
    tasks = await asking(batcher, ["a", "bb"])
    oracle.error = Unavailable("gone")
    oracle.go_on.set()
    for task in tasks:
        with pytest.raises(Unavailable):
            await task
    assert oracle.asked == [["a"]]
    oracle.error = None
    assert await batcher.get("ccc") == 3


async def test_who_no_longer_waits_disturbs_nobody() -> None:
    oracle = Oracle()
    tasks = await asking(Batcher(oracle.ask, most=10), ["a", "bb"])
    tasks[0].cancel()
    oracle.go_on.set()
    assert await tasks[1] == 2
