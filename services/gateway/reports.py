"""The input of everything else that an agent says, in its order: reports, answers, goodbye."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from libs.common import protocol
from libs.common.events.agent import (
    AgentConfigApplied,
    AgentJobAccepted,
    AgentJobDeclined,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentPower,
    AgentScheduleFired,
    AgentSynced,
    OfflineReason,
)
from libs.common.loop.tx import Tx
from libs.common.protocol import Frame, JobReport, SpooledFrame
from services.gateway import policy, sessions, store, store_hosts
from services.gateway.policy import FireVerdict, ReportVerdict
from services.gateway.store import Session, Spool

MAX_STATS_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A frame, when it came, and how far the agent's clock was ahead then."""

    frame: Frame
    at: datetime
    offset: timedelta


@dataclass(slots=True)
class Taken:
    """What to answer once everything is durable. `ack` None: no report was among the frames."""

    ack: int | None = None
    errors: list[protocol.Error] = field(default_factory=list)
    ended: bool = False


@dataclass(slots=True)
class _Progress:
    """What reports move: how far their spool is published, and whether the session is synced."""

    spool: Spool
    synced: bool


def take_frames(tx: Tx, host_id: str, session_id: str, frames: Sequence[Received]) -> Taken | None:
    """Publish what the frames say, in their order; None if the session is no longer live here."""
    session, spool = store.find_session_with_spool(tx.db, host_id) or (None, store.NEW_SPOOL)
    if session is None or session.session != session_id or not session.live:
        return None
    taken, progress = Taken(), _Progress(spool, session.synced)
    for received in frames:
        if isinstance(received.frame, SpooledFrame):
            _take_report(tx, session, progress, received, taken)
        elif isinstance(received.frame, protocol.Goodbye):
            _take_goodbye(tx, session, received.frame, received.at)
            taken.ended = True
            break
        else:
            _OTHERS[type(received.frame)](tx, session, received.frame)
    _keep(tx, session, spool, progress)
    return taken


def _keep(tx: Tx, session: Session, spool: Spool, progress: _Progress) -> None:
    """Write how far the reports have come; `spool` is how far they had before."""
    if progress.spool is not spool:
        store.put_spool(tx.db, session.host_id, session.spool_id, progress.spool, tx.now)
    if progress.synced and not session.synced:
        store.set_synced(tx.db, session.host_id)


# -- reports: numbered, acknowledged ---------------------------------------------------------------


def _take_report(
    tx: Tx, session: Session, progress: _Progress, received: Received, taken: Taken
) -> None:
    frame, spool = received.frame, progress.spool
    assert isinstance(frame, SpooledFrame)
    if policy.assess_report(frame.seq, spool.last_seq) is ReportVerdict.REPEATED:
        taken.ack = max(taken.ack or 0, spool.last_seq)
        return
    happened_at = _emit_report(tx, session, received, spool, taken)
    progress.spool = Spool(frame.seq, happened_at or spool.last_report_at)
    taken.ack = frame.seq
    if not progress.synced and policy.is_synced(session.sync_seq, frame.seq):
        progress.synced = True
        tx.emit(AgentSynced(host_id=session.host_id, session=session.session))


def _emit_report(
    tx: Tx, session: Session, received: Received, spool: Spool, taken: Taken
) -> datetime | None:
    """Return the believed time of a job's report; a fire has its own."""
    frame = received.frame
    if isinstance(frame, protocol.ScheduleFired):
        _take_fire(tx, session, frame, received.at, taken)
        return None
    assert isinstance(frame, JobReport)
    at = policy.believed_time(frame.at, received.offset, spool.last_report_at, received.at)
    common = _job_fields(session, frame, received.at) | {"at": at}
    if isinstance(frame, protocol.JobFinished):
        tx.emit(
            AgentJobFinished(
                **common,
                status=frame.status,
                reason=frame.reason,
                exit_code=frame.exit_code,
                error=frame.error,
                stats=bounded_stats(frame.stats),
                log_tail=frame.log_tail,
            )
        )
    else:
        tx.emit(AgentJobStarted(**common))
    return at


