"""Live beats: that this gateway listens, since when, and whom it has heard since the last one.

Nothing is decided by the hosts in a beat; presence shows them. That a beat comes at all tells the
other services that somebody listens, so it names only a `since` that is already in the log.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from libs.common.bus.base import Bus
from libs.common.clock import Clock, to_rfc3339
from services.gateway.connections import Hub
from services.gateway.settings import BEAT_INTERVAL

CHUNK_BYTES = 256 * 1024
HEAD_BYTES = 1024


def split_hosts(hosts: Sequence[str], room_bytes: int) -> Iterator[Sequence[str]]:
    """Yield the hosts in parts that take at most `room_bytes` as JSON; one empty part for none."""
    start, size = 0, 0
    for place, host in enumerate(hosts):
        length = len(json.dumps(host)) + 2
        if size + length > room_bytes:
            yield hosts[start:place]
            start, size = place, 0
        size += length
    yield hosts[start:]


class Beats:
    """Sends beats while listening; none between a loss of the bus and the next `listening`."""

    def __init__(self, hub: Hub, bus: Bus, gateway_id: str, clock: Clock) -> None:
        self._hub, self._bus, self._gateway_id, self._clock = hub, bus, gateway_id, clock
        self._since: datetime | None = None

    def on_listening(self, since: datetime) -> None:
        """Signal: our `listening` is in the log."""
        self._since = since
        self.beat()

    def on_disconnected(self, _: None) -> None:
        self._since = None

    def beat(self) -> None:
        if self._since is None:
            return
        head = {
            "gateway": self._gateway_id,
            "since": to_rfc3339(self._since),
            "at": to_rfc3339(self._clock.now()),
        }
        for part in split_hosts(self._hub.take_hosts_heard(), CHUNK_BYTES - HEAD_BYTES):
            body = json.dumps(head | {"hosts": list(part)}).encode()
            self._bus.send_live(f"dormice-live.beat.{self._gateway_id}", body)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_INTERVAL.total_seconds())
            self.beat()
