"""What the agent does with frames, fires and ends of jobs: synchronous, on disk before it is told.

A fire goes: reported (spool) → answered by `run`, or put off by `hold`, or, unanswered for 60 s,
run alone under the same job id. A job goes: accepted (ledger) → running → ended, its start and
its end in the spool in the same transaction as its state.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from agent import policy, schedule
from agent.errors import DamagedFile
from agent.ledger import ACCEPTED, RUNNING, Job, Ledger, Waiting
from agent.policy import FireVerdict, RunVerdict, Situation
from agent.settings import AgentSettings
from agent.spool import Spool
from agent.state import StateDirectory
from agent.store import AgentStore
from agent.work import Outcome, Work
from libs.common.logging import get_logger
from libs.common.protocol import (
    Config,
    ConfigApplied,
    Hold,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    Run,
    RunStatus,
    ScheduleFired,
)
from libs.common.runs import run_id

FORGETS_EVERY = timedelta(days=1)

log = get_logger("agent")


class AgentMachine:
    """The state of one enrolled agent, and the moves it may make."""

    def __init__(
        self,
        settings: AgentSettings,
        files: StateDirectory,
        store: AgentStore,
        host_id: str,
        kinds: frozenset[str] = frozenset({"backup"}),
    ) -> None:
        self._settings = settings
        self._kinds = kinds
        self._files = files
        self._store = store
        self._host_id = host_id
        self.spool = Spool(store, limit_bytes=settings.spool_bytes)
        self.ledger = Ledger(store)
        self.config: Config | None = None
        self.running: str | None = None
        self.stopping = False
        self.server_offset = timedelta()
        self._looked_until: datetime | None = None
        self._forget_at: datetime | None = None

    # --- time ---

    def start(self, now: datetime) -> None:
        """Take up where the last process ended: what it ran is interrupted."""
        try:
            applied = self._files.find_config()
        except DamagedFile as error:
            log.warning("config_damaged", error=error.message)
            applied = None
        if applied is not None:
            self.config = applied.config
            self._looked_until = applied.applied_at
        for job in self.ledger.unfinished():
            log.warning("job_interrupted", job_id=job.job_id, reason="the agent had ended")
            said = "the agent ended while the job was running"
            self._end(job, Outcome(RunStatus.INTERRUPTED, error=said), now)
        self.woke(now)

    def woke(self, now: datetime) -> None:
        """After a sleep the server gets its time to answer again, before anything runs alone."""
        with self._store.transaction():
            for waiting in self.ledger.waiting():
                due_at = policy.due_after_wake(waiting.due_at, now, self._settings.autonomy_after)
                self.ledger.postpone(waiting, due_at)

    def clock_set_back(self, by: timedelta) -> None:
        """What waits for its time waits no longer than it would have."""
        self.server_offset += by
        with self._store.transaction():
            for waiting in self.ledger.waiting():
                self.ledger.postpone(waiting, waiting.due_at - by)

    def tick(self, now: datetime) -> Work | None:
        """Report the fires that are due; return the job to run alone, if one is."""
        work = self._run_alone(now)
        self._report_fires(now)
        if self._forget_at is None or now >= self._forget_at:
            with self._store.transaction():
                self.ledger.forget_before(now - self._settings.keep_ids)
            self._forget_at = now + FORGETS_EVERY
        return work

    def next_look(self, now: datetime) -> timedelta:
        """Return how long nothing is to be done, at most one slice."""
        fire_time = None if self.config is None else schedule.next_fire_time(self.config, now)
        dues = [] if self.running else [waiting.due_at for waiting in self.ledger.waiting()]
        return schedule.next_look(
            now,
            fire_time=fire_time,
            due_at=min(dues, default=None),
            slice_=self._settings.clock_slice,
        )

    # --- frames ---

    def on_config(self, config: Config, now: datetime) -> ConfigApplied:
        """Apply and keep a configuration; fires up to now still belong to the one before."""
        self._report_fires(now)
        if config != self.config:
            self._files.put_config(config, now)
            self.config = config
            self._looked_until = now
            log.info("config_applied", version=config.version)
        problem = schedule.find_problem(config)
        return ConfigApplied(version=config.version, error=problem)

    def on_run(self, run: Run, now: datetime) -> tuple[JobAccepted | JobDeclined, Work | None]:
        """Accept or decline; an accepted job is on disk when this returns."""
        run_key = self._run_of(run)
        known = self.ledger.find_job(run.job_id)
        succeeded = run_key is not None and self.ledger.has_succeeded(run_key)
        verdict = policy.assess_run(
            run, known, run_succeeded=succeeded, situation=self._situation()
        )
        if run_key is not None:
            self._note_answer(run_key, run, verdict, now)
        if known is not None:
            return JobAccepted(job_id=run.job_id, state=known.state), None
        if verdict is not RunVerdict.ACCEPT:
            log.info("job_declined", job_id=run.job_id, reason=verdict.value)
            return JobDeclined(job_id=run.job_id, reason=verdict.value), None
        job = Job(
            run.job_id, run_key, run.attempt, run.schedule_id, run.source_group_id,
            run.fire_time, alone=False, state=ACCEPTED,
        )  # fmt: skip
        work = self._accept(job, run, now)
        return JobAccepted(job_id=run.job_id, state=ACCEPTED), work

    def on_hold(self, hold: Hold, now: datetime) -> None:
        """Put off the lone run of this job; unknown ones are no concern of ours."""
        waiting = self.ledger.find_waiting_job(hold.job_id)
        if waiting is None:
            return
        until = policy.hold_until(hold.until, server_offset=self.server_offset, now=now)
        log.info("fire_held", job_id=hold.job_id, reason=hold.reason)
        with self._store.transaction():
            self.ledger.postpone(waiting, until)

    def on_cancel(self, job_id: str) -> None:
        """A fire that was cancelled before anyone started it is not run alone either."""
        waiting = self.ledger.find_waiting_job(job_id)
        if waiting is not None:
            log.info("fire_cancelled", job_id=job_id)
            self.ledger.settle(waiting.run_id)

    # --- jobs ---

    def job_started(self, job_id: str, now: datetime) -> None:
        job = self.ledger.find_job(job_id)
        if job is None or job.state != ACCEPTED:
            return
        log.info("job_started", job_id=job_id, alone=job.alone)
        with self._store.transaction():
            self.ledger.set_state(job_id, RUNNING, now)
            self.spool.append(JobStarted(seq=0, job_id=job_id, at=now, **_identity(job)))

    def job_finished(self, job_id: str, outcome: Outcome, now: datetime) -> None:
        self.running = None
        job = self.ledger.find_job(job_id)
        if job is not None:
            self._end(job, outcome, now)

    def _end(self, job: Job, outcome: Outcome, now: datetime) -> None:
        report = JobFinished(
            seq=0,
            job_id=job.job_id,
            at=now,
            status=outcome.status,
            exit_code=outcome.exit_code,
            error=outcome.error,
            reason=outcome.reason,
            stats=outcome.stats,
            log_tail=outcome.log_tail,
            **_identity(job),
        )
        with self._store.transaction():
            self.ledger.set_state(job.job_id, outcome.status.value, now)
            self.spool.append(report)
        log.info("job_finished", job_id=job.job_id, status=outcome.status.value)

    def _accept(self, job: Job, run: Run | None, now: datetime) -> Work | None:
        """Take a job, the server's `run` or one of our own: on disk before this returns."""
        kind = "backup" if run is None else run.kind
        if self.config is None or not policy.has_its_group(self.config, kind, job.source_group_id):
            return None
        with self._store.transaction():
            self.ledger.add_job(job, now)
            if job.run_id is not None:
                self.ledger.settle(job.run_id)
        self.running = job.job_id
        timeout = self._settings.job_timeout
        if run is not None and run.timeout_seconds is not None:
            timeout = timedelta(seconds=run.timeout_seconds)
        return Work(
            job.job_id,
            policy.find_group(self.config, job.source_group_id),
            self.config.repository,
            kind=kind,
            arguments=(run.arguments if run else None) or {},
            attempt=job.attempt,
            timeout=timeout,
        )

    # --- fires ---

    def _report_fires(self, now: datetime) -> None:
        if self.config is None:
            return
        looked_until = self._looked_until or now
        due = schedule.due_fires(
            self.config,
            looked_until=min(looked_until, now),
            now=now,
            tolerance=self._settings.awake_tolerance,
        )
        for fire in due:
            self._report_fire(fire, now)
        self._looked_until = now  # Only now: a disk that refused the report is asked again.

    def _report_fire(self, fire: schedule.Fire, now: datetime) -> None:
        key = run_id(self._host_id, fire.schedule_id, fire.source_group_id, fire.fire_time)
        if self.ledger.knows_fire(key):
            return  # The clock was set back, or the agent restarted within the minute.
        log.info("schedule_fired", schedule_id=fire.schedule_id, fire_time=str(fire.fire_time))
        with self._store.transaction():
            self.ledger.add_fire(key, fire, now + self._settings.autonomy_after)
            self.spool.append(
                ScheduleFired(
                    seq=0,
                    schedule_id=fire.schedule_id,
                    source_group_id=fire.source_group_id,
                    fire_time=fire.fire_time,
                )
            )

    def _run_alone(self, now: datetime) -> Work | None:
        situation = self._situation()
        unanswered = self.ledger.waiting()
        for waiting in unanswered:
            verdict = policy.assess_fire(waiting, unanswered, situation, now)
            if verdict in (FireVerdict.GONE, FireVerdict.SUPERSEDED):
                log.info("fire_dropped", job_id=waiting.job_id, reason=verdict.value)
                self.ledger.settle(waiting.run_id)
            if verdict is FireVerdict.RUN and (work := self._start_alone(waiting, now)):
                return work
        return None

    def _start_alone(self, waiting: Waiting, now: datetime) -> Work | None:
        known = self.ledger.find_job(waiting.job_id) is not None
        if known or self.ledger.has_succeeded(waiting.run_id):
            self.ledger.settle(waiting.run_id)
            return None
        fire = waiting.fire
        log.info("job_runs_alone", job_id=waiting.job_id, schedule_id=fire.schedule_id)
        job = Job(
            waiting.job_id, waiting.run_id, waiting.attempt, fire.schedule_id,
            fire.source_group_id, fire.fire_time, alone=True, state=ACCEPTED,
        )  # fmt: skip
        return self._accept(job, None, now)

    def _note_answer(self, key: str, run: Run, verdict: RunVerdict, now: datetime) -> None:
        """A `run` answers the fire. One that we had to decline gets its full time again."""
        waiting = next((each for each in self.ledger.waiting() if each.run_id == key), None)
        if waiting is None or verdict is RunVerdict.ACCEPT:
            return
        numbered = Waiting(key, waiting.fire, run.attempt, waiting.due_at)
        with self._store.transaction():
            if verdict in (RunVerdict.KNOWN, RunVerdict.ALREADY_SUCCEEDED):
                self.ledger.settle(key)
            else:
                self.ledger.postpone(numbered, now + self._settings.autonomy_after)

    def _run_of(self, run: Run) -> str | None:
        if run.schedule_id is None or run.source_group_id is None or run.fire_time is None:
            return None
        return run_id(self._host_id, run.schedule_id, run.source_group_id, run.fire_time)

    def _situation(self) -> Situation:
        return Situation(
            config=self.config,
            busy=self.running is not None,
            spool_full=self.spool.is_full(),
            stopping=self.stopping,
            needs_repository=self._settings.engine == "restic",
            kinds=self._kinds,
        )


def _identity(job: Job) -> dict[str, Any]:
    """Name the run of a job that was started alone: its report must stand by itself."""
    if not job.alone:
        return {}
    return {
        "schedule_id": job.schedule_id,
        "source_group_id": job.source_group_id,
        "fire_time": job.fire_time,
        "attempt": job.attempt,
    }
