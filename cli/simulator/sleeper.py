"""What an agent is before it does any work: it sleeps, wakes, dials, and keeps its reports.

    asleep ──wakes──▶ dialling ──welcome──▶ connected ──lid, crash, cut──▶ …

Its disk (`spool`, `jobs`, `waiting`, `config`, `counter`) outlives its process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli.simulator.shell import Link
from cli.simulator.times import Session
from libs.common.protocol import (
    CloseCode,
    Config,
    Goodbye,
    GoodbyeReason,
    Hello,
    JobFinished,
    SpoolState,
)

if TYPE_CHECKING:
    from cli.simulator.world import World

AUTONOMY = timedelta(seconds=60)
IN_FLIGHT = 100
ENDS = {"succeeded", "succeeded_with_warnings", "failed", "cancelled", "interrupted"}


@dataclass(slots=True)
class Done:
    """An execution that really happened, for the oracle. Times are the server's."""

    job_id: str
    run: str | None
    group: str | None
    began: datetime
    ended: datetime | None = None
    status: str = ""
    acknowledged: bool = False
    names: dict[str, Any] = field(default_factory=dict)
    kind: str = "backup"

    @property
    def is_decisive(self) -> bool:
        """Whether it came to something by itself: it was neither cancelled nor cut off."""
        return self.status in ("succeeded", "succeeded_with_warnings", "failed")


@dataclass(slots=True)
class Waiting:
    """A fire that was reported and not answered."""

    schedule_id: str
    group_id: str
    fire_time: datetime
    due_at: datetime


