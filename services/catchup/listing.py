"""Makes the list of an arm: which pairs are overdue, and in which order they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from libs.common.durations import format_duration
from libs.common.events.catchup import SkipReason
from libs.common.loop.tx import Tx
from services.catchup import arms, habits, policy, store
from services.catchup.arms import Arm
from services.catchup.policy import Pair
from services.catchup.policy_fit import Habit, order_by_fit
from services.catchup.store import Host

NOTHING_TO_RUN: Mapping[SkipReason, str] = {
    SkipReason.NOTHING_OVERDUE: "nothing is overdue",
    SkipReason.NO_REPOSITORY: "the host has no repository",
}
"""Why a list cannot be made."""


def make_list(tx: Tx, arm: Arm, host: Host, settle: timedelta) -> SkipReason | None:
    """List the overdue pairs; return why there is nothing that can be run, or None."""
    successes = store.successes(tx, arm.host_id)
    pairs = policy.list_pairs(host.record, successes, armed_at=arm.armed_at, now=tx.now)
    if not pairs:
        if host.deferred_since is not None:
            store.set_deferred(tx, arm.host_id, None)
        return SkipReason.NOTHING_OVERDUE
    if host.record.repository_id is None:
        return SkipReason.NO_REPOSITORY
    habit = habits.get_habit(tx, arm.host_id)
    ordered = order_by_fit(pairs, habit, settle)
    arms.save_list(tx, arm.host_id, ordered)
    tx.decide(
        arm.host_id,
        "catchup_listed",
        f"catch-up due: {len(pairs)} to look at{_why_smallest(pairs, ordered, habit)}",
        rule="R13",
        arm_id=arm.arm_id,
        pairs=[[pair.schedule_id, pair.source_group_id] for pair in ordered],
    )
    return None


def _why_smallest(pairs: list[Pair], ordered: list[Pair], habit: Habit) -> str:
    if ordered == pairs or habit.stay is None:
        return ""
    return f", the smallest first: the host usually stays {format_duration(habit.stay)}"
