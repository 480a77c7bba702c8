"""Rules of alerting in simulated worlds: each is asked for, and the oracle notices when it breaks.

The worlds suffer some kinds of trouble only, so that few days are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from cli.simulator.play import Plan, play
from libs.common.events.alert import AlertState
from services.alerting import (
    policy,
    policy_chances,
    policy_missed,
    policy_outage,
    policy_silence,
    requests,
)
from services.alerting.policy_chances import ChanceVerdict
from services.alerting.policy_missed import MissedVerdict
from services.alerting.policy_outage import OutageVerdict
from services.notify import policy as telling
from services.presence import policy as presence

NO_BACKUPS = Plan(hosts=5, days=10, troubles_per_day=2, only=("fail_backups", "set_threshold"))
WEDGED = Plan(hosts=3, days=3, troubles_per_day=4, only=("wedge_schedules",))
SILENCED = Plan(
    hosts=3, days=8, troubles_per_day=6,
    only=("silence", "end_silence", "change_tags", "fail_backups"),
)  # fmt: skip
DARK = Plan(hosts=13, days=1.5, troubles_per_day=6, quick=True, only=("lose_site",))
HANDLED = Plan(
    hosts=3, days=6, troubles_per_day=8, only=("fail_backups", "handle_together", "handle_alert")
)
UNSEEN = Plan(
    hosts=2, days=1, troubles_per_day=8, only=("crash", "long_outage", "slow_service", "bus_blip")
)


@pytest.mark.parametrize(("seed", "plan", "wanted"), [
    (2, NO_BACKUPS, {"backup_not_succeeding", "no backup_not_succeeding yet"}),
    (1, NO_BACKUPS, {"stale_schedule", "rung 2 of staleness"}),
    (2, WEDGED, {"why there is a schedule_missed"}),
    (2, SILENCED, {"a silenced alert", "a silenced alert (weekly)", "a loud alert"}),
    (1, DARK, {"a mass outage", "why there is a mass outage"}),
    (5, HANDLED, {"one acknowledges", "one resolves"}),
    (1, UNSEEN, {"time that nobody observed"}),
])  # fmt: skip
def test_each_rule_is_asked_for(seed: int, plan: Plan, wanted: set[str]) -> None:
    result = play(seed, plan)
    assert result.failure is None
    assert wanted <= result.wanted.keys()


def always(answer: Any) -> Callable[..., Any]:
    return lambda *_, **__: answer


def never_conflicting(tx: Any, alert_id: str) -> Any:
    """Let anybody acknowledge and resolve what somebody has before."""
    alert = requests.rows.find_alert(tx, alert_id)
    assert alert is not None
    return alert.model_copy(update={"state": AlertState.OPEN})


def first_hides(gap: Any, heard: Any, _: Any) -> list[presence.Gap]:
    """Whoever listens now is thought to have listened all the time."""
    return [] if any(period.end is None for period in heard) else [gap]


BROKEN: dict[str, tuple[Plan, int, ModuleType, str, Any, str]] = {
    "chances are never enough": (
        NO_BACKUPS, 2, policy_chances, "assess", always(ChanceVerdict.FEW_CHANCES), "R6"),
    "few hours are enough": (
        NO_BACKUPS, 2, policy_chances, "AWAKE_AT_LEAST", timedelta(0), "before it had its chances"),
    "staleness does not climb": (NO_BACKUPS, 1, policy, "RUNGS", (12,), "R7"),
    "staleness climbs at once": (
        NO_BACKUPS, 1, policy, "rung_reached", always(12), "is told too often"),
    "a missed schedule tells nobody": (
        WEDGED, 2, policy_missed, "assess", always(MissedVerdict.RAN), "and nobody knows"),
    "a schedule that ran is missed": (
        WEDGED, 3, policy_missed, "assess", always(MissedVerdict.DUE), "ran it"),
    "silences cover nothing": (
        SILENCED, 2, policy_silence, "find_cover", always(None), "is not silenced"),
    "a weekly silence covers all the time": (
        SILENCED, 2, policy_silence, "end_of_window", lambda _, now: now, "no silence covers it"),
    "what is silenced is told": (
        SILENCED, 2, telling, "assess_news", always(telling.Verdict.TOLD), "somebody was told"),
    "many at once are no outage": (
        DARK, 1, policy_outage, "assess_outage", always(OutageVerdict.TOO_FEW), "is dark"),
    "an outage never ends": (
        DARK, 1, policy_outage, "LONGEST", timedelta(days=1), "does not end"),
    "what an outage holds back is told": (
        DARK, 1, telling, "assess_news", always(telling.Verdict.TOLD), "somebody was told"),
    "two acknowledge the same": (
        HANDLED, 5, requests, "_get_unresolved", never_conflicting, "2 did so"),
    "a mute goes on for a day": (
        HANDLED, 5, policy, "MUTED_FOR", timedelta(days=1), "nobody knows"),
    "no blackout is worth a gap": (
        UNSEEN, 1, presence, "is_worth_a_gap", always(False), "nobody listened"),
    "the first of two gateways speaks for both": (
        UNSEEN, 20, presence, "unobserved", first_hides, "nobody listened"),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_rule_is_noticed(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, seed, module, name, wrong, said = BROKEN[broken]
    monkeypatch.setattr(module, name, wrong)
    failure = play(seed, plan).failure
    assert failure is not None
    assert said in failure
