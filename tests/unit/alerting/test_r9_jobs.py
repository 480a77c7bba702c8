"""R9, R17: what failed is told once, and a success ends it."""

from __future__ import annotations

import pytest

from libs.common.events.alert import AlertRaised, Severity
from libs.common.events.host import HostRemoved
from libs.common.events.job import (
    JobAbandoned,
    JobInterrupted,
    JobKind,
    JobOrigin,
    JobStatus,
)
from tests.unit.alerting.kit import (
    HOUR,
    START,
    alerting,
    changed,
    failed,
    finished,
    laptop,
    open_alerts,
    open_kinds,
    raised,
    record,
    resolved,
    sleeping_laptop,
)


def interrupted(job_id: str = "j1", **fields) -> JobInterrupted:
    fields = {
        "host_id": "h1", "origin": JobOrigin.CATCHUP, "source_group_id": "g1", "at": START,
        "last_attempt": True, "attempt": 3,
    } | fields  # fmt: skip
    return JobInterrupted(job_id=job_id, **fields)


def abandoned(job_id: str = "j1", **fields) -> JobAbandoned:
    fields = {
        "host_id": "h1", "origin": JobOrigin.SCHEDULE, "source_group_id": "g1", "at": START,
        "reason": "not accepted", "tries": 10, "schedule_id": "sc1",
    } | fields  # fmt: skip
    return JobAbandoned(job_id=job_id, **fields)


def test_r9_a_failure_is_raised_and_a_success_ends_it() -> None:
    rig = alerting()
    rig.publish(changed(laptop(version=2)), failed(START))
    (alert,) = raised(rig)
    assert (alert.message, alert.dedup_key) == ("Backup of home failed: no space left", "g1")
    assert (alert.severity, alert.facts["job_id"]) == (Severity.WARNING, "j1")
    rig.publish(finished(START, job_id="j2"))
    assert resolved(rig) == [("backup_failed", "backup_succeeded")]


def test_r9_another_groups_success_ends_nothing() -> None:
    rig = alerting()
    rig.publish(failed(START), failed(START, "j2", source_group_id="g2"))
    rig.publish(finished(START, job_id="j3", source_group_id="g2"))
    assert [alert["dedup_key"] for alert in open_alerts(rig)] == ["g1"]


def test_r9_a_success_with_warnings_ends_it() -> None:
    rig = alerting()
    rig.publish(failed(START))
    rig.publish(finished(START, JobStatus.SUCCEEDED_WITH_WARNINGS, "j2"))
    assert open_alerts(rig) == []


def test_r9_while_another_attempt_follows_nothing_is_raised() -> None:
    rig = alerting()
    rig.publish(failed(START, last_attempt=False))
    assert raised(rig) == []
    assert rig.decisions("alerting", "h1")[-1] == "no_alert"


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        pytest.param("forget", "warning", id="forget"),
        pytest.param("check", "critical", id="check"),
        pytest.param("prune", "critical", id="prune"),
    ],
)
def test_r9_each_kind_has_its_own(kind, severity) -> None:
    rig = alerting()
    fields = {"kind": JobKind(kind), "source_group_id": None}
    rig.publish(failed(START, **fields), failed(START, "j2"))
    assert open_kinds(rig) == sorted([f"{kind}_failed", "backup_failed"])
    (alert,) = raised(rig, f"{kind}_failed")
    assert alert.severity == severity
    assert alert.message == f"{kind.capitalize()} of h1 failed: no space left"
    rig.publish(finished(START, job_id="j3"))
    assert open_kinds(rig) == [f"{kind}_failed"]
    rig.publish(finished(START, job_id="j4", **fields))
    assert open_alerts(rig) == []


@pytest.mark.parametrize("kind", ["unlock", "init", "restore", "snapshots"])
def test_r9_other_kinds_tell_who_asked(kind) -> None:
    rig = alerting()
    rig.publish(failed(START, kind=JobKind(kind)))
    assert raised(rig) == []


def test_r9_a_success_of_another_kind_is_no_backup() -> None:
    rig = sleeping_laptop()
    rig.advance(8 * 24 * HOUR)
    rig.publish(finished(rig.now, job_id="j9", kind=JobKind.PRUNE))
    assert open_kinds(rig) == ["stale_schedule"]


