"""The rules of a mass outage as tables."""

from __future__ import annotations

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import OfflineReason
from services.alerting.policy_outage import (
    LONGEST,
    QUIET_FOR,
    Departure,
    Outage,
    OutageVerdict,
    ReleaseVerdict,
    assess_outage,
    assess_release,
    choose,
    next_release_look,
    outage_message,
)
from tests.unit.alerting.kit import MINUTE, SECOND, START


@pytest.mark.parametrize(
    ("reason", "gone", "were_online", "verdict"),
    [
        pytest.param("heartbeat_timeout", 5, 5, OutageVerdict.MASS, id="five of five"),
        pytest.param("heartbeat_timeout", 4, 4, OutageVerdict.TOO_FEW, id="one fewer"),
        pytest.param("heartbeat_timeout", 30, 100, OutageVerdict.MASS, id="exactly 30 %"),
        pytest.param("heartbeat_timeout", 30, 101, OutageVerdict.SMALL_SHARE, id="just below 30 %"),
        pytest.param("shutdown", 5, 5, OutageVerdict.MASS, id="a power cut that shut them down"),
        pytest.param("sleep", 9, 9, OutageVerdict.NOT_COUNTED, id="it said it goes to sleep"),
        pytest.param("gateway_lost", 9, 9, OutageVerdict.NOT_COUNTED, id="its gateway was lost"),
    ],
)
def test_r5_mass_outage(reason, gone, were_online, verdict) -> None:
    assert assess_outage(OfflineReason(reason), gone, were_online) is verdict


@pytest.mark.parametrize(
    ("members", "away", "quiet", "age", "verdict"),
    [
        pytest.param(20, 0, 0 * SECOND, MINUTE, ReleaseVerdict.ALL_BACK, id="all are back"),
        pytest.param(20, 1, QUIET_FOR, 9 * MINUTE, ReleaseVerdict.FEW_AWAY, id="5 %, quiet"),
        pytest.param(20, 1, QUIET_FOR - TICK, 9 * MINUTE, ReleaseVerdict.GOES_ON, id="too soon"),
        pytest.param(20, 1, -MINUTE, 9 * MINUTE, ReleaseVerdict.GOES_ON, id="clock stepped back"),
        pytest.param(20, 2, QUIET_FOR, 9 * MINUTE, ReleaseVerdict.GOES_ON, id="10 % are not few"),
        pytest.param(20, 9, QUIET_FOR, LONGEST - TICK, ReleaseVerdict.GOES_ON, id="a tick less"),
        pytest.param(20, 9, QUIET_FOR, LONGEST, ReleaseVerdict.TOO_LONG, id="an hour"),
    ],
)  # fmt: skip
def test_r5_release(members, away, quiet, age, verdict) -> None:
    now = START + 5 * LONGEST
    outage = Outage(members, away, raised_at=now - age, last_return_at=now - quiet)
    assert assess_release(outage, now) is verdict
    if verdict is ReleaseVerdict.GOES_ON:
        assert next_release_look(outage, now) > now


def test_r5_nobody_has_returned() -> None:
    outage = Outage(20, 20, raised_at=START)
    assert next_release_look(outage, START) == START + QUIET_FOR
    assert next_release_look(outage, START + QUIET_FOR) == START + LONGEST
    few = Outage(20, 1, raised_at=START)  # The others became intermittent.
    assert assess_release(few, START + QUIET_FOR) is ReleaseVerdict.FEW_AWAY


def test_message() -> None:
    whole, site = departure("", 12, 15), departure("site:berlin", 14, 20)
    assert outage_message(whole) == "12 of 15 always-on hosts went offline within 2m0s"
    assert outage_message(site) == (
        "14 of 20 always-on hosts of site:berlin went offline within 2m0s"
    )


def departure(
    site: str, gone: int, were_online: int = 20, verdict: OutageVerdict = OutageVerdict.MASS
) -> Departure:
    return Departure(site, tuple(f"h{number}" for number in range(gone)), were_online, verdict)


FEW = departure("", 5, 100, OutageVerdict.SMALL_SHARE)
BERLIN, PARIS = departure("site:berlin", 9), departure("site:paris", 9)


@pytest.mark.parametrize(("found", "chosen"), [
    pytest.param([FEW], None, id="none is one"),
    pytest.param([departure("", 5), BERLIN], departure("", 5), id="the fleet's wins"),
    pytest.param([FEW, BERLIN], BERLIN, id="a site's"),
    pytest.param([FEW, PARIS, BERLIN], BERLIN, id="of two alike by name"),
    pytest.param([FEW, departure("site:a", 8), PARIS], PARIS, id="that which lost most"),
])  # fmt: skip
def test_which_mass_outage_explains_a_missed_host(
    found: list[Departure], chosen: Departure | None
) -> None:
    assert choose(found) == chosen
