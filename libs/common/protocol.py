"""The frames between agent and gateway, protocol 1. One model per frame; see docs/protocol.md.

Frames are JSON objects with `type`. Unknown fields are ignored. Times are RFC 3339; a time without
a zone is refused. Text from agents is bounded, so that no field can carry megabytes into the log:
a name that is too long is refused, a message or a log's tail is cut, for a result must not be lost
by it. Numbers are bounded by what the state files hold.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from libs.common.errors import DormiceError

PROTOCOL = 1
MAX_FRAME_BYTES = 1024 * 1024
LOG_TAIL_BYTES = 64 * 1024

Id = Annotated[str, Field(min_length=1, max_length=128)]
ShortText = Annotated[str, Field(max_length=256)]
Text = Annotated[str, AfterValidator(lambda text: text[:4096])]
Tail = Annotated[str, AfterValidator(lambda text: text[-LOG_TAIL_BYTES:])]
Count = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Counter = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
ExitCode = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Version = int | float


class CloseCode:
    """Close codes of `/agent/v1`."""

    BAD_FRAME = 4400
    UNKNOWN_TOKEN = 4401
    NO_HELLO = 4408
    REPLACED = 4409
    NO_COMMON_PROTOCOL = 4426
    TRY_LATER = 4503


class BadFrame(DormiceError):
    """A frame that cannot be understood; the connection is closed 4400 with this reason."""

    code = "bad_frame"


class NoCommonProtocol(DormiceError):
    """The hello offers no protocol version that we speak; closed 4426."""

    code = "no_common_protocol"


class GoodbyeReason(StrEnum):
    SLEEP = "sleep"
    SHUTDOWN = "shutdown"
    RESTART = "restart"


class RunStatus(StrEnum):
    """How a job ended, as the agent reports it."""

    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_WARNINGS = "succeeded_with_warnings"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


HOOKS = ("before", "after")
"""What a source group may have a command for: before its backup, and after it."""


class FailureReason(StrEnum):
    """Why a job did not succeed, where that is known: for programs, as `error` is for people.

    Told as text, so that a newer agent may name one that is not among these.
    """

    REPOSITORY_UNREACHABLE = "repository_unreachable"
    REPOSITORY_ABSENT = "repository_absent"
    REPOSITORY_LOCKED = "repository_locked"
    REPOSITORY_DAMAGED = "repository_damaged"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  a word for it, none itself
    NO_SPACE = "no_space"
    PROGRAM_MISSING = "program_missing"
    PROGRAM_TOO_OLD = "program_too_old"
    PROGRAM_KILLED = "program_killed"
    HOOK_FAILED = "hook_failed"
    NOTHING_TO_BACK_UP = "nothing_to_back_up"
    TIMED_OUT = "timed_out"


class Frame(BaseModel):
    """A frame. `type` is the class's own literal.

    `left_out`: the fields that are not written while they are null; every other one always is.
    """

    left_out: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        str_strip_whitespace=False,
        allow_inf_nan=False,
        defer_build=True,
    )


class SpoolState(Frame):
    id: Id
    last_seq: Count


class PowerState(Frame):
    on_battery: bool | None = None
    percent: Annotated[float, Field(ge=0, le=100)] | None = None


class Hello(Frame):
    type: Literal["hello"] = "hello"
    left_out: ClassVar[frozenset[str]] = frozenset({"connection", "now", "spool"})
    protocol: Version | tuple[Version, Version]
    connection: Counter | None = None
    now: AwareDatetime | None = None
    agent_version: ShortText
    hostname: ShortText
    os: ShortText
    arch: ShortText
    timezone: ShortText
    boot_id: ShortText
    config_version: Count
    running: Annotated[list[Id], Field(max_length=1000)] = []
    spool: SpoolState | None = None
    power: PowerState | None = None
    metered: bool | None = None


class Heartbeat(Frame):
    type: Literal["heartbeat"] = "heartbeat"
    left_out: ClassVar[frozenset[str]] = frozenset({"now"})
    now: AwareDatetime | None = None


class Goodbye(Frame):
    type: Literal["goodbye"] = "goodbye"
    left_out: ClassVar[frozenset[str]] = frozenset({"until"})
    reason: GoodbyeReason
    until: AwareDatetime | None = None


class ScheduleFired(Frame):
    type: Literal["schedule_fired"] = "schedule_fired"
    seq: Count
    schedule_id: Id
    source_group_id: Id
    fire_time: AwareDatetime


class JobAccepted(Frame):
    type: Literal["job_accepted"] = "job_accepted"
    left_out: ClassVar[frozenset[str]] = frozenset({"state"})
    job_id: Id
    state: ShortText | None = None


class JobDeclined(Frame):
    type: Literal["job_declined"] = "job_declined"
    job_id: Id
    reason: ShortText


_OF_A_RUN = ("schedule_id", "source_group_id", "fire_time", "attempt")


class JobReport(Frame):
    """What every report about a job says. The last four name the run of a job that the agent
    started alone, so that its report stands even if the fire's own report was lost."""

    left_out: ClassVar[frozenset[str]] = frozenset(_OF_A_RUN)

    seq: Count
    job_id: Id
    at: AwareDatetime
    schedule_id: Id | None = None
    source_group_id: Id | None = None
    fire_time: AwareDatetime | None = None
    attempt: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class JobStarted(JobReport):
    type: Literal["job_started"] = "job_started"


