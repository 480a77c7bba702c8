"""The fleet in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.testing.rig import START
from services.ui.views import FleetCounts, Problem
from services.ui.wording import AlertFacts, Trouble, ago, fleet_health, verdict

MIN = timedelta(minutes=1)


@pytest.mark.parametrize(("span", "said"), [
    (timedelta(seconds=-5), "0 s"), (timedelta(seconds=59), "59 s"), (MIN, "1 min"),
    (18 * MIN, "18 min"), (60 * MIN, "1 h"), (timedelta(hours=24), "1 day"),
    (timedelta(days=8), "8 days"),
])  # fmt: skip
def test_ago(span: timedelta, said: str) -> None:
    assert ago(span) == said


@pytest.mark.parametrize(("total", "attention", "said"), [
    (0, 0, "No host yet. Add the first one."), (18, 2, "All 18 hosts are covered but 2."),
    (18, 0, "All 18 hosts are covered."), (1, 0, "The host is covered."),
    (1, 1, "The host needs attention."), (3, 3, "Every host needs attention."),
])  # fmt: skip
def test_verdict_in_one_sentence(total: int, attention: int, said: str) -> None:
    assert verdict(FleetCounts(total=total, attention=attention), [], START).text == said


@pytest.mark.parametrize(("total", "never", "said"), [
    (3, 0, ""), (3, 1, "1 has no backup yet."), (3, 2, "2 have no backup yet."),
    (3, 3, "None has a backup yet."), (1, 1, "No backup yet."),
])  # fmt: skip
def test_verdict_counts_who_has_no_backup_yet(total: int, never: int, said: str) -> None:
    assert verdict(FleetCounts(total=total), [], START, never_backed_up=never).never == said


def test_verdict_names_the_hosts() -> None:
    troubles = [
        Trouble("w3", "web-3", START - 18 * MIN, None, 0, ("agent_offline",)),
        Trouble("l4", "laptop-4", None, START - timedelta(days=8), 0, ("stale_schedule",)),
        Trouble("x1", "x-1", None, None, 2),
        Trouble("x2", "x-2", None, None, 0, ("check_failed",)),
    ]
    found = verdict(FleetCounts(total=18, attention=6), troubles, START)
    assert found.problems == (
        Problem("w3", "web-3", "offline 18 min"),
        Problem("l4", "laptop-4", "no backup for 8 days"),
        Problem("x1", "x-1", "backup failed in 2 groups"),
        Problem("x2", "x-2", "check failed"),
    )
    assert found.more == 2


WARNING = AlertFacts("web-1", "warning", "Agent offline", "offline")


@pytest.mark.parametrize(("alerts", "not_ready", "channels", "status"), [
    pytest.param([], [], [], "ok", id="nothing"),
    pytest.param([WARNING], [], [], "degraded", id="a warning"),
    pytest.param([AlertFacts("l", "warning", "No backup", "asleep")], [], [], "ok", id="asleep"),
    pytest.param([AlertFacts("l", "critical", "Check failed", "asleep")], [], [], "failing",
                 id="a broken repository does not sleep"),
    pytest.param([AlertFacts("w", "critical", "x", "offline", True)], [], [], "ok", id="silenced"),
    pytest.param([], ["bus away"], [], "failing", id="a part is not ready"),
    pytest.param([], [], ["ops"], "degraded", id="a channel is broken"),
])  # fmt: skip
def test_fleet_health(
    alerts: list[AlertFacts], not_ready: list[str], channels: list[str], status: str
) -> None:
    found = fleet_health(alerts, not_ready, channels)
    assert found.status == status
    assert bool(found.reasons) is (status != "ok")
