"""The rules of silences, as tables: spans, whom one covers, when that changes next."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.alert import AlertKind
from libs.common.testing.rig import START as NOW
from libs.common.weekly import parse_weekly
from services.alerting.policy_silence import (
    FOREVER,
    LONGEST,
    Scope,
    Silence,
    SilenceState,
    SilenceVerdict,
    Span,
    SpanVerdict,
    Subject,
    assess_silence,
    assess_span,
    assess_state,
    covers_until,
    find_cover,
    next_change,
)

HOUR = timedelta(hours=1)
OFFLINE, STALE = AlertKind.AGENT_OFFLINE, AlertKind.STALE_SCHEDULE
WEB = Subject(OFFLINE, "web-3", frozenset({"lab", "paris"}))
FLEET = Subject(AlertKind.FLEET_OUTAGE)


def silence(
    begins_at: datetime = NOW, ends_at: datetime = NOW + HOUR, name: str = "s1", **scope: object
) -> Silence:
    return Silence(name, Scope(**(scope or {"host_id": "web-3"})), Span(begins_at, ends_at))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("begins_at", "ends_at", "verdict"),
    [
        pytest.param(NOW, NOW + HOUR, SpanVerdict.FINE, id="an hour"),
        pytest.param(NOW - HOUR, NOW + TICK, SpanVerdict.FINE, id="ends a tick from now"),
        pytest.param(NOW - HOUR, NOW, SpanVerdict.PAST, id="ends now"),
        pytest.param(NOW - HOUR, NOW - TICK, SpanVerdict.PAST, id="ended a tick ago"),
        pytest.param(NOW + HOUR, NOW + HOUR + TICK, SpanVerdict.FINE, id="lasts a tick"),
        pytest.param(NOW + HOUR, NOW + HOUR, SpanVerdict.BACKWARDS, id="lasts no time"),
        pytest.param(NOW + HOUR, NOW + HOUR - TICK, SpanVerdict.BACKWARDS, id="from after to"),
        pytest.param(NOW, NOW - HOUR, SpanVerdict.BACKWARDS, id="from after to, in the past"),
        pytest.param(NOW, NOW + LONGEST, SpanVerdict.FINE, id="exactly the longest"),
        pytest.param(NOW, NOW + LONGEST + TICK, SpanVerdict.TOO_LONG, id="a tick too long"),
        pytest.param(
            NOW + LONGEST, NOW + LONGEST + HOUR, SpanVerdict.FINE, id="begins as late as it may"
        ),
        pytest.param(
            NOW + LONGEST + TICK, NOW + LONGEST + HOUR, SpanVerdict.TOO_FAR, id="begins too late"
        ),
    ],
)
def test_span_of_a_new_silence(
    begins_at: datetime, ends_at: datetime, verdict: SpanVerdict
) -> None:
    assert assess_span(Span(begins_at, ends_at), NOW) is verdict


@pytest.mark.parametrize(
    ("now", "state", "verdict"),
    [
        pytest.param(
            NOW - TICK, SilenceState.SCHEDULED, SilenceVerdict.SCHEDULED, id="a tick before it"
        ),
        pytest.param(NOW, SilenceState.ACTIVE, SilenceVerdict.COVERS, id="exactly at its begin"),
        pytest.param(
            NOW + HOUR - TICK,
            SilenceState.ACTIVE,
            SilenceVerdict.COVERS,
            id="a tick before the end",
        ),
        pytest.param(NOW + HOUR, SilenceState.OVER, SilenceVerdict.OVER, id="exactly at its end"),
        pytest.param(
            NOW + HOUR + TICK, SilenceState.OVER, SilenceVerdict.OVER, id="a tick after its end"
        ),
    ],
)
def test_when_it_covers(now: datetime, state: SilenceState, verdict: SilenceVerdict) -> None:
    assert assess_state(silence().span, now) is state
    assert assess_silence(silence(), WEB, now) is verdict


def test_ended_before_its_begin_it_never_covers() -> None:
    never = silence(NOW + HOUR, NOW)
    for now in (NOW - TICK, NOW, NOW + HOUR, NOW + 2 * HOUR):
        assert assess_silence(never, WEB, now) is not SilenceVerdict.COVERS


@pytest.mark.parametrize(
    ("scope", "subject", "verdict"),
    [
        pytest.param({"host_id": "web-3"}, WEB, SilenceVerdict.COVERS, id="its host"),
        pytest.param({"host_id": "web-4"}, WEB, SilenceVerdict.OTHER_HOST, id="another host"),
        pytest.param({"tag": "lab"}, WEB, SilenceVerdict.COVERS, id="one of its tags"),
        pytest.param({"tag": "la"}, WEB, SilenceVerdict.OTHER_TAG, id="a part of a tag"),
        pytest.param({"kind": OFFLINE}, WEB, SilenceVerdict.COVERS, id="its kind"),
        pytest.param({"kind": STALE}, WEB, SilenceVerdict.OTHER_KIND, id="another kind"),
        pytest.param(
            {"host_id": "web-3", "tag": "lab", "kind": OFFLINE}, WEB, SilenceVerdict.COVERS,
            id="all fit",
        ),
        pytest.param(
            {"host_id": "web-3", "tag": "lab", "kind": STALE}, WEB, SilenceVerdict.OTHER_KIND,
            id="all fit but the kind",
        ),
        pytest.param(
            {"host_id": "web-3", "tag": "home"}, WEB, SilenceVerdict.OTHER_TAG,
            id="the host fits, the tag does not",
        ),
        pytest.param({"host_id": "web-3"}, FLEET, SilenceVerdict.OTHER_HOST, id="fleet, by host"),
        pytest.param({"tag": "lab"}, FLEET, SilenceVerdict.OTHER_TAG, id="the fleet has no tags"),
        pytest.param(
            {"kind": AlertKind.FLEET_OUTAGE}, FLEET, SilenceVerdict.COVERS, id="fleet, by kind"
        ),
    ],
)  # fmt: skip
def test_whom_it_covers(
    scope: dict[str, object], subject: Subject, verdict: SilenceVerdict
) -> None:
    assert assess_silence(silence(**scope), subject, NOW) is verdict


def test_of_several_the_last_to_end_covers() -> None:
    short, long = silence(name="s2"), silence(ends_at=NOW + 2 * HOUR, name="s1", tag="lab")
    other = silence(ends_at=NOW + 3 * HOUR, kind=STALE)
    assert find_cover([long, short, other], WEB, NOW) == long
    assert find_cover([short, long, other], WEB, NOW) == long
    assert find_cover([other], WEB, NOW) is None
    assert find_cover([], WEB, NOW) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(NOW - TICK, NOW, id="the first begins"),
        pytest.param(NOW, NOW + HOUR, id="at its begin: its end"),
        pytest.param(NOW + HOUR - TICK, NOW + HOUR, id="a tick before its end"),
        pytest.param(NOW + HOUR, NOW + 2 * HOUR, id="at its end: the second begins"),
        pytest.param(NOW + 2 * HOUR, NOW + 3 * HOUR, id="the second ends"),
        pytest.param(NOW + 3 * HOUR, None, id="nothing more"),
    ],
)
def test_when_it_changes_next(now: datetime, expected: datetime | None) -> None:
    second = silence(NOW + 2 * HOUR, NOW + 3 * HOUR)
    ended_early = silence(NOW + 5 * HOUR, NOW - 2 * HOUR)
    assert next_change([second, silence(), ended_early], now) == expected


NIGHT = parse_weekly("daily 22:00-06:00", "UTC")
EVENING = NOW.replace(hour=22)


@pytest.mark.parametrize(("now", "state"), [
    (EVENING - TICK, SilenceState.SCHEDULED), (EVENING, SilenceState.ACTIVE),
    (EVENING + 8 * HOUR - TICK, SilenceState.ACTIVE), (EVENING + 8 * HOUR, SilenceState.SCHEDULED),
    (NOW + 30 * 24 * HOUR, SilenceState.OVER),
])  # fmt: skip
def test_a_weekly_silence_covers_within_its_windows(now: datetime, state: SilenceState) -> None:
    span = Span(NOW, NOW + 30 * 24 * HOUR)
    assert assess_state(span, now, NIGHT) is state
    covers = assess_silence(Silence("s1", Scope("web-3"), span, NIGHT), WEB, now)
    assert (covers is SilenceVerdict.COVERS) is (state is SilenceState.ACTIVE)


def test_a_weekly_silence_changes_at_its_boundaries_and_at_its_end() -> None:
    end = EVENING + 2 * HOUR
    weekly = Silence("s1", Scope("web-3"), Span(NOW, end), NIGHT)
    assert next_change([weekly], NOW) == EVENING
    assert covers_until(weekly, EVENING) == next_change([weekly], EVENING) == end
    assert next_change([weekly], end) is None
    endless = Silence("s2", Scope("web-3"), Span(NOW, FOREVER), NIGHT)
    assert covers_until(endless, EVENING) == EVENING + 8 * HOUR
    assert find_cover([weekly, endless], WEB, EVENING) is endless


def test_only_what_was_said_so_goes_on_for_ever() -> None:
    assert assess_span(Span(NOW, FOREVER), NOW) is SpanVerdict.FINE
    assert assess_span(Span(NOW, FOREVER - TICK), NOW) is SpanVerdict.TOO_LONG
