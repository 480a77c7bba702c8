"""Jobs about repositories in simulated worlds: the oracle notices when a rule of theirs breaks."""

from __future__ import annotations

from typing import Any

import pytest

from cli.simulator.play import Plan, play
from libs.common.events.job import JobKind
from services.alerting import jobs as judged
from services.jobs import sending

WORKED_ON = Plan(hosts=5, days=6, troubles_per_day=12, only=("work_on_repository",))
CROWDED = Plan(hosts=8, days=2, troubles_per_day=100, only=("work_on_repository",))


def test_each_rule_is_asked_for() -> None:
    result = play(2, WORKED_ON)
    assert result.failure is None
    wanted = {"check_failed", "no check_failed", "forget_failed", "no forget_failed"}
    assert wanted <= result.wanted.keys()


def test_a_repository_that_nobody_waits_for_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In most worlds two meet in one; not in every one."""
    monkeypatch.setattr(sending, "not_locked_out", lambda _tx, _host, waiting: list(waiting))
    failures = [play(seed, CROWDED).failure for seed in (4, 5, 7, 10)]
    noticed = [failure for failure in failures if failure is not None]
    assert noticed
    assert all("has locked the repository" in failure for failure in noticed)


def test_a_failure_that_nobody_is_told_of_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[JobKind, Any] = {JobKind.BACKUP: judged.FAILURES[JobKind.BACKUP]}
    monkeypatch.setattr(judged, "FAILURES", kinds)
    failure = play(2, WORKED_ON).failure
    assert failure is not None
    assert "has no" in failure
