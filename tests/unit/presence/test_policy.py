"""Presence's rules as tables."""

from __future__ import annotations

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import OfflineReason
from libs.common.testing.rig import START
from services.presence.policy import (
    EndVerdict,
    Gap,
    Gateway,
    GatewayState,
    Interval,
    Status,
    assess_end,
    assess_gateway,
    assess_shares,
    is_worth_a_gap,
    offline_since,
    overlay,
)
from services.presence.policy import GatewayVerdict as Verdict
from tests.unit.presence.kit import HOUR, LOST_AFTER, MINUTE, OFFLINE_AFTER, SECOND

NOW = 0 * SECOND
GRACE = 30 * SECOND


@pytest.mark.parametrize(
    ("status", "current", "ended", "verdict"),
    [
        pytest.param(Status.ONLINE, "s2", "s2", EndVerdict.LIVE, id="the live session"),
        pytest.param(Status.ONLINE, "s2", "s1", EndVerdict.OTHER, id="an older session"),
        pytest.param(Status.OFFLINE, "s2", "s2", EndVerdict.ALREADY, id="told twice"),
        pytest.param(Status.NEVER_SEEN, None, "s1", EndVerdict.OTHER, id="never seen"),
    ],
)
def test_r3_end(status, current, ended, verdict) -> None:
    assert assess_end(status, current, ended) is verdict


@pytest.mark.parametrize(
    ("reason", "last_seen", "noticed", "since"),
    [
        pytest.param("heartbeat_timeout", 0, 90, 90, id="90 s after the last frame"),
        pytest.param("heartbeat_timeout", 0, 3600, 90, id="noticed late: dated when it happened"),
        pytest.param("heartbeat_timeout", 0, 60, 60, id="clock stepped back: not in the future"),
        pytest.param("heartbeat_timeout", -500, 90, -5, id="never before it came online"),
        pytest.param("gateway_lost", 0, 120, 90, id="a lost gateway is silence"),
        pytest.param("sleep", 10, 11, 10, id="a goodbye takes effect with its frame"),
        pytest.param("shutdown", 10, 11, 10, id="as does a shutdown"),
        pytest.param("restart", 10, 11, 10, id="and a restart"),
    ],
)
def test_r3_offline_is_dated_when_it_should_have_happened(
    reason, last_seen, noticed, since
) -> None:
    assert (
        offline_since(
            START + last_seen * SECOND,
            OfflineReason(reason),
            offline_after=OFFLINE_AFTER,
            not_before=START - 5 * SECOND,
            not_after=START + noticed * SECOND,
        )
        == START + since * SECOND
    )


@pytest.mark.parametrize(
    ("state", "silent", "late", "verdict"),
    [
        pytest.param("listening", LOST_AFTER - TICK, NOW, Verdict.HEARD, id="a tick early"),
        pytest.param("listening", LOST_AFTER, NOW, Verdict.LOST, id="exactly then"),
        pytest.param("listening", LOST_AFTER + TICK, TICK, Verdict.LOST, id="a tick late"),
        pytest.param("stopped", LOST_AFTER - TICK, NOW, Verdict.HEARD, id="stopped, a tick early"),
        pytest.param("stopped", LOST_AFTER, NOW, Verdict.LOST, id="stopped as long"),
        pytest.param("lost", LOST_AFTER, NOW, Verdict.ALREADY, id="lost already"),
        pytest.param("listening", HOUR, GRACE, Verdict.LOST, id="looked 30 s late"),
        pytest.param("listening", HOUR, GRACE + TICK, Verdict.WE_WERE_AWAY, id="looked later"),
        pytest.param("listening", -HOUR, NOW, Verdict.LOST, id="clock stepped back, no beat since"),
    ],
)
def test_r10_gateway(state, silent, late, verdict) -> None:
    now = START + HOUR
    ended_at = now - silent if state == "stopped" else None
    heard_at = now - silent if state != "stopped" else START - HOUR
    gateway = Gateway("gw-1", START - HOUR, GatewayState(state), heard_at, ended_at)
    assert (
        assess_gateway(
            gateway, due_at=now - late, lost_after=LOST_AFTER, tolerance=30 * SECOND, now=now
        )
        is verdict
    )


@pytest.mark.parametrize(
    ("length", "worth"),
    [
        pytest.param(OFFLINE_AFTER - TICK, False, id="sessions outlive it"),
        pytest.param(OFFLINE_AFTER, True, id="exactly as long as a session lives"),
        pytest.param(-TICK, False, id="clock stepped back"),
    ],
)
def test_r10_only_long_blackouts_are_gaps(length, worth) -> None:
    assert is_worth_a_gap(START, START + length, OFFLINE_AFTER) is worth


def at(minutes: int | None):
    return None if minutes is None else START + minutes * MINUTE


def line(*pieces: tuple[int, int | None, str]) -> list[Interval]:
    """Intervals from (from, to, state); the cause is the state's initial."""
    return [
        Interval(at(start), at(end), state, state[:2], None if end is None else "x")
        for start, end, state in pieces
    ]


@pytest.mark.parametrize(
    ("gaps", "seen"),
    [
        pytest.param([], ["0-10 online", "10-30 offline", "30- online"], id="nothing missed"),
        pytest.param(
            [(2, 4)],
            ["0-2 online", "2-4 not_observed", "4-10 online", "10-30 offline", "30- online"],
            id="within one",
        ),
        pytest.param(
            [(8, 35)], ["0-8 online", "8-35 not_observed", "35- online"], id="across several"
        ),
        pytest.param(
            [(10, 30)], ["0-10 online", "10-30 not_observed", "30- online"], id="exactly one"
        ),
        pytest.param(
            [(20, None)], ["0-10 online", "10-20 offline", "20- not_observed"], id="still so"
        ),
        pytest.param(
            [(-5, 5), (32, 33)],
            ["0-5 not_observed", "5-10 online", "10-30 offline", "30-32 online",
             "32-33 not_observed", "33- online"],
            id="begun before, and twice",
        ),
    ],
)  # fmt: skip
def test_r10_what_nobody_observed_is_cut_out(gaps, seen) -> None:
    intervals = line((0, 10, "online"), (10, 30, "offline"), (30, None, "online"))
    pieces = overlay(intervals, [Gap(at(start), at(end)) for start, end in gaps])

    def minute(moment) -> str:
        return "" if moment is None else str(int((moment - START) / MINUTE))

    assert [f"{minute(p.start)}-{minute(p.end)} {p.state}" for p in pieces] == seen


def test_r10_never_seen_is_no_matter_of_observation() -> None:
    intervals = line((0, None, "never_seen"))
    assert overlay(intervals, [Gap(at(1), None)]) == intervals


def test_shares_add_up() -> None:
    intervals = line((0, 10, "online"), (10, 30, "offline"), (30, None, "online"))
    shares = assess_shares(overlay(intervals, [Gap(at(20), at(30))]), since=at(0), now=at(40))
    assert shares == {"online": 0.5, "offline": 0.25, "not_observed": 0.25, "never_seen": 0.0}
    assert set(assess_shares([], since=at(0), now=at(0)).values()) == {0.0}
