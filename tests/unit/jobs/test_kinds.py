"""Jobs of other kinds than backups: what may be asked for, where it is done, one at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from libs.common.errors import BadInput, DormiceError
from libs.common.events.agent import (
    AgentHello,
    AgentJobAccepted,
    AgentJobFinished,
    AgentOffline,
    AgentSynced,
    OfflineReason,
)
from libs.common.events.host import Audit, HostEnrolled, HostRecord
from libs.common.events.job import (
    JobAbandoned,
    JobFinished,
    JobInterrupted,
    JobKind,
    JobRequested,
)
from libs.common.protocol import RunStatus
from services.jobs import policy_kinds
from services.jobs.errors import GroupNotFound, NoRepository, NoRetention
from services.jobs.hosts import Host, Session
from tests.unit.jobs.world import HOME, MAIL, START, World, attempt_id, record

KEEPING = HOME.model_copy(update={"retention": {"keep_daily": 7}})
KEEPING_NONE = MAIL.model_copy(update={"retention": {"keep_daily": 0}})
RESTORE = {"snapshot": "latest", "target": "/back"}


@pytest.mark.parametrize(
    ("kind", "group", "arguments", "wrong"),
    [
        pytest.param("backup", "g1", None, None, id="a backup of a group"),
        pytest.param("backup", None, None, BadInput, id="a backup of nothing"),
        pytest.param("backup", "g9", None, GroupNotFound, id="a backup of a group that is gone"),
        pytest.param("forget", "g1", None, None, id="forget by retention"),
        pytest.param("forget", "g2", None, NoRetention, id="a retention of nothing is none"),
        pytest.param("forget", None, None, BadInput, id="forget what?"),
        pytest.param("prune", None, None, None, id="prune"),
        pytest.param("prune", "g1", None, BadInput, id="a prune is of the whole repository"),
        pytest.param("check", None, {"deep": 1}, BadInput, id="an argument that check lacks"),
        pytest.param("unlock", None, None, None, id="unlock"),
        pytest.param("init", None, None, None, id="init"),
        pytest.param("snapshots", None, None, None, id="list"),
        pytest.param("snapshots", "g1", {"all_hosts": True}, None, id="list of a group"),
        pytest.param("snapshots", "g9", None, GroupNotFound, id="list of a group that is gone"),
        pytest.param("restore", None, RESTORE, None, id="restore"),
        pytest.param("restore", None, None, BadInput, id="restore where to?"),
    ],
)
def test_what_may_be_asked_for(
    kind: str, group: str | None, arguments: dict[str, Any] | None, wrong: type[Exception] | None
) -> None:
    asked = record(source_groups=(KEEPING, KEEPING_NONE))
    if wrong is None:
        policy_kinds.check_request(asked, JobKind(kind), group, arguments)
        without = asked.model_copy(update={"repository_id": None})
        with pytest.raises(NoRepository):
            policy_kinds.check_request(without, JobKind(kind), group, arguments)
    else:
        with pytest.raises(wrong):
            policy_kinds.check_request(asked, JobKind(kind), group, arguments)


def host(name: str, *, always_on: bool, connected: bool = True) -> Host:
    session = Session("S", 1, "gw-1", START)
    return Host(record(id=name, name=name, always_on=always_on), session, connected, synced=True)


SERVER, LAPTOP = host("srv", always_on=True), host("lap", always_on=False)
AWAY = host("away", always_on=True, connected=False)
OTHER = host("a-srv", always_on=True)


@pytest.mark.parametrize(
    ("kind", "asked", "sharing", "chosen"),
    [
        pytest.param("check", LAPTOP, [LAPTOP, SERVER], SERVER, id="a server that shares"),
        pytest.param("prune", LAPTOP, [SERVER, OTHER], OTHER, id="always the same one"),
        pytest.param("check", LAPTOP, [LAPTOP, AWAY], LAPTOP, id="a server that is away"),
        pytest.param("check", LAPTOP, [LAPTOP], LAPTOP, id="nobody shares"),
        pytest.param("check", SERVER, [OTHER, SERVER], SERVER, id="a server was asked"),
        pytest.param("check", AWAY, [SERVER], AWAY, id="a server was asked, and is away"),
        pytest.param("forget", LAPTOP, [SERVER], LAPTOP, id="forget is about the host itself"),
        pytest.param("restore", LAPTOP, [SERVER], LAPTOP, id="so is a restore"),
    ],
)
def test_where_it_is_done(kind: str, asked: Host, sharing: list[Host], chosen: Host) -> None:
    assert policy_kinds.choose_host(JobKind(kind), asked, sharing) is chosen


# -- one at a time ---------------------------------------------------------------------------------


class Two(World):
    """h1 and h2 share a repository; h3 has another."""

    def __init__(self) -> None:
        super().__init__(record(source_groups=(KEEPING, MAIL)))
        for name, repository in (("h2", "repo"), ("h3", "another")):
            other = record(
                id=name, name=name, repository_id=repository, source_groups=(KEEPING, MAIL)
            )
            self.enroll(other)
        for name in ("h1", "h2", "h3"):
            self.wake(name)

    def enroll(self, other: HostRecord) -> None:
        self.publish(HostEnrolled(host_id=other.id, record=other))

    def wake(self, name: str, number: int = 1) -> None:
        session = f"{name}-S{number}"
        self.publish(
            AgentHello(host_id=name, session=session, gateway="gw-1", connection=number),
            AgentSynced(host_id=name, session=session),
        )

    def sleep(self, name: str, number: int = 1) -> None:
        self.publish(
            AgentOffline(host_id=name, session=f"{name}-S{number}", last_seen=self.now,
                         reason=OfflineReason.SLEEP)
        )  # fmt: skip

    def ask_for(self, name: str, kind: str, **more: Any) -> str:
        return str(self.ask("start", host_id=name, kind=kind, **more)["job_id"])

    def take(self, name: str, job: str) -> None:
        self.publish(
            AgentJobAccepted(host_id=name, session=f"{name}-S1", job_id=job, state="accepted")
        )

    def end(self, name: str, job: str, status: str = "succeeded") -> None:
        self.publish(
            AgentJobFinished(host_id=name, session=f"{name}-S1", job_id=job, at=self.now,
                             received_at=self.now, status=RunStatus(status))
        )  # fmt: skip


def test_one_at_a_time_in_each_repository() -> None:
    world = Two()
    check = world.ask_for("h1", "check")
    prune = world.ask_for("h2", "prune")
    other = world.ask_for("h3", "check")
    assert world.run_ids() == [check, other], "h2 shares the repository with h1"
    assert "job_waits" in world.decisions("jobs", "h2")
    world.take("h1", check)
    world.advance(timedelta(hours=3))
    assert world.run_ids() == [check, other]
    world.end("h1", check, "failed")
    assert world.run_ids() == [check, other, prune]


@pytest.mark.parametrize("how", ["declined", "cancelled", "session lost", "removed"])
def test_whatever_ends_the_lock_lets_the_next_go(how: str) -> None:
    world = Two()
    check = world.ask_for("h1", "check")
    prune = world.ask_for("h2", "prune")
    if how == "declined":
        world.session = "h1-S1"
        world.decline(check, "unsupported_kind")
    elif how == "cancelled":
        world.ask("cancel", job_id=check)
    elif how == "session lost":
        world.take("h1", check)
        world.sleep("h1")
    else:
        world.take("h1", check)
        world.change(removed=True)
    assert world.run_ids() == [check, prune]


def test_a_backup_waits_for_who_has_the_repository_for_itself() -> None:
    world = Two()
    check = world.ask_for("h1", "check")
    backup = world.ask_for("h2", "backup", source_group_id="g1")
    listed = world.ask_for("h2", "snapshots")
    assert world.run_ids() == [check, listed], "a list locks nothing"
    world.take("h2", listed)
    world.end("h2", listed)
    assert world.run_ids() == [check, listed]
    world.take("h1", check)
    world.end("h1", check)
    assert world.run_ids() == [check, listed, backup]


def test_a_fire_meanwhile_is_held() -> None:
    world = Two()
    check = world.ask_for("h2", "check")
    world.take("h2", check)
    world.session = "h1-S1"
    world.fire()
    fired = attempt_id()
    assert world.status(fired) == "requested"
    (hold,) = world.commands("hold")
    assert (hold["job_id"], hold["reason"]) == (fired, "repository_busy")
    world.end("h2", check)
    assert world.run_ids() == [check, fired]


def test_a_prune_waits_for_backups_and_is_not_overtaken() -> None:
    world = Two()
    backup = world.ask_for("h1", "backup", source_group_id="g1")
    world.take("h1", backup)
    prune = world.ask_for("h2", "prune")
    assert world.run_ids() == [backup], "restic would only meet the backup's lock"
    laptop = record(id="lap", name="lap", always_on=False)
    world.enroll(laptop)
    world.wake("lap")
    later = world.ask_for("lap", "backup", source_group_id="g1")
    assert world.run_ids() == [backup], "who comes later waits behind the prune"
    world.end("h1", backup)
    assert world.run_ids() == [backup, prune]
    world.take("h2", prune)
    world.end("h2", prune)
    assert world.run_ids() == [backup, prune, later]


def test_a_prune_of_a_host_that_falls_asleep_holds_nobody_up() -> None:
    world = Two()
    backup = world.ask_for("h1", "backup", source_group_id="g1")
    world.take("h1", backup)
    world.ask_for("h2", "prune")
    world.enroll(record(id="lap", name="lap", always_on=False))
    world.wake("lap")
    later = world.ask_for("lap", "backup", source_group_id="g1")
    assert world.run_ids() == [backup]
    world.sleep("h2")
    assert world.run_ids() == [backup, later]


# -- how they go -----------------------------------------------------------------------------------


def test_a_restore_is_told_all_and_never_repeated() -> None:
    world = World()
    world.connect()
    arguments = {"snapshot": "1a2b3c4d", "target": "/back", "paths": ["/home/a"]}
    started = world.ask("start", host_id="h1", kind="restore", arguments=arguments)
    job = started["job_id"]
    assert started == {"job_id": job, "host_id": "h1"}
    (run,) = world.commands("run")
    assert (run["kind"], run["arguments"]) == ("restore", arguments)
    assert run["timeout_seconds"] == 3 * 86_400
    assert world.last(JobRequested).arguments == arguments
    audit = world.last(Audit)
    assert (audit.action, (audit.after or {})["arguments"]) == ("restore.requested", arguments)
    assert world.job(job)["arguments"] == arguments
    world.accept(job)
    world.start(job)
    world.offline()
    world.connect("S2")
    assert world.status(job) == "interrupted"
    assert world.last(JobInterrupted).last_attempt is False
    world.advance(timedelta(days=1))
    world.connect("S3")
    assert world.run_ids() == [job]


def test_asked_for_twice_while_it_waits_is_one_job() -> None:
    world = World()
    wanted = {"host_id": "h1", "kind": "restore", "when_it_wakes": True}
    here = {**wanted, "arguments": {"snapshot": "latest", "target": "/here"}}
    there = {**wanted, "arguments": {"snapshot": "latest", "target": "/there"}}
    first = world.ask("start", **here)
    assert world.ask("start", **here) == first
    assert world.ask("start", **there) != first


def test_an_agent_that_is_too_old_is_asked_once_and_nobody_is_alarmed() -> None:
    world = World()
    world.connect()
    job = world.ask("start", host_id="h1", kind="check")["job_id"]
    world.decline(job, "unsupported_kind")
    given_up = world.last(JobAbandoned)
    assert (given_up.job_id, given_up.loud) == (job, False)
    assert given_up.reason == "the agent cannot do this (unsupported_kind)"
    world.advance(timedelta(days=1))
    assert world.run_ids() == [job]


def test_a_failed_check_is_told_as_a_check_and_no_backup_of_the_group() -> None:
    world = World(record(source_groups=(KEEPING, MAIL)))
    world.connect()
    job = world.ask("start", host_id="h1", kind="forget", source_group_id="g1")["job_id"]
    world.run_to_end(job)
    done = world.last(JobFinished)
    assert (done.kind, done.source_group_id, done.last_attempt) == (JobKind.FORGET, "g1", True)
    assert world.buckets.get("backups", {}) == {}, "a forget is no backup"


def test_a_check_of_a_laptop_goes_to_the_server_that_shares() -> None:
    world = Two()
    laptop = record(id="lap", name="lap", always_on=False)
    world.enroll(laptop)
    done = world.ask("start", host_id="lap", kind="check")
    assert done["host_id"] == "h1"
    assert world.run_ids() == [done["job_id"]]


def test_errors_have_codes() -> None:
    world = World(record(source_groups=(KEEPING_NONE,)))
    for asked, code in (
        ({"kind": "forget", "source_group_id": "g2"}, "no_retention"),
        ({"kind": "check"}, "not_connected"),
        ({"kind": "restore", "arguments": {"snapshot": "latest"}}, "bad_input"),
        ({"kind": "forget", "source_group_id": "g9"}, "not_found"),
    ):
        with pytest.raises(DormiceError) as caught:
            world.ask("start", host_id="h1", **asked)
        assert caught.value.code == code, asked