class JobFinished(JobReport):
    type: Literal["job_finished"] = "job_finished"
    left_out: ClassVar[frozenset[str]] = frozenset({*_OF_A_RUN, "log_tail", "reason"})
    status: RunStatus
    reason: ShortText | None = None
    exit_code: ExitCode | None = None
    error: Text | None = None
    stats: dict[str, Any] | None = None
    log_tail: Tail | None = None


class JobProgress(Frame):
    type: Literal["job_progress"] = "job_progress"
    job_id: Id
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    bytes_done: Count | None = None
    bytes_total: Count | None = None
    files_done: Count | None = None
    seconds_left: Annotated[float, Field(ge=0)] | None = None


class JobLog(Frame):
    type: Literal["job_log"] = "job_log"
    job_id: Id
    offset: Count
    text: str


class ConfigApplied(Frame):
    type: Literal["config_applied"] = "config_applied"
    left_out: ClassVar[frozenset[str]] = frozenset({"error"})
    version: Count
    error: Text | None = None


class Power(Frame):
    type: Literal["power"] = "power"
    on_battery: bool | None = None
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    metered: bool | None = None


AgentFrame = (
    Hello | Heartbeat | Goodbye | ScheduleFired | JobAccepted | JobDeclined | JobStarted
    | JobFinished | JobProgress | JobLog | ConfigApplied | Power
)  # fmt: skip

SpooledFrame = ScheduleFired | JobStarted | JobFinished
"""The reports that carry `seq`: kept by the agent until acknowledged."""


class Welcome(Frame):
    type: Literal["welcome"] = "welcome"
    session: str
    host_id: str
    protocol: int
    server_time: AwareDatetime
    heartbeat_interval: float  # seconds


class Beat(Frame):
    type: Literal["beat"] = "beat"
    server_time: AwareDatetime


class Ack(Frame):
    type: Literal["ack"] = "ack"
    seq: int


class ScheduleConfig(Frame):
    """A schedule as the agent runs it. `timezone` null: the host's own zone."""

    id: str
    name: str
    cron: str
    timezone: str | None = None
    enabled: bool = True
    source_group_ids: list[str] = []


class SourceGroupConfig(Frame):
    """What to back up. `name` is the restic tag."""

    id: str
    name: str
    includes: list[str]
    excludes: list[str] = []
    retention: dict[str, Any] | None = None
    retry_max: int = 0
    hooks: dict[str, Any] | None = None


class RepositoryConfig(Frame):
    """Where restic writes. Travels to that host's agent only and is stored nowhere on the way."""

    url: str
    password: str
    environment: dict[str, str] = {}


class Config(Frame):
    type: Literal["config"] = "config"
    left_out: ClassVar[frozenset[str]] = frozenset({"agent_token"})
    version: int
    schedules: list[ScheduleConfig] = []
    source_groups: list[SourceGroupConfig] = []
    repository: RepositoryConfig | None = None
    timezone: str = "UTC"
    agent_token: str | None = None


class Run(Frame):
    """Do this job. `arguments`: see `job_arguments`. `timeout_seconds`: end it as failed then."""

    type: Literal["run"] = "run"
    left_out: ClassVar[frozenset[str]] = frozenset({"arguments", "timeout_seconds"})
    job_id: str
    kind: str = "backup"
    schedule_id: str | None = None
    source_group_id: str | None = None
    fire_time: AwareDatetime | None = None
    config_version: int
    attempt: int = 1
    arguments: dict[str, Any] | None = None
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None


class Hold(Frame):
    type: Literal["hold"] = "hold"
    job_id: str
    reason: str
    until: AwareDatetime


class Cancel(Frame):
    type: Literal["cancel"] = "cancel"
    job_id: str


class Error(Frame):
    type: Literal["error"] = "error"
    code: str
    message: str


GatewayFrame = Welcome | Beat | Ack | Config | Run | Hold | Cancel | Error
