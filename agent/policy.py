"""The agent's decisions: pure, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from agent.ledger import Job, Waiting
from libs.common.job_arguments import NEEDS_GROUP
from libs.common.protocol import Config, Run, SourceGroupConfig

LONGEST_HOLD = timedelta(hours=24)


class RunVerdict(Enum):
    """What to answer to a `run`. The value is the reason of `job_declined`."""

    ACCEPT = "accepted"
    KNOWN = "known"
    ALREADY_SUCCEEDED = "already_succeeded"
    STALE_CONFIG = "stale_config"
    BUSY = "busy"
    SPOOL_FULL = "spool_full"
    STOPPING = "stopping"
    UNSUPPORTED_KIND = "unsupported_kind"
    UNKNOWN_GROUP = "unknown_group"
    NO_REPOSITORY = "no_repository"


@dataclass(frozen=True, slots=True)
class Situation:
    """What decisions about runs depend on. `kinds`: what the engine can do."""

    config: Config | None
    busy: bool
    spool_full: bool
    stopping: bool
    needs_repository: bool
    kinds: frozenset[str] = frozenset({"backup"})


def assess_run(
    run: Run, known: Job | None, *, run_succeeded: bool, situation: Situation
) -> RunVerdict:
    """Say whether to start `run`.

    A job that was accepted once is never started again; another attempt of a run that succeeded
    here is not needed (R15).
    """
    if known is not None:
        return RunVerdict.KNOWN
    if run_succeeded:
        return RunVerdict.ALREADY_SUCCEEDED
    config = situation.config
    if config is None or config.version < run.config_version:
        return RunVerdict.STALE_CONFIG
    if situation.stopping:
        return RunVerdict.STOPPING
    if situation.busy:
        return RunVerdict.BUSY
    if situation.spool_full:
        return RunVerdict.SPOOL_FULL
    if run.kind not in situation.kinds:
        return RunVerdict.UNSUPPORTED_KIND
    if not has_its_group(config, run.kind, run.source_group_id):
        return RunVerdict.UNKNOWN_GROUP
    if situation.needs_repository and config.repository is None:
        return RunVerdict.NO_REPOSITORY
    return RunVerdict.ACCEPT


class FireVerdict(Enum):
    """What becomes of a fire that nobody answered."""

    WAIT = "its time to run alone has not come"
    BLOCKED = "a job is running, the spool is full, or the agent stops"
    SUPERSEDED = "a newer fire of the same pair is due"
    GONE = "its schedule or source group is no longer configured"
    RUN = "nobody answered: the agent runs it by itself"


def assess_fire(
    waiting: Waiting, others: Sequence[Waiting], situation: Situation, now: datetime
) -> FireVerdict:
    """Say what to do at `now` with one unanswered fire, knowing the other unanswered ones."""
    if not _is_configured(waiting, situation.config):
        return FireVerdict.GONE
    if now < waiting.due_at:
        return FireVerdict.WAIT
    if any(_supersedes(other, waiting) and other.due_at <= now for other in others):
        return FireVerdict.SUPERSEDED
    if situation.busy or situation.spool_full or situation.stopping:
        return FireVerdict.BLOCKED
    return FireVerdict.RUN


def hold_until(until: datetime, *, server_offset: timedelta, now: datetime) -> datetime:
    """Return a hold's end on our own clock, a day ahead at most.

    The server's clock is ours plus `server_offset`.
    """
    return min(until - server_offset, now + LONGEST_HOLD)


def due_after_wake(due_at: datetime, now: datetime, autonomy: timedelta) -> datetime:
    """Return when a fire runs alone after a sleep or a start: the server gets its time again."""
    return max(due_at, now + autonomy)


def has_its_group(config: Config, kind: str, group_id: str | None) -> bool:
    """Say whether a job's source group is configured here; a job of some kinds needs none."""
    if group_id is None:
        return kind not in NEEDS_GROUP
    return find_group(config, group_id) is not None


def find_group(config: Config, group_id: str | None) -> SourceGroupConfig | None:
    return next((group for group in config.source_groups if group.id == group_id), None)


def _is_configured(waiting: Waiting, config: Config | None) -> bool:
    if config is None or find_group(config, waiting.fire.source_group_id) is None:
        return False
    return any(
        schedule.id == waiting.fire.schedule_id and schedule.enabled
        for schedule in config.schedules
    )


def _supersedes(other: Waiting, waiting: Waiting) -> bool:
    same_pair = (other.fire.schedule_id, other.fire.source_group_id) == (
        waiting.fire.schedule_id,
        waiting.fire.source_group_id,
    )
    return same_pair and other.fire.fire_time > waiting.fire.fire_time
