"""Alerting's rules as tables: exactly at, a tick before, a tick after, clock stepped back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.common.clock import TICK
from services.alerting.policy import (
    HostState,
    OfflineVerdict,
    StaleVerdict,
    Status,
    Watch,
    assess_offline,
    assess_stale,
    is_long_blackout,
    next_offline_look,
    next_stale_look,
    offline_message,
    silence_start,
    stale_message,
)
from tests.unit.alerting.kit import (
    DAY,
    FLOOR,
    HOUR,
    MINUTE,
    OFFLINE_AFTER,
    SECOND,
    STALE_AFTER,
    START,
)

SERVER = HostState(
    always_on=True, status=Status.OFFLINE, floor=FLOOR, stale_after=STALE_AFTER, last_seen=START
)
LAPTOP = replace(SERVER, always_on=False, has_schedule=True, last_success_at=START)
LISTENING = Watch(START - DAY)


@pytest.mark.parametrize(
    ("silence", "verdict"),
    [
        pytest.param(FLOOR - TICK, OfflineVerdict.TOO_EARLY, id="one tick early"),
        pytest.param(FLOOR, OfflineVerdict.DUE, id="exactly at the floor"),
        pytest.param(FLOOR + TICK, OfflineVerdict.DUE, id="one tick late"),
        pytest.param(2 * HOUR, OfflineVerdict.DUE, id="two hours"),
        pytest.param(-TICK, OfflineVerdict.TOO_EARLY, id="clock stepped back"),
    ],
)
def test_r5_floor(silence, verdict) -> None:
    assert assess_offline(SERVER, LISTENING, START + silence) is verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        pytest.param({"always_on": False}, OfflineVerdict.INTERMITTENT, id="R4: it may sleep"),
        pytest.param(
            {"status": Status.NEVER_SEEN, "last_seen": None},
            OfflineVerdict.NEVER_SEEN,
            id="never seen",
        ),
        pytest.param({"status": Status.ONLINE}, OfflineVerdict.ONLINE, id="back"),
        pytest.param({"floor": 3 * HOUR}, OfflineVerdict.TOO_EARLY, id="its own floor"),
        pytest.param({}, OfflineVerdict.DUE, id="missed"),
    ],
)
def test_r4_r5_who_is_missed(change, verdict) -> None:
    assert assess_offline(replace(SERVER, **change), LISTENING, START + 2 * HOUR) is verdict


@pytest.mark.parametrize(
    ("period_start", "lost_at", "start"),
    [
        pytest.param(-60, None, 0, id="last_seen is the latest"),
        pytest.param(10, None, 10, id="the period began later"),
        pytest.param(10, 20, 20, id="its gateway was lost later"),
        pytest.param(10, 5, 10, id="its gateway was lost before the period"),
        pytest.param(-60, -20, 0, id="its gateway was lost before it spoke"),
        pytest.param(None, 20, None, id="nobody listens"),
    ],
)
def test_r5_r10_silence_counts_from_the_latest(period_start, lost_at, start) -> None:
    def moment(minute):
        return None if minute is None else START + minute * MINUTE

    host, watch = replace(SERVER, gateway_lost_at=moment(lost_at)), Watch(moment(period_start))
    assert silence_start(host, watch) == moment(start)
    if start is None:
        assert assess_offline(host, watch, START + DAY) is OfflineVerdict.NOT_OBSERVED
        return
    due = moment(start) + FLOOR
    assert next_offline_look(host, watch, START) == due
    assert assess_offline(host, watch, due - TICK) is OfflineVerdict.TOO_EARLY
    assert assess_offline(host, watch, due) is OfflineVerdict.DUE


def test_r10_while_nobody_listens_the_look_is_put_off_by_a_floor() -> None:
    assert next_offline_look(SERVER, Watch(None), START + DAY) == START + DAY + FLOOR


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        pytest.param(STALE_AFTER - TICK, StaleVerdict.FRESH, id="one tick early"),
        pytest.param(STALE_AFTER, StaleVerdict.DUE, id="exactly 7 days"),
        pytest.param(STALE_AFTER + TICK, StaleVerdict.DUE, id="one tick late"),
        pytest.param(8 * DAY, StaleVerdict.DUE, id="8 days"),
        pytest.param(-DAY, StaleVerdict.FRESH, id="clock stepped back"),
    ],
)
def test_r6_threshold(age, verdict) -> None:
    assert assess_stale(LAPTOP, LISTENING, START + age, OFFLINE_AFTER) is verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        pytest.param({"always_on": True}, StaleVerdict.ALWAYS_ON, id="always-on: never"),
        pytest.param({"has_schedule": False}, StaleVerdict.NO_SCHEDULE, id="no schedule: none"),
        pytest.param({"last_success_at": None}, StaleVerdict.NEVER_BACKED_UP, id="no baseline"),
        pytest.param({"stale_after": 9 * DAY}, StaleVerdict.FRESH, id="its own threshold"),
        pytest.param({"status": Status.ONLINE}, StaleVerdict.DUE, id="online is no excuse"),
        pytest.param({}, StaleVerdict.DUE, id="asleep without a backup"),
    ],
)
def test_r6_whose_staleness_counts(change, verdict) -> None:
    host = replace(LAPTOP, **change)
    assert assess_stale(host, LISTENING, START + 8 * DAY, OFFLINE_AFTER) is verdict
    look = next_stale_look(host, LISTENING, START, OFFLINE_AFTER)
    waits = verdict in (StaleVerdict.DUE, StaleVerdict.FRESH)
    assert look == (START + host.stale_after if waits else None)


@pytest.mark.parametrize(
    ("watch", "arrived", "after", "verdict"),
    [
        pytest.param("gate", False, HOUR, StaleVerdict.REPORTS_AWAITED, id="not synced yet"),
        pytest.param("gate", False, DAY - TICK, StaleVerdict.REPORTS_AWAITED, id="a tick of 24 h"),
        pytest.param("gate", False, DAY, StaleVerdict.DUE, id="24 h later"),
        pytest.param("gate", True, HOUR, StaleVerdict.DUE, id="synced"),
        pytest.param("gate", False, -HOUR, StaleVerdict.REPORTS_AWAITED, id="clock stepped back"),
        pytest.param("no gate", False, HOUR, StaleVerdict.DUE, id="there was no long blackout"),
        pytest.param("dark", True, OFFLINE_AFTER - TICK, StaleVerdict.DUE, id="a short blackout"),
        pytest.param("dark", True, OFFLINE_AFTER, StaleVerdict.REPORTS_AWAITED, id="a long one"),
        pytest.param("dark", True, 9 * DAY, StaleVerdict.REPORTS_AWAITED, id="a very long one"),
        pytest.param("unknown", True, HOUR, StaleVerdict.REPORTS_AWAITED, id="since nobody knows"),
    ],
)  # fmt: skip
def test_r6_gate(watch, arrived, after, verdict) -> None:
    since = START + 8 * DAY
    watches = {
        "gate": Watch(since, gate_since=since),
        "no gate": Watch(since),
        "dark": Watch(None, dark_from=since),
        "unknown": Watch(None),
    }
    host, now = replace(LAPTOP, reports_arrived=arrived), since + after
    assert assess_stale(host, watches[watch], now, OFFLINE_AFTER) is verdict
    if verdict is StaleVerdict.REPORTS_AWAITED:
        look = next_stale_look(host, watches[watch], now, OFFLINE_AFTER)
        assert look == (since if watch == "gate" else now) + DAY


@pytest.mark.parametrize(
    ("dark", "is_long"),
    [
        pytest.param(OFFLINE_AFTER - TICK, False, id="one tick short"),
        pytest.param(OFFLINE_AFTER, True, id="exactly"),
        pytest.param(-TICK, False, id="clock stepped back"),
        pytest.param(None, True, id="nobody knows"),
    ],
)
def test_r6_blackout(dark, is_long) -> None:
    dark_from = None if dark is None else START - dark
    assert is_long_blackout(dark_from, START, OFFLINE_AFTER) is is_long


def test_messages() -> None:
    assert offline_message(17 * MINUTE, FLOOR) == "Agent offline for 17m0s (threshold 15m0s)"
    assert offline_message(2 * HOUR, FLOOR) == "Agent offline for 2h0m0s (threshold 15m0s)"
    assert (
        stale_message(8 * DAY + 2 * HOUR, STALE_AFTER) == "No backup in 8d2h0m (threshold 7d0h0m)"
    )
    assert stale_message(40 * SECOND, 40 * SECOND) == "No backup in 40s (threshold 40s)"
