"""What takes hours, over a real bus and real files: chances to back up, missed schedules, silences
of every week. The clock is ours."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from libs.common.events.alert import AlertRaised, AlertResolved, AlertSilenced, AlertUnsilenced
from libs.common.events.host import HostEnrolled, Schedule, Thresholds
from libs.common.events.job import JobOrigin, JobRequested
from libs.common.testing.nats import NatsServer
from libs.common.testing.rig import START
from tests.integration.judges.running import Judges
from tests.unit.alerting.kit import (
    FLOOR,
    HOME,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    enrolled,
    failed,
    finished,
    hello,
    laptop,
    listening,
    offline,
    record,
    synced,
)

LAPTOP = HostEnrolled(host_id="h1", record=laptop())


async def awake(judges: Judges, number: int, span: timedelta) -> None:
    """The laptop opens its lid for a while, and every backup fails."""
    session = f"s{number}"
    await judges.publish(hello(session=session, connection=number), synced(session=session))
    await judges.let_pass(span, "gw-1", "h1", seconds=100)
    await judges.publish(failed(judges.clock.now(), f"j{number}"))


async def lid_closed(judges: Judges, number: int) -> None:
    await judges.publish(offline(judges.clock.now(), session=f"s{number}"))
    await judges.let_pass(MINUTE)


async def test_r6_three_days_awake_and_no_backup(nats: NatsServer, tmp_path: Path) -> None:
    """Told in the third session as soon as it is 8 h, with alerting restarted in between."""
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(listening(START), LAPTOP)
        for number in (1, 2):
            await awake(judges, number, 3 * HOUR)
            await lid_closed(judges, number)
        await judges.stop("alerting")
        await judges.start("alerting")
        await awake(judges, 3, 2 * HOUR - MINUTE)
        assert await judges.open_kinds() == ["backup_failed"]
        await judges.let_pass(MINUTE, "gw-1", "h1")
        assert await judges.open_kinds() == ["backup_failed", "backup_not_succeeding"]
        found = await judges.ask("alerting", "list_alerts", kind="backup_not_succeeding")
        assert found[0]["message"] == "No backup in 3 sessions, awake for 8h0m0s"
        await judges.publish(finished(judges.clock.now(), job_id="j9"))
        assert await judges.open_kinds() == []
        assert (await judges.until(AlertResolved)).reason == "backup_succeeded"


NOON = Schedule(id="sc1", name="noon", cron="0 12 * * *", source_group_ids=("g1",))


def server(host_id: str, **fields: Any) -> HostEnrolled:
    given = {"schedules": (NOON,), "source_groups": (HOME,)} | fields
    return HostEnrolled(host_id=host_id, record=record(host_id, **given))


def run_at_noon(host_id: str, day: int) -> JobRequested:
    fire = START.replace(hour=12) + timedelta(days=day)
    return JobRequested(
        host_id=host_id, job_id=f"j{day}", origin=JobOrigin.SCHEDULE, schedule_id="sc1",
        source_group_id="g1", fire_time=fire, at=fire,
    )  # fmt: skip


async def test_a_schedule_fires_in_vain_on_a_server_that_was_there(
    nats: NatsServer, tmp_path: Path
) -> None:
    """h1 asked to be told, h2 did not, h3 asked and ran: one alert, until the schedule runs."""
    asked = Thresholds(missed_seconds=3600)
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(
            listening(START), server("h1", thresholds=asked), server("h2"),
            server("h3", thresholds=asked), *map(hello, ("h1", "h2", "h3")),
            *map(synced, ("h1", "h2", "h3")),
        )  # fmt: skip
        await judges.let_pass(3 * HOUR, "gw-1", "h1", "h2", "h3", seconds=100)
        await judges.publish(run_at_noon("h3", 0))
        await judges.let_pass(HOUR - MINUTE, "gw-1", "h1", "h2", "h3", seconds=100)
        assert await judges.open_kinds() == []
        await judges.let_pass(MINUTE, "gw-1", "h1", "h2", "h3")
        (alert,) = await judges.ask("alerting", "list_alerts", state="open")
        assert (alert["host_id"], alert["kind"]) == ("h1", "schedule_missed")
        assert alert["message"].startswith("No run of noon (home) for 2026-06-15T12:00:00")
        await judges.publish(run_at_noon("h1", 0))
        assert (await judges.until(AlertResolved)).reason == "run_produced"
        assert await judges.open_kinds() == []


async def test_a_window_of_every_week_ends_over_a_restart_and_who_is_away_is_told_of(
    nats: NatsServer, tmp_path: Path
) -> None:
    """START is a Monday, 11:00 in Berlin; the window is from 11:10 to 12:00."""
    weekly = {"days": ["mon"], "from": "11:10", "to": "12:00", "timezone": "Europe/Berlin"}
    async with Judges(nats, tmp_path) as judges:
        await judges.publish(listening(START), enrolled(tags=("lab",)), enrolled("h2"))
        await judges.publish(hello(), hello("h2"))
        made = await judges.ask("alerting", "create_silence", tag="lab", weekly=weekly,
                                until_ended=True)  # fmt: skip
        assert made["state"] == "scheduled"
        judges.beat("gw-1", "h1", "h2")
        await judges.let_pass(OFFLINE_AFTER)
        await judges.publish(offline(START), offline(START, "h2"))
        await judges.let_pass(FLOOR)
        found = await judges.ask("alerting", "list_alerts", state="open")
        assert {one["host_id"]: one["silenced"] for one in found} == {"h1": True, "h2": False}
        await judges.stop("alerting")
        await judges.let_pass(10 * MINUTE)
        await judges.start("alerting")
        until_noon = START + HOUR - judges.clock.now()
        await judges.let_pass(until_noon - MINUTE, seconds=100)
        assert await judges.count(AlertUnsilenced) == 0
        await judges.let_pass(MINUTE)
        told = (await judges.until(AlertUnsilenced)).alert
        assert (told.host_id, told.silenced, told.silence_changes) == ("h1", False, 1)
        assert await judges.count(AlertSilenced) == 0  # It was raised silenced.
        assert (await judges.until(AlertRaised)).alert.kind == "agent_offline"
        (silence,) = await judges.ask("alerting", "list_silences")
        assert (silence["state"], silence["to"]) == ("scheduled", None)
