"""The read model: what each event makes of it, and that no fact told again revives an old state."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from libs.common.events.agent import (
    AgentConfigApplied,
    AgentHello,
    GatewayListening,
    GatewayLost,
    GatewayStopped,
)
from libs.common.events.alert import (
    AlertAcknowledged,
    AlertKind,
    AlertRaised,
    AlertResolved,
    AlertSilenced,
    AlertState,
    AlertUnsilenced,
    NotificationDelivered,
)
from libs.common.events.catchup import (
    CatchupArmed,
    CatchupFinished,
    CatchupRequested,
    CatchupSkipped,
    SkipReason,
)
from libs.common.events.host import (
    Audit,
    HostChanged,
    HostModeChanged,
    HostRemoved,
)
from libs.common.events.job import (
    JobAbandoned,
    JobDispatched,
    JobInterrupted,
    JobStarted,
    JobStatus,
    JobUndeliverable,
)
from libs.common.testing.rig import ADMIN, START, Rig
from services.ui import queries
from services.ui.queries import AlertFilter, AuditFilter, JobFilter
from tests.unit.ui.facts import (
    FLEET,
    HOME,
    HOST,
    HOUR,
    NIGHTLY,
    alert,
    finished,
    job_facts,
    offline,
    online,
    record,
    requested,
    rig,
    seen,
)

MIN = timedelta(minutes=1)


# --- Hosts and presence ---------------------------------------------------------------------------


def test_an_older_record_told_again_changes_nothing() -> None:
    fleet = rig()
    newer = record(version=3, name="new", tags=("paris",))
    fleet.publish(HostChanged(host_id=HOST, record=newer))
    fleet.publish(HostChanged(host_id=HOST, record=record(version=2, name="old", tags=("rome",))))
    assert seen(fleet).name == "new"
    assert queries.list_tags(fleet.db) == ["paris"]


def test_a_removed_host_never_comes_back() -> None:
    fleet = rig()
    gone = record(version=2, removed=True)
    fleet.publish(HostRemoved(host_id=HOST, record=gone), online())
    fleet.publish(HostChanged(host_id=HOST, record=record(version=1)))
    assert queries.find_host(fleet.db, HOST, now=fleet.now, fleet=FLEET) is None
    assert queries.is_removed(fleet.db, HOST)
    assert queries.fleet_counts(fleet.db, now=fleet.now).total == 0


def test_r3_an_online_told_again_after_the_end_changes_nothing() -> None:
    fleet = rig()
    fleet.publish(online("S1"), offline("S1", START + HOUR))
    fleet.redeliver([online("S1")])
    assert seen(fleet).display == "offline"
    fleet.publish(online("S2", START + 2 * HOUR))
    fleet.redeliver([offline("S1", START + HOUR), online("S1")])
    assert (seen(fleet).status, seen(fleet).since) == ("online", START + 2 * HOUR)


def test_what_follows_for_a_host_is_worked_out_once_a_step() -> None:
    """And by indexes: it is looked at whenever anything about the host changes."""
    fleet = rig(record(source_groups=(HOME,), schedules=(NIGHTLY,)))
    statements: list[str] = []
    fleet.db.set_trace_callback(statements.append)
    started = JobStarted.model_validate(job_facts(at=START))
    fleet.publish(online(), started, requested("j2", pending=True), finished("j3"))
    fleet.db.set_trace_callback(None)
    (looked,) = (sql for sql in statements if "has_jobs" in sql)
    plan = [step for *_, step in fleet.db.execute(f"EXPLAIN QUERY PLAN {looked}")]
    assert any("INDEX job_unfinished" in step for step in plan)
    assert not any(step.startswith("SCAN") for step in plan)
    host = seen(fleet)
    assert (host.display, host.pending_jobs, host.last_backup_at) == ("online", 1, START)
    assert host.current_job_id == "j1"


def test_r2_the_mode_moves_the_display_and_nothing_else() -> None:
    fleet = rig()
    fleet.publish(online(), offline("S1", START + HOUR))
    before = seen(fleet)
    away = record(version=2, always_on=False)
    fleet.publish(HostModeChanged(host_id=HOST, record=away, always_on=False))
    after = seen(fleet)
    assert (before.display, after.display) == ("offline", "asleep")
    assert (before.status, before.since) == (after.status, after.since)


def test_a_beat_moves_last_seen_of_those_online_only() -> None:
    fleet = rig(record("a"), record("b"))
    fleet.publish(online("SA", host_id="a"), online("SB", host_id="b"))
    fleet.publish(offline("SB", START + MIN, host_id="b"))
    at = START + HOUR
    beat = {"gateway": "gw", "since": START.isoformat(), "at": at.isoformat(), "hosts": ["a", "b"]}
    fleet.live("ui", "dormice-live.beat.gw", beat)
    assert seen(fleet, "a").last_seen_at == at
    assert seen(fleet, "b").last_seen_at == START + MIN


def test_a_hello_of_an_ended_session_says_nothing_new() -> None:
    fleet = rig()
    fleet.publish(online(), offline("S1", START + HOUR))
    fleet.publish(AgentHello(host_id=HOST, session="S1", gateway="gw", on_battery=True))
    assert seen(fleet).power is None
    fleet.publish(AgentHello(host_id=HOST, session="S2", gateway="gw", clock_offset_seconds=7.0))
    assert seen(fleet).clock_offset_seconds == 7.0


def test_the_configuration_that_an_agent_has_only_grows() -> None:
    fleet = rig()
    fleet.publish(online(), AgentHello(host_id=HOST, session="S1", gateway="gw"))
    assert seen(fleet).config_version == 0
    applied = AgentConfigApplied(host_id=HOST, session="S1", version=3)
    refused = applied.model_copy(update={"version": 4, "error": "no such folder"})
    fleet.publish(applied, refused, applied.model_copy(update={"version": 2}))
    assert seen(fleet).config_version == 3
    fleet.publish(AgentHello(host_id=HOST, session="S2", gateway="gw", config_version=5))
    assert seen(fleet).config_version == 5


def test_r14_overdue_begins_by_itself_when_the_fire_passes() -> None:
    fleet = rig(record(schedules=(NIGHTLY,), source_groups=(HOME,)))
    assert seen(fleet).overdue
    fleet.publish(finished(at=START))
    assert not seen(fleet).overdue
    fleet.clock.set(START.replace(day=16, hour=2) - timedelta(microseconds=1))
    assert not seen(fleet).overdue
    fleet.clock.set(START.replace(day=16, hour=2))
    assert seen(fleet).overdue
    assert seen(fleet).next_fire_at == START.replace(day=17, hour=2)
    assert queries.fleet_counts(fleet.db, now=fleet.now).overdue == 1
    fleet.publish(requested("j2"), JobStarted(**job_facts("j2"), at=fleet.now))
    assert not seen(fleet).overdue
    assert queries.fleet_counts(fleet.db, now=fleet.now).overdue == 0
    asked = queries.parse_query("is:overdue")
    assert queries.count_hosts(fleet.db, asked, now=fleet.now) == 0


def test_r10_observed_since_is_the_present_unbroken_period() -> None:
    fleet = rig()
    fleet.clock.set(START + 2 * HOUR)
    listening = GatewayListening(gateway="gw-1", since=START)
    fleet.publish(listening)
    assert queries.observed_since(fleet.db) == START
    fleet.publish(GatewayListening(gateway="gw-2", since=START + MIN))
    fleet.publish(GatewayStopped(gateway="gw-1", at=START + 2 * MIN))
    assert queries.observed_since(fleet.db) == START
    lost = GatewayLost(gateway="gw-2", at=START + 3 * MIN, since=START + MIN)
    fleet.publish(lost)
    assert queries.observed_since(fleet.db) is None
    fleet.redeliver([listening])
    assert queries.observed_since(fleet.db) is None
    fleet.publish(GatewayListening(gateway="gw-2", since=START + HOUR))
    assert queries.observed_since(fleet.db) == START + HOUR
    fleet.redeliver([lost])
    assert queries.observed_since(fleet.db) == START + HOUR


def test_r10_a_gateway_whose_clock_was_ahead_by_a_day_listens_once_it_is_right() -> None:
    fleet = rig()
    fleet.publish(GatewayListening(gateway="gw-1", since=fleet.now + 24 * HOUR))
    fleet.publish(GatewayStopped(gateway="gw-1", at=fleet.now + 24 * HOUR))
    fleet.advance(MIN)
    fleet.publish(GatewayListening(gateway="gw-1", since=fleet.now))
    assert queries.observed_since(fleet.db) == fleet.now


def test_strips_show_presence_gaps_and_marks() -> None:
    fleet = rig()
    fleet.clock.set(START + 4 * HOUR)
    fleet.publish(GatewayListening(gateway="gw", since=START), online(since=START + HOUR))
    fleet.publish(GatewayStopped(gateway="gw", at=START + 2 * HOUR))
    fleet.publish(GatewayListening(gateway="gw", since=START + 3 * HOUR))
    fleet.publish(finished(at=START + 3 * HOUR))
    fleet.publish(AlertRaised(alert=alert(AlertKind.CHECK_FAILED)))
    strip = queries.strips(fleet.db, [HOST], since=START, now=fleet.now)[HOST]
    assert [one.state for one in strip.intervals] == [
        "never_seen", "online", "not_observed", "online",
    ]  # fmt: skip
    assert [mark.kind for mark in strip.marks] == ["alert", "backup"]


# --- Jobs -----------------------------------------------------------------------------------------


def status_of(fleet: Rig, job_id: str = "j1") -> str:
    job = queries.find_job(fleet.db, job_id)
    assert job is not None
    return job.status


def test_r15_a_job_lives_and_its_end_stands() -> None:
    fleet = rig()
    life = [
        requested(), JobDispatched(**job_facts(), session="S1", at=START),
        JobStarted(**job_facts(), at=START + MIN), finished(at=START + HOUR),
    ]  # fmt: skip
    expected = ["requested", "dispatched", "running", "succeeded"]
    for event, status in zip(life, expected, strict=True):
        fleet.publish(event)
        assert status_of(fleet) == status
        assert seen(fleet).current_job_id == ("j1" if status in ("dispatched", "running") else None)
    fleet.redeliver(life)
    failed = finished(status=JobStatus.FAILED, at=START + 2 * HOUR)
    fleet.publish(failed, JobInterrupted(**job_facts(), at=START), JobAbandoned(
        **job_facts(), at=START, reason="x"))  # fmt: skip
    assert status_of(fleet) == "succeeded"
    assert seen(fleet).last_backup_at == START + HOUR
    assert len(queries.list_jobs(fleet.db, JobFilter()).items) == 1


@pytest.mark.parametrize("end", [
    JobInterrupted(**job_facts(), at=START), JobAbandoned(**job_facts(), at=START, reason="x"),
])  # fmt: skip
def test_interrupted_and_abandoned_give_way_to_a_reported_end(end: JobInterrupted) -> None:
    fleet = rig()
    fleet.publish(requested(), end)
    fleet.redeliver([requested(), JobStarted(**job_facts(), at=START)])
    assert status_of(fleet) == end.type.split(".")[2]
    fleet.publish(finished())
    assert status_of(fleet) == "succeeded"


def test_undeliverable_puts_a_job_back_once() -> None:
    fleet = rig()
    dispatched = JobDispatched(**job_facts(), session="S1", at=START)
    lost = JobUndeliverable(**job_facts(), session="S1", at=START, reason="session ended")
    fleet.publish(requested(pending=True), dispatched, lost)
    assert status_of(fleet) == "requested"
    fleet.redeliver([dispatched])
    assert status_of(fleet) == "requested"
    fleet.publish(JobDispatched(**job_facts(), session="S2", at=START + HOUR))
    fleet.redeliver([lost])
    assert status_of(fleet) == "dispatched"


def test_pending_jobs_are_counted_until_they_are_sent() -> None:
    fleet = rig()
    fleet.publish(requested(pending=True))
    assert seen(fleet).pending_jobs == 1
    fleet.publish(JobDispatched(**job_facts(), session="S1", at=START))
    assert seen(fleet).pending_jobs == 0


def test_r9_failed_backups_draw_attention_until_one_succeeds() -> None:
    fleet = rig(record(source_groups=(HOME,)))
    for number, status in enumerate((JobStatus.FAILED, JobStatus.FAILED, JobStatus.CANCELLED)):
        fleet.publish(finished(f"j{number}", status, START + number * HOUR))
    assert (seen(fleet).failing, seen(fleet).attention) == (1, True)
    (group,) = queries.list_source_groups(fleet.db, HOST)
    assert (group.failed_runs, group.last_run_status) == (2, "failed")
    late = finished("j9", JobStatus.SUCCEEDED_WITH_WARNINGS, START + 9 * HOUR)
    fleet.publish(late)
    fleet.redeliver([finished("j0", JobStatus.FAILED, START)])
    assert (seen(fleet).failing, seen(fleet).attention) == (0, False)
    (group,) = queries.list_source_groups(fleet.db, HOST)
    assert (group.failed_runs, group.last_success_job_id) == (0, "j9")


def test_an_older_success_told_late_does_not_move_the_last_one_back() -> None:
    fleet = rig(record(source_groups=(HOME,)))
    fleet.publish(finished("j2", at=START + HOUR), finished("j1", at=START))
    assert seen(fleet).last_backup_at == START + HOUR


def test_progress_of_a_running_job() -> None:
    fleet = rig()
    fleet.publish(requested(), JobStarted(**job_facts(), at=START))
    progress = {"host_id": HOST, "job_id": "j1", "kind": "progress", "percent": 41.0}
    _job_live(fleet, progress)
    running = seen(fleet).current_job
    assert running is not None
    assert running.percent == 41.0
    fleet.publish(finished())
    _job_live(fleet, progress | {"percent": 99.0})
    job = queries.find_job(fleet.db, "j1")
    assert job is not None
    assert job.percent is None


def _job_live(fleet: Rig, message: dict[str, object]) -> None:
    machine = fleet.cores["ui"].machine
    handler = machine.live["dormice-live.job.>"]
    fleet.input("ui", lambda tx: handler(tx, "dormice-live.job.h.j", dict(message)))


# --- Catch-up -------------------------------------------------------------------------------------


def test_r11_a_catch_up_is_shown_until_its_end() -> None:
    fleet = rig(record(always_on=False))
    armed = CatchupArmed(host_id=HOST, arm_id="S1", due_at=START + MIN)
    fleet.publish(online(), armed)
    states = [seen(fleet).catch_up]
    fleet.clock.set(START + MIN)
    states.append(seen(fleet).catch_up)
    pair = {"schedule_id": "s1", "source_group_id": "g1"}
    fleet.publish(CatchupRequested(host_id=HOST, arm_id="S1", fire_time=START, **pair))
    states.append(seen(fleet).catch_up)
    assert [state.state for state in states if state] == ["settling", "queued", "running"]
    fleet.publish(CatchupSkipped(host_id=HOST, arm_id="S1", reason=SkipReason.COVERED_BY, **pair))
    assert seen(fleet).catch_up is not None
    fleet.publish(CatchupFinished(host_id=HOST, arm_id="S1", runs=1, succeeded=1))
    fleet.redeliver([armed])
    assert seen(fleet).catch_up is None


def test_a_host_that_fell_asleep_again_catches_nothing_up() -> None:
    fleet = rig(record(always_on=False))
    armed = CatchupArmed(host_id=HOST, arm_id="S1", due_at=START + MIN)
    fleet.publish(online(), armed, offline("S1", START + MIN))
    fleet.redeliver([armed])
    assert seen(fleet).catch_up is None


def test_the_end_of_an_older_arm_ends_no_newer_one() -> None:
    fleet = rig(record(always_on=False))
    fleet.publish(CatchupArmed(host_id=HOST, arm_id="S1", due_at=START + MIN))
    fleet.publish(CatchupArmed(host_id=HOST, arm_id="S2", due_at=START + 2 * MIN))
    fleet.publish(CatchupSkipped(host_id=HOST, arm_id="S1", reason=SkipReason.REARMED))
    state = seen(fleet).catch_up
    assert state is not None
    assert state.due_at == START + 2 * MIN


# --- Alerts, deliveries, audit --------------------------------------------------------------------


def open_ids(fleet: Rig) -> list[str]:
    page = queries.list_alerts(fleet.db, AlertFilter(state="open"), now=fleet.now)
    return [one.id for one in page.items]


def test_r7_an_alert_told_again_is_not_reopened() -> None:
    fleet = rig()
    fleet.publish(online(), offline("S1", START + MIN))
    raised = AlertRaised(alert=alert())
    taken = alert(state=AlertState.ACKNOWLEDGED, acknowledged_by="ada")
    done = alert(state=AlertState.RESOLVED, resolved_at=START + HOUR)
    fleet.publish(raised)
    assert (open_ids(fleet), seen(fleet).open_alerts, seen(fleet).attention) == (["A1"], 1, True)
    fleet.publish(AlertAcknowledged(alert=taken))
    fleet.redeliver([raised])
    assert queries.alert_counts(fleet.db).acknowledged == 1
    fleet.publish(AlertResolved(alert=done, reason="returned"))
    fleet.redeliver([raised, AlertAcknowledged(alert=taken)])
    assert (open_ids(fleet), seen(fleet).open_alerts, seen(fleet).attention) == ([], 0, False)
    found = queries.find_alert(fleet.db, "A1", now=fleet.now)
    assert found is not None
    assert (found.state, found.resolved_reason) == ("resolved", "returned")


def test_an_old_fact_about_a_silence_changes_nothing() -> None:
    fleet = rig()
    fleet.publish(online(), offline("S1", START + MIN), AlertRaised(alert=alert()))
    silenced = AlertSilenced(alert=alert(silenced=True, silence_changes=1))
    fleet.publish(silenced)
    assert queries.alert_counts(fleet.db).silenced == 1
    fleet.redeliver([AlertRaised(alert=alert())])
    assert queries.alert_counts(fleet.db).silenced == 1
    fleet.publish(AlertUnsilenced(alert=alert(silence_changes=2)))
    assert queries.alert_counts(fleet.db).silenced == 0
    fleet.redeliver([silenced])
    assert queries.alert_counts(fleet.db).silenced == 0


def test_r4_r8_an_offline_alert_vanishes_with_the_mode_and_comes_back_with_it() -> None:
    fleet = rig()
    fleet.publish(online(), offline("S1", START + MIN), AlertRaised(alert=alert()))
    may_sleep = record(version=2, always_on=False)
    fleet.publish(HostModeChanged(host_id=HOST, record=may_sleep, always_on=False))
    assert (open_ids(fleet), seen(fleet).open_alerts) == ([], 0)
    assert queries.fleet_health(fleet.db).status == "ok"
    fleet.publish(HostModeChanged(host_id=HOST, record=record(version=3), always_on=True))
    assert (open_ids(fleet), seen(fleet).open_alerts) == (["A1"], 1)
    fleet.publish(online("S2", START + HOUR))
    assert (open_ids(fleet), seen(fleet).open_alerts) == ([], 0)


def test_r9_a_success_hides_what_it_resolves_at_once() -> None:
    fleet = rig(record(always_on=False, source_groups=(HOME,)))
    stale = alert(AlertKind.STALE_SCHEDULE)
    failed = alert(AlertKind.BACKUP_FAILED, id="A2", dedup_key="g1")
    other = alert(AlertKind.BACKUP_FAILED, id="A3", dedup_key="g2")
    fleet.publish(*(AlertRaised(alert=one) for one in (stale, failed, other)))
    fleet.publish(finished(at=START + MIN))
    assert open_ids(fleet) == ["A3"]


def test_the_end_of_an_outage_releases_what_it_held() -> None:
    fleet = rig()
    outage = alert(AlertKind.FLEET_OUTAGE, id="O1", host_id=None, severity="critical")
    held = alert(held_by="O1")
    fleet.publish(online(), offline("S1", START + MIN))
    fleet.publish(AlertRaised(alert=outage), AlertRaised(alert=held))
    assert queries.fleet_health(fleet.db).status == "failing"
    ended = outage.model_copy(update={"state": AlertState.RESOLVED, "resolved_at": START + HOUR})
    fleet.publish(AlertResolved(alert=ended, reason="back", still_away=(HOST,)))
    (still,) = queries.list_alerts(fleet.db, AlertFilter("open"), now=fleet.now).items
    assert (still.id, still.held_by) == ("A1", None)


def test_a_condition_that_holds_was_last_seen_now() -> None:
    fleet = rig()
    fleet.publish(online(), offline("S1", START + MIN), AlertRaised(alert=alert()))
    fleet.publish(AlertRaised(alert=alert(AlertKind.CHECK_FAILED, id="A2")))
    fleet.clock.set(START + HOUR)
    shown = {
        one.kind: one.last_seen_at
        for one in queries.list_alerts(fleet.db, AlertFilter("open"), now=fleet.now).items
    }
    assert shown == {"agent_offline": START + HOUR, "check_failed": START}


def last_seen_of(fleet: Rig, alert_id: str = "A1") -> datetime:
    found = queries.find_alert(fleet.db, alert_id, now=fleet.now)
    assert found is not None
    return found.last_seen_at


def test_r7_the_same_failure_again_moves_last_seen_of_its_open_alert() -> None:
    fleet = rig()
    failed = finished(status=JobStatus.FAILED)
    fleet.publish(failed, AlertRaised(alert=alert(AlertKind.BACKUP_FAILED, dedup_key="g1")))
    fleet.advance(HOUR)
    fleet.redeliver([failed])
    fleet.publish(
        finished("j2", JobStatus.FAILED, source_group_id="g2"),
        finished("j3", JobStatus.FAILED, last_attempt=False),
        finished("j4", JobStatus.CANCELLED),
        JobInterrupted.model_validate(job_facts("j5", at=fleet.now)),
    )
    assert last_seen_of(fleet) == START
    fleet.publish(finished("j6", JobStatus.FAILED))
    assert last_seen_of(fleet) == START + HOUR
    fleet.advance(HOUR)
    again = JobInterrupted.model_validate(job_facts("j7", at=fleet.now, last_attempt=True))
    fleet.publish(again)
    assert last_seen_of(fleet) == START + 2 * HOUR


def test_r7_r17_the_next_abandoned_run_moves_last_seen_of_its_open_alert() -> None:
    fleet = rig()
    abandoned = alert(AlertKind.PENDING_RUN_ABANDONED, dedup_key="g1")
    fleet.publish(AlertRaised(alert=abandoned))
    fleet.advance(HOUR)
    given = {"at": fleet.now, "reason": "declined"}
    fleet.publish(JobAbandoned.model_validate(job_facts("j1", **given, loud=False)))
    assert last_seen_of(fleet) == START
    fleet.publish(JobAbandoned.model_validate(job_facts("j2", **given, loud=True)))
    assert last_seen_of(fleet) == START + HOUR


def test_who_was_told_of_an_alert() -> None:
    fleet = rig()
    told = NotificationDelivered(
        channel_id="c1", channel_name="ops", delivery_id="d1", event="raised", alert_ids=("A1",),
        tries=1, at=START,
    )  # fmt: skip
    fleet.publish(AlertRaised(alert=alert()), told)
    fleet.redeliver([told])
    (delivery,) = queries.deliveries_of(fleet.db, ["A1"])["A1"]
    assert (delivery.channel_name, delivery.delivered) == ("ops", True)


def test_an_audit_entry_told_again_is_one_but_the_same_act_twice_is_two() -> None:
    fleet = rig()
    saved = Audit(
        service="registry", target=HOST, action="host.mode_updated", actor=ADMIN, at=START,
        host_id=HOST, before={"always_on": True}, after={"always_on": True},
    )  # fmt: skip
    fleet.publish(saved, saved)
    fleet._read["ui"] = 0
    fleet.settle()
    page = queries.list_audit(fleet.db, AuditFilter(action="host.mode_updated"))
    assert len(page.items) == 2


# --- Booting and pruning --------------------------------------------------------------------------


def test_booting_from_the_buckets() -> None:
    host = record(always_on=False, schedules=(NIGHTLY,), source_groups=(HOME,))
    fleet = rig(host)
    at = START.isoformat()
    fleet.buckets = {
        "hosts": {HOST: host.model_dump_json().encode()},
        "backups": {f"{HOST}.g1": json.dumps({
            "host_id": HOST, "source_group_id": "g1", "last_success_at": at,
            "last_success_job_id": "j1", "last_run_at": at, "last_run_status": "failed",
            "version": 3,
        }).encode()},
        "sessions": {HOST: json.dumps({
            "host_id": HOST, "status": "offline", "since": at, "last_seen": at, "session": "S1",
            "connection": 1, "gateway": "gw", "reason": "sleep", "version": 2,
        }).encode()},
        "alerts": {"A1": alert(AlertKind.BACKUP_FAILED, dedup_key="g1").model_dump_json().encode()},
    }  # fmt: skip
    booted = Rig(fleet.cores["ui"].machine)
    buckets = fleet.buckets
    booted.input("ui", lambda tx: fleet.cores["ui"].machine.load(tx, buckets))
    host_seen = seen(booted)
    assert (host_seen.display, host_seen.last_backup_at) == ("asleep", START)
    assert (host_seen.failing, host_seen.open_alerts, host_seen.overdue) == (1, 1, False)
    booted.publish(online("S2", START + HOUR))
    booted.input("ui", lambda tx: fleet.cores["ui"].machine.load(tx, buckets))
    assert seen(booted).status == "online"


def test_old_history_is_deleted_and_the_present_is_kept() -> None:
    fleet = rig()
    fleet.publish(online(), offline("S1", START + MIN), finished())
    fleet.publish(AlertRaised(alert=alert()))
    closed = alert(AlertKind.CHECK_FAILED, id="A2", state=AlertState.RESOLVED, resolved_at=START)
    fleet.publish(AlertResolved(alert=closed, reason="x"))
    fleet.input("ui", fleet.cores["ui"].machine.on_connected)
    fleet.advance(timedelta(days=91))
    assert queries.find_job(fleet.db, "j1") is None
    strip = queries.strips(fleet.db, [HOST], since=fleet.now - HOUR, now=fleet.now)[HOST]
    assert [one.state for one in strip.intervals] == ["offline"]
    fleet.advance(timedelta(days=310))
    assert queries.find_alert(fleet.db, "A2", now=fleet.now) is None
    assert open_ids(fleet) == ["A1"]
