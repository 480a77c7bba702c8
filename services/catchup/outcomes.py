"""What became of the jobs: they keep a host busy, and they end the catch-up's requests."""

from __future__ import annotations

from datetime import timedelta

from libs.common.events.job import (
    SUCCESSES,
    JobAbandoned,
    JobDispatched,
    JobEvent,
    JobFinished,
    JobInterrupted,
    JobKind,
    JobStarted,
    JobUndeliverable,
)
from libs.common.loop.tx import Tx
from services.catchup import arms, habits, policy, store
from services.catchup.arms import Arm, ArmState, PairState, Run
from services.catchup.policy import ArmVerdict
from services.catchup.policy_conditions import next_reach
from services.catchup.progress import admit_soon, look_at, look_soon
from services.catchup.settings import CatchupSettings
from services.catchup.store import Host


def on_job_taken(tx: Tx, event: JobDispatched | JobStarted) -> None:
    """The agent has a job: its host is busy, and a catch-up's run surely holds its slot."""
    host = store.find_present(tx, event.host_id)
    if host is None or not store.note_busy(tx, event.host_id, event.job_id):
        return
    run = _find_run(tx, host)
    if run is not None and (run.arm_id, run.run_id) == (event.arm_id, event.run_id):
        arms.set_accepted(tx, event.host_id, accepted=True)
    elif run is None and event.arm_id and event.run_id and event.schedule_id:
        _adopt_run(tx, host, event, event.arm_id, event.run_id)


def _find_run(tx: Tx, host: Host) -> Run | None:
    return arms.find_run(tx, host.id) if host.has_run else None


def _adopt_run(tx: Tx, host: Host, event: JobEvent, arm_id: str, run: str) -> None:
    """A request that a newer hello had set aside was taken after all."""
    repository = host.record.repository_id
    schedule, group = event.schedule_id or "", event.source_group_id or ""
    arms.save_run(tx, Run(event.host_id, arm_id, run, schedule, group, repository, accepted=True))


def on_job_undeliverable(tx: Tx, event: JobUndeliverable) -> None:
    run = arms.find_run(tx, event.host_id)
    if run is None or (run.arm_id, run.run_id) != (event.arm_id, event.run_id):
        return
    _return_run(tx, run, text=f"the run could not be sent ({event.reason}): next hello")


class Ends:
    """Handlers of the ends of jobs."""

    def __init__(self, settings: CatchupSettings) -> None:
        self._settings = settings

    def on_job_finished(self, tx: Tx, event: JobFinished) -> None:
        host = store.find_present(tx, event.host_id)
        if host is None:
            return
        succeeded = event.status in SUCCESSES
        if succeeded and event.kind is JobKind.BACKUP and event.source_group_id:
            store.note_success(
                tx, event.host_id, event.source_group_id, event.finished_at, event.job_id
            )
            if host.arm_due_at is not None:
                arms.may_reach(tx, event.host_id)
            _learn(tx, event, event.source_group_id)
        self._end(tx, host, event, "ended", succeeded=succeeded)

    def on_job_given_up(self, tx: Tx, event: JobInterrupted | JobAbandoned) -> None:
        host = store.find_present(tx, event.host_id)
        if host is None:
            return
        cut = isinstance(event, JobInterrupted) and event.kind is JobKind.BACKUP
        if cut and event.source_group_id:
            habits.note_cut(tx, event.host_id, event.source_group_id)
        self._end(tx, host, event, "given_up", succeeded=False)

    def _end(self, tx: Tx, host: Host, event: JobEvent, state: str, *, succeeded: bool) -> None:
        is_news = store.note_end(tx, event.host_id, event.job_id, state)
        run = _find_run(tx, host)
        if run is not None and policy.ends_request(event, arm_id=run.arm_id, run_id=run.run_id):
            _close_run(tx, run, succeeded=succeeded)
            return
        if run is not None and (run.arm_id, run.run_id) == (event.arm_id, event.run_id):
            if not (isinstance(event, JobFinished) and event.is_put_off):
                _expect_next_attempt(tx, run)
            elif is_news:  # An earlier attempt of the same arm may be told again.
                self._put_off(tx, run)
        look_at(tx, host)

    def _put_off(self, tx: Tx, run: Run) -> None:
        """Nobody answered for the repository: its slot is free, and the arm asks again later."""
        arm = _leave(tx, run, PairState.LISTED)
        if arm is None:
            return
        first, cap = self._settings.catchup_retry, self._settings.catchup_retry_cap
        pause = next_reach(arm.put_off + 1, first=first, cap=cap)
        arms.put_off(tx, arm, tx.time + pause, run.repository_id)


def _learn(tx: Tx, event: JobFinished, group_id: str) -> None:
    """Learn what runs take: of the group, and of catch-ups in the whole fleet."""
    if event.started_at is None:
        return
    took = max(event.finished_at - event.started_at, timedelta())
    habits.note_run(tx, event.host_id, group_id, took)
    if event.arm_id is not None:
        arms.note_run(tx, took)


def _expect_next_attempt(tx: Tx, run: Run) -> None:
    """It keeps its slot, and is not accepted yet. Asked for in a session that is gone, it waits for
    the present arm to ask again, and the slot is free."""
    host = store.find_host(tx, run.host_id)
    if host is not None and host.session == run.arm_id:
        arms.set_accepted(tx, run.host_id, accepted=False)
    else:
        arms.delete_run(tx, run.host_id)
        admit_soon(tx)


def _close_run(tx: Tx, run: Run, *, succeeded: bool) -> None:
    """A request ended: free its slot, and go on with the host's arm."""
    arm = _leave(tx, run, PairState.SUCCEEDED if succeeded else PairState.ENDED)
    if arm is not None:
        look_soon(tx, arm)


def _leave(tx: Tx, run: Run, state: PairState) -> Arm | None:
    """Free a run's slot; return the host's arm. In the list that asked for the run its pair is
    `state` from now on."""
    arms.delete_run(tx, run.host_id)
    admit_soon(tx)
    arm = arms.find_arm(tx, run.host_id)
    if arm is not None and arm.arm_id == run.arm_id:
        arms.set_pair(tx, run.host_id, run.schedule_id, run.source_group_id, state)
    return arm


def _return_run(tx: Tx, run: Run, *, text: str) -> None:
    """A request could not be delivered: the rest of the list waits for the next hello (R16)."""
    tx.decide(run.host_id, "catchup_send_failed", text, rule="R16", arm_id=run.arm_id)
    arm = _leave(tx, run, PairState.LISTED)
    if arm is not None and arm.arm_id == run.arm_id:
        arms.set_state(tx, run.host_id, ArmState.WAITING, ArmVerdict.SEND_FAILED.name)
        look_soon(tx, arm)
