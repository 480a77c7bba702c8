"""The pure rules of notify, as tables."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from libs.common.clock import TICK
from libs.common.events.alert import AlertKind, AlertState, Severity
from libs.common.testing.rig import START
from services.notify import policy
from services.notify.policy import Concerned, Ending, Filter, News, Outcome, Verdict
from tests.unit.notify.world import make_alert, outage

DAY = timedelta(hours=24)


@pytest.mark.parametrize(
    ("alert", "tags", "wanted", "verdict"),
    [
        pytest.param(make_alert(), (), Filter(), Verdict.TOLD, id="no filter"),
        pytest.param(make_alert(held_by="o1"), (), Filter(), Verdict.HELD, id="held"),
        pytest.param(make_alert(silenced=True), (), Filter(), Verdict.SILENCED, id="silenced"),
        pytest.param(
            make_alert(), (), Filter(kinds=("fleet_outage",)), Verdict.OTHER_KIND, id="other kind"
        ),
        pytest.param(make_alert(), (), Filter(kinds=()), Verdict.TOLD, id="empty list: no limit"),
        pytest.param(
            make_alert(), (), Filter(severities=(Severity.CRITICAL,)), Verdict.OTHER_SEVERITY,
            id="other severity",
        ),
        pytest.param(make_alert(), (), Filter(host_ids=("h2",)), Verdict.OTHER_HOST, id="no host"),
        pytest.param(make_alert(), (), Filter(host_ids=("h2", "h1")), Verdict.TOLD, id="its host"),
        pytest.param(make_alert(), ("a",), Filter(tags=("b",)), Verdict.OTHER_TAGS, id="other tag"),
        pytest.param(make_alert(), ("a", "c"), Filter(tags=("b", "c")), Verdict.TOLD, id="one tag"),
        pytest.param(make_alert(), (), Filter(tags=("b",)), Verdict.OTHER_TAGS, id="no tag"),
        pytest.param(
            outage(), (), Filter(tags=("b",), host_ids=("h2",)), Verdict.TOLD,
            id="of the fleet, naming no host: any may be meant",
        ),
        pytest.param(
            outage(), (), Filter(kinds=(AlertKind.AGENT_OFFLINE,)), Verdict.OTHER_KIND,
            id="fleet-wide does not pass a kind filter",
        ),
    ],
)  # fmt: skip
def test_who_is_told(alert, tags, wanted, verdict):
    about = [Concerned(alert.host_id, frozenset(tags))] if alert.host_id else []
    assert policy.assess_news(alert, about, wanted) is verdict


H1, H2, H3 = (Concerned(f"h{n}", frozenset({tag})) for n, tag in enumerate(("a", "a", "b"), 1))


@pytest.mark.parametrize(
    ("about", "wanted", "verdict"),
    [
        pytest.param((H1, H3), Filter(), Verdict.TOLD, id="no filter"),
        pytest.param((H1, H3), Filter(tags=("b",)), Verdict.TOLD, id="one of them has the tag"),
        pytest.param((H1, H2), Filter(tags=("b",)), Verdict.OTHER_TAGS, id="none has the tag"),
        pytest.param((H1, H3), Filter(host_ids=("h3",)), Verdict.TOLD, id="it took that host"),
        pytest.param((H1, H2), Filter(host_ids=("h3",)), Verdict.OTHER_HOST, id="not that host"),
        pytest.param(
            (H1, H3), Filter(host_ids=("h1",), tags=("b",)), Verdict.OTHER_TAGS,
            id="both must fit one host",
        ),
        pytest.param((), Filter(tags=("b",)), Verdict.TOLD, id="no host named"),
    ],
)  # fmt: skip
def test_who_hears_of_a_mass_outage(about, wanted, verdict):
    assert policy.assess_news(outage(), about, wanted) is verdict


def test_a_filter_refuses_what_it_does_not_know():
    with pytest.raises(ValidationError):
        Filter.model_validate({"kinds": ["nonsense"]})
    with pytest.raises(ValidationError):
        Filter.model_validate({"hosts": ["h1"]})


@pytest.mark.parametrize(
    ("news", "known", "new"),
    [
        (News.RAISED, None, True),
        (News.RAISED, AlertState.OPEN, False),
        (News.RAISED, AlertState.RESOLVED, False),
        (News.ACKNOWLEDGED, None, True),
        (News.ACKNOWLEDGED, AlertState.OPEN, True),
        (News.ACKNOWLEDGED, AlertState.ACKNOWLEDGED, False),
        (News.ACKNOWLEDGED, AlertState.RESOLVED, False),
        (News.REMINDED, AlertState.OPEN, True),
        (News.REMINDED, AlertState.RESOLVED, False),
        (News.RESOLVED, AlertState.OPEN, True),
        (News.RESOLVED, AlertState.ACKNOWLEDGED, True),
        (News.RESOLVED, AlertState.RESOLVED, False),
    ],
)
def test_r7_an_old_fact_says_nothing_new(news, known, new):
    assert policy.is_new(news, known) is new


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        pytest.param(Outcome(status=200), Ending.DELIVERED, id="200"),
        pytest.param(Outcome(status=204), Ending.DELIVERED, id="204"),
        pytest.param(Outcome(status=299), Ending.DELIVERED, id="299"),
        pytest.param(Outcome(status=301), Ending.REFUSED, id="redirect"),
        pytest.param(Outcome(status=304), Ending.REFUSED, id="304"),
        pytest.param(Outcome(status=400), Ending.REFUSED, id="400"),
        pytest.param(Outcome(status=404), Ending.REFUSED, id="404"),
        pytest.param(Outcome(status=408), Ending.TRY_AGAIN, id="408"),
        pytest.param(Outcome(status=410), Ending.REFUSED, id="410"),
        pytest.param(Outcome(status=429), Ending.TRY_AGAIN, id="429"),
        pytest.param(Outcome(status=499), Ending.REFUSED, id="499"),
        pytest.param(Outcome(status=500), Ending.TRY_AGAIN, id="500"),
        pytest.param(Outcome(status=503), Ending.TRY_AGAIN, id="503"),
        pytest.param(Outcome(status=599), Ending.TRY_AGAIN, id="599"),
        pytest.param(Outcome(error="no answer"), Ending.TRY_AGAIN, id="network"),
        pytest.param(Outcome(error="private", refused=True), Ending.REFUSED, id="our own rules"),
        pytest.param(Outcome(), Ending.TRY_AGAIN, id="nothing known"),
    ],
)
def test_what_an_answer_means(outcome, ending):
    assert policy.assess_try(outcome, first_tried_at=START, now=START) is ending


@pytest.mark.parametrize(
    ("after", "ending"),
    [
        pytest.param(DAY - TICK, Ending.TRY_AGAIN, id="one tick before 24 h"),
        pytest.param(DAY, Ending.GIVEN_UP, id="at 24 h"),
        pytest.param(DAY + TICK, Ending.GIVEN_UP, id="after 24 h"),
        pytest.param(-DAY, Ending.TRY_AGAIN, id="clock stepped back"),
    ],
)
def test_tries_end_after_a_day(after, ending):
    outcome = Outcome(status=503)
    assert policy.assess_try(outcome, first_tried_at=START, now=START + after) is ending
    delivered = policy.assess_try(Outcome(status=200), first_tried_at=START, now=START + after)
    assert delivered is Ending.DELIVERED


def wait(tries: int, *, after: timedelta = timedelta(), retry_after: float | None = None):
    asked = None if retry_after is None else timedelta(seconds=retry_after)
    now = START + after
    at = policy.next_try("d1", tries, retry_after=asked, first_tried_at=START, now=now)
    return (at - now).total_seconds()


@pytest.mark.parametrize(
    ("tries", "seconds"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (9, 1280), (10, 1800), (11, 1800), (500, 1800)],
)
def test_waits_double_from_5_s_to_30_min_within_a_tenth(tries, seconds):
    assert seconds * 0.9 <= wait(tries) <= seconds * 1.1
    assert wait(tries) == wait(tries)  # The same delivery waits the same wherever it is computed.


def test_the_jitter_differs_between_deliveries():
    waits = {
        policy.next_try(f"d{n}", 1, retry_after=None, first_tried_at=START, now=START)
        for n in range(200)
    }
    assert len(waits) == 200
    assert max(waits) - min(waits) > timedelta(seconds=0.8)


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        pytest.param(60, 60, 60, id="later than ours: the receiver's"),
        pytest.param(1, 4.5, 5.5, id="sooner than ours: ours"),
        pytest.param(10**8, 86400, 86400, id="beyond the day: the last try"),
    ],
)
def test_the_receiver_may_ask_for_more_time(retry_after, least, most):
    assert least <= wait(1, retry_after=retry_after) <= most


def test_the_last_try_is_a_day_after_the_first():
    assert wait(50, after=DAY - timedelta(minutes=10)) == 600


def test_the_id_of_a_delivery_follows_from_the_fact():
    alert = make_alert()
    assert policy.delivery_id("c1", News.RAISED, alert) == policy.delivery_id(
        "c1", News.RAISED, alert.model_copy(update={"last_seen_at": START + DAY})
    )
    different = {
        policy.delivery_id("c1", News.RAISED, alert),
        policy.delivery_id("c2", News.RAISED, alert),
        policy.delivery_id("c1", News.RESOLVED, alert),
        policy.delivery_id("c1", News.RAISED, make_alert("a2")),
        policy.delivery_id("c1", News.REMINDED, alert),
        policy.delivery_id("c1", News.REMINDED, make_alert(facts={"rung": 2})),
    }
    assert len(different) == 6
