"""An agent modelled to the protocol: it sleeps, dials, keeps its reports, runs what it is sent.

    asleep ──wakes──▶ dialling ──welcome──▶ connected ──lid, crash, cut──▶ …

Its disk (`spool`, `jobs`, `waiting`, `config`, `counter`) outlives its process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli.simulator.calendar import fires_between, next_fire
from cli.simulator.shell import Link
from libs.common.protocol import (
    CloseCode,
    Config,
    ConfigApplied,
    Goodbye,
    GoodbyeReason,
    Hello,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    RunStatus,
    ScheduleFired,
    SpoolState,
)
from libs.common.runs import job_id as id_of_attempt
from libs.common.runs import run_id

if TYPE_CHECKING:
    from cli.simulator.world import World

AUTONOMY = timedelta(seconds=60)
TOLERANCE = timedelta(seconds=60)
IN_FLIGHT = 100
ENDS = {"succeeded", "succeeded_with_warnings", "failed", "cancelled", "interrupted"}


@dataclass(slots=True)
class Done:
    """An execution that really happened, for the oracle. Times are the server's."""

    job_id: str
    run: str | None
    group: str
    began: datetime
    ended: datetime | None = None
    status: str = ""
    acknowledged: bool = False
    names: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Waiting:
    """A fire that was reported and not answered."""

    schedule_id: str
    group_id: str
    fire_time: datetime
    due_at: datetime


