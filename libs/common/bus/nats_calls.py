"""Live messages and calls over NATS: nothing here is stored."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from libs.common.bus.base import BusAway, CallHandler, LiveHandler, NoResponder, PublishRefused
from libs.common.bus.nats_api import status_of
from libs.common.bus.nats_client import Message, MessageHandler
from libs.common.bus.nats_link import Link

log = structlog.get_logger()

AT_ONCE = 256
"""Calls worked on at the same time; further ones wait."""

WAITING = 4096
"""Calls taken in at all; further ones are dropped, and their callers see a timeout."""

_QUEUE = "q"


class Calls:
    """The unstored side of one connection. `refused` counts what had no honest reply subject."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.refused = 0
        self.dropped = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self, subject: str, handler: LiveHandler) -> None:
        def take(message: Message) -> None:
            if message.reply.startswith("$JS."):
                self.refused += 1  # A consumer's deliver subject, pointed at us.
            else:
                handler(message.subject, message.data)

        await self._subscribe(subject, take)

    async def serve(self, subject: str, handler: CallHandler) -> None:
        def take(message: Message) -> None:
            if not message.reply.startswith("_INBOX_"):
                self.refused += 1
                log.warning("call_refused", subject=message.subject, reply=message.reply)
            elif len(self._tasks) >= WAITING:
                self.dropped += 1
            else:
                task = asyncio.create_task(self._answer(message, handler))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        await self._subscribe(subject, take, _QUEUE)

    async def _subscribe(self, subject: str, take: MessageHandler, queue: str = "") -> None:
        """Return when the server knows; while the bus is away, it will be told on connect."""
        await self._link.subscribe(subject, take, queue)
        with suppress(BusAway):
            await self._link.barrier()

    async def _answer(self, message: Message, handler: CallHandler) -> None:
        async with self._slots:
            try:
                answer = await handler(message.subject, message.data)
                await self._link.send(message.reply, answer)
            except (BusAway, PublishRefused) as error:
                log.warning("answer_not_sent", subject=message.subject, error=error.message)
            except Exception:  # The caller sees a timeout; the next call must be served.
                log.exception("call_handler_failed", subject=message.subject)

    async def call(self, subject: str, data: bytes, timeout: timedelta) -> bytes:
        message = await self._link.request(subject, data, timeout)
        if status_of(message) == "503":
            raise NoResponder(f"Nobody serves {subject} right now.")
        return message.data

    async def send_live(self, subject: str, data: bytes) -> None:
        try:
            await self._link.send(subject, data)
        except (BusAway, PublishRefused) as error:
            log.debug("live_not_sent", subject=subject, error=error.message)
