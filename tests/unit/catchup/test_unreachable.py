"""A catch-up whose repository nobody answers for: put off, never dropped, tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from libs.common.clock import TICK
from libs.common.events.agent import AgentPower
from libs.common.events.catchup import CatchupFinished, CatchupRequested, CatchupSkipped
from libs.common.events.job import JobStatus
from libs.common.testing.rig import Rig
from services.catchup.policy import ArmVerdict
from services.catchup.policy_conditions import next_reach
from services.catchup.settings import CatchupSettings
from tests.unit.catchup.world import (
    SETTLE,
    change,
    dispatched,
    enroll,
    finished,
    foreign_success,
    offline,
    out_of_reach,
    record,
    rig,
    set_mode,
    wake,
)

MINUTE = timedelta(minutes=1)
REASON = ArmVerdict.REPOSITORY_UNREACHABLE.value


@pytest.mark.parametrize(("times", "minutes"), [(1, 1), (2, 2), (5, 16), (6, 30), (5000, 30)])
def test_the_pause_doubles_to_half_an_hour(times: int, minutes: int) -> None:
    settings = CatchupSettings.load()
    pause = next_reach(times, first=settings.catchup_retry, cap=settings.catchup_retry_cap)
    assert pause == minutes * MINUTE


def settled(**settings: int) -> Rig:
    """A laptop whose first run found nobody at its repository."""
    fleet = rig(**settings)
    enroll(fleet)
    wake(fleet)
    fleet.advance(SETTLE)
    request = fleet.last(CatchupRequested)
    fleet.publish(dispatched(fleet, request), out_of_reach(fleet, request))
    return fleet


def requests(fleet: Rig) -> list[int]:
    return [event.put_off for event in fleet.of(CatchupRequested)]


def test_it_waits_says_why_and_when_and_tries_again_with_growing_pauses() -> None:
    fleet = settled()
    arm = fleet.ask("get_arm", host_id="h1")
    assert (arm["state"], arm["reason"]) == ("waiting", REASON)
    assert datetime.fromisoformat(arm["starts_at"]) == fleet.now + MINUTE
    for number, pause in enumerate([1, 2, 4, 8, 16, 30, 30], 1):
        fleet.advance(pause * MINUTE - TICK)
        assert requests(fleet) == list(range(number))
        fleet.advance(TICK)
        assert requests(fleet) == list(range(number + 1))
        fleet.publish(out_of_reach(fleet, fleet.last(CatchupRequested), attempt=number + 1))
    assert not fleet.of(CatchupSkipped)
    assert "catchup_waits" in fleet.decisions("catchup", "h1")


def test_it_ends_with_the_first_run_that_gets_through() -> None:
    fleet = settled()
    fleet.advance(MINUTE)
    fleet.publish(finished(fleet, fleet.last(CatchupRequested), attempt=2))
    done = fleet.last(CatchupFinished)
    assert (done.runs, done.succeeded) == (1, 1)


def test_no_run_anyway_after_a_day_it_is_never_dropped_and_never_run_without_a_repository() -> None:
    fleet = settled()
    while len(fleet.of(CatchupRequested)) < 2 * 24 * 2:
        fleet.advance(30 * MINUTE)
        assert fleet.ask("get_arm", host_id="h1")["state"] == "running"
        request = fleet.last(CatchupRequested)
        fleet.publish(out_of_reach(fleet, request, attempt=request.put_off + 1))
        assert fleet.ask("get_arm", host_id="h1")["reason"] == REASON
    assert not fleet.of(CatchupSkipped)


def test_it_holds_no_slot_meanwhile_and_queues_like_any_other() -> None:
    fleet = settled(catchup_max_fleet=1)
    enroll(fleet, record("h2", repository_id="other"))
    wake(fleet, "h2", session="S2")
    fleet.advance(SETTLE)
    assert [event.host_id for event in fleet.of(CatchupRequested)] == ["h1", "h1"]
    fleet.publish(out_of_reach(fleet, fleet.last(CatchupRequested), attempt=2))
    second = fleet.last(CatchupRequested)
    assert second.host_id == "h2", "the slot is free"
    fleet.advance(10 * MINUTE)
    assert fleet.ask("get_arm", host_id="h1")["place"] == 1
    fleet.publish(finished(fleet, second))
    assert fleet.last(CatchupRequested).host_id == "h1"


def test_r11_the_next_hello_arms_anew_and_begins_with_a_short_pause() -> None:
    fleet = settled()
    fleet.advance(MINUTE)
    fleet.publish(out_of_reach(fleet, fleet.last(CatchupRequested), attempt=2))
    fleet.publish(offline(fleet))
    wake(fleet, session="S2")
    fleet.advance(SETTLE)
    request = fleet.last(CatchupRequested)
    assert (request.arm_id, request.put_off) == ("S2", 0)
    fleet.publish(out_of_reach(fleet, request, attempt=3))
    fleet.advance(MINUTE)
    assert fleet.last(CatchupRequested).put_off == 1


def test_another_repository_is_tried_at_once() -> None:
    fleet = settled()
    change(fleet, record(version=2, name="renamed"))
    assert requests(fleet) == [0]
    change(fleet, record(version=3, repository_id="another"))
    assert requests(fleet) == [0, 1]


def test_another_network_is_tried_at_once() -> None:
    fleet = settled()
    fleet.publish(AgentPower(host_id="h1", session="S1", on_battery=True))
    assert requests(fleet) == [0], "the same network"
    fleet.publish(AgentPower(host_id="h1", session="S1", on_battery=True, metered=False))
    assert requests(fleet) == [0, 1]


def test_a_backup_that_got_through_says_that_it_can_be_reached() -> None:
    fleet = settled()
    fleet.publish(foreign_success(fleet, group="g2"))
    assert requests(fleet) == [0, 1]


def test_the_same_end_told_again_ends_no_later_attempt() -> None:
    fleet = settled()
    first = out_of_reach(fleet, fleet.last(CatchupRequested))
    fleet.advance(MINUTE)
    fleet.publish(dispatched(fleet, fleet.last(CatchupRequested), attempt=2), first)
    assert fleet.ask("get_arm", host_id="h1")["state"] == "running"
    fleet.advance(10 * MINUTE)
    assert requests(fleet) == [0, 1]


def test_r12_a_host_that_is_always_on_by_now_leaves_it_to_its_schedule() -> None:
    fleet = settled()
    set_mode(fleet, record(version=2, always_on=True))
    assert fleet.ask("get_arm", host_id="h1") is None


def test_the_rest_of_the_list_waits_for_the_same_repository() -> None:
    fleet = rig()
    both = record().schedules[0].model_copy(update={"source_group_ids": ("g1", "g2")})
    enroll(fleet, record(schedules=(both,)))
    wake(fleet)
    fleet.advance(SETTLE)
    fleet.publish(out_of_reach(fleet, fleet.last(CatchupRequested)))
    fleet.advance(MINUTE)
    fleet.publish(finished(fleet, fleet.last(CatchupRequested), 2, status=JobStatus.FAILED))
    asked = [(event.source_group_id, event.put_off) for event in fleet.of(CatchupRequested)]
    assert asked == [("g1", 0), ("g1", 1), ("g2", 1)]


def test_a_restart_keeps_the_pause() -> None:
    fleet = settled()
    fleet.restart("catchup")
    assert fleet.ask("get_arm", host_id="h1")["reason"] == REASON
    fleet.advance(MINUTE - TICK)
    assert requests(fleet) == [0]
    fleet.advance(TICK)
    assert requests(fleet) == [0, 1]
