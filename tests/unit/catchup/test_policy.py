"""Tables of the pure rules R11-R16 of the catch-up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.host import CatchUp, HostRecord
from services.catchup import policy
from services.catchup.policy import (
    ArmVerdict,
    Pair,
    PairVerdict,
    Queued,
    Situation,
    Slots,
)
from tests.unit.catchup.world import DAILY, HOME, LONG_AGO, record

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
ARMED = NOW - timedelta(seconds=60)
PAIR = Pair("s1", "g1", datetime(2026, 6, 13, 2, 5, tzinfo=UTC))


DUE = Situation(
    record=record(), online=True, synced=True, job_running=False, run_of_arm=False,
    send_failed=False, due_at=NOW,
)  # fmt: skip
SERVER = record(always_on=True)
GONE = record(removed=True)


@pytest.mark.parametrize(
    ("at", "now", "verdict"),
    [
        pytest.param(DUE, NOW - TICK, ArmVerdict.SETTLING, id="one tick early"),
        pytest.param(DUE, NOW, ArmVerdict.GO, id="exactly due"),
        pytest.param(DUE, NOW + TICK, ArmVerdict.GO, id="just after"),
        pytest.param(DUE, NOW - timedelta(hours=1), ArmVerdict.SETTLING, id="clock stepped back"),
        pytest.param(replace(DUE, online=False), NOW, ArmVerdict.WENT_OFFLINE, id="away"),
        pytest.param(replace(DUE, online=False), NOW - TICK, ArmVerdict.SETTLING, id="away early"),
        pytest.param(replace(DUE, record=SERVER), NOW, ArmVerdict.ALWAYS_ON, id="always on by now"),
        pytest.param(
            replace(DUE, record=SERVER), NOW - TICK, ArmVerdict.SETTLING, id="always on, early"
        ),
        pytest.param(
            replace(DUE, record=SERVER, run_of_arm=True), NOW, ArmVerdict.ALWAYS_ON,
            id="always on amid the list",
        ),
        pytest.param(replace(DUE, record=GONE), NOW - TICK, ArmVerdict.REMOVED, id="removed"),
        pytest.param(replace(DUE, synced=False), NOW, ArmVerdict.REPORTS_OUTSTANDING, id="reports"),
        pytest.param(replace(DUE, job_running=True), NOW, ArmVerdict.JOB_RUNNING, id="job running"),
        pytest.param(replace(DUE, run_of_arm=True), NOW, ArmVerdict.RUN_IN_PROGRESS, id="own run"),
        pytest.param(replace(DUE, unreachable_until=NOW + TICK), NOW,
                     ArmVerdict.REPOSITORY_UNREACHABLE, id="repository out of reach"),
        pytest.param(replace(DUE, unreachable_until=NOW), NOW, ArmVerdict.GO, id="tried again"),
        pytest.param(replace(DUE, unreachable_until=NOW + TICK, job_running=True), NOW,
                     ArmVerdict.JOB_RUNNING, id="out of reach, and a job runs"),
        pytest.param(replace(DUE, send_failed=True), NOW, ArmVerdict.SEND_FAILED, id="send failed"),
    ],
)  # fmt: skip
def test_r12_arm(at: Situation, now: datetime, verdict: ArmVerdict) -> None:
    assert policy.assess_arm(at, now) is verdict


def with_schedule(**changes: object) -> HostRecord:
    return record(schedules=(DAILY.model_copy(update=changes),))


@pytest.mark.parametrize(
    ("host", "pair", "verdict"),
    [
        pytest.param(record(), PAIR, PairVerdict.OVERDUE, id="two windows missed"),
        pytest.param(record(), Pair("s1", "g1"), PairVerdict.OVERDUE, id="never backed up"),
        pytest.param(
            record(), replace(PAIR, last_success=datetime(2026, 6, 15, 2, 5, tzinfo=UTC)),
            PairVerdict.NOT_OVERDUE, id="after the latest fire",
        ),
        pytest.param(
            record(), replace(PAIR, last_success=ARMED + TICK), PairVerdict.COVERED_BY,
            id="a success just after the arm",
        ),
        pytest.param(
            record(), replace(PAIR, last_success=ARMED), PairVerdict.NOT_OVERDUE,
            id="a success at the arm",
        ),
        pytest.param(with_schedule(enabled=False), PAIR, PairVerdict.SWITCHED_OFF, id="disabled"),
        pytest.param(
            with_schedule(catch_up=CatchUp.OFF), PAIR, PairVerdict.SWITCHED_OFF, id="catch-up off"
        ),
        pytest.param(with_schedule(cron="not a cron"), PAIR, PairVerdict.NOT_OVERDUE, id="no cron"),
        pytest.param(
            with_schedule(cron="not a cron"), Pair("s1", "g1"), PairVerdict.NOT_OVERDUE,
            id="no cron, never backed up",
        ),
        pytest.param(
            with_schedule(timezone="Mars/Olympus"), PAIR, PairVerdict.NOT_OVERDUE, id="no such zone"
        ),
        pytest.param(record(schedules=()), PAIR, PairVerdict.SCHEDULE_GONE, id="schedule gone"),
        pytest.param(record(source_groups=()), PAIR, PairVerdict.GROUP_GONE, id="group gone"),
        pytest.param(
            with_schedule(source_group_ids=()), PAIR, PairVerdict.GROUP_GONE, id="group unlinked"
        ),
    ],
)  # fmt: skip
def test_r13_r14_pair(host: HostRecord, pair: Pair, verdict: PairVerdict) -> None:
    assert policy.assess_pair(host, pair, armed_at=ARMED, now=NOW) is verdict


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        pytest.param(datetime(2026, 6, 15, 2, 0, tzinfo=UTC) - TICK, PairVerdict.NOT_OVERDUE,
                     id="a tick before the fire"),
        pytest.param(datetime(2026, 6, 15, 2, 0, tzinfo=UTC), PairVerdict.OVERDUE, id="at it"),
    ],
)  # fmt: skip
def test_r14_the_fire_itself_counts(at: datetime, verdict: PairVerdict) -> None:
    pair = replace(PAIR, last_success=datetime(2026, 6, 14, 2, 5, tzinfo=UTC))
    assert policy.assess_pair(record(), pair, armed_at=at, now=at) is verdict


def test_r14_zone_of_the_host_or_of_the_schedule() -> None:
    """02:00 in Berlin is 00:00 UTC in summer: overdue at 00:30 UTC there, not in UTC."""
    now = datetime(2026, 6, 15, 0, 30, tzinfo=UTC)
    pair = Pair("s1", "g1", datetime(2026, 6, 14, 3, 0, tzinfo=UTC))
    berlin = record(timezone="Europe/Berlin")
    fixed = with_schedule(timezone="Europe/Berlin")
    for host, verdict in [
        (record(), PairVerdict.NOT_OVERDUE),
        (berlin, PairVerdict.OVERDUE),
        (fixed, PairVerdict.OVERDUE),
    ]:
        assert policy.assess_pair(host, pair, armed_at=now, now=now) is verdict


def test_r13_list_is_longest_without_a_success_first() -> None:
    schedules = (DAILY.model_copy(update={"source_group_ids": ("g1", "g2", "g3", "gone")}),)
    groups = tuple(HOME.model_copy(update={"id": group}) for group in ("g1", "g2", "g3"))
    host = record(schedules=schedules, source_groups=groups)
    successes = {"g1": NOW - timedelta(days=2), "g2": NOW - timedelta(days=9)}
    pairs = policy.list_pairs(host, successes, armed_at=ARMED, now=NOW)
    assert [pair.source_group_id for pair in pairs] == ["g3", "gone", "g2", "g1"]


def test_r13_what_is_not_overdue_is_not_listed() -> None:
    off = DAILY.model_copy(update={"id": "s2", "enabled": False})
    host = record(schedules=(DAILY, off))
    assert policy.list_pairs(host, {"g1": NOW - timedelta(hours=1)}, armed_at=ARMED, now=NOW) == []


@pytest.mark.parametrize(
    ("last_success", "fire", "missed"),
    [
        pytest.param(None, datetime(2026, 6, 15, 2, 0, tzinfo=UTC), 1, id="never backed up"),
        pytest.param(LONG_AGO, datetime(2026, 6, 15, 2, 0, tzinfo=UTC), 3, id="three fires"),
    ],
)  # fmt: skip
def test_r14_r15_latest_fire(last_success: datetime | None, fire: datetime, missed: int) -> None:
    found = policy.latest_fire(record(), replace(PAIR, last_success=last_success), NOW)
    assert found == policy.Fire(fire, missed)


A, B, C = Queued("a", "r1"), Queued("b", "r1"), Queued("c", "r2")


@pytest.mark.parametrize(
    ("queue", "slots", "admitted"),
    [
        pytest.param([], Slots(0, {}, 20, 4), None, id="nobody waits"),
        pytest.param([A, B], Slots(0, {}, 20, 4), A, id="the first"),
        pytest.param([A], Slots(19, {"r9": 19}, 20, 4), A, id="the last slot"),
        pytest.param([A], Slots(20, {"r9": 20}, 20, 4), None, id="fleet full"),
        pytest.param([A, B, C], Slots(4, {"r1": 4}, 20, 4), C, id="blocked ones block nobody"),
        pytest.param([A, B], Slots(4, {"r1": 4}, 20, 4), None, id="only blocked ones"),
        pytest.param([A], Slots(0, {}, 0, 4), None, id="a cap of 0 pauses"),
        pytest.param([A], Slots(0, {}, 20, 0), None, id="a repository cap of 0 pauses"),
    ],
)
def test_r13_admission(queue: list[Queued], slots: Slots, admitted: Queued | None) -> None:
    assert policy.next_admitted(queue, slots) == admitted
