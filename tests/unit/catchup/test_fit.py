"""A host whose run usually does not fit into its stay starts with the smallest source group."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import AgentOffline, OfflineReason
from libs.common.events.catchup import CatchupRequested
from libs.common.events.job import JobFinished
from libs.common.testing.rig import Rig
from services.catchup.habits import get_habit
from services.catchup.policy import Pair
from services.catchup.policy_fit import Habit, fits, learn_cut, order_by_fit
from services.catchup.policy_usual import OF_HOST, learn
from tests.unit.catchup.world import (
    DAILY,
    SETTLE,
    enroll,
    finished,
    interrupted,
    offline,
    record,
    rig,
    wake,
)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BIG, SMALL, OTHER = Pair("s1", "g1"), Pair("s1", "g2"), Pair("s1", "g3")
RUNS = {"g1": 20 * MINUTE, "g2": 2 * MINUTE}


@pytest.mark.parametrize(
    ("stay", "runs", "fit"),
    [
        pytest.param(21 * MINUTE, RUNS, True, id="just enough, the settle included"),
        pytest.param(21 * MINUTE - TICK, RUNS, False, id="a moment short"),
        pytest.param(None, RUNS, True, id="nobody knows how long it stays"),
        pytest.param(MINUTE, {}, True, id="nobody knows how long it takes"),
    ],
)
def test_fit(stay: timedelta | None, runs: dict[str, timedelta], *, fit: bool) -> None:
    assert fits(BIG, Habit(stay, runs), MINUTE) is fit


@pytest.mark.parametrize(
    ("pairs", "stay", "order"),
    [
        pytest.param([BIG, SMALL], HOUR, [BIG, SMALL], id="both fit: as they are"),
        pytest.param([BIG, SMALL], 10 * MINUTE, [SMALL, BIG], id="the first does not"),
        pytest.param([SMALL, BIG], 10 * MINUTE, [SMALL, BIG], id="is so already"),
        pytest.param([BIG, OTHER, SMALL], 10 * MINUTE, [OTHER, SMALL, BIG], id="one is not known"),
        pytest.param([BIG, SMALL], None, [BIG, SMALL], id="no habit"),
        pytest.param([], 10 * MINUTE, [], id="nothing"),
    ],
)
def test_order(pairs: list[Pair], stay: timedelta | None, order: list[Pair]) -> None:
    assert order_by_fit(pairs, Habit(stay, RUNS), MINUTE) == order


def test_what_is_usual_follows_half_way() -> None:
    assert learn(None, HOUR, OF_HOST) == HOUR
    assert learn(HOUR, 2 * HOUR, OF_HOST) == 1.5 * HOUR
    assert learn_cut(None, MINUTE) == learn_cut(MINUTE / 2, MINUTE) == MINUTE
    assert learn_cut(HOUR, MINUTE) == HOUR


# -- the machine -----------------------------------------------------------------------------------


def two_groups() -> Rig:
    """A laptop with two source groups, g1 and then g2, neither ever backed up."""
    fleet = rig()
    both = DAILY.model_copy(update={"source_group_ids": ("g1", "g2")})
    enroll(fleet, record(schedules=(both,)))
    return fleet


def stay(fleet: Rig, session: str, how_long: timedelta, **more: object) -> None:
    """Open the lid for so long; a run that is asked for meanwhile is cut off by the lid."""
    wake(fleet, session=session)
    fleet.advance(how_long)
    end = offline(fleet, session=session)
    fleet.publish(AgentOffline(**{**end.model_dump(), **more}))
    fleet.publish(interrupted(fleet, fleet.last(CatchupRequested)))
    fleet.advance(HOUR)


def listed(fleet: Rig) -> str:
    """Return what was decided about the latest list."""
    row = fleet.db.execute(
        "SELECT text FROM decision WHERE what = 'catchup_listed' ORDER BY row_id DESC LIMIT 1"
    ).fetchone()
    return str(row[0])


def asked(fleet: Rig) -> list[str]:
    return [event.source_group_id for event in fleet.of(CatchupRequested)]


def test_a_run_that_is_cut_off_makes_room_for_the_smaller() -> None:
    fleet = two_groups()
    stay(fleet, "S1", 15 * MINUTE)
    assert asked(fleet) == ["g1"]
    stay(fleet, "S2", 15 * MINUTE)
    assert asked(fleet) == ["g1", "g1"], "once is no habit"
    wake(fleet, session="S3")
    fleet.advance(SETTLE)
    assert asked(fleet) == ["g1", "g1", "g2"], "the other may be small"
    text = listed(fleet)
    assert text == "catch-up due: 2 to look at, the smallest first: the host usually stays 15m0s"


def test_runs_that_fit_stay_in_their_order() -> None:
    fleet = two_groups()
    wake(fleet, session="S1")
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    end = finished(fleet, first)
    took = {"started_at": fleet.now, "finished_at": fleet.now + MINUTE}
    fleet.publish(JobFinished(**{**end.model_dump(), **took}))
    assert asked(fleet) == ["g1", "g2"]


@pytest.mark.parametrize(
    ("reason", "first"),
    [
        pytest.param(OfflineReason.SLEEP, "g2", id="the lid"),
        pytest.param(OfflineReason.HEARTBEAT_TIMEOUT, "g2", id="out of reach"),
        pytest.param(OfflineReason.RESTART, "g1", id="an agent that restarts stays"),
        pytest.param(OfflineReason.GATEWAY_LOST, "g1", id="a gateway that is gone"),
    ],
)
def test_only_who_leaves_tells_how_long_it_stays(reason: OfflineReason, first: str) -> None:
    fleet = two_groups()
    for session in ("S1", "S2"):
        stay(fleet, session, 15 * MINUTE, reason=reason)
    wake(fleet, session="S3")
    fleet.advance(SETTLE)
    assert asked(fleet)[-1] == first


def test_a_bounce_is_no_stay_of_its_own() -> None:
    """The line breaks after ten minutes, and the lid is closed half an hour later; twice."""
    fleet = two_groups()
    for day in ("1", "2"):
        wake(fleet, session=f"S{day}")
        fleet.advance(10 * MINUTE)
        stay(fleet, f"T{day}", 30 * MINUTE)
    wake(fleet, session="S3")
    fleet.advance(SETTLE)
    assert listed(fleet).endswith("usually stays 40m0s")


def test_a_stay_in_which_nothing_could_run_says_nothing() -> None:
    fleet = two_groups()
    for number in range(9):
        wake(fleet, session=f"S{number}")
        fleet.advance(SETTLE / 2)
        fleet.publish(offline(fleet, session=f"S{number}"))
    fleet.input("catchup", lambda tx: _check_habit(tx))


def _check_habit(tx) -> None:
    assert get_habit(tx, "h1").stay is None
