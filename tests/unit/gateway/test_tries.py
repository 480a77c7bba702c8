"""Ten failures a minute from an address, one by one or all at once; successes never count."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.clock import VirtualClock
from libs.common.errors import TooManyTries
from services.gateway import tries
from services.gateway.tries import FailedTries

MINUTE = timedelta(minutes=1)


class Door:
    """Takes tries as `/enroll` does, and counts what became of them."""

    def __init__(self) -> None:
        self.clock = VirtualClock(datetime(2026, 6, 15, tzinfo=UTC))
        self.tries = FailedTries(self.clock)
        self.failed = self.succeeded = self.refused = self.most_at_once = self.inside = 0

    async def knock(self, address: str = "a", *, fails: bool) -> None:
        try:
            async with self.tries.turn(address):
                await self._decide(address, fails=fails)
        except TooManyTries:
            self.refused += 1

    async def _decide(self, address: str, *, fails: bool) -> None:
        self.inside += 1
        self.most_at_once = max(self.most_at_once, self.inside)
        await asyncio.sleep(0)
        self.inside -= 1
        if fails:
            self.failed += 1
            self.tries.note(address)
        else:
            self.succeeded += 1


@pytest.fixture
def door() -> Door:
    return Door()


async def test_a_volley_fails_ten_times_and_no_more(door: Door) -> None:
    await asyncio.gather(*(door.knock(fails=True) for _ in range(100)))
    assert (door.failed, door.refused) == (10, 90)
    with pytest.raises(TooManyTries):
        door.tries.check("a")
    door.tries.check("b")


async def test_a_volley_of_good_ones_all_succeeds(door: Door) -> None:
    await asyncio.gather(*(door.knock(fails=False) for _ in range(100)))
    assert (door.succeeded, door.refused, door.most_at_once) == (100, 0, 10)
    assert not door.tries._by_address


async def test_a_mixed_volley_stops_at_the_tenth_failure(door: Door) -> None:
    await asyncio.gather(*(door.knock(fails=count % 2 == 0) for count in range(100)))
    assert door.failed == 10
    assert door.succeeded + door.refused == 90


async def test_after_a_minute_it_goes_on(door: Door) -> None:
    for _ in range(11):
        await door.knock(fails=True)
    assert (door.failed, door.refused) == (10, 1)
    door.clock.advance(MINUTE)
    await door.knock(fails=False)
    assert door.succeeded == 1


async def test_who_gives_up_waiting_holds_up_nobody(door: Door) -> None:
    for _ in range(9):
        await door.knock(fails=True)
    knocks = [asyncio.create_task(door.knock(fails=False)) for _ in range(3)]
    await asyncio.sleep(0)
    knocks[1].cancel()
    await asyncio.gather(*knocks, return_exceptions=True)
    assert (door.succeeded, door.most_at_once) == (2, 1)


async def test_what_is_remembered_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "MAX_ADDRESSES", 3)
    for address in "abcd":
        await door.knock(address, fails=True)
    assert list(door.tries._by_address) == ["b", "c", "d"]
