"""What the tests of jobs share: a host, its agent's events, and a scripted gateway."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.events.agent import (
    AgentConfigApplied,
    AgentHello,
    AgentJobAccepted,
    AgentJobDeclined,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentScheduleFired,
    AgentSynced,
    OfflineReason,
)
from libs.common.events.catchup import CatchupRequested
from libs.common.events.host import HostChanged, HostEnrolled, HostRecord, Schedule, SourceGroup
from libs.common.loop.core import Effect
from libs.common.protocol import RunStatus
from libs.common.runs import job_id, run_id
from libs.common.testing.rig import START, Rig
from services.jobs.machine import JobsMachine
from services.jobs.settings import JobsSettings

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOURLY = Schedule(id="s1", name="hourly", cron="0 * * * *", source_group_ids=("g1", "g2"))
HOME = SourceGroup(id="g1", name="home", includes=("/home",))
MAIL = SourceGroup(id="g2", name="mail", includes=("/var/mail",))
NINE = START
"""A fire of the schedule, and the moment at which every test begins."""


def record(**changes: Any) -> HostRecord:
    """A server with one hourly schedule of two groups, and a repository."""
    fields: dict[str, Any] = {
        "id": "h1",
        "name": "h1",
        "enrolled_at": START,
        "schedules": (HOURLY,),
        "source_groups": (HOME, MAIL),
        "repository_id": "repo",
    }
    return HostRecord(**{**fields, **changes})


def attempt_id(attempt: int = 1, fire: datetime = NINE, group: str = "g1", host: str = "h1") -> str:
    return job_id(run_id(host, "s1", group, fire), attempt)


class World(Rig):
    """The jobs machine with one enrolled host; `session` is the one that the agent speaks in."""

    def __init__(self, host: HostRecord | None = None, **settings: Any) -> None:
        super().__init__(JobsMachine(JobsSettings(**settings)))
        self.session = "S0"
        self.record = host or record()
        self.publish(HostEnrolled(host_id="h1", record=self.record))

    def change(self, **changes: Any) -> None:
        version = self.record.version + 1
        self.record = self.record.model_copy(update={"version": version, **changes})
        self.publish(HostChanged(host_id="h1", record=self.record))

    # -- the agent ---------------------------------------------------------------------------------

    def hello(self, session: str = "S1", *, running: tuple[str, ...] = (), **fields: Any) -> None:
        self.session = session
        self.publish(
            AgentHello(host_id="h1", session=session, gateway="gw-1", running=running, **fields)
        )

    def synced(self) -> None:
        self.publish(AgentSynced(host_id="h1", session=self.session))

    def connect(self, session: str = "S1", *, running: tuple[str, ...] = (), **fields: Any) -> None:
        self.hello(session, running=running, **fields)
        self.synced()

    def offline(self, session: str | None = None) -> None:
        self.publish(
            AgentOffline(
                host_id="h1", session=session or self.session, last_seen=self.now,
                reason=OfflineReason.SLEEP,
            )
        )  # fmt: skip

    def fire(
        self, at: datetime = NINE, group: str = "g1", *, received: datetime | None = None
    ) -> None:
        self.publish(
            AgentScheduleFired(
                host_id="h1", session=self.session, schedule_id="s1", source_group_id=group,
                fire_time=at, received_at=received or self.now,
            )
        )  # fmt: skip

    def accept(self, job: str, state: str | None = "accepted") -> None:
        self.publish(AgentJobAccepted(host_id="h1", session=self.session, job_id=job, state=state))

    def decline(self, job: str, reason: str = "busy") -> None:
        self.publish(
            AgentJobDeclined(host_id="h1", session=self.session, job_id=job, reason=reason)
        )

    def start(self, job: str, at: datetime | None = None, **identity: Any) -> None:
        self.publish(self.started(job, at, **identity))

    def started(self, job: str, at: datetime | None = None, **identity: Any) -> AgentJobStarted:
        return AgentJobStarted(
            host_id="h1", session=self.session, job_id=job, at=at or self.now,
            received_at=self.now, **identity,
        )  # fmt: skip

    def finish(self, job: str, status: str = "succeeded", **fields: Any) -> None:
        self.publish(self.finished(job, status, **fields))

    def finished(
        self, job: str, status: str = "succeeded", *, at: datetime | None = None, **fields: Any
    ) -> AgentJobFinished:
        return AgentJobFinished(
            host_id="h1", session=self.session, job_id=job, at=at or self.now,
            received_at=self.now, status=RunStatus(status), **fields,
        )  # fmt: skip

    def config_applied(self, version: int, error: str | None = None) -> None:
        self.publish(
            AgentConfigApplied(host_id="h1", session=self.session, version=version, error=error)
        )

    # -- the gateway -------------------------------------------------------------------------------

    def commands(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return every frame handed out so far, oldest first."""
        frames = [effect.payload["frame"] for effect in self.effects["jobs"]]
        return [frame for frame in frames if kind in (None, frame["type"])]

    def run_ids(self) -> list[str]:
        """Return the job ids of the `run` frames handed out so far."""
        return [frame["job_id"] for frame in self.commands("run")]

    def _latest(self, kind: str) -> Effect:
        return [
            effect for effect in self.effects["jobs"] if effect.payload["frame"]["type"] == kind
        ][-1]

    def written(self, kind: str = "run") -> None:
        """The gateway wrote the latest command of this kind; it stays listed for `commands`."""
        self.answer(kind, ok=True)

    def answer(self, kind: str = "run", **outcome: Any) -> None:
        effect = self._latest(kind)
        self.end_effect("jobs", effect, **outcome)
        self.effects["jobs"].append(effect)

    # -- the ledger --------------------------------------------------------------------------------

    def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("get_job", job_id=job)
        return found

    def status(self, job: str) -> str:
        return str(self.job(job)["status"])

    def run_to_end(self, job: str, status: str = "succeeded", **fields: Any) -> None:
        """The agent accepts, starts and ends a job."""
        self.accept(job)
        self.start(job)
        self.finish(job, status, **fields)

    def request(
        self, arm: str | None = None, *, fire: datetime = NINE, group: str = "g1", put_off: int = 0
    ) -> None:
        """The catch-up asks for a run in the live session."""
        self.publish(
            CatchupRequested(
                host_id="h1", arm_id=arm or self.session, schedule_id="s1",
                source_group_id=group, fire_time=fire, put_off=put_off,
            )
        )  # fmt: skip
