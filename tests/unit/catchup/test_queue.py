"""Admission: caps, order, places, slots of hosts that are away."""

from __future__ import annotations

from datetime import timedelta

from libs.common.events.catchup import CatchupRequested
from libs.common.events.host import HostRemoved
from libs.common.events.job import JobOrigin, JobStarted
from libs.common.testing.rig import START, Fleet, Rig
from services.catchup import arms
from services.catchup.machine import CatchupMachine
from services.catchup.settings import CatchupSettings
from tests.unit.catchup.world import (
    SECOND,
    SETTLE,
    dispatched,
    enroll,
    finished,
    foreign_success,
    hello,
    interrupted,
    offline,
    record,
    rig,
    synced,
    wake,
)

RUN = timedelta(minutes=10)


def fleet_of(count: int, *, repositories: int = 100, **settings: int) -> Rig:
    fleet = rig(**settings)
    names = [f"h{number:03}" for number in range(count)]
    for number, name in enumerate(names):
        enroll(fleet, record(name, repository_id=f"r{number % repositories}"))
    for name in names:
        fleet.publish(hello(name, f"S-{name}"), synced(name, f"S-{name}"))
    return fleet


def requested(fleet: Fleet) -> list[str]:
    return [request.host_id for request in fleet.of(CatchupRequested)]


def place(fleet: Fleet, host_id: str) -> int | None:
    arm = fleet.call("catchup", "get_arm", host_id=host_id)
    return arm["place"] if arm else None


def test_never_more_than_the_fleet_cap_and_places_are_unique() -> None:
    fleet = fleet_of(30)
    assert place(fleet, "h000") is None
    fleet.advance(SETTLE)
    assert len(requested(fleet)) == 20
    places = [place(fleet, f"h{number:03}") for number in range(30)]
    assert places[:20] == [None] * 20
    assert places[20:] == list(range(1, 11))
    assert fleet.call("catchup", "get_arm", host_id="h020")["state"] == "queued"


def test_a_free_slot_goes_to_the_next_at_once() -> None:
    fleet = fleet_of(22)
    fleet.advance(SETTLE)
    fleet.publish(finished(fleet, fleet.of(CatchupRequested)[0]))
    assert requested(fleet)[-1] == "h020"
    assert (place(fleet, "h020"), place(fleet, "h021")) == (None, 1)


def test_longest_without_a_success_first_never_counts_as_longest() -> None:
    fleet = rig(catchup_max_fleet=1)
    for name, days in [("a", 2), ("b", 9), ("c", 0), ("d", 5)]:
        enroll(fleet, record(name))
        if days:
            fleet.publish(
                foreign_success(fleet, name, at=START - timedelta(days=days), job=f"old-{name}")
            )
    for name in "abcd":
        wake(fleet, name, f"S-{name}")
    fleet.advance(SETTLE)
    for _ in range(3):
        fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert requested(fleet) == ["c", "b", "d", "a"]


def test_ties_go_by_due_time_then_host_id() -> None:
    fleet = rig(catchup_max_fleet=1)
    for name in ("z", "b", "a", "first"):
        enroll(fleet, record(name))
    wake(fleet, "first", "S-first")
    fleet.advance(SECOND)
    wake(fleet, "z", "S-z")
    fleet.advance(SECOND)
    fleet.publish(*[event for name in "ba" for event in (hello(name, name), synced(name, name))])
    fleet.advance(SETTLE)
    for _ in range(3):
        fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert requested(fleet) == ["first", "z", "a", "b"]


def test_a_repository_takes_four_and_blocks_nobody_behind() -> None:
    fleet = rig()
    for number in range(6):
        enroll(fleet, record(f"a{number}", repository_id="shared"))
    enroll(fleet, record("z", repository_id="own"))
    for name in ["a0", "a1", "a2", "a3", "a4", "a5", "z"]:
        wake(fleet, name, f"S-{name}")
    fleet.advance(SETTLE)
    assert requested(fleet) == ["a0", "a1", "a2", "a3", "z"]
    assert [place(fleet, name) for name in ("a4", "a5")] == [1, 2]
    fleet.publish(finished(fleet, fleet.of(CatchupRequested)[4]))
    assert len(requested(fleet)) == 5
    fleet.publish(finished(fleet, fleet.of(CatchupRequested)[0]))
    assert requested(fleet)[-1] == "a4"


