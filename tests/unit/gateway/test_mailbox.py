"""What a connection keeps in uvicorn's place, and how little."""

from __future__ import annotations

import asyncio
import gc

import pytest
from websockets.asyncio.client import connect

from libs.common.listener import Listener
from services.gateway.door import Door
from services.gateway.mailbox import Gate, Mailbox
from services.gateway.sockets import AgentSocket


async def test_messages_come_out_in_their_order() -> None:
    box = Mailbox()
    box.put_nowait(1)
    box.put_nowait(2)
    assert (box.qsize(), box.empty()) == (2, False)
    assert [await box.get(), await box.get()] == [1, 2]
    assert box.empty()


async def test_who_waits_gets_the_next_message() -> None:
    box = Mailbox()
    reading = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    assert not reading.done()
    box.put_nowait("first")
    box.put_nowait("second")
    assert await reading == "first"
    assert await box.get() == "second"


async def test_who_gives_up_waiting_takes_no_message_along() -> None:
    box = Mailbox()
    reading = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    box.put_nowait("kept")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await box.get() == "kept"


async def test_a_gate_lets_all_through_once_it_opens() -> None:
    gate = Gate()
    assert await gate.wait()
    gate.clear()
    gate.clear()
    assert not gate.is_set()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting[1:])
    gate.set()
    gate.set()
    assert await asyncio.gather(*waiting[1:]) == [True, True]


async def test_a_gate_that_shuts_again_at_once_lets_nobody_through() -> None:
    gate = Gate()
    gate.clear()
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    gate.set()
    gate.clear()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    assert await waiting


def sockets() -> list[AgentSocket]:
    return [one for one in gc.get_objects() if type(one) is AgentSocket]


async def test_an_accepted_connection_holds_nothing_of_its_handshake() -> None:
    accepted, ended, others = asyncio.Event(), asyncio.Event(), sockets()

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        accepted.set()
        await ended.wait()

    listener = Listener(app, "127.0.0.1:0", setting="X", http=Door, ws=AgentSocket,
                        ws_ping_interval=None, ws_per_message_deflate=False)  # fmt: skip
    await listener.start()
    try:
        async with connect(listener.url.replace("http", "ws") + "/agent/v1", proxy=None):
            await accepted.wait()
            (socket,) = (one for one in sockets() if one not in others)
            assert not socket.request.headers
            assert not socket.response.headers
            assert len(vars(socket)) <= 30, "more make a hash table: name some in __slots__"
            ended.set()
    finally:
        await listener.stop()
