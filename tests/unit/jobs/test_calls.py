"""The verbs, their errors, logs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.common.errors import DormiceError, HostNotFound
from libs.common.events.host import Audit
from libs.common.events.job import (
    JobAbandoned,
    JobFinished,
    JobInterrupted,
    JobOrigin,
    JobRequested,
    JobStatus,
)
from libs.common.testing.rig import VIEWER
from services.jobs.calls import VERBS
from services.jobs.settings import LOG_BYTES
from tests.unit.jobs.world import NINE, World, attempt_id, record

FIRST = attempt_id()
HOUR = timedelta(hours=1)


def code_of(world: World, verb: str, **arguments: object) -> str:
    with pytest.raises(DormiceError) as caught:
        world.ask(verb, **arguments)
    return caught.value.code


def backup(world: World, **more: object) -> str:
    return str(world.ask("backup", host_id="h1", source_group_id="g1", **more)["job_id"])


def test_backup_runs_now() -> None:
    world = World()
    world.connect()
    job = backup(world)
    (run,) = world.commands()
    assert (run["job_id"], run["source_group_id"]) == (job, "g1")
    assert "schedule_id" not in run
    requested = world.last(JobRequested)
    assert (requested.origin, requested.requested_by, requested.run_id) == (
        JobOrigin.MANUAL, "ada", None,
    )  # fmt: skip
    audit = world.last(Audit)
    assert (audit.action, audit.actor.name, audit.target) == ("backup.requested", "ada", job)
    world.run_to_end(job, "failed")
    assert world.last(JobFinished).last_attempt is True
    world.connect("S2")
    assert world.run_ids() == [job], "a manual backup has one attempt"


def test_a_manual_backup_that_is_interrupted_has_no_next_and_raises_nothing() -> None:
    world = World()
    world.connect()
    job = backup(world)
    world.accept(job)
    world.offline()
    world.connect("S2")
    assert world.status(job) == "interrupted"
    assert world.last(JobInterrupted).last_attempt is False
    assert world.run_ids() == [job]


def test_backup_refusals() -> None:
    world = World(record(repository_id=None))
    assert code_of(world, "backup", host_id="nobody", source_group_id="g1") == "host_not_found"
    assert code_of(world, "backup", host_id="h1", source_group_id="g9") == "not_found"
    assert code_of(world, "backup", host_id="h1", source_group_id="g1") == "no_repository"
    wakes = {"host_id": "h1", "source_group_id": "g1", "when_it_wakes": True}
    assert code_of(world, "backup", **wakes) == "no_repository"
    world.change(repository_id="repo")
    assert code_of(world, "backup", host_id="h1", source_group_id="g1") == "not_connected"
    world.connect()
    world.fire()
    assert code_of(world, "backup", host_id="h1", source_group_id="g1") == "busy"
    world.accept(FIRST)
    assert code_of(world, "backup", host_id="h1", source_group_id="g1") == "busy"
    assert {verb: entry.role for verb, entry in VERBS.items()} == {
        "backup": "operator", "start": "operator", "cancel": "operator", "log": "viewer",
        "get_job": "viewer", "list_jobs": "viewer",
    }  # fmt: skip
    assert VIEWER.role == "viewer"


def test_a_job_about_to_be_sent_makes_its_host_busy() -> None:
    world = World()
    world.hello()
    job = backup(world)
    assert world.run_ids() == [], "the reports are not in"
    assert code_of(world, "backup", host_id="h1", source_group_id="g2") == "busy"
    world.synced()
    world.decline(job)
    waits = backup(world)
    assert world.run_ids() == [job, waits], "one that pauses keeps nobody from the host"


def test_when_it_wakes() -> None:
    world = World()
    job = backup(world, when_it_wakes=True)
    assert backup(world, when_it_wakes=True) == job, "asked for twice, run once"
    assert world.last(JobRequested).pending is True
    world.advance(timedelta(days=9))
    world.connect()
    assert world.run_ids() == [job]


def test_when_it_is_free() -> None:
    world = World()
    world.connect()
    world.fire()
    world.accept(FIRST)
    job = backup(world, when_it_wakes=True)
    assert world.run_ids() == [FIRST]
    world.finish(FIRST)
    assert world.run_ids() == [FIRST, job]


def test_cancel_before_any_agent_took_it() -> None:
    world = World()
    job = backup(world, when_it_wakes=True)
    assert world.ask("cancel", job_id=job) == {"status": "cancelled"}
    end = world.last(JobFinished)
    assert (end.status, end.job_id) == (JobStatus.CANCELLED, job)
    assert world.last(Audit).action == "job.cancelled"
    world.connect()
    assert world.commands() == []
    assert code_of(world, "cancel", job_id=job) == "conflict"
    assert code_of(world, "cancel", job_id="nope") == "not_found"


def test_cancel_on_its_way_is_told_to_the_agent() -> None:
    world = World()
    world.connect()
    world.fire()
    world.ask("cancel", job_id=FIRST)
    assert world.status(FIRST) == "cancelled"
    assert world.commands("cancel") == [{"type": "cancel", "job_id": FIRST}]
    world.accept(FIRST)
    world.finish(FIRST, "cancelled")
    assert world.status(FIRST) == "cancelled"
    assert world.run_ids() == [FIRST]


def test_cancel_a_running_job_asks_its_agent_until_it_hears() -> None:
    world = World()
    world.connect()
    world.fire()
    world.accept(FIRST)
    assert world.ask("cancel", job_id=FIRST) == {"status": "dispatched"}
    assert len(world.commands("cancel")) == 1
    world.answer("cancel", reason="unknown")
    world.advance(timedelta(seconds=10))
    assert len(world.commands("cancel")) == 2
    world.connect("S2", running=(FIRST,))
    assert len(world.commands("cancel")) == 3
    world.finish(FIRST, "cancelled")
    assert world.status(FIRST) == "cancelled"
    world.connect("S3")
    assert len(world.commands("cancel")) == 3
    assert world.run_ids() == [FIRST], "cancelled is not tried again"


def test_list_jobs() -> None:
    world = World()
    world.connect()
    world.fire()
    world.run_to_end(FIRST)
    world.advance(HOUR)
    world.fire(NINE + HOUR)
    listed = world.ask("list_jobs")
    assert [job["id"] for job in listed] == [attempt_id(fire=NINE + HOUR), FIRST]
    assert [job["id"] for job in world.ask("list_jobs", status="succeeded")] == [FIRST]
    assert world.ask("list_jobs", host_id="h9") == []
    assert len(world.ask("list_jobs", limit=1)) == 1
    assert listed[1]["finished_at"] == "2026-06-15T09:00:00Z"
    with pytest.raises(HostNotFound):
        world.ask("backup", host_id="h9", source_group_id="g1")


# -- logs ------------------------------------------------------------------------------------------


def logged() -> World:
    world = World()
    world.connect()
    world.fire()
    world.accept(FIRST)
    return world


def line(world: World, offset: int, text: object, host: str = "h1", job: str = FIRST) -> None:
    world.live(
        "jobs", f"dormice-live.job.{host}.{job}",
        {"host_id": host, "job_id": job, "kind": "log", "offset": offset, "text": text},
    )  # fmt: skip


def log_of(world: World) -> tuple[str, bool]:
    answer = world.ask("log", job_id=FIRST)
    return answer["text"], answer["complete"]


def test_log_lines_in_any_order_doubled_and_complete_at_the_end() -> None:
    world = logged()
    line(world, 6, "!zwei\n")
    line(world, 0, "größ!")  # Seven bytes: what overlaps is there once.
    line(world, 6, "!zwei\n")
    line(world, 0, "other")
    assert log_of(world) == ("größ!zwei\n", False)
    world.finish(FIRST, log_tail="zwei\nend\n")
    assert log_of(world) == ("größ!zwei\nend\n", True)


def test_what_is_missing_shows() -> None:
    world = logged()
    line(world, 0, "a\n")
    line(world, 100, "z\n")
    world.finish(FIRST)
    assert log_of(world) == ("a\n\n[…]\nz\n", False)


def test_a_log_that_is_its_tail() -> None:
    world = logged()
    world.finish(FIRST, log_tail="all there is\n")
    assert log_of(world) == ("all there is\n", True)


def test_a_log_is_at_most_two_mebibytes() -> None:
    world = logged()
    text = "x" * (100 * 1024)
    for number in range(40):
        line(world, number * len(text), text)
    world.finish(FIRST, log_tail="€" * (64 * 1024))
    found, complete = log_of(world)
    assert 1024 * 1024 < len(found.encode()) <= LOG_BYTES
    assert found.endswith("€")
    assert complete is False


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "progress", "host_id": "h1", "job_id": FIRST, "percent": 3},
        {"kind": "log", "host_id": "h1", "job_id": FIRST, "offset": -1, "text": "x"},
        {"kind": "log", "host_id": "h1", "job_id": FIRST, "offset": 0, "text": 7},
        {"kind": "log", "host_id": "h1", "job_id": "unknown", "offset": 0, "text": "x"},
        {"kind": "log", "host_id": "h2", "job_id": FIRST, "offset": 0, "text": "x"},
        {},
    ],
)
def test_other_live_messages_are_ignored(data: dict) -> None:
    world = logged()
    world.live("jobs", "dormice-live.job.h1.j", data)
    assert log_of(world)[0] == ""


def test_nothing_is_abandoned_by_all_this() -> None:
    world = logged()
    world.finish(FIRST)
    assert not world.of(JobAbandoned)
