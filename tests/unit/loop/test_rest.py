"""Small steps in quick succession wait a little for more; others never do."""

from __future__ import annotations

import asyncio

from libs.common.clock import monotonic_seconds
from libs.common.loop.rest import LONGEST_REST_SECONDS, SMALL_STEP, Rest


async def seconds_of(rest: Rest) -> float:
    started = monotonic_seconds()
    await rest.take()
    return monotonic_seconds() - started


async def test_the_first_step_never_waits() -> None:
    assert await seconds_of(Rest()) < LONGEST_REST_SECONDS / 2


async def test_after_a_small_step_comes_a_rest_but_no_long_one() -> None:
    rest = Rest()
    with rest.earned_by(SMALL_STEP - 1):
        await asyncio.sleep(LONGEST_REST_SECONDS)
    assert await seconds_of(rest) >= LONGEST_REST_SECONDS * 0.9
    assert await seconds_of(rest) < LONGEST_REST_SECONDS / 2, "it is taken once"


async def test_after_a_large_step_comes_none() -> None:
    rest = Rest()
    with rest.earned_by(SMALL_STEP):
        await asyncio.sleep(LONGEST_REST_SECONDS)
    assert await seconds_of(rest) < LONGEST_REST_SECONDS / 2
