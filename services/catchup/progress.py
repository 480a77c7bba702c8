"""Carries an arm from its due time to its end. Runs as deadlines only, so always on the whole log.

`look` decides whether an arm goes on; `admit` gives free slots to the queue, and each slot to the
host's next pair that still deserves a run.
"""

from __future__ import annotations

from datetime import datetime

from libs.common import cron
from libs.common.events.catchup import CatchupRequested, CatchupSkipped, SkipReason
from libs.common.loop.tx import Tx
from libs.common.threshold_table import get_rules
from libs.common.thresholds import Subject, stale_after
from services.catchup import arms, policy, store
from services.catchup import policy_conditions as conditions
from services.catchup.arms import Arm, ArmState
from services.catchup.decided import LOOK, drop_arm, finish_arm, request_run, skip_pair
from services.catchup.listing import NOTHING_TO_RUN, make_list
from services.catchup.policy import ArmVerdict, Pair, PairVerdict, Situation
from services.catchup.settings import CatchupSettings
from services.catchup.store import Host

ADMIT = "slots"  # Deadlines of one moment run by kind: all have looked before anyone gets a slot.
FLEET = "fleet"


def look_soon(tx: Tx, arm: Arm) -> None:
    """Have the arm looked at as soon as the log has been read, but never before it is due."""
    tx.schedule(LOOK, arm.host_id, max(arm.due_at, tx.now))


def look_at_arm(tx: Tx, host_id: str) -> None:
    """`look_soon` at the host's arm, if it has one."""
    due_at = arms.find_due(tx, host_id)
    if due_at is not None:
        tx.schedule(LOOK, host_id, max(due_at, tx.now))


def look_at(tx: Tx, host: Host) -> None:
    """`look_at_arm`, for who has read the host."""
    if host.arm_due_at is not None:
        tx.schedule(LOOK, host.id, max(host.arm_due_at, tx.now))


def admit_soon(tx: Tx) -> None:
    tx.schedule(ADMIT, FLEET, tx.now)


class Progress:
    """The deadline handlers."""

    def __init__(self, settings: CatchupSettings) -> None:
        self._settings = settings

    def on_look(self, tx: Tx, host_id: str, _due_at: datetime) -> None:
        """Go on with an arm: end it, let it wait, or put it into the queue."""
        arm, host = arms.find_arm(tx, host_id), store.find_host(tx, host_id)
        if arm is None or host is None:
            return
        verdict = assess(tx, arm, host)
        if verdict is ArmVerdict.SETTLING:
            look_soon(tx, arm)
        elif verdict in policy.DROPS:
            drop_arm(tx, arm, policy.DROPS[verdict], f"no catch-up: {verdict.value}")
        elif verdict in policy.WAITS:
            _wait(tx, arm, verdict)
        elif verdict is ArmVerdict.REPOSITORY_UNREACHABLE and arm.retry_at is not None:
            _wait(tx, arm, verdict)
            tx.schedule(LOOK, host_id, arm.retry_at)
        elif verdict is ArmVerdict.GO:
            self._go(tx, arm, host)

    def _go(self, tx: Tx, arm: Arm, host: Host) -> None:
        if not arm.listed:
            nothing = make_list(tx, arm, host, self._settings.catchup_settle)
            if nothing is not None:
                drop_arm(tx, arm, nothing, f"no catch-up: {NOTHING_TO_RUN[nothing]}")
                return
        following = arms.next_pair(tx, arm.host_id)
        if following is None:
            finish_arm(tx, arm)
            return
        last_success = store.successes(tx, arm.host_id).get(following[1])
        deferral = self._find_deferral(tx, host, last_success)
        if deferral is not None:
            _defer(tx, arm, host, deferral)
            return
        arms.enqueue(tx, arm.host_id, last_success)
        admit_soon(tx)

    def _find_deferral(
        self, tx: Tx, host: Host, last_success: datetime | None
    ) -> conditions.Deferral | None:
        """Say whether the host's power, network or hours put off what it could catch up now."""
        record = host.record
        subject = Subject(record.thresholds, record.tags, record.always_on)
        stale = stale_after(subject, get_rules(tx.db), self._settings.stale_after)
        latest = conditions.latest_start(host.deferred_since or tx.now, last_success, stale.value)
        return conditions.find_deferral(
            self._settings.conditions, host.power, _zone_of(host), latest=latest, now=tx.now
        )

    def on_admit(self, tx: Tx, _key: str, _due_at: datetime) -> None:
        """Give the free slots to those who wait, in the queue's order."""
        while arms.is_anyone_queued(tx):
            slots = arms.slots_in_use(
                tx,
                fleet_cap=self._settings.catchup_max_fleet,
                repository_cap=self._settings.catchup_max_repository,
            )
            admitted = policy.next_admitted(arms.queue(tx), slots)
            if admitted is None:
                return
            self._start(tx, admitted.host_id)

    def _start(self, tx: Tx, host_id: str) -> None:
        """Use a slot: judge the arm and its next pairs again, and ask for the first that stands."""
        arm, host = arms.find_arm(tx, host_id), store.find_host(tx, host_id)
        if arm is None or host is None:
            return
        if assess(tx, arm, host) is not ArmVerdict.GO:
            arms.set_state(tx, host_id, ArmState.WAITING)
            look_soon(tx, arm)
            return
        while (following := arms.next_pair(tx, host_id)) is not None:
            last_success = store.successes(tx, host_id).get(following[1])
            deferral = self._find_deferral(tx, host, last_success)
            if deferral is not None:
                _defer(tx, arm, host, deferral)
                return
            if _take(tx, arm, host, Pair(*following, last_success)):
                return
        finish_arm(tx, arm)


