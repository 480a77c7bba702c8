"""What a listener does with requests that are under way when it is stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from libs.common import listener
from libs.common.listener import Listener


class Waiting:
    """An application that never answers, but may begin to."""

    def __init__(self, *, begins: bool) -> None:
        self._begins = begins
        self.asked = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        if self._begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        self.asked.set()
        await asyncio.Event().wait()


async def _stopped_amid(app: Waiting) -> httpx.Response:
    served = Listener(app, "127.0.0.1:0", setting="DORMICE_TEST_LISTEN")
    await served.start()
    async with httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(served.url))
        await app.asked.wait()
        await served.stop()
        return await asking


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "STOP_SECONDS", 0)


async def test_who_waits_for_an_answer_is_told_to_ask_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await _stopped_amid(Waiting(begins=False))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"] == "urn:dormice:problem:unavailable"
    assert [record.message for record in caplog.records if record.exc_info] == []


async def test_an_answer_that_was_begun_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await _stopped_amid(Waiting(begins=True))
    assert [record.message for record in caplog.records if record.exc_info] == []
