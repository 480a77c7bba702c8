"""The running loop on a bus in memory: when it publishes, decides by the clock, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.events.presence import PresenceOnline
from libs.common.loop.tx import Tx
from tests.integration.loop.counter import Counter
from tests.unit.loop.running import NOW, PAST_QUIET, Cautious, Running, count, running


@pytest.fixture
async def counting(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, Counter()) as at_work:
        yield at_work


@pytest.fixture
async def cautious(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, Cautious()) as at_work:
        yield at_work


async def test_what_was_stored_unanswered_is_found_in_the_log_and_not_sent_again(
    counting: Running,
) -> None:
    """After each reconnect it reads to the tail first, and only then publishes."""
    counting.bus.lose_answers = 1
    counting.hello(1)
    await counting.until(lambda: counting.connected == 2)
    assert await counting.service.wait_for_seq(counting.hello(2), timedelta(seconds=5))
    await counting.until(lambda: not counting.service.sender.waiting)
    assert counting.stored("online") == 2


async def test_no_deadline_is_decided_while_the_bus_is_away(counting: Running) -> None:
    assert await counting.service.wait_for_seq(counting.hello(1), timedelta(seconds=5))
    counting.log.take_away()
    counting.clock.advance(PAST_QUIET)
    assert await counting.told(fresh=False) == 0
    counting.log.bring_back()
    await counting.until(lambda: counting.stored("offline") == 1)


async def test_no_deadline_is_decided_before_the_log_was_read_to_its_tail(
    counting: Running,
) -> None:
    """What puts it off may stand there already."""
    assert await counting.service.wait_for_seq(counting.hello(1), timedelta(seconds=5))
    counting.bus.delivering.clear()
    counting.hello(1, "s2", NOW + PAST_QUIET)
    asked = counting.bus.tails_asked
    counting.clock.advance(PAST_QUIET)
    await counting.until(lambda: counting.bus.tails_asked > asked or counting.stored("offline"))
    counting.bus.delivering.set()
    assert await counting.told() == 0


async def test_no_deadline_is_decided_before_a_beat_of_this_connection(cautious: Running) -> None:
    assert await cautious.service.wait_for_seq(cautious.hello(1), timedelta(seconds=5))
    cautious.clock.advance(PAST_QUIET)
    assert await cautious.told() == 0
    cautious.log.send_live("dormice-live.beat.gw-1", b"{}")
    await cautious.until(lambda: cautious.stored("offline") == 1)
    cautious.log.cut()
    await cautious.until(lambda: cautious.connected == 2)
    assert await cautious.service.wait_for_seq(cautious.hello(2), timedelta(seconds=5))
    cautious.clock.advance(PAST_QUIET)
    assert await cautious.told() == 1
    cautious.log.send_live("dormice-live.beat.gw-1", b"{}")
    await cautious.until(lambda: cautious.stored("offline") == 2)


async def test_a_call_is_decided_at_the_tail_as_of_its_arrival(counting: Running) -> None:
    for number in range(20):
        counting.hello(number)
        known = await counting.service.submit(lambda tx: count(tx.db, "hello"), fresh=True)
        assert known.result == number + 1


async def test_a_call_is_answered_once_its_events_are_acknowledged(counting: Running) -> None:
    def change(tx: Tx) -> str:
        tx.emit(PresenceOnline(host_id="x", name="", always_on=True, session="", gateway="",
                               since=NOW))  # fmt: skip
        return "done"

    counting.bus.open.clear()
    asking = asyncio.create_task(counting.service.submit(change, fresh=True))
    await counting.until(lambda: counting.service.sender.waiting == 1)
    await asyncio.sleep(0.02)  # Long enough for an answer that does not wait.
    assert not asking.done()
    counting.bus.open.set()
    assert (await asking).result == "done"
    assert (await asking).seq == counting.log.info().last_seq == 1


async def test_a_batch_is_one_hop_to_the_database_thread(counting: Running) -> None:
    before = counting.database.hops
    last = [counting.hello(number) for number in range(200)][-1]
    assert await counting.service.wait_for_seq(last, timedelta(seconds=5))
    assert counting.database.hops - before <= 3


async def test_events_that_nobody_handles_share_a_step(counting: Running) -> None:
    """They are read at once, and stand in the file within a second, all with one commit."""
    running = counting
    commits = await running.commits()
    for number in range(30):
        seq = running.armed(number)
        assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    await running.until(lambda: running.file_position() == seq)
    assert len(commits) < 10


async def test_what_waits_goes_before_what_is_handled(counting: Running) -> None:
    """The position in the file covers both, and a call is decided at the tail as ever."""
    running = counting
    running.armed(1)
    seq = running.hello(1)
    assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    assert running.file_position() == seq
    seq = running.armed(2)
    await running.service.submit(lambda tx: None, fresh=True)
    assert running.file_position() == seq


async def test_what_waits_is_read_again_after_a_cut(counting: Running) -> None:
    running = counting
    seq = running.armed(1)
    assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    running.log.cut()
    await running.until(lambda: running.connected == 2)
    seq = running.hello(1)
    assert await running.service.wait_for_seq(seq, timedelta(seconds=5))
    assert running.file_position() == seq
    assert running.service.events_applied == 2
