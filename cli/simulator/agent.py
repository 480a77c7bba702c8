"""An agent modelled to the protocol: it watches its schedules, and runs what it is sent or must.

A fire is reported, then answered by `run`, put off by `hold`, or, unanswered for a minute, run
alone under the same job id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from cli.simulator.calendar import fires_between, next_fire
from cli.simulator.sleeper import AUTONOMY, Done, Sleeper, Waiting
from libs.common.job_arguments import EXCLUSIVE
from libs.common.protocol import (
    Config,
    ConfigApplied,
    FailureReason,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    RunStatus,
    ScheduleFired,
)
from libs.common.runs import job_id as id_of_attempt
from libs.common.runs import run_id

TOLERANCE = timedelta(seconds=60)


@dataclass(eq=False)
class Agent(Sleeper):
    """One host's agent."""

    # --- configuration and cron

    def on_config(self, config: Config) -> None:
        self._report_fires()
        if config != self.config:
            self.config = config
            self.looked_until = self.clock()
        self.send(ConfigApplied(version=config.version))
        self._watch_clock()

    def _watch_clock(self) -> None:
        """Report the fires that are due, run what nobody answered, and look again in time."""
        if not self.is_awake:
            return
        self._report_fires()
        self._run_alone()
        now = self.clock()
        moments = [fire for fire, _ in self._next_fires(now)]
        if self.running is None:  # Until it ends, nothing else is run.
            moments += [each.due_at for each in self.waiting.values()]
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
        if self.wedged_until is not None and self.world.elapsed < self.wedged_until:
            return
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
        self.reported[schedule_id, group] = fire
        self.waiting[run] = Waiting(schedule_id, group, fire, self.clock() + AUTONOMY)
        self.report(ScheduleFired(seq=0, schedule_id=schedule_id, source_group_id=group,
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
            self.send(JobAccepted(job_id=job, state=self.jobs[job]))
            self.waiting.pop(run or "", None)
            return
        reason = self._why_not(frame, run)
        if reason is not None:
            self.send(JobDeclined(job_id=job, reason=reason))
            if run in self.waiting:
                self.waiting[run].due_at = self.clock() + AUTONOMY
            return
        self.waiting.pop(run or "", None)
        self.send(JobAccepted(job_id=job, state="accepted"))
        self._accept(job, run, frame.get("source_group_id"), None, frame["kind"])

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
        wanted = frame.get("source_group_id")
        known = any(group.id == wanted for group in self.config.source_groups)
        return None if known or wanted is None else "unknown_group"

    def _on_hold(self, frame: dict[str, Any]) -> None:
        for run, each in self.waiting.items():
            if id_of_attempt(run, 1) == frame["job_id"]:
                each.due_at = datetime.fromisoformat(frame["until"]) + self.clock_error

    # --- jobs

    def _accept(
        self, job: str, run: str | None, group: str | None, alone: Waiting | None,
        kind: str = "backup",
    ) -> None:  # fmt: skip
        self.world.truth.executes(self, job)
        self.jobs[job] = "running"
        self.running = Done(job, run, group, self.world.now, kind=kind)
        self.done.append(self.running)
        self.by_job[job] = self.running
        if alone is not None:
            self.running.names = {
                "schedule_id": alone.schedule_id, "source_group_id": alone.group_id,
                "fire_time": alone.fire_time, "attempt": 1,
            }  # fmt: skip
        self.report(JobStarted(seq=0, job_id=job, at=self.clock(), **self.running.names))
        self._work_on(self.running)

    def _work_on(self, one: Done) -> None:
        seconds = self.world.job_seconds()
        self._later(seconds, lambda: self._finish(one))

    def _finish(self, one: Done) -> None:
        if self.running is not one:
            return
        status = self.world.job_status()
        self._end(one, "failed" if self._is_repository_full else status)

    @property
    def _is_repository_full(self) -> bool:
        return self.fails_until is not None and self.world.elapsed < self.fails_until

    def _end(self, one: Done, status: str) -> None:
        self.running = None
        self.calm_since = self.world.now
        if one.kind in EXCLUSIVE:
            for other in self.world.sharing(self):
                other.calm_since = self.world.now  # It may have waited for the repository.
        one.ended, one.status = self.world.now, status
        self.jobs[one.job_id] = status
        reason = None if self._is_repository_full else _reason_of(one.job_id, status)
        if reason is not None:
            self.world.truth.counts["repository out of reach"] += 1
        self.report(JobFinished(seq=0, job_id=one.job_id, at=self.clock(), **one.names,
                                 status=RunStatus(status), exit_code=0, reason=reason))  # fmt: skip
        if self.is_awake:
            self._watch_clock()


def _reason_of(job_id: str, status: str) -> FailureReason | None:
    """Every other failure is that nobody answered for the repository; no chance is drawn for it,
    so that a seed plays what it played before."""
    unreachable = status == "failed" and crc32(job_id.encode()) % 2 == 0
    return FailureReason.REPOSITORY_UNREACHABLE if unreachable else None
