"""The bus over NATS: nats-server 2.10.23 or later with JetStream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from libs.common.bus import topology
from libs.common.bus.base import BusAway, CallHandler, LiveHandler, LogInfo, Outgoing
from libs.common.bus.nats_api import MESSAGE_ID, api, load_bucket, status_of, stream_state
from libs.common.bus.nats_calls import Calls
from libs.common.bus.nats_link import Link, LinkSettings
from libs.common.bus.nats_publisher import Publisher
from libs.common.bus.nats_reader import NatsReader
from libs.common.bus.topology import LOG


class NatsBus:
    """A `Bus` on a NATS server, or on any of several (`url` separated by commas).

    `user` (or the one in `url`, or `name`) prefixes inboxes and consumers, as the rights expect.
    """

    def __init__(
        self,
        url: str,
        user: str | None = None,
        password: str | None = None,
        creds: str | None = None,
        ca: str | None = None,
        name: str = "dormice",
    ) -> None:
        self._link = Link(LinkSettings(url, user, password, creds, ca, name))
        self._publisher = Publisher(self._link)
        self._calls = Calls(self._link)
        self._live: set[asyncio.Task[None]] = set()
        self.durable: bool | None = None

    @property
    def connected(self) -> bool:
        return self._link.connected

    @property
    def generation(self) -> int:
        return self._link.generation

    @property
    def violations(self) -> int:
        """How often the server refused us a subject; more than 0 is a fault of configuration."""
        return self._link.violations.total()

    @property
    def refused(self) -> int:
        """How many messages were not taken because their reply subject was not an inbox."""
        return self._calls.refused

    async def connect(self) -> None:
        await self._link.connect()

    async def prepare(self) -> None:
        await topology.ensure_log(self)

    async def wait_connected(self) -> None:
        await self._link.wait_connected()

    async def close(self) -> None:
        await self._calls.close()
        await self._link.close()

    # --- the log ---------------------------------------------------------------------------------

    async def api(self, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return await api(self._link, verb, body)

    async def log_info(self) -> LogInfo:
        return await stream_state(self._link, LOG)

    async def event_id_at(self, seq: int) -> str | None:
        if seq < 1:
            return None
        query = json.dumps({"seq": seq}).encode()
        message = await self._link.request(f"$JS.API.DIRECT.GET.{LOG}", query)
        status = status_of(message)
        if status == "503":
            raise BusAway("The log cannot be read directly on this bus.")
        return None if status else message.headers.get(MESSAGE_ID, "")

    async def open_reader(self, from_seq: int) -> NatsReader:
        reader = NatsReader(self._link, max(from_seq, 1))
        await reader.open()
        return reader

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        return await self._publisher.publish(messages)

    async def load_bucket(self, bucket: str) -> dict[str, bytes]:
        return await load_bucket(self._link, bucket)

    # --- what is not stored ----------------------------------------------------------------------

    def send_live(self, subject: str, data: bytes) -> None:
        if self._link.connected:
            task = asyncio.get_running_loop().create_task(self._calls.send_live(subject, data))
            self._live.add(task)
            task.add_done_callback(self._live.discard)

    async def listen(self, subject: str, handler: LiveHandler) -> None:
        await self._calls.listen(subject, handler)

    async def serve(self, subject: str, handler: CallHandler) -> None:
        await self._calls.serve(subject, handler)

    async def call(self, subject: str, data: bytes, timeout: timedelta) -> bytes:
        return await self._calls.call(subject, data, timeout)