@dataclass(eq=False)
class Agent:
    """One host's agent."""

    world: World
    host_id: str
    name: str
    zone: str
    clock_error: timedelta
    is_awake: bool = False
    removed: bool = False
    link: Link | None = None
    counter: int = 0
    spool: list[Any] = field(default_factory=list)
    last_seq: int = 0
    sent_seq: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    known_fires: set[str] = field(default_factory=set)
    config: Config | None = None
    running: Done | None = None
    done: list[Done] = field(default_factory=list)
    life: int = 0
    looked_until: datetime | None = None
    waits: float = 1.0
    greeted_at: datetime | None = None  # the services' time, as all here
    left_at: datetime | None = None
    synced_at: datetime | None = None
    calm_since: datetime | None = None
    edited_at: datetime | None = None
    _watching: object = None

    def last_success(self, *, acknowledged: bool, group: str | None = None) -> datetime | None:
        """Return when the last good run ended, of those that were acknowledged, or of all."""
        ends = [
            one.ended
            for one in self.done
            if one.ended is not None and one.status.startswith("succeeded")
            and group in (None, one.group) and (one.acknowledged or not acknowledged)
        ]  # fmt: skip
        return max(ends, default=None)

    def clock(self) -> datetime:
        """The agent's own clock."""
        return self.world.now + self.clock_error

    # --- sleeping and waking

    def wake_up(self) -> None:
        if self.is_awake or self.removed:
            return
        self.is_awake = True
        self.life += 1
        self.waits = 1.0
        now = self.clock()
        for each in self.waiting.values():
            each.due_at = max(each.due_at, now + AUTONOMY)
        self._later(self.world.random.uniform(0.1, 3), self._dial)
        self._later(1, self._watch_clock)
        if self.running is not None:
            self._work_on(self.running)

    def fall_asleep(self, reason: GoodbyeReason | None) -> None:
        """Close the lid; with a goodbye if there is time for one."""
        if not self.is_awake:
            return
        if self.link is not None and reason is not None:
            self._send(Goodbye(reason=reason))
        self.is_awake = False
        self.life += 1
        self._drop_link()

    def crash(self) -> None:
        """The process dies and is started again a little later; what it ran is interrupted."""
        self.fall_asleep(None)
        if self.running is not None:
            self._end(self.running, "interrupted")

    def _drop_link(self) -> None:
        link, self.link = self.link, None
        if link is not None:
            shell = self.world.shell_of(link)
            self._left(link)
            shell.cut(link)

    def _left(self, link: Link) -> None:
        if link.welcomed:
            self.left_at = self.world.shell_of(link).last_frame(link)

    def _later(self, seconds: float, what: Any) -> None:
        """Do something later in this waking, unless it ends before."""
        life = self.life
        self.world.after(seconds, lambda: what() if self.life == life else None)

    # --- the connection

    def _dial(self) -> None:
        if self.link is not None or self.removed:
            return
        self.counter = max(self.counter + 1, int(self.clock().timestamp() * 1000))
        running = [job for job, state in self.jobs.items() if state not in ENDS]
        last_seq = self.spool[-1].seq if self.spool else 0
        hello = Hello(
            protocol=1, connection=self.counter, now=self.clock(), agent_version="1", os="linux",
            hostname=self.name, arch="x86_64", timezone=self.zone, boot_id="b", running=running,
            config_version=self.config.version if self.config else 0,
            spool=SpoolState(id=f"spool-{self.host_id}", last_seq=last_seq),
        )  # fmt: skip
        shell = self.world.choose_shell()
        self.link = None if shell is None else shell.dial(self, hello)
        if self.link is None:
            self._dial_again()
        else:
            link = self.link
            self._later(60, lambda: self._give_up(link))

    def _give_up(self, link: Link) -> None:
        if self.link is link and not link.welcomed:
            self.link = None
            self.world.shell_of(link).cut(link)
            self._dial_again()

    def _dial_again(self) -> None:
        self._later(self.world.random.uniform(0, self.waits) + 0.05, self._dial)
        self.waits = min(self.waits * 2, 60)

    def on_welcome(self) -> None:
        self.waits = 1.0
        self.greeted_at = self.world.now
        self.synced_at = None if self.spool else self.world.now
        self.sent_seq = self.spool[0].seq - 1 if self.spool else self.last_seq
        self._send_reports()

    def on_closed(self, link: Link, code: int) -> None:
        if self.link is not link:
            return
        self.link = None
        self._left(link)
        if code == CloseCode.UNKNOWN_TOKEN:
            self.waits = 3600
        if self.is_awake and code != 1000:
            self._dial_again()

    def notice_cut(self, link: Link) -> None:
        """No frame came for 2.5 intervals: the link is dead."""
        if self.link is link:
            self.link = None
            self._left(link)
            if self.is_awake:
                self._dial_again()

    def _send(self, *frames: Any) -> None:
        if self.link is not None and self.link.welcomed:
            self.world.shell_of(self.link).receive(self.link, *frames)

    # --- the spool

    def _report(self, frame: Any) -> None:
        self.last_seq += 1
        self.spool.append(frame.model_copy(update={"seq": self.last_seq}))
        self._send_reports()

    def _send_reports(self) -> None:
        if self.link is None or not self.link.welcomed:
            return
        room = IN_FLIGHT - sum(frame.seq <= self.sent_seq for frame in self.spool)
        fresh = [frame for frame in self.spool if frame.seq > self.sent_seq][:room]
        if fresh:
            self.sent_seq = fresh[-1].seq
            self._send(*fresh)

    def on_ack(self, seq: int) -> None:
        ended = {f.job_id for f in self.spool if f.seq <= seq and isinstance(f, JobFinished)}
        for one in self.done:
            one.acknowledged |= one.job_id in ended
        self.spool = [frame for frame in self.spool if frame.seq > seq]
        if not self.spool:
            self.synced_at = self.synced_at or self.world.now
        self._send_reports()

    # --- configuration and cron

    def on_config(self, config: Config) -> None:
        self._report_fires()
        if config != self.config:
            self.config = config
            self.looked_until = self.clock()
        self._send(ConfigApplied(version=config.version))
        self._watch_clock()

    def _watch_clock(self) -> None:
        """Report the fires that are due, run what nobody answered, and look again in time."""
        if not self.is_awake:
            return
        self._report_fires()
        self._run_alone()
        now = self.clock()
        moments = [each.due_at for each in self.waiting.values()]
        moments += [fire for fire, _ in self._next_fires(now)]
        nearest = min(moments, default=now + timedelta(hours=1))
        wait = min(max((nearest - now).total_seconds(), 1.0), 3600.0)
        self._watching = mark = object()
        self._later(wait, lambda: self._watch_clock() if self._watching is mark else None)

    def _next_fires(self, now: datetime) -> list[tuple[datetime, str]]:
        found = []
        for schedule in self.config.schedules if self.config else []:
            if schedule.enabled and schedule.source_group_ids and self.config:
                zone = schedule.timezone or self.config.timezone
                found.append((next_fire(schedule.cron, now, zone), schedule.id))
        return found

    def _report_fires(self) -> None:
        now = self.clock()
        if self.config is None:
            return
        after = max(self.looked_until or now, now - TOLERANCE)
        self.looked_until = now
        groups = {group.id for group in self.config.source_groups}
        for schedule in self.config.schedules:
            if not schedule.enabled:
                continue
            zone = schedule.timezone or self.config.timezone
            for fire in fires_between(schedule.cron, after, now, zone):
                for group in schedule.source_group_ids:
                    if group in groups:
                        self._report_fire(schedule.id, group, fire)

    def _report_fire(self, schedule_id: str, group: str, fire: datetime) -> None:
        run = run_id(self.host_id, schedule_id, group, fire)
        if run in self.known_fires:
            return
        self.known_fires.add(run)
        self.waiting[run] = Waiting(schedule_id, group, fire, self.clock() + AUTONOMY)
        self._report(ScheduleFired(seq=0, schedule_id=schedule_id, source_group_id=group,
                                   fire_time=fire))  # fmt: skip

    def _run_alone(self) -> None:
        for run, each in list(self.waiting.items()):
            newer = any(
                (o.schedule_id, o.group_id) == (each.schedule_id, each.group_id)
                and o.fire_time > each.fire_time
                for o in self.waiting.values()
            )
            if newer or not self._has_pair(each):
                del self.waiting[run]
            elif each.due_at <= self.clock() and self.running is None:
                del self.waiting[run]
                job = id_of_attempt(run, 1)
                if job not in self.jobs and not self._has_succeeded(run):
                    self._accept(job, run, each.group_id, each)

    def _has_pair(self, each: Waiting) -> bool:
        config = self.config
        return config is not None and any(
            schedule.id == each.schedule_id and schedule.enabled for schedule in config.schedules
        )

    def _has_succeeded(self, run: str) -> bool:
        return any(one.run == run and one.status.startswith("succeeded") for one in self.done)

    # --- commands

    def on_command(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "run":
            self._on_run(frame)
        elif frame["type"] == "hold":
            self._on_hold(frame)
        elif self.running is not None and self.running.job_id == frame["job_id"]:
            self._end(self.running, "cancelled")

    def _on_run(self, frame: dict[str, Any]) -> None:
        job, run = frame["job_id"], self._run_of(frame)
        if job in self.jobs:
            self._send(JobAccepted(job_id=job, state=self.jobs[job]))
            self.waiting.pop(run or "", None)
            return
        reason = self._why_not(frame, run)
        if reason is not None:
            self._send(JobDeclined(job_id=job, reason=reason))
            if run in self.waiting:
                self.waiting[run].due_at = self.clock() + AUTONOMY
            return
        self.waiting.pop(run or "", None)
        self._send(JobAccepted(job_id=job, state="accepted"))
        self._accept(job, run, frame["source_group_id"], None)

    def _run_of(self, frame: dict[str, Any]) -> str | None:
        if not frame.get("schedule_id"):
            return None
        fire = datetime.fromisoformat(frame["fire_time"])
        return run_id(self.host_id, frame["schedule_id"], frame["source_group_id"], fire)

    def _why_not(self, frame: dict[str, Any], run: str | None) -> str | None:
        if run is not None and self._has_succeeded(run):
            return "already_succeeded"
        if self.config is None or self.config.version < frame["config_version"]:
            return "stale_config"
        if self.running is not None:
            return "busy"
        known = any(group.id == frame["source_group_id"] for group in self.config.source_groups)
        return None if known else "unknown_group"

    def _on_hold(self, frame: dict[str, Any]) -> None:
        for run, each in self.waiting.items():
            if id_of_attempt(run, 1) == frame["job_id"]:
                each.due_at = datetime.fromisoformat(frame["until"]) + self.clock_error

    # --- jobs

    def _accept(self, job: str, run: str | None, group: str, alone: Waiting | None) -> None:
        self.world.truth.executes(self, job)
        self.jobs[job] = "running"
        self.running = Done(job, run, group, self.world.now)
        self.done.append(self.running)
        if alone is not None:
            self.running.names = {
                "schedule_id": alone.schedule_id, "source_group_id": alone.group_id,
                "fire_time": alone.fire_time, "attempt": 1,
            }  # fmt: skip
        self._report(JobStarted(seq=0, job_id=job, at=self.clock(), **self.running.names))
        self._work_on(self.running)

    def _work_on(self, one: Done) -> None:
        seconds = self.world.job_seconds()
        self._later(seconds, lambda: self._finish(one))

    def _finish(self, one: Done) -> None:
        if self.running is one:
            self._end(one, self.world.job_status())

    def _end(self, one: Done, status: str) -> None:
        self.running = None
        self.calm_since = self.world.now
        one.ended, one.status = self.world.now, status
        self.jobs[one.job_id] = status
        self._report(JobFinished(seq=0, job_id=one.job_id, at=self.clock(), **one.names,
                                 status=RunStatus(status), exit_code=0))  # fmt: skip
        if self.is_awake:
            self._watch_clock()
