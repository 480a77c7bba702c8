"""Sends an agent its configuration: the public record, and secrets asked for at that moment.

Secrets go from the registry through this process's memory to that host's agent; they are in no
table, log or event here. Who is not reached is behind, and the machine asks again within a minute.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from libs.common import rpc
from libs.common.bus.base import Bus
from libs.common.errors import DormiceError
from libs.common.events.host import HostRecord
from libs.common.loop.service import Service
from libs.common.protocol import Config, RepositoryConfig, ScheduleConfig, SourceGroupConfig
from services.gateway import store_hosts
from services.gateway.connections import Connection, Hub, State

log = structlog.get_logger()

SENDINGS_AT_ONCE = 100


class Configs:
    """At most one sending per connection at a time; what is wanted meanwhile is sent after it."""

    def __init__(self, hub: Hub, service: Service, bus: Bus) -> None:
        self._hub, self._service, self._bus = hub, service, bus
        self._room = asyncio.Semaphore(SENDINGS_AT_ONCE)
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
                async with self._room:
                    await self._send(connection)
            except DormiceError as error:
                log.warning("config_not_sent", host_id=connection.host_id, reason=error.message)

    async def _send(self, connection: Connection) -> None:
        """Raises: DormiceError if the registry or the store is away."""
        host_id = connection.host_id
        record = await self._service.read(lambda db: store_hosts.find_host(db, host_id))
        if record is None:
            return
        # Asked after the record was read: secrets newer than its version come again with the next,
        # older ones never would.
        reply = await rpc.call(self._bus, "registry", "repository", {"host_id": host_id})
        await connection.send(config_frame(record, reply.result))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def config_frame(record: HostRecord, secrets: dict[str, Any]) -> Config:
    """Return what the agent runs: `secrets` is the registry's {repository, agent_token}."""
    repository = secrets.get("repository")
    return Config(
        version=record.config_version,
        timezone=record.timezone,
        schedules=[ScheduleConfig.model_validate(one.model_dump()) for one in record.schedules],
        source_groups=[
            SourceGroupConfig.model_validate(one.model_dump()) for one in record.source_groups
        ],
        repository=None if repository is None else RepositoryConfig.model_validate(repository),
        agent_token=secrets.get("agent_token"),
    )