def _zone_of(host: Host) -> str:
    """Return the name of the host's zone; UTC for one that this machine does not know."""
    try:
        return cron.zone(host.record.timezone).key
    except cron.UnknownZone:
        return "UTC"


def assess(tx: Tx, arm: Arm, host: Host) -> ArmVerdict:
    run = arms.find_run(tx, arm.host_id) if host.has_run else None
    of_arm = run is not None and run.arm_id == arm.arm_id
    situation = Situation(
        record=host.record,
        online=host.online,
        synced=host.synced,
        job_running=store.is_busy(tx, arm.host_id) or (run is not None and not of_arm),
        run_of_arm=of_arm,
        send_failed=arm.wait == ArmVerdict.SEND_FAILED.name,
        due_at=arm.due_at,
        unreachable_until=_unreachable_until(arm, host),
    )
    return policy.assess_arm(situation, tx.now)


def _unreachable_until(arm: Arm, host: Host) -> datetime | None:
    """Return when the host's repository is tried again; another than was tried may be reached."""
    return arm.retry_at if arm.retry_repository == host.record.repository_id else None


def _wait(tx: Tx, arm: Arm, verdict: ArmVerdict) -> None:
    if arm.state is ArmState.WAITING and arm.wait == verdict.name:
        return
    arms.set_state(tx, arm.host_id, ArmState.WAITING, verdict.name)
    tx.decide(arm.host_id, "catchup_waits", f"catch-up waits: {verdict.value}",
              rule="R12", arm_id=arm.arm_id)  # fmt: skip


def _defer(tx: Tx, arm: Arm, host: Host, deferral: conditions.Deferral) -> None:
    """Put off what could run; look again when that is over at the latest."""
    if host.deferred_since is None:
        store.set_deferred(tx, arm.host_id, tx.now)
    _wait(tx, arm, ArmVerdict[deferral.cause.name])
    tx.schedule(LOOK, arm.host_id, deferral.until)


def _take(tx: Tx, arm: Arm, host: Host, pair: Pair) -> bool:
    """Judge the pair again and ask for its run, or skip it; say whether it was asked for."""
    verdict = policy.assess_pair(host.record, pair, armed_at=arm.armed_at, now=tx.now)
    fire = policy.latest_fire(host.record, pair, tx.now) if verdict is PairVerdict.OVERDUE else None
    if fire is None:
        _skip(tx, arm, host, pair, verdict)
        return False
    event = CatchupRequested(
        host_id=arm.host_id,
        arm_id=arm.arm_id,
        schedule_id=pair.schedule_id,
        source_group_id=pair.source_group_id,
        fire_time=fire.time,
        missed=fire.missed,
        put_off=arm.put_off,
    )
    request_run(tx, host, event)
    return True


def _skip(tx: Tx, arm: Arm, host: Host, pair: Pair, verdict: PairVerdict) -> None:
    stands = verdict is not PairVerdict.OVERDUE
    reason = SkipReason(verdict.value) if stands else SkipReason.NOT_OVERDUE
    detail = ""
    if verdict is PairVerdict.COVERED_BY:
        detail = f"job {store.success_job(tx, arm.host_id, pair.source_group_id)}"
    event = CatchupSkipped(
        host_id=arm.host_id,
        arm_id=arm.arm_id,
        reason=reason,
        schedule_id=pair.schedule_id,
        source_group_id=pair.source_group_id,
        detail=detail,
    )
    skip_pair(tx, host, event)
