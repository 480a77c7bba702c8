"""Joins jobs: its machine, its file, the bus, and the commands to agents."""

from __future__ import annotations

import json
from typing import Any

from libs.common.bus.base import Bus, BusAway, NoResponder
from libs.common.clock import Clock
from libs.common.loop.effects import EffectRunner
from libs.common.loop.service import Service
from libs.common.store.database import Database
from services.jobs.ledger import SEND
from services.jobs.machine import JobsMachine
from services.jobs.settings import ANSWER_TIMEOUT, JobsSettings


def build(settings: JobsSettings, bus: Bus, clock: Clock | None = None) -> Service:
    """Return jobs, ready to `run`; `bus` is connected under the user `jobs`."""
    database = Database(settings.database_path, JobsMachine.package)
    machine = JobsMachine(settings)
    return Service(machine, bus, database, clock=clock, effects={SEND: command_runner(bus)})


def command_runner(bus: Bus) -> EffectRunner:
    """Return what writes a frame to an agent's socket, by its gateway.

    The outcome is the gateway's answer {ok, reason}; without `ok` nobody knows.
    """

    async def send(_key: str, payload: dict[str, Any]) -> dict[str, Any]:
        subject = f"dormice-cmd.{payload['gateway']}.{payload['host_id']}"
        body = json.dumps({"session": payload["session"], "frame": payload["frame"]}).encode()
        try:
            answer = json.loads(await bus.call(subject, body, ANSWER_TIMEOUT))
        except (NoResponder, BusAway):  # A gateway off the bus may keep its sockets: who knows?
            return {"reason": "unknown"}
        return dict(answer)

    return send
