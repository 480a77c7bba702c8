"""Sends agents their configurations: the public records, and secrets asked for at that moment.

Secrets go from the registry through this process's memory to their host's agent; they are in no
table, log or event here. Who is not reached is behind, and the machine asks again within a minute.
A fleet that connects for the first time asks ten thousand times: what gathers is asked together.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from libs.common import rpc
from libs.common.bus.base import Bus
from libs.common.errors import DormiceError, Unavailable
from libs.common.events.host import HostRecord
from libs.common.loop.service import Service
from libs.common.protocol import Config, RepositoryConfig, ScheduleConfig, SourceGroupConfig
from services.gateway import store_hosts
from services.gateway.batcher import Batcher
from services.gateway.connections import Connection, Hub, State

log = structlog.get_logger()

ASKED_AT_ONCE = 25
"""The secrets of so many, of 64 KiB at the most each, fit into one answer."""


class Configs:
    """At most one sending per connection at a time; what is wanted meanwhile is sent after it."""

    def __init__(self, hub: Hub, service: Service, bus: Bus) -> None:
        self._hub, self._service, self._bus = hub, service, bus
        self._known = Batcher(self._ask, ASKED_AT_ONCE)
        self._tasks: dict[Connection, asyncio.Task[None]] = {}

    def on_wanted(self, session: str) -> None:
        """Signal: the host of this session is connected here and behind."""
        connection = self._hub.find_session(session)
        if connection is not None:
            self.push(connection)

    def push(self, connection: Connection) -> None:
        """Send the present configuration, as soon as the connection is welcomed."""
        connection.config_wanted = True
        if connection.state is State.LIVE and connection not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._push(connection))
            self._tasks[connection] = task
            task.add_done_callback(lambda _: self._tasks.pop(connection, None))

    async def _push(self, connection: Connection) -> None:
        while connection.config_wanted and connection.state is State.LIVE:
            connection.config_wanted = False
            try:
                await self._send(connection)
            except DormiceError as error:
                log.warning("config_not_sent", host_id=connection.host_id, reason=error.message)

    async def _send(self, connection: Connection) -> None:
        """Raises: DormiceError if the registry or the store is away, or a secret is unreadable."""
        found = await self._known.get(connection.host_id)
        if found is not None:
            record, told = found
            await connection.send(config_frame(record, told))

    async def _ask(self, host_ids: list[str]) -> dict[str, tuple[HostRecord, dict[str, Any]]]:
        records = await self._service.read(lambda db: store_hosts.find_hosts(db, host_ids))
        # Asked after the records were read: secrets newer than a record's version come again with
        # the next, older ones never would.
        reply = await rpc.call(self._bus, "registry", "secrets", {"host_ids": list(records)})
        return {host_id: (records[host_id], told) for host_id, told in reply.result.items()}

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def config_frame(record: HostRecord, told: dict[str, Any]) -> Config:
    """Return what the agent runs. `told`: what the registry's verb `secrets` says of the host.

    Raises: Unavailable if it cannot be told.
    """
    if "error" in told:
        raise Unavailable(told["error"])
    repository = told["repository"]
    return Config(
        version=record.config_version,
        timezone=record.timezone,
        schedules=[ScheduleConfig.model_validate(one.model_dump()) for one in record.schedules],
        source_groups=[
            SourceGroupConfig.model_validate(one.model_dump()) for one in record.source_groups
        ],
        repository=None if repository is None else RepositoryConfig.model_validate(repository),
        agent_token=told["agent_token"],
    )
