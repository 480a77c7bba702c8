"""Reports: published once, in order, acknowledged, with times that can be believed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from libs.common.clock import to_rfc3339
from libs.common.events.agent import (
    AgentConfigApplied,
    AgentJobAccepted,
    AgentJobDeclined,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentPower,
    AgentScheduleFired,
    AgentSynced,
)
from libs.common.protocol import (
    ConfigApplied,
    Goodbye,
    GoodbyeReason,
    JobAccepted,
    JobDeclined,
    JobFinished,
    JobStarted,
    Power,
    RunStatus,
    ScheduleFired,
)
from services.gateway.reports import bounded_stats
from services.gateway.sessions import Accepted
from tests.unit.gateway.conftest import GatewayRig

MINUTE = timedelta(minutes=1)
SPOOL = {"id": "spool-1", "last_seq": 3}


def fired(seq: int, at: datetime) -> ScheduleFired:
    return ScheduleFired(seq=seq, schedule_id="sched", source_group_id="group", fire_time=at)


def finished(seq: int, at: datetime, **fields: Any) -> JobFinished:
    return JobFinished(seq=seq, job_id=f"job-{seq}", at=at, status=RunStatus.SUCCEEDED, **fields)


def ack_of(gw: GatewayRig, *frames: Any, session: str = "s1") -> int | None:
    taken = gw.frames(*frames, session=session)
    assert taken is not None
    return taken.ack


def test_r18_a_report_is_published_once_and_acknowledged_again(gw: GatewayRig) -> None:
    gw.hello(spool=SPOOL)
    assert ack_of(gw, fired(1, gw.now), finished(2, gw.now)) == 2
    gw.hello("s2", 2, spool=SPOOL)
    assert ack_of(gw, fired(1, gw.now), finished(2, gw.now), session="s2") == 2
    assert ack_of(gw, finished(3, gw.now), session="s2") == 3
    assert len(gw.rig.of(AgentScheduleFired)) == 1
    assert [event.job_id for event in gw.rig.of(AgentJobFinished)] == ["job-2", "job-3"]


def test_gaps_are_allowed_and_what_was_skipped_is_old(gw: GatewayRig) -> None:
    gw.hello(spool=SPOOL)
    assert ack_of(gw, finished(9, gw.now)) == 9
    assert ack_of(gw, finished(5, gw.now)) == 9
    assert [event.job_id for event in gw.rig.of(AgentJobFinished)] == ["job-9"]


def test_a_new_spool_begins_anew(gw: GatewayRig) -> None:
    gw.hello(spool=SPOOL)
    ack_of(gw, finished(3, gw.now))
    gw.hello("s2", 2, spool={"id": "spool-2", "last_seq": 0})
    assert ack_of(gw, finished(1, gw.now), session="s2") == 1
    assert len(gw.rig.of(AgentJobFinished)) == 2


def test_a_spool_that_counts_from_0_loses_nothing(gw: GatewayRig) -> None:
    gw.hello(connection=None)
    assert ack_of(gw, finished(0, gw.now)) == 0
    assert ack_of(gw, finished(0, gw.now)) == 0
    assert [event.job_id for event in gw.rig.of(AgentJobFinished)] == ["job-0"]


def test_a_minimal_agents_next_connection_has_an_empty_spool(gw: GatewayRig) -> None:
    gw.hello("s1", None)
    assert ack_of(gw, finished(1, gw.now)) == 1
    gw.hello("s2", None)
    assert ack_of(gw, finished(1, gw.now), session="s2") == 1
    assert len(gw.rig.of(AgentJobFinished)) == 2


def test_synced_once_all_that_the_spool_held_is_published(gw: GatewayRig) -> None:
    gw.hello(spool=SPOOL)
    ack_of(gw, fired(1, gw.now), finished(2, gw.now))
    assert not gw.rig.of(AgentSynced)
    ack_of(gw, finished(3, gw.now), finished(4, gw.now))
    assert [event.session for event in gw.rig.of(AgentSynced)] == ["s1"]
    order = [type(event) for event in gw.rig.log]
    assert order.index(AgentSynced) == order.index(AgentJobFinished) + 2
    gw.hello("s2", 2, spool={"id": "spool-1", "last_seq": 4})
    assert [event.session for event in gw.rig.of(AgentSynced)] == ["s1", "s2"]


def test_synced_even_if_the_last_report_is_refused(gw: GatewayRig) -> None:
    gw.hello(spool=SPOOL)
    assert ack_of(gw, fired(3, gw.now + 6 * MINUTE)) == 3
    assert gw.rig.of(AgentSynced)


def test_a_fire_too_far_ahead_is_refused_and_acknowledged(gw: GatewayRig) -> None:
    gw.hello()
    taken = gw.frames(fired(1, gw.now + 6 * MINUTE), fired(2, gw.now + 5 * MINUTE))
    assert taken is not None
    assert taken.ack == 2
    assert [error.code for error in taken.errors] == ["fire_time_refused"]
    assert len(gw.rig.of(AgentScheduleFired)) == 1
    assert gw.rig.decisions("gateway") == ["fire_refused"]


def test_a_fire_keeps_its_time_whatever_the_clock(gw: GatewayRig) -> None:
    """Its time is the name of a run: agent and server must compute the same id."""
    gw.offset = 2 * MINUTE
    gw.hello()
    gw.frames(fired(1, gw.now + MINUTE))
    assert gw.rig.last(AgentScheduleFired).fire_time == gw.now + MINUTE
    assert gw.rig.last(AgentScheduleFired).received_at == gw.now


def test_the_time_that_names_a_run_is_told_in_utc(gw: GatewayRig) -> None:
    at = gw.now.astimezone(timezone(timedelta(hours=5)))
    gw.hello()
    gw.frames(fired(1, at), finished(2, at, fire_time=at))
    for event in (gw.rig.last(AgentScheduleFired), gw.rig.last(AgentJobFinished)):
        assert '"fire_time":"' + to_rfc3339(gw.now) in event.model_dump_json()


def test_times_of_reports_follow_our_clock_and_each_other(gw: GatewayRig) -> None:
    year = timedelta(days=365)
    gw.offset = year
    gw.hello()
    gw.frames(
        JobStarted(seq=1, job_id="job", at=gw.now + year - 2 * MINUTE),
        finished(2, gw.now + year - 3 * MINUTE),
        finished(3, gw.now + 2 * year),
    )
    assert gw.rig.last(AgentJobStarted).at == gw.now - 2 * MINUTE
    first, second = gw.rig.of(AgentJobFinished)
    assert first.at == gw.now - 2 * MINUTE
    assert second.at == second.received_at == gw.now


def test_a_result_of_an_impossible_run_stands_without_the_run(gw: GatewayRig) -> None:
    gw.hello()
    gw.frames(finished(1, gw.now, fire_time=gw.now + timedelta(days=365), source_group_id="g"))
    told = gw.rig.last(AgentJobFinished)
    assert (told.fire_time, told.source_group_id) == (None, "g")


def test_what_is_not_numbered_is_told_too(gw: GatewayRig) -> None:
    gw.hello()
    taken = gw.frames(
        JobAccepted(job_id="a", state="running"), JobDeclined(job_id="b", reason="busy"),
        ConfigApplied(version=4), Power(on_battery=True, percent=30),
    )  # fmt: skip
    assert taken is not None
    assert taken.ack is None
    assert gw.rig.last(AgentJobAccepted).state == "running"
    assert gw.rig.last(AgentJobDeclined).reason == "busy"
    assert gw.rig.last(AgentConfigApplied).version == 4
    assert gw.rig.last(AgentPower).battery_percent == 30


def test_what_follows_a_goodbye_is_ignored(gw: GatewayRig) -> None:
    gw.hello()
    gw.frames(finished(1, gw.now), Goodbye(reason=GoodbyeReason.SLEEP), finished(2, gw.now))
    assert len(gw.rig.of(AgentJobFinished)) == 1
    assert len(gw.rig.of(AgentOffline)) == 1


def test_frames_of_an_ended_session_are_not_acknowledged(gw: GatewayRig) -> None:
    gw.hello("s1", 1)
    assert isinstance(gw.hello("s2", 2), Accepted)
    assert gw.frames(finished(1, gw.now), session="s1") is None
    assert not gw.rig.of(AgentJobFinished)


@pytest.mark.parametrize(
    ("stats", "kept"),
    [
        pytest.param(None, None, id="none"),
        pytest.param({"bytes": 1}, {"bytes": 1}, id="small"),
        pytest.param({"text": "\ud800"}, {"dropped": "not representable"}, id="no Unicode"),
        pytest.param({"text": "x" * 70_000}, {"dropped": "70011 bytes"}, id="large"),
    ],
)
def test_statistics_are_bounded(stats: dict[str, Any] | None, kept: dict[str, Any] | None) -> None:
    assert bounded_stats(stats) == kept


def test_deep_statistics_do_no_harm(gw: GatewayRig) -> None:
    deep: Any = 1
    for _ in range(600):
        deep = [deep]
    gw.hello()
    gw.frames(finished(1, gw.now, stats={"deep": deep}))
    assert gw.rig.last(AgentJobFinished).stats == {"dropped": "not representable"}