def test_a_slot_is_held_only_while_its_host_is_online() -> None:
    fleet = fleet_of(3, catchup_max_fleet=1)
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    taken = dispatched(fleet, first)
    fleet.publish(taken, offline(fleet, "h000", "S-h000"))
    assert requested(fleet) == ["h000", "h001"]
    wake(fleet, "h000", "S2", running=(taken.job_id,))
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert requested(fleet) == ["h000", "h001"], "the run that goes on at h000 counts again"
    fleet.publish(finished(fleet, first))
    assert requested(fleet) == ["h000", "h001", "h002"]


def test_the_next_attempt_of_an_interrupted_run_settles_and_queues_like_any_other() -> None:
    fleet = fleet_of(2, catchup_max_fleet=1)
    fleet.advance(SETTLE)
    first = fleet.last(CatchupRequested)
    fleet.publish(dispatched(fleet, first), offline(fleet, "h000", "S-h000"))
    fleet.publish(hello("h000", "S2"), synced("h000", "S2"), interrupted(fleet, first))
    fleet.advance(SETTLE - SECOND)
    assert requested(fleet) == ["h000", "h001"]
    fleet.advance(SECOND)
    assert requested(fleet) == ["h000", "h001"], "the slot is h001's"
    assert place(fleet, "h000") == 1
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert requested(fleet) == ["h000", "h001", "h000"]
    assert fleet.last(CatchupRequested).arm_id == "S2"


def test_a_cap_of_zero_pauses() -> None:
    fleet = fleet_of(2, catchup_max_fleet=0)
    fleet.advance(timedelta(hours=3))
    assert requested(fleet) == []
    assert place(fleet, "h001") == 2


def test_who_goes_offline_leaves_the_queue() -> None:
    fleet = fleet_of(3, catchup_max_fleet=1)
    fleet.advance(SETTLE)
    assert place(fleet, "h002") == 2
    fleet.publish(offline(fleet, "h001", "S-h001"))
    assert (place(fleet, "h001"), place(fleet, "h002")) == (None, 1)


def test_a_removed_host_leaves_its_slot_to_the_next() -> None:
    fleet = fleet_of(2, catchup_max_fleet=1)
    fleet.advance(SETTLE)
    gone = record("h000", version=2, removed=True)
    fleet.publish(HostRemoved(host_id="h000", record=gone))
    assert requested(fleet) == ["h000", "h001"]


def test_r12_a_job_that_began_while_its_host_was_queued_is_waited_for() -> None:
    fleet = fleet_of(2, catchup_max_fleet=1)
    fleet.advance(SETTLE)
    manual = {"host_id": "h001", "job_id": "manual-1", "origin": JobOrigin.MANUAL}
    fleet.publish(JobStarted(**manual, at=fleet.now))
    fleet.publish(finished(fleet, fleet.last(CatchupRequested)))
    assert requested(fleet) == ["h000"]
    assert fleet.call("catchup", "get_arm", host_id="h001")["state"] == "waiting"
    fleet.publish(foreign_success(fleet, "h001", "g2"))
    assert requested(fleet) == ["h000", "h001"]


def test_a_thousand_laptops_at_nine() -> None:
    """Never more than 20 at once, all done, none twice, and in no more time than the cap needs."""
    fleet = fleet_of(1000, repositories=1000)
    fleet.advance(SETTLE)
    done = 0
    while done < len(fleet.of(CatchupRequested)):
        open_now = fleet.of(CatchupRequested)[done:]
        assert len(open_now) <= 20
        fleet.advance(RUN)
        fleet.publish(*[finished(fleet, request) for request in open_now])
        done += len(open_now)
    assert done == len(set(requested(fleet))) == 1000
    assert fleet.now - START == SETTLE + RUN * 1000 / 20


def test_a_restart_keeps_arms_and_queue() -> None:
    """The machine keeps nothing in memory: another one on the same file goes on."""
    fleet = fleet_of(3, catchup_max_fleet=1)
    fleet.advance(SETTLE / 2)
    fleet.cores["catchup"].machine = CatchupMachine(CatchupSettings(catchup_max_fleet=2))
    fleet.advance(SETTLE / 2)
    assert requested(fleet) == ["h000", "h001"]
    assert place(fleet, "h002") == 1


def test_slots_are_counted_by_repository() -> None:
    fleet = fleet_of(3, repositories=2)
    fleet.advance(SETTLE)
    fleet.input("catchup", lambda tx: _check_slots(tx))


def _check_slots(tx) -> None:
    slots = arms.slots_in_use(tx, fleet_cap=20, repository_cap=4)
    assert (slots.fleet, slots.by_repository) == (3, {"r0": 2, "r1": 1})
