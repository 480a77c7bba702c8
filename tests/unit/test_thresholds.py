"""Which threshold holds for a host: host > tag (the strictest) > mode > fleet, each on its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.events.host import HostMode, ThresholdRules, Thresholds
from libs.common.thresholds import (
    Origin,
    Subject,
    Threshold,
    describe,
    missed_after,
    offline_floor,
    stale_after,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = ThresholdRules(
    version=3,
    tags={
        "paris": Thresholds(offline_seconds=600, stale_seconds=2 * 86_400),
        "lab": Thresholds(offline_seconds=300),
        "slow": Thresholds(stale_seconds=30 * 86_400),
        "also-paris": Thresholds(stale_seconds=2 * 86_400),
    },
    modes={
        HostMode.ALWAYS_ON: Thresholds(offline_seconds=1200),
        HostMode.INTERMITTENT: Thresholds(stale_seconds=14 * 86_400),
    },
)
NONE = Thresholds()


def host(*tags: str, own: Thresholds = NONE, always_on: bool = True) -> Subject:
    return Subject(own, tags, always_on)


FLOOR_OF_FLEET = Threshold(15 * MINUTE, Origin.FLEET)
WEEK_OF_FLEET = Threshold(7 * DAY, Origin.FLEET)


@pytest.mark.parametrize(("subject", "rules", "floor", "stale"), [
    pytest.param(host(), ThresholdRules(), FLOOR_OF_FLEET, WEEK_OF_FLEET, id="nothing is set"),
    pytest.param(host("other"), RULES, Threshold(20 * MINUTE, Origin.MODE, "always_on"),
                 WEEK_OF_FLEET, id="of its mode; the other threshold is the fleet's"),
    pytest.param(host(always_on=False), RULES, FLOOR_OF_FLEET,
                 Threshold(14 * DAY, Origin.MODE, "intermittent"), id="of the other mode"),
    pytest.param(host("slow", always_on=False), RULES, FLOOR_OF_FLEET,
                 Threshold(30 * DAY, Origin.TAG, "slow"),
                 id="a tag comes before the mode, even if it is less strict"),
    pytest.param(host("paris", "lab", "slow"), RULES, Threshold(5 * MINUTE, Origin.TAG, "lab"),
                 Threshold(2 * DAY, Origin.TAG, "paris"), id="the strictest of the tags, each"),
    pytest.param(host("paris", "also-paris"), RULES, Threshold(10 * MINUTE, Origin.TAG, "paris"),
                 Threshold(2 * DAY, Origin.TAG, "also-paris"), id="equally strict: by name"),
    pytest.param(host("lab", own=Thresholds(offline_seconds=7200)), RULES,
                 Threshold(2 * HOUR, Origin.HOST), WEEK_OF_FLEET,
                 id="its own comes first, even if it is less strict"),
    pytest.param(host("lab", own=Thresholds(stale_seconds=60)), RULES,
                 Threshold(5 * MINUTE, Origin.TAG, "lab"), Threshold(MINUTE, Origin.HOST),
                 id="each on its own"),
])  # fmt: skip
def test_r5_r6_which_threshold_holds(
    subject: Subject, rules: ThresholdRules, floor: Threshold, stale: Threshold
) -> None:
    assert offline_floor(subject, rules, 15 * MINUTE) == floor
    assert stale_after(subject, rules, 7 * DAY) == stale


def test_nobody_is_told_of_missed_schedules_unless_somebody_asked() -> None:
    assert missed_after(host("paris"), RULES) is None
    asked = Thresholds(missed_seconds=3600)
    assert missed_after(host(own=asked), RULES) == Threshold(HOUR, Origin.HOST)
    by_mode = ThresholdRules(modes={HostMode.ALWAYS_ON: asked})
    assert missed_after(host(), by_mode) == Threshold(HOUR, Origin.MODE, "always_on")
    assert missed_after(host(always_on=False), by_mode) is None


@pytest.mark.parametrize(("origin", "name", "source", "words"), [
    (Origin.HOST, None, "host", "set for this host"),
    (Origin.TAG, "paris", "tag:paris", "tag paris"),
    (Origin.MODE, "always_on", "mode:always_on", "24×7 default"),
    (Origin.MODE, "intermittent", "mode:intermittent", "intermittent default"),
    (Origin.FLEET, None, "fleet", "fleet default"),
])  # fmt: skip
def test_who_set_it(origin: Origin, name: str | None, source: str, words: str) -> None:
    threshold = Threshold(HOUR, origin, name)
    assert (threshold.source, describe(threshold)) == (source, words)
