"""The gateway's pure decisions, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from libs.common.clock import TICK
from services.gateway import policy
from services.gateway.policy import Arrival, FireVerdict, HelloVerdict, Known, ReportVerdict
from services.gateway.store import NEW_SPOOL

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
SECOND, MINUTE, YEAR = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=365)
AFTER = timedelta(seconds=90)
EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))


@pytest.mark.parametrize(
    ("known", "connection", "arrival", "verdict"),
    [
        pytest.param(None, 5, Arrival.AFTER, HelloVerdict.FIRST, id="nobody known"),
        pytest.param(None, None, Arrival.AFTER, HelloVerdict.FIRST, id="minimal, nobody known"),
        pytest.param(5, 6, Arrival.AFTER, HelloVerdict.LARGER, id="larger"),
        pytest.param(5, 4, Arrival.AFTER, HelloVerdict.SMALLER, id="smaller"),
        pytest.param(5, 5, Arrival.AFTER, HelloVerdict.EQUAL_LATER, id="equal, came later"),
        pytest.param(5, 5, Arrival.BEFORE, HelloVerdict.EQUAL_EARLIER, id="equal, came first"),
        pytest.param(5, 6, Arrival.BEFORE, HelloVerdict.LARGER, id="larger, whatever the order"),
        pytest.param(5, 4, Arrival.BEFORE, HelloVerdict.SMALLER, id="smaller, whatever the order"),
        pytest.param(0, 0, Arrival.AFTER, HelloVerdict.EQUAL_LATER, id="zero is a counter"),
        pytest.param(None, 1, Arrival.BEFORE, HelloVerdict.FIRST, id="first in any order"),
    ],
)
def test_r3_which_connection_is_newer(
    known: int | None, connection: int | None, arrival: Arrival, verdict: HelloVerdict
) -> None:
    session = None if known is None else Known("s", known)
    assert policy.assess_hello(session, connection, arrival) is verdict


@pytest.mark.parametrize(
    ("known", "connection"),
    [
        pytest.param(None, None, id="neither counts"),
        pytest.param(None, 5, id="only the new one counts"),
        pytest.param(5, None, id="only the known one counts"),
    ],
)
def test_r3_without_a_counter_the_order_of_arrival_decides(
    known: int | None, connection: int | None
) -> None:
    session = Known("s", known)
    assert policy.assess_hello(session, connection, Arrival.AFTER).accepted
    assert not policy.assess_hello(session, connection, Arrival.BEFORE).accepted


@pytest.mark.parametrize(
    ("last_seen", "since", "due"),
    [
        pytest.param(NOW, NOW - MINUTE, NOW + AFTER, id="from the last frame"),
        pytest.param(NOW - YEAR, NOW, NOW + AFTER, id="not from before we listened (R10)"),
        pytest.param(NOW, NOW, NOW + AFTER, id="both at once"),
    ],
)
def test_r3_when_silence_ends_a_session(
    last_seen: datetime, since: datetime, due: datetime
) -> None:
    assert policy.offline_deadline(last_seen, since, AFTER) == due


@pytest.mark.parametrize(
    ("pulse_at", "stalled"),
    [
        pytest.param(None, False, id="it has not yet said anything"),
        pytest.param(NOW - AFTER / 2, False, id="exactly half"),
        pytest.param(NOW - AFTER / 2 - TICK, True, id="one tick more"),
        pytest.param(NOW + AFTER / 2, False, id="clock stepped back by half"),
        pytest.param(NOW + AFTER / 2 + TICK, True, id="clock stepped back by more"),
    ],
)
def test_r10_a_stalled_gateway_hears_nobody(pulse_at: datetime | None, stalled: bool) -> None:
    assert policy.was_stalled(pulse_at, AFTER, NOW) is stalled


@pytest.mark.parametrize(
    ("agent_now", "offset"),
    [
        pytest.param(None, timedelta(), id="it does not say"),
        pytest.param(NOW, timedelta(), id="right"),
        pytest.param(NOW + YEAR, YEAR, id="a year ahead"),
        pytest.param(NOW - YEAR, -YEAR, id="a year behind"),
    ],
)
def test_clock_offset(agent_now: datetime | None, offset: timedelta) -> None:
    assert policy.clock_offset(agent_now, NOW) == offset


@pytest.mark.parametrize(
    ("reported", "offset", "previous", "believed"),
    [
        pytest.param(NOW - MINUTE, timedelta(), None, NOW - MINUTE, id="right clock"),
        pytest.param(NOW + YEAR - MINUTE, YEAR, None, NOW - MINUTE, id="a year ahead"),
        pytest.param(NOW - YEAR - MINUTE, -YEAR, None, NOW - MINUTE, id="a year behind"),
        pytest.param(NOW + TICK, timedelta(), None, NOW, id="nothing later than now"),
        pytest.param(NOW + YEAR, timedelta(), None, NOW, id="ahead, and it does not say"),
        pytest.param(NOW - YEAR, timedelta(), NOW - MINUTE, NOW - MINUTE, id="not before the last"),
        pytest.param(NOW - MINUTE, timedelta(), NOW + YEAR, NOW, id="receipt beats the previous"),
        pytest.param(
            datetime(1, 1, 1, tzinfo=EAST), timedelta(), None, NOW,
            id="a time that is none in UTC",
        ),
        pytest.param(datetime.max.replace(tzinfo=UTC), -YEAR, None, NOW, id="beyond all time"),
    ],
)  # fmt: skip
def test_report_times_are_corrected_and_bounded(
    reported: datetime, offset: timedelta, previous: datetime | None, believed: datetime
) -> None:
    assert policy.believed_time(reported, offset, previous, NOW) == believed


@pytest.mark.parametrize(
    ("fire_time", "verdict"),
    [
        pytest.param(NOW, FireVerdict.BELIEVED, id="now"),
        pytest.param(NOW + 5 * MINUTE, FireVerdict.BELIEVED, id="exactly 5 min ahead"),
        pytest.param(NOW + 5 * MINUTE + TICK, FireVerdict.AHEAD, id="one tick more"),
        pytest.param(NOW + YEAR, FireVerdict.AHEAD, id="a year ahead"),
        pytest.param(NOW - YEAR, FireVerdict.BELIEVED, id="old is recorded"),
        pytest.param(datetime(1, 1, 1, tzinfo=EAST), FireVerdict.ANCIENT, id="the year one"),
        pytest.param(datetime.max.replace(tzinfo=WEST), FireVerdict.AHEAD, id="the end of time"),
    ],
)
def test_which_fires_are_believed(fire_time: datetime, verdict: FireVerdict) -> None:
    assert policy.assess_fire(fire_time, NOW) is verdict


@pytest.mark.parametrize(
    ("seq", "verdict"),
    [
        pytest.param(6, ReportVerdict.REPEATED, id="below the last ack"),
        pytest.param(7, ReportVerdict.REPEATED, id="at the last ack"),
        pytest.param(8, ReportVerdict.NEW, id="the next"),
        pytest.param(99, ReportVerdict.NEW, id="after a gap"),
    ],
)
def test_which_reports_are_new(seq: int, verdict: ReportVerdict) -> None:
    assert policy.assess_report(seq, 7) is verdict


def test_any_number_is_new_to_a_new_spool() -> None:
    assert policy.assess_report(0, NEW_SPOOL.last_seq) is ReportVerdict.NEW


@pytest.mark.parametrize(
    ("sync_seq", "last_seq", "synced"),
    [
        pytest.param(0, -1, True, id="empty spool, and a new one"),
        pytest.param(0, 7, True, id="empty spool, known before"),
        pytest.param(1, -1, False, id="nothing of it is here"),
        pytest.param(5, 4, False, id="one is missing"),
        pytest.param(5, 5, True, id="all of it"),
        pytest.param(5, 9, True, id="more than that"),
    ],
)
def test_when_a_spool_is_synced(sync_seq: int, last_seq: int, synced: bool) -> None:
    assert policy.is_synced(sync_seq, last_seq) is synced


@pytest.mark.parametrize(
    ("agent", "wanted", "behind"),
    [
        pytest.param(1, 2, True, id="behind"),
        pytest.param(3, 2, True, id="ahead is wrong too: the registry was restored"),
        pytest.param(2, 2, False, id="the same"),
        pytest.param(2, None, False, id="a host that is not known yet"),
    ],
)
def test_who_needs_configuration(agent: int, wanted: int | None, behind: bool) -> None:
    assert policy.is_behind(agent, wanted) is behind


@pytest.mark.parametrize(
    ("failed", "left"),
    [
        pytest.param([], 10, id="never failed"),
        pytest.param([NOW] * 9, 1, id="nine"),
        pytest.param([NOW] * 10, 0, id="ten"),
        pytest.param([NOW - MINUTE + TICK] * 10, 0, id="ten within the minute"),
        pytest.param([NOW - MINUTE] * 10, 10, id="ten a minute ago"),
        pytest.param([NOW - MINUTE] + [NOW] * 9, 1, id="the oldest has run out"),
        pytest.param([NOW + YEAR] * 10, 10, id="the clock was set back"),
    ],
)
def test_failed_tries_to_enroll(failed: list[datetime], left: int) -> None:
    assert policy.tries_left(failed, NOW) == left


@pytest.mark.parametrize("moment", [None, datetime.max.replace(tzinfo=WEST)])
def test_a_time_that_is_none_in_utc(moment: datetime | None) -> None:
    assert policy.in_utc(moment) is None
