"""When a queued host will start."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.events.catchup import CatchupRequested
from services.catchup.policy_queue import Place, estimate_wait
from services.catchup.policy_usual import OF_FLEET, learn
from tests.unit.catchup.test_queue import fleet_of
from tests.unit.catchup.world import SETTLE, dispatched, finished

MINUTE = timedelta(minutes=1)
CAPS = {"fleet_cap": 20, "repository_cap": 4}


@pytest.mark.parametrize(
    ("place", "minutes"),
    [
        pytest.param(Place(1, 1), 2.5, id="next of its repository"),
        pytest.param(Place(20, 1), 10, id="after a whole round of the fleet"),
        pytest.param(Place(20, 8), 20, id="its repository is the bottleneck"),
        pytest.param(Place(200, 8), 100, id="the fleet is"),
    ],
)
def test_the_wait_follows_from_place_and_caps(place: Place, minutes: float) -> None:
    assert estimate_wait(place, 10 * MINUTE, **CAPS) == minutes * MINUTE


def test_nothing_is_guessed() -> None:
    assert estimate_wait(Place(1, 1), None, **CAPS) is None
    assert estimate_wait(Place(1, 1), MINUTE, fleet_cap=0, repository_cap=4) is None
    assert estimate_wait(Place(1, 1), MINUTE, fleet_cap=20, repository_cap=0) is None


def test_the_usual_run_is_learned_slowly() -> None:
    assert learn(None, 10 * MINUTE, OF_FLEET) == 10 * MINUTE
    assert learn(10 * MINUTE, 20 * MINUTE, OF_FLEET) == 11 * MINUTE


def test_a_queued_host_says_when_it_starts() -> None:
    fleet = fleet_of(4, catchup_max_fleet=2)
    fleet.advance(SETTLE)
    first = fleet.of(CatchupRequested)[0]
    assert fleet.ask("get_arm", host_id="h003")["starts_at"] is None
    fleet.publish(dispatched(fleet, first))
    started_at = fleet.now
    fleet.advance(10 * MINUTE)
    fleet.publish(finished(fleet, first).model_copy(update={"started_at": started_at}))
    arm = fleet.ask("get_arm", host_id="h003")
    assert (arm["place"], arm["starts_at"]) == (1, "2026-06-15T09:16:00Z")
