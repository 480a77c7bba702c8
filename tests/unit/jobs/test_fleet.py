"""Catch-up and jobs together on one log, with a scripted agent."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from libs.common.events.agent import (
    AgentHello,
    AgentJobAccepted,
    AgentJobDeclined,
    AgentJobFinished,
    AgentJobStarted,
    AgentOffline,
    AgentScheduleFired,
    AgentSynced,
    OfflineReason,
)
from libs.common.events.catchup import (
    CatchupFinished,
    CatchupRequested,
    CatchupSkipped,
    SkipReason,
)
from libs.common.events.host import HostEnrolled, HostModeChanged, HostRecord, Schedule
from libs.common.events.job import SUCCESSES, JobFinished, JobInterrupted, JobUndeliverable
from libs.common.protocol import FailureReason, RunStatus
from libs.common.testing.rig import START, Fleet
from services.catchup.machine import CatchupMachine
from services.catchup.settings import CatchupSettings
from services.jobs.machine import JobsMachine
from services.jobs.settings import JobsSettings
from tests.unit.jobs.world import HOME, MAIL, NINE, attempt_id, record

SETTLE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
BOTH = Schedule(id="s1", name="hourly", cron="0 * * * *", source_group_ids=("g1", "g2"))
ONE = BOTH.model_copy(update={"source_group_ids": ("g1",)})
LAPTOP = record(always_on=False, schedules=(ONE,), enrolled_at=START - timedelta(days=9))


class Pair(Fleet):
    """The two services, and an agent that does what the test says."""

    def __init__(self, *records: HostRecord, **caps: int) -> None:
        super().__init__(CatchupMachine(CatchupSettings(**caps)), JobsMachine(JobsSettings()))
        self.sessions: dict[str, str] = {}
        self.counter = 0
        self.executed: list[str] = []
        for one in records or (LAPTOP,):
            self.publish(HostEnrolled(host_id=one.id, record=one))

    def hello(self, host: str = "h1", running: tuple[str, ...] = ()) -> str:
        self.counter += 1
        session = self.sessions[host] = f"S{self.counter}"
        self.publish(
            AgentHello(host_id=host, session=session, gateway="gw-1", connection=self.counter,
                       running=running)
        )  # fmt: skip
        return session

    def synced(self, host: str = "h1") -> None:
        self.publish(AgentSynced(host_id=host, session=self.sessions[host]))

    def wake(self, host: str = "h1", running: tuple[str, ...] = ()) -> None:
        self.hello(host, running)
        self.synced(host)

    def sleep(self, host: str = "h1") -> None:
        self.publish(
            AgentOffline(host_id=host, session=self.sessions[host], last_seen=self.now,
                         reason=OfflineReason.SLEEP)
        )  # fmt: skip

    def inbox(self) -> list[dict[str, Any]]:
        """Return the `run` frames that were handed out since the last call, as written."""
        runs = []
        for effect in list(self.effects["jobs"]):
            frame = effect.payload["frame"]
            if frame["type"] == "run":
                runs.append(frame | {"host_id": effect.payload["host_id"]})
            self.end_effect("jobs", effect, ok=True)
        return runs

    def take(self, frame: dict[str, Any]) -> None:
        """The agent accepts and starts; an agent that does it twice is the failure."""
        job, host = frame["job_id"], frame["host_id"]
        assert job not in self.executed
        self.executed.append(job)
        session = self.sessions[host]
        self.publish(
            AgentJobAccepted(host_id=host, session=session, job_id=job, state="accepted"),
            AgentJobStarted(host_id=host, session=session, job_id=job, at=self.now,
                            received_at=self.now),
        )  # fmt: skip

    def end(
        self, frame: dict[str, Any], status: RunStatus = RunStatus.SUCCEEDED,
        reason: str | None = None,
    ) -> None:  # fmt: skip
        host = frame["host_id"]
        self.publish(
            AgentJobFinished(host_id=host, session=self.sessions[host], job_id=frame["job_id"],
                             at=self.now, received_at=self.now, status=status,
                             reason=reason)
        )  # fmt: skip

    def run_one(
        self, status: RunStatus = RunStatus.SUCCEEDED, reason: str | None = None
    ) -> dict[str, Any]:
        (frame,) = self.inbox()
        self.take(frame)
        self.end(frame, status, reason)
        return frame


def test_a_laptop_wakes_settles_and_catches_up() -> None:
    fleet = Pair()
    fleet.wake()
    fleet.advance(SETTLE - SECOND)
    assert fleet.inbox() == []
    fleet.advance(SECOND)
    frame = fleet.run_one()
    assert frame["job_id"] == attempt_id()
    done = fleet.last(CatchupFinished)
    assert (done.runs, done.succeeded) == (1, 1)
    assert fleet.call("catchup", "get_arm", host_id="h1") is None


def test_settle_end_and_run_command_are_one_pass() -> None:
    fleet = Pair()
    fleet.wake()
    fleet.clock.advance(SETTLE)
    fleet.settle()
    assert len(fleet.inbox()) == 1


def test_groups_one_after_another_and_a_failure_stops_nothing() -> None:
    fleet = Pair(LAPTOP.model_copy(update={"schedules": (BOTH,)}))
    fleet.wake()
    fleet.advance(SETTLE)
    first = fleet.run_one(RunStatus.FAILED)
    second = fleet.run_one()
    assert (first["source_group_id"], second["source_group_id"]) == ("g1", "g2")
    done = fleet.last(CatchupFinished)
    assert (done.runs, done.succeeded) == (2, 1)


def test_a_retry_of_a_failed_catch_up_keeps_the_slot() -> None:
    group = HOME.model_copy(update={"retry_max": 1})
    one = LAPTOP.model_copy(update={"source_groups": (group, MAIL)})
    fleet = Pair(one, one.model_copy(update={"id": "h2"}), catchup_max_fleet=1)
    fleet.wake("h1")
    fleet.wake("h2")
    fleet.advance(SETTLE)
    assert fleet.run_one(RunStatus.FAILED)["host_id"] == "h1"
    assert fleet.call("catchup", "get_arm", host_id="h2")["place"] == 1
    fleet.advance(SETTLE)
    again = fleet.run_one()
    assert (again["host_id"], again["attempt"]) == ("h1", 2)
    assert fleet.run_one()["host_id"] == "h2"


def test_r15_out_of_reach_all_day_costs_no_alarm_and_no_attempt_twice() -> None:
    daily = ONE.model_copy(update={"cron": "0 9 * * *"})
    fleet = Pair(LAPTOP.model_copy(update={"schedules": (daily,)}))
    fleet.wake()
    fleet.advance(SETTLE)
    unreachable = FailureReason.REPOSITORY_UNREACHABLE.value
    began, attempts = fleet.now, []
    while fleet.now < began + 22 * HOUR:
        attempts.append(fleet.run_one(RunStatus.FAILED, unreachable)["attempt"])
        fleet.advance(HOUR / 2)
    done = fleet.run_one()
    assert attempts == list(range(1, len(attempts) + 1))
    assert done["attempt"] == len(attempts) + 1
    finished = fleet.of(JobFinished)
    assert [event.last_attempt for event in finished] == [False] * len(attempts) + [True]
    assert (fleet.last(CatchupFinished).succeeded, fleet.of(CatchupSkipped)) == (1, [])


def test_r16_the_send_fails_and_the_next_hello_catches_up() -> None:
    fleet = Pair(LAPTOP.model_copy(update={"schedules": (BOTH,)}))
    fleet.wake()
    fleet.advance(SETTLE)
    (effect,) = fleet.effects["jobs"]
    fleet.end_effect("jobs", effect, ok=False, reason="not_connected")
    assert fleet.last(JobUndeliverable).arm_id == "S1"
    assert fleet.call("catchup", "get_arm", host_id="h1")["state"] == "waiting"
    fleet.wake()
    fleet.advance(SETTLE)
    frame = fleet.run_one()
    assert (frame["source_group_id"], frame["attempt"]) == ("g1", 1)
    assert fleet.run_one()["source_group_id"] == "g2"


def test_a_lid_closed_amid_the_run() -> None:
    fleet = Pair()
    fleet.wake()
    fleet.advance(SETTLE)
    (frame,) = fleet.inbox()
    fleet.take(frame)
    fleet.sleep()
    fleet.advance(timedelta(minutes=20))
    fleet.wake()
    assert len(fleet.of(JobInterrupted)) == 1
    assert fleet.inbox() == [], "it settles and queues like any other"
    fleet.advance(SETTLE)
    assert fleet.run_one()["attempt"] == 2
    assert fleet.last(CatchupFinished).succeeded == 1


def test_a_lid_closed_amid_a_run_that_goes_on() -> None:
    fleet = Pair()
    fleet.wake()
    fleet.advance(SETTLE)
    (frame,) = fleet.inbox()
    fleet.take(frame)
    fleet.sleep()
    fleet.advance(timedelta(minutes=20))
    fleet.wake(running=(frame["job_id"],))
    fleet.advance(SETTLE)
    assert fleet.call("catchup", "get_arm", host_id="h1")["state"] == "waiting"
    fleet.end(frame)
    assert fleet.inbox() == []
    assert SkipReason.COVERED_BY in [event.reason for event in fleet.of(CatchupSkipped)]


def test_a_pending_run_at_the_hello_covers_the_catch_up() -> None:
    """R17 sends the fire of 09:00 at the hello; the catch-up finds it done."""
    fleet = Pair()
    fleet.wake()
    fleet.advance(SETTLE)
    fleet.run_one()
    fleet.advance(HOUR - SETTLE)
    fleet.publish(
        AgentScheduleFired(host_id="h1", session="S1", schedule_id="s1", source_group_id="g1",
                           fire_time=NINE + HOUR, received_at=fleet.now)
    )  # fmt: skip
    fleet.sleep()
    fleet.inbox()
    fleet.advance(timedelta(minutes=30))
    fleet.wake()
    fleet.advance(SECOND)
    assert fleet.run_one()["fire_time"] == "2026-06-15T10:00:00Z"
    fleet.advance(SETTLE)
    assert fleet.inbox() == []
    assert fleet.last(CatchupSkipped).reason is SkipReason.COVERED_BY


def test_r15_the_agent_ran_alone_what_the_catch_up_asks_for() -> None:
    fleet = Pair()
    fleet.hello()
    fleet.publish(
        AgentJobFinished(
            host_id="h1", session="S1", job_id=attempt_id(), at=NINE - SECOND, received_at=NINE,
            status=RunStatus.SUCCEEDED, schedule_id="s1", source_group_id="g1", fire_time=NINE,
            attempt=1,
        )
    )  # fmt: skip
    fleet.synced()
    fleet.advance(SETTLE)
    assert fleet.inbox() == [], "its clock was a second behind: overdue, but the run succeeded"
    assert fleet.call("catchup", "get_arm", host_id="h1") is None


def test_always_on_by_now_gets_the_undelivered_run_at_its_hello() -> None:
    fleet = Pair()
    fleet.wake()
    fleet.advance(SETTLE)
    fleet.inbox()
    fleet.sleep()
    server = LAPTOP.model_copy(update={"always_on": True, "version": 2})
    fleet.publish(HostModeChanged(host_id="h1", record=server, always_on=True))
    fleet.wake()
    assert fleet.run_one()["attempt"] == 1


def test_a_declining_agent_does_not_hold_up_others() -> None:
    fleet = Pair(LAPTOP, LAPTOP.model_copy(update={"id": "h2"}), catchup_max_fleet=2)
    fleet.wake("h1")
    fleet.wake("h2")
    fleet.advance(SETTLE)
    first, second = fleet.inbox()
    fleet.publish(
        AgentJobDeclined(host_id="h1", session=fleet.sessions["h1"], job_id=first["job_id"],
                         reason="stale_config")
    )  # fmt: skip
    fleet.take(second)
    fleet.end(second)
    fleet.advance(timedelta(seconds=30))
    assert fleet.run_one()["host_id"] == "h1"


def test_a_thousand_laptops_at_nine() -> None:
    """Never more than 20 runs, 4 per repository, all done, none twice."""
    count = 200
    hosts = [
        LAPTOP.model_copy(update={"id": f"h{number:04}", "repository_id": f"r{number % 7}"})
        for number in range(count)
    ]
    fleet = Pair(*hosts)
    for one in hosts:
        fleet.wake(one.id)
    fleet.advance(SETTLE)
    open_runs = fleet.inbox()
    while open_runs:
        assert len(open_runs) <= 20
        per_repository: dict[int, int] = {}
        for frame in open_runs:
            repository = int(frame["host_id"][1:]) % 7
            per_repository[repository] = per_repository.get(repository, 0) + 1
        assert max(per_repository.values()) <= 4
        frame = open_runs.pop(0)
        fleet.take(frame)
        fleet.end(frame)
        open_runs += fleet.inbox()
    assert len(fleet.of(CatchupFinished)) == len(set(fleet.executed)) == count


@pytest.mark.parametrize("seed", range(25))
def test_r15_r16_a_random_life(seed: int) -> None:
    """Lids, bounces, losses and doubled events: no attempt is executed twice, none follows a
    success of its run, at most one run of a host at a time, and in the end all is quiet."""
    random = Random(seed)
    fleet = Pair(LAPTOP.model_copy(update={"schedules": (BOTH,)}))
    running: dict[str, Any] | None = None
    online = False
    for _ in range(120):
        act = random.choice(["wake", "sleep", "time", "time", "end", "again", "lose"])
        if act == "wake":
            kept = running if random.random() < 0.7 else None
            running = kept
            fleet.wake(running=(running["job_id"],) if running else ())
            online = True
        elif act == "sleep" and online:
            fleet.sleep()
            online = False
        elif act == "time":
            fleet.advance(timedelta(seconds=random.choice([5, 61, 1900])))
        elif act == "again":
            fleet.redeliver(random.sample(fleet.log, min(3, len(fleet.log))))
        elif act == "lose" and online:
            fleet.inbox()
        elif act == "end" and running and online:
            fleet.end(running, random.choice([RunStatus.SUCCEEDED, RunStatus.FAILED]))
            running = None
        if online and running is None:
            running = _accept_one(fleet)
    _check_attempts(fleet)
    _come_to_rest(fleet, running)


def _come_to_rest(fleet: Pair, running: dict[str, Any] | None) -> None:
    """From now on everything succeeds: nothing may be left open anywhere."""
    fleet.wake(running=(running["job_id"],) if running else ())
    for _ in range(12):
        while running is not None:
            fleet.end(running)
            running = _accept_one(fleet)
        fleet.advance(timedelta(minutes=31))
        running = _accept_one(fleet)
    assert running is None
    _check_attempts(fleet)
    jobs, catchup = fleet.cores["jobs"].db, fleet.cores["catchup"].db
    assert jobs.execute("SELECT count(*) FROM job WHERE at_agent").fetchone() == (0,)
    open_statuses = "('requested', 'dispatched', 'running')"
    left = jobs.execute(f"SELECT * FROM job WHERE status IN {open_statuses}").fetchall()
    assert left == []
    for table in ("arm", "pair", "run"):
        assert catchup.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert catchup.execute("SELECT count(*) FROM job WHERE state = 'busy'").fetchone() == (0,)


def _accept_one(fleet: Pair) -> dict[str, Any] | None:
    """The agent takes a run; one that it knows it answers with its state, and never runs again."""
    taken = None
    for frame in fleet.inbox():
        job, host = frame["job_id"], frame["host_id"]
        if job in fleet.executed:
            state = fleet.call("jobs", "get_job", job_id=job)["status"]
            fleet.publish(
                AgentJobAccepted(host_id=host, session=fleet.sessions[host], job_id=job,
                                 state=state)
            )  # fmt: skip
        elif taken is None:
            fleet.take(frame)
            taken = frame
    return taken


def _check_attempts(fleet: Pair) -> None:
    started: dict[str, int] = {}
    ended: set[str] = set()
    succeeded: set[str] = set()
    for event in fleet.log:
        if isinstance(event, AgentJobStarted) and event.job_id not in started:
            started[event.job_id] = len(started)
            run = _run_of(fleet, event.job_id)
            assert run not in succeeded, "an attempt after a success"
        if isinstance(event, JobFinished) and event.run_id:
            ended.add(event.job_id)
            if event.status in SUCCESSES:
                succeeded.add(event.run_id)
    requests = [
        (event.arm_id, event.schedule_id, event.source_group_id)
        for event in dict.fromkeys(fleet.of(CatchupRequested))
    ]
    assert len(requests) == len(set(requests)), "at most one run per arm and pair"


def _run_of(fleet: Pair, job_id: str) -> str:
    row = fleet.cores["jobs"].db.execute("SELECT run_id FROM job WHERE job_id = ?", (job_id,))
    return str(row.fetchone()[0])
