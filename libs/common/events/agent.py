"""Events that the gateway publishes of agents, and of itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AwareDatetime, Field

from libs.common.events.base import Event, HostEvent
from libs.common.protocol import RunStatus


class OfflineReason(StrEnum):
    """Why a session ended."""

    HEARTBEAT_TIMEOUT = "heartbeat_timeout"
    SLEEP = "sleep"
    SHUTDOWN = "shutdown"
    RESTART = "restart"
    GATEWAY_LOST = "gateway_lost"


class AgentHello(HostEvent):
    """An agent connected and said who it is. One per session; idempotent by `session`.

    `session` is a ULID made by the gateway. Of two sessions of a host the one with the larger
    `connection` is newer; if either has none, the order in the log decides.
    """

    type: ClassVar[str] = "dormice.agent.hello.v1"
    session: str
    gateway: str
    connection: int | None = None
    agent_version: str = ""
    hostname: str = ""
    os: str = ""
    arch: str = ""
    timezone: str = ""
    boot_id: str = ""
    config_version: int = 0
    running: tuple[str, ...] = ()
    spool_id: str = ""
    last_seq: int = 0
    on_battery: bool | None = None
    battery_percent: float | None = None
    metered: bool | None = None
    clock_offset_seconds: float = 0.0
    address: str = ""
    token_version: int = 0  # of the agent token in use: tells the registry that a rotation is done


class AgentSynced(HostEvent):
    """All reports that the agent had kept when it said hello are in the log. Once per session.

    Once more of a session that outlived a time in which its gateway could store nothing: with
    `since`, when that gateway began to listen anew.
    """

    type: ClassVar[str] = "dormice.agent.synced.v1"
    session: str
    since: AwareDatetime | None = Field(default=None, exclude_if=lambda since: since is None)


class AgentOffline(HostEvent):
    """A host's session ended. Published once per session; idempotent by `session`.

    `last_seen` is the last frame received, not the moment that we noticed.
    """

    type: ClassVar[str] = "dormice.agent.offline.v1"
    session: str
    last_seen: AwareDatetime
    reason: OfflineReason
    until: AwareDatetime | None = None


class AgentScheduleFired(HostEvent):
    """A schedule fired at the agent. Idempotent by (schedule, group, fire time).

    `received_at` is when the gateway got the report.
    """

    type: ClassVar[str] = "dormice.agent.schedule_fired.v1"
    session: str
    schedule_id: str
    source_group_id: str
    fire_time: AwareDatetime
    received_at: AwareDatetime


class AgentJobAccepted(HostEvent):
    """The agent took a job. Idempotent by `job_id`. `state`: what it says the job's state is."""

    type: ClassVar[str] = "dormice.agent.job_accepted.v1"
    session: str
    job_id: str
    state: str | None = None


class AgentJobDeclined(HostEvent):
    """The agent did not take a job: `stale_config`, `busy`, or another reason."""

    type: ClassVar[str] = "dormice.agent.job_declined.v1"
    session: str
    job_id: str
    reason: str


class AgentJobReport(HostEvent):
    """A report about a job. `at` is corrected by the agent's clock offset and never later than
    `received_at`. The last four are set for runs that the agent started alone."""

    session: str
    job_id: str
    at: AwareDatetime
    received_at: AwareDatetime
    schedule_id: str | None = None
    source_group_id: str | None = None
    fire_time: AwareDatetime | None = None
    attempt: int | None = None


class AgentJobStarted(AgentJobReport):
    """A job began at the agent. Idempotent by `job_id`."""

    type: ClassVar[str] = "dormice.agent.job_started.v1"


class AgentJobFinished(AgentJobReport):
    """A job ended at the agent. Idempotent by `job_id`: the first end stands.

    `reason`: why it did not succeed, one of `FailureReason` or what a newer agent calls it.
    """

    type: ClassVar[str] = "dormice.agent.job_finished.v1"
    status: RunStatus
    reason: str | None = None
    exit_code: int | None = None
    error: str | None = None
    stats: dict[str, Any] | None = None
    log_tail: str | None = None


class AgentConfigApplied(HostEvent):
    """The agent applied, or could not apply, a configuration."""

    type: ClassVar[str] = "dormice.agent.config_applied.v1"
    session: str
    version: int
    error: str | None = None


class AgentPower(HostEvent):
    """The power or network situation of a host changed."""

    type: ClassVar[str] = "dormice.agent.power.v1"
    session: str
    on_battery: bool | None = None
    battery_percent: float | None = None
    metered: bool | None = None


class GatewayEvent(Event):
    """An event about a gateway."""

    gateway: str

    def subject(self) -> str:
        return f"dormice.gateway.{self.gateway}.{self.type.split('.')[2]}"


class GatewayListening(GatewayEvent):
    """A gateway accepts agents since `since`: at its start, and after every return of the bus.

    A new `since` of the same gateway means that its listening was interrupted.
    """

    type: ClassVar[str] = "dormice.gateway.listening.v1"
    since: AwareDatetime


class GatewayStopped(GatewayEvent):
    """A gateway stopped in order; its hosts have 120 s to come back elsewhere."""

    type: ClassVar[str] = "dormice.gateway.stopped.v1"
    at: AwareDatetime


class GatewayLost(GatewayEvent):
    """Presence heard nothing of a gateway for OFFLINE_AFTER + 30 s. `at` is when that ran out.

    `heard_at` is its last sign of life, which may be older: presence may have been away itself.
    """

    type: ClassVar[str] = "dormice.gateway.lost.v1"
    at: AwareDatetime
    since: AwareDatetime
    heard_at: AwareDatetime | None = None