@dataclass(eq=False)
class Sleeper(ABC):
    """One host's life and connection; `Agent` adds what it does."""

    world: World
    host_id: str
    name: str
    zone: str
    clock_error: timedelta
    repository: str = ""
    is_awake: bool = False
    removed: bool = False
    link: Link | None = None
    counter: int = 0
    spool: list[Any] = field(default_factory=list)
    last_seq: int = 0
    sent_seq: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    known_fires: set[str] = field(default_factory=set)
    config: Config | None = None
    running: Done | None = None
    done: list[Done] = field(default_factory=list)  # one after another, so by their ends too
    by_job: dict[str, Done] = field(default_factory=dict)
    life: int = 0
    looked_until: datetime | None = None
    waits: float = 1.0
    greeted_at: datetime | None = None  # the services' time, as all here
    left_at: datetime | None = None
    left_by_this_clock: bool = True  # Nobody has set the services' clock since.
    synced_at: datetime | None = None
    calm_since: datetime | None = None
    edited_at: datetime | None = None
    mode_set_at: datetime | None = None
    limits_set_at: datetime | None = None
    clock_set_at: datetime | None = None  # the services'
    sessions: list[Session] = field(default_factory=list)
    has_power: bool = True
    fails_until: datetime | None = None  # by what has really elapsed, as the next
    wedged_until: datetime | None = None
    reported: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _watching: object = None

    def last_success(self, *, acknowledged: bool, group: str | None = None) -> datetime | None:
        """Return the latest end of a good backup, of those that were acknowledged, or of all.

        The latest by the services' clock: once that was set back, a newer run may have ended
        earlier by it.
        """
        ends = (
            one.ended
            for one in self.done
            if one.kind == "backup" and one.ended and one.status.startswith("succeeded")
            and group in (None, one.group) and (one.acknowledged or not acknowledged)
        )  # fmt: skip
        return max(ends, default=None)

    def clock(self) -> datetime:
        """The agent's own clock."""
        return self.world.now + self.clock_error

    def set_clock(self, error: timedelta) -> None:
        """Have its clock wrong by `error` from now on; what it has still to tell is dated by it."""
        self._date_anew(self.clock_error - error)
        self.clock_error = error
        if self.is_awake:
            self._later(15 * self.world.random.random(), self._watch_clock)

    def services_clock_was_set(self, by: timedelta) -> None:
        """Its own clock goes on as it did; what it has still to tell will be dated by the new."""
        self.clock_error -= by
        self.left_by_this_clock = False
        self.clock_set_at = self.world.now + by
        self._date_anew(by)

    def _date_anew(self, by: timedelta) -> None:
        for one in self.done:
            if one.ended is not None and not one.acknowledged:
                one.ended += by
                if not one.names:  # It was sent: the server knows that it did not end before.
                    one.ended = max(one.ended, one.began)

    # --- sleeping and waking

    def wake_up(self) -> None:
        if self.is_awake or self.removed or not self.has_power:
            return
        self.is_awake = True
        self.life += 1
        self.waits = 1.0
        now = self.clock()
        for each in self.waiting.values():
            each.due_at = max(each.due_at, now + AUTONOMY)
        self._later(self.world.random.uniform(0.1, 3), self._dial)
        self._later(1, self._watch_clock)
        if self.running is not None:
            self._work_on(self.running)

    def fall_asleep(self, reason: GoodbyeReason | None) -> None:
        """Close the lid; with a goodbye if there is time for one."""
        if not self.is_awake:
            return
        if self.link is not None and reason is not None:
            self.send(Goodbye(reason=reason))
        self.is_awake = False
        self.life += 1
        self._drop_link()

    def crash(self) -> None:
        """The process dies and is started again a little later; what it ran is interrupted."""
        self.fall_asleep(None)
        if self.running is not None:
            self._end(self.running, "interrupted")

    def _drop_link(self) -> None:
        link, self.link = self.link, None
        if link is not None:
            shell = self.world.shell_of(link)
            self._left(link)
            shell.cut(link)

    def _left(self, link: Link) -> None:
        if link.welcomed:
            self.left_at = self.world.shell_of(link).last_frame(link)
            self.left_by_this_clock = True
            if self.sessions:
                self.sessions[-1].ended = self.sessions[-1].ended or self.left_at

    def _later(self, seconds: float, what: Any) -> None:
        """Do something later in this waking, unless it ends before."""
        life = self.life
        self.world.after(seconds, lambda: what() if self.life == life else None)

    # --- the connection

    def _dial(self) -> None:
        if self.link is not None or self.removed:
            return
        self.counter = max(self.counter + 1, int(self.clock().timestamp() * 1000))
        shell = self.world.choose_shell()
        self.link = None if shell is None else shell.dial(self, self._hello())
        if self.link is None:
            self._dial_again()
        else:
            link = self.link
            self._later(60, lambda: self._give_up(link))

    def _hello(self) -> Hello:
        running = [job for job, state in self.jobs.items() if state not in ENDS]
        last_seq = self.spool[-1].seq if self.spool else 0
        return Hello(
            protocol=1, connection=self.counter, now=self.clock(), agent_version="1", os="linux",
            hostname=self.name, arch="x86_64", timezone=self.zone, boot_id="b", running=running,
            config_version=self.config.version if self.config else 0,
            spool=SpoolState(id=f"spool-{self.host_id}", last_seq=last_seq),
        )  # fmt: skip

    def _give_up(self, link: Link) -> None:
        if self.link is link and not link.welcomed:
            self.link = None
            self.world.shell_of(link).cut(link)
            self._dial_again()

    def _dial_again(self) -> None:
        self._later(self.world.random.uniform(0, self.waits) + 0.05, self._dial)
        self.waits = min(self.waits * 2, 60)

    def on_welcome(self, link: Link) -> None:
        link.greeted = True
        self.waits = 1.0
        self.greeted_at = self.world.now
        self.sessions.append(Session(self.world.now))
        self.synced_at = None if self.spool else self.world.now
        self.sent_seq = self.spool[0].seq - 1 if self.spool else self.last_seq
        self._send_reports()

    def on_closed(self, link: Link, code: int) -> None:
        if self.link is not link:
            return
        self.link = None
        self._left(link)
        if code == CloseCode.UNKNOWN_TOKEN:
            self.waits = 3600
        if self.is_awake and code != 1000:
            self._dial_again()

    def notice_cut(self, link: Link) -> None:
        """No frame came for 2.5 intervals: the link is dead."""
        if self.link is link:
            self.link = None
            self._left(link)
            if self.is_awake:
                self._dial_again()

    def send(self, *frames: Any) -> None:
        if self.link is not None and self.link.welcomed:
            self.world.shell_of(self.link).receive(self.link, *frames)

    # --- the spool

    def report(self, frame: Any) -> None:
        self.last_seq += 1
        self.spool.append(frame.model_copy(update={"seq": self.last_seq}))
        self._send_reports()

    def _send_reports(self) -> None:
        if self.link is None or not self.link.welcomed:
            return
        room = IN_FLIGHT - sum(frame.seq <= self.sent_seq for frame in self.spool)
        fresh = [frame for frame in self.spool if frame.seq > self.sent_seq][:room]
        if fresh:
            self.sent_seq = fresh[-1].seq
            self.send(*fresh)

    def on_ack(self, seq: int) -> None:
        ended = {f.job_id for f in self.spool if f.seq <= seq and isinstance(f, JobFinished)}
        for job_id in ended:
            self._acknowledge(self.by_job[job_id])
        self.spool = [frame for frame in self.spool if frame.seq > seq]
        if not self.spool:
            self.synced_at = self.synced_at or self.world.now
        self._send_reports()

    def _acknowledge(self, one: Done) -> None:
        one.acknowledged = True
        if one.run is not None and one.status.startswith("succeeded"):
            self.world.truth.succeeded.add(one.job_id)

    # --- what it does

    @abstractmethod
    def on_config(self, config: Config) -> None:
        """Apply a configuration."""

    @abstractmethod
    def on_command(self, frame: dict[str, Any]) -> None:
        """Take a `run`, `hold` or `cancel`."""

    @abstractmethod
    def _watch_clock(self) -> None:
        """Do what the clock asks for, now and from now on."""

    @abstractmethod
    def _work_on(self, one: Done) -> None:
        """Go on with a job."""

    @abstractmethod
    def _end(self, one: Done, status: str) -> None:
        """A job has ended."""