def _job_fields(session: Session, frame: JobReport, received_at: datetime) -> dict[str, Any]:
    fire_time = frame.fire_time
    if fire_time and policy.assess_fire(fire_time, received_at) is not FireVerdict.BELIEVED:
        fire_time = None  # The result stands; the run that it claims to belong to cannot be.
    return {
        "host_id": session.host_id,
        "session": session.session,
        "job_id": frame.job_id,
        "received_at": received_at,
        "schedule_id": frame.schedule_id,
        "source_group_id": frame.source_group_id,
        "fire_time": policy.in_utc(fire_time),
        "attempt": frame.attempt,
    }


def _take_fire(
    tx: Tx, session: Session, frame: protocol.ScheduleFired, received_at: datetime, taken: Taken
) -> None:
    verdict = policy.assess_fire(frame.fire_time, received_at)
    if verdict is not FireVerdict.BELIEVED:
        message = f"fire_time {frame.fire_time.isoformat()} is {verdict.value}"
        taken.errors.append(protocol.Error(code="fire_time_refused", message=message))
        tx.decide(session.host_id, "fire_refused", message, schedule_id=frame.schedule_id)
        return
    tx.emit(
        AgentScheduleFired(
            host_id=session.host_id,
            session=session.session,
            schedule_id=frame.schedule_id,
            source_group_id=frame.source_group_id,
            fire_time=frame.fire_time.astimezone(UTC),
            received_at=received_at,
        )
    )


def bounded_stats(stats: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the statistics, or a note in their place if no event should carry them."""
    if stats is None:
        return None
    try:
        size = len(to_json(stats, inf_nan_mode="null"))
    except ValueError:  # Too deep, or no Unicode.
        return {"dropped": "not representable"}
    return stats if size <= MAX_STATS_BYTES else {"dropped": f"{size} bytes"}


# -- the rest --------------------------------------------------------------------------------------


def _take_goodbye(tx: Tx, session: Session, frame: protocol.Goodbye, at: datetime) -> None:
    event = AgentOffline(
        host_id=session.host_id,
        session=session.session,
        last_seen=at,
        reason=OfflineReason(frame.reason.value),
        until=policy.in_utc(frame.until),
    )
    sessions.go_offline(tx, session, event)


def _take_accepted(tx: Tx, session: Session, frame: protocol.JobAccepted) -> None:
    tx.emit(AgentJobAccepted(host_id=session.host_id, session=session.session,
                             job_id=frame.job_id, state=frame.state))  # fmt: skip


def _take_declined(tx: Tx, session: Session, frame: protocol.JobDeclined) -> None:
    tx.emit(AgentJobDeclined(host_id=session.host_id, session=session.session,
                             job_id=frame.job_id, reason=frame.reason))  # fmt: skip


def _take_config_applied(tx: Tx, session: Session, frame: protocol.ConfigApplied) -> None:
    tx.emit(AgentConfigApplied(host_id=session.host_id, session=session.session,
                               version=frame.version, error=frame.error))  # fmt: skip
    if frame.error is None:
        store.set_config_version(tx.db, session.host_id, frame.version)
        wanted = store_hosts.find_config_version(tx.db, session.host_id)
        sessions.watch_config(tx, session.host_id, frame.version, wanted)


def _take_power(tx: Tx, session: Session, frame: protocol.Power) -> None:
    tx.emit(AgentPower(host_id=session.host_id, session=session.session,
                       on_battery=frame.on_battery, battery_percent=frame.percent,
                       metered=frame.metered))  # fmt: skip


_OTHERS: dict[type[Frame], Callable[[Tx, Session, Any], None]] = {
    protocol.JobAccepted: _take_accepted,
    protocol.JobDeclined: _take_declined,
    protocol.ConfigApplied: _take_config_applied,
    protocol.Power: _take_power,
}
QUEUED = (SpooledFrame, protocol.Goodbye, *_OTHERS)
