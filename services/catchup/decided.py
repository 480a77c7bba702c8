"""What is decided of an arm is an event; the same code carries it out when it is decided and when
the log tells of it to a file that is made anew, which sends nothing."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.events.catchup import (
    CatchupEvent,
    CatchupFinished,
    CatchupRequested,
    CatchupSkipped,
    SkipReason,
)
from libs.common.loop.tx import Tx
from libs.common.runs import run_id
from services.catchup import arms, policy, store
from services.catchup.arms import Arm, ArmState, PairState, Run
from services.catchup.listing import make_list
from services.catchup.settings import CatchupSettings
from services.catchup.store import Host

LOOK = "look"

_RULES: Mapping[SkipReason, str] = {
    SkipReason.NOTHING_OVERDUE: "R14",
    SkipReason.NO_REPOSITORY: "R13",
    SkipReason.REARMED: "R11",
}
"""Why an arm ends without a run; R12 unless it stands here."""


def drop_arm(tx: Tx, arm: Arm, reason: SkipReason, text: str) -> None:
    """End the arm without a (further) run."""
    tx.emit(CatchupSkipped(host_id=arm.host_id, arm_id=arm.arm_id, reason=reason, detail=text))
    tx.decide(arm.host_id, f"catchup_{reason}", text, rule=_RULES.get(reason, "R12"),
              arm_id=arm.arm_id)  # fmt: skip
    _end(tx, arm)


def finish_arm(tx: Tx, arm: Arm) -> None:
    """The arm's list is done."""
    succeeded = arms.count_pairs(tx, arm.host_id, PairState.SUCCEEDED)
    runs = succeeded + arms.count_pairs(tx, arm.host_id, PairState.ENDED)
    tx.emit(CatchupFinished(host_id=arm.host_id, arm_id=arm.arm_id, runs=runs, succeeded=succeeded))
    tx.decide(arm.host_id, "catchup_finished", f"catch-up done: {succeeded} of {runs} succeeded",
              rule="R13", arm_id=arm.arm_id)  # fmt: skip
    _end(tx, arm)


def _end(tx: Tx, arm: Arm) -> None:
    tx.unschedule(LOOK, arm.host_id)
    arms.delete_arm(tx, arm.host_id, has_list=arm.listed)


def request_run(tx: Tx, host: Host, event: CatchupRequested) -> None:
    """Ask for a run of a pair of the host's arm."""
    tx.emit(event)
    schedule, group = event.schedule_id, event.source_group_id
    run = run_id(host.id, schedule, group, event.fire_time)
    repository = host.record.repository_id
    arms.save_run(
        tx, Run(host.id, event.arm_id, run, schedule, group, repository, accepted=False)
    )  # fmt: skip
    arms.set_pair(tx, host.id, schedule, group, PairState.REQUESTED)
    arms.set_state(tx, host.id, ArmState.RUNNING)
    store.set_deferred(tx, host.id, None)
    last_success = store.successes(tx, host.id).get(group)
    since = "never backed up" if last_success is None else _fires(event.missed)
    tx.decide(
        host.id,
        "catchup_requested",
        f"{_name(host, group)}: 1 run for {since}",
        rule="R14",
        arm_id=event.arm_id,
        run_id=run,
        fire_time=event.fire_time,
        last_success=last_success,
    )


def skip_pair(tx: Tx, host: Host, event: CatchupSkipped) -> None:
    """A pair of the host's arm gets no run."""
    tx.emit(event)
    schedule, group = event.schedule_id or "", event.source_group_id or ""
    arms.set_pair(tx, host.id, schedule, group, PairState.SKIPPED)
    words = f"{event.reason.value.replace('_', ' ')} {event.detail}".strip()
    tx.decide(host.id, "catchup_pair_skipped", f"{_name(host, group)}: no run, {words}",
              rule="R13", arm_id=event.arm_id, schedule_id=schedule)  # fmt: skip


def _fires(missed: int) -> str:
    return "1 missed fire" if missed == 1 else f"{missed} missed fires"


def _name(host: Host, group_id: str) -> str:
    group = policy.find_group(host.record, group_id)
    return group.name if group else group_id


class Redo:
    """What a rebuild takes from our own events. Lists are in none: each is made again at its first
    pair. An event of an arm that is gone comes from before a newer hello."""

    def __init__(self, settings: CatchupSettings) -> None:
        self._settle = settings.catchup_settle

    def on_requested(self, tx: Tx, event: CatchupRequested) -> None:
        host = self._find_listed(tx, event, event.schedule_id, event.source_group_id)
        if host is not None:
            request_run(tx, host, event)

    def on_skipped(self, tx: Tx, event: CatchupSkipped) -> None:
        if event.schedule_id is None or event.source_group_id is None:
            arm = _find_arm(tx, event)
            if arm is not None:
                drop_arm(tx, arm, event.reason, event.detail)
            return
        host = self._find_listed(tx, event, event.schedule_id, event.source_group_id)
        if host is not None:
            skip_pair(tx, host, event)

    def on_finished(self, tx: Tx, event: CatchupFinished) -> None:
        arm = _find_arm(tx, event)
        if arm is not None:
            finish_arm(tx, arm)

    def _find_listed(
        self, tx: Tx, event: CatchupEvent, schedule_id: str, group_id: str
    ) -> Host | None:
        """Return the host if its arm has the pair, and nobody knows yet what became of it."""
        arm, host = _find_arm(tx, event), store.find_host(tx, event.host_id)
        if arm is None or host is None:
            return None
        if not arm.listed:
            make_list(tx, arm, host, self._settle)
        state = arms.find_pair(tx, arm.host_id, schedule_id, group_id)
        return host if state is PairState.LISTED else None


def _find_arm(tx: Tx, event: CatchupEvent) -> Arm | None:
    arm = arms.find_arm(tx, event.host_id)
    return arm if arm is not None and arm.arm_id == event.arm_id else None
