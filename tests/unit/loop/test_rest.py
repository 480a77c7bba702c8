"""Small steps in quick succession wait a little for more; others never do."""

from __future__ import annotations

import asyncio

from libs.common.loop.rest import LONGEST_REST_SECONDS, SMALL_STEP, Rest


def test_the_first_step_never_waits() -> None:
    assert Rest().seconds_left == 0


async def test_after_a_small_step_comes_a_rest_but_no_long_one() -> None:
    rest = Rest()
    with rest.earned_by(SMALL_STEP - 1):
        await asyncio.sleep(LONGEST_REST_SECONDS)
    assert 0 < rest.seconds_left <= LONGEST_REST_SECONDS
    await rest.take()
    assert rest.seconds_left == 0


def test_after_a_large_step_comes_none() -> None:
    rest = Rest()
    with rest.earned_by(SMALL_STEP):
        pass
    assert rest.seconds_left == 0