def test_r9_the_same_ends_again_change_nothing() -> None:
    rig = alerting()
    bad, good = failed(START), finished(START, job_id="j2")
    rig.publish(bad, good)
    rig.redeliver([bad])
    assert open_alerts(rig) == []
    rig.publish(failed(START, "j3"))
    rig.redeliver([good])
    assert open_kinds(rig) == ["backup_failed"]


def test_r10_a_failure_that_the_backlog_undoes_is_told_to_nobody() -> None:
    rig = alerting()
    rig.publish(failed(START), finished(START, job_id="j2"))  # Read in one go.
    assert raised(rig) == []


def test_r9_interrupted_for_the_last_time() -> None:
    rig = alerting()
    rig.publish(interrupted(last_attempt=False, attempt=1))
    assert raised(rig) == []
    rig.publish(interrupted("j3"))
    assert raised(rig)[0].message == "Backup of g1 was interrupted 3 times"


def test_r9_an_interrupted_manual_backup_raises_nothing() -> None:
    rig = alerting()
    rig.publish(interrupted(origin=JobOrigin.MANUAL, attempt=1))
    assert raised(rig) == []
    rig.publish(failed(START, "j2", origin=JobOrigin.MANUAL))
    assert open_kinds(rig) == ["backup_failed"]


def test_r9_interrupted_gives_way_to_a_reported_end() -> None:
    rig = alerting()
    rig.publish(interrupted())
    rig.publish(finished(START))
    assert open_alerts(rig) == []
    rig.redeliver([interrupted()])
    assert open_alerts(rig) == []


def test_r9_cancelled_is_no_failure() -> None:
    rig = alerting()
    rig.publish(finished(START, JobStatus.CANCELLED))
    assert raised(rig) == []


def test_r17_a_pending_run_abandoned_is_told() -> None:
    """The original case."""
    rig = alerting()
    rig.publish(abandoned())
    (alert,) = raised(rig)
    assert alert.kind == "pending_run_abandoned"
    assert alert.message == "Pending run of g1 abandoned after 10 tries: not accepted"
    rig.redeliver([abandoned()])
    assert len(rig.of(AlertRaised)) == 1
    rig.publish(finished(START, job_id="j2"))
    assert resolved(rig) == [("pending_run_abandoned", "backup_succeeded")]


def test_r17_superseded_is_nobodys_loss() -> None:
    rig = alerting()
    rig.publish(abandoned(loud=False, reason="superseded"))
    assert raised(rig) == []
    assert rig.decisions("alerting", "h1")[-1] == "no_alert"


def test_r17_abandoned_but_reported_all_the_same() -> None:
    rig = alerting()
    rig.publish(finished(START))
    rig.publish(abandoned())
    assert raised(rig) == []


def test_a_removed_host_has_no_open_alerts_and_gets_none() -> None:
    rig = alerting()
    rig.publish(failed(START), abandoned("j2"))
    rig.publish(HostRemoved(host_id="h1", record=record(version=2, removed=True)))
    assert [reason for _, reason in resolved(rig)] == ["host_removed"] * 2
    rig.publish(failed(START, "j3"))
    assert open_alerts(rig) == []


def test_a_removed_group_takes_its_failures_along() -> None:
    rig = alerting()
    rig.publish(changed(laptop(version=2)))
    rig.publish(failed(START), abandoned("j2"), failed(START, "j3", source_group_id="g2"))
    rig.publish(changed(laptop(version=3, name="renamed")))
    assert resolved(rig) == []
    rig.publish(changed(laptop(version=4, source_groups=())))
    assert sorted(resolved(rig)) == [
        ("backup_failed", "group_removed"), ("pending_run_abandoned", "group_removed")
    ]  # fmt: skip
    assert [alert["dedup_key"] for alert in open_alerts(rig)] == ["g2"]


def test_an_error_is_cut_to_one_line() -> None:
    rig = alerting()
    rig.publish(failed(START, error="first\nsecond" * 100))
    assert raised(rig)[0].message == "Backup of g1 failed: first"
    rig.publish(failed(START, "j2", source_group_id="g2", error="x" * 5000))
    assert len(raised(rig)[-1].message) < 400
    rig.publish(failed(START, "j3", source_group_id="g3", error=None, exit_code=1))
    assert raised(rig)[-1].message == "Backup of g3 failed: exit code 1"
