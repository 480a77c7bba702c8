"""The identity of a run and of its attempts, the same wherever it is computed.

A run is one fire of one schedule for one source group on one host. A job is one attempt at it.
Server, catch-up and an agent that is alone compute the same id, so nothing runs twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import NAMESPACE_OID, UUID, uuid5


def run_id(host_id: str, schedule_id: str, source_group_id: str, fire_time: datetime) -> str:
    """Return the id of the run; the fire time counts to the minute, in UTC."""
    minute = fire_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
    name = f"dormice:run:{host_id}:{schedule_id}:{source_group_id}:{minute}"
    return str(uuid5(NAMESPACE_OID, name))


def job_id(run: str, attempt: int) -> str:
    """Return the id of the `attempt`-th attempt (from 1) at `run`."""
    return str(uuid5(UUID(run), str(attempt)))
