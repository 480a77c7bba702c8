"""What a page says of a host: its state, what it does, what is wrong, what comes next. Pure.

Presence is exactly one state; activity and attention are laid over it, never mixed in one list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from libs.common.events.alert import AlertKind
from libs.common.events.host import HostMode
from libs.common.protocol import FailureReason
from services.ui.pages.times import clock, since, span_since, until, zone_of
from services.ui.views import CatchUpView, Display, HostView, JobView

WILL_CATCH_UP = "will catch up on return"
NEVER_CONNECTED = "never connected"
EXPECTED_TITLE = "Expected online 24×7 — offline raises an alert"
PRESENCE_TITLE = "Change presence mode"
ALWAYS_ON_LABEL = "Always On — expected online 24×7"
ALWAYS_ON_HELP = (
    "Uncheck for an intermittent host (laptop/workstation): it won’t raise offline alerts when "
    "asleep, shows an “asleep” state, and catches up a missed backup ~1 minute after it reconnects."
)
SAVE_PRESENCE = "Save presence"
NOTHING_NEEDS_YOU = "Nothing needs you."

DOTS = {
    Display.ONLINE: "online",
    Display.OFFLINE: "offline",
    Display.ASLEEP: "asleep",
    Display.NEVER_SEEN: "never-seen",
}
"""Class of the dot, `dot-<…>`, and name of its shape."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with at most one moment in it, shown relative to now."""

    before: str
    moment: datetime | None = None
    after: str = ""

    def text(self, now: datetime) -> str:
        return self.before + (since(self.moment, now) if self.moment else "") + self.after


def row_state(host: HostView) -> Phrase:
    """Return the presence of a host as its row says it."""
    if host.display is Display.ASLEEP:
        if host.last_seen_at is None:
            return Phrase(f"asleep · {WILL_CATCH_UP}")
        return Phrase("asleep · ", host.last_seen_at, f" · {WILL_CATCH_UP}")
    if host.display is Display.OFFLINE:
        return Phrase("last seen ", host.last_seen_at)
    return Phrase("online" if host.display is Display.ONLINE else NEVER_CONNECTED)


def detail_state(host: HostView) -> Phrase:
    """Return the presence of a host as its own page says it."""
    if host.display is Display.ASLEEP:
        return Phrase("asleep · last seen ", host.last_seen_at, f" · {WILL_CATCH_UP}")
    if host.display is Display.ONLINE:
        return Phrase("online · last heartbeat ", host.last_seen_at)
    return row_state(host)


def action_label(host: HostView) -> str | None:
    """Return the word beside the state: `asleep` or `offline`; the others say it themselves."""
    if host.display in (Display.ASLEEP, Display.OFFLINE):
        return host.display.value
    return None


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a host does or what is wrong: a shape, a kind (colour) and words.

    `until`: the words end with a countdown to it. `percent`: how far a job is.
    """

    shape: str
    kind: str
    text: str
    until: datetime | None = None
    percent: float | None = None


def activities(host: HostView) -> list[Overlay]:
    """Return what a host is busy with or waits for."""
    found = []
    if host.current_job is not None:
        found.append(_running(host))
    arm = host.catch_up
    if arm is not None and arm.state == "settling" and arm.due_at is not None:
        found.append(Overlay("clock", "waiting", "catches up in ", until=arm.due_at))
    elif arm is not None and arm.place is not None:
        found.append(Overlay("clock", "waiting", in_queue(arm, zone_of(host.timezone))))
    elif arm is not None and arm.state in ("queued", "settling"):
        found.append(Overlay("clock", "waiting", "queued to catch up"))
    elif arm is not None and arm.reason is not None and host.current_job is None:
        found.append(Overlay("clock", "waiting", waits(arm, zone_of(host.timezone))))
    elif arm is not None and host.current_job is None:
        found.append(Overlay("clock", "waiting", "catching up"))
    if host.pending_jobs and host.current_job is None:
        word = "backup waits" if host.pending_jobs == 1 else "backups wait"
        found.append(Overlay("clock", "waiting", f"{host.pending_jobs} {word} for it"))
    return found


_DOING = {
    "backup": "backing up",
    "forget": "forgetting",
    "prune": "pruning",
    "check": "checking",
    "unlock": "unlocking",
    "init": "making the repository",
    "restore": "restoring",
    "snapshots": "listing snapshots",
}


def _running(host: HostView) -> Overlay:
    job = host.current_job
    assert job is not None
    doing = _DOING.get(job.kind, job.kind)
    if job.status != "running":
        return Overlay("pie", "running", f"{doing}: accepted")
    if job.percent is None:
        return Overlay("pie", "running", doing)
    return Overlay("pie", "running", f"{doing} {percent(job.percent)}", percent=job.percent)


def attentions(host: HostView, now: datetime) -> list[Overlay]:
    """Return what someone should look at. Being asleep is nothing of the kind."""
    found = []
    ahead = host.next_alert
    if host.display is Display.OFFLINE and ahead and ahead.kind == AlertKind.AGENT_OFFLINE:
        when = f"alert in {until(ahead.at, now)}" if ahead.at > now else "alert due"
        found.append(Overlay("triangle", "attention", when))
    if host.failing:
        found.append(Overlay("triangle", "attention", f"failed {max(host.failed_runs, 1)}×"))
    if AlertKind.STALE_SCHEDULE in host.told and host.last_backup_at is not None:
        span = now - host.last_backup_at
        found.append(Overlay("triangle", "attention", f"no backup for {span_since(span)}"))
    return found


def last_backup(host: HostView) -> Phrase:
    return Phrase("", host.last_backup_at) if host.last_backup_at else Phrase("no backup yet")


def next_backup(host: HostView, now: datetime) -> str:
    """Return what the row says of the next backup."""
    if not host.has_schedule:
        return "nothing scheduled"
    arm = host.catch_up
    if arm is not None and arm.place is not None:
        return f"{ordinal(arm.place)} in queue"
    if host.overdue and host.display in (Display.ASLEEP, Display.OFFLINE, Display.NEVER_SEEN):
        return "overdue, waits"
    if host.next_fire_at is None:
        return "never fires"
    at = clock(host.next_fire_at, now, zone_of(host.timezone))
    return f"overdue, next {at}" if host.overdue else f"next {at}"


def in_queue(arm: CatchUpView, where: ZoneInfo) -> str:
    """`3rd in queue, starts about 09:40`."""
    words = f"{ordinal(arm.place or 0)} in queue"
    at = arm.starts_at
    return words if at is None else f"{words}, starts about {at.astimezone(where):%H:%M}"


def waits(arm: CatchUpView, where: ZoneInfo) -> str:
    """`catch-up waits: the repository cannot be reached from the host; tried again at 09:40`."""
    words = f"catch-up waits: {arm.reason}"
    at = arm.starts_at
    return words if at is None else f"{words}; tried again at {at.astimezone(where):%H:%M}"


def backup_button(host: HostView) -> str:
    return "Back up now" if host.display is Display.ONLINE else "Back up when it wakes"


def ordinal(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def percent(value: float) -> str:
    """`41 %`; a job that runs is never done before it says so."""
    return f"{min(max(int(value), 0), 100)} %"


# --- Jobs and alerts ------------------------------------------------------------------------------

JOB_SHAPES = {
    "requested": ("clock", "waiting"),
    "dispatched": ("clock", "waiting"),
    "running": ("pie", "running"),
    "succeeded": ("check", "good"),
    "succeeded_with_warnings": ("check", "attention"),
    "failed": ("triangle", "attention"),
    "cancelled": ("cross", "muted"),
    "interrupted": ("cross", "attention"),
    "abandoned": ("triangle", "attention"),
}


ENDS = ("succeeded", "succeeded_with_warnings", "failed", "cancelled", "interrupted", "abandoned")


def is_over(job: JobView) -> bool:
    """Say whether nothing more happens to a job by itself."""
    return job.status in ENDS


def job_status(job: JobView) -> Overlay:
    """Return a job's state in words, with its shape."""
    shape, kind = JOB_SHAPES.get(job.status, ("clock", "waiting"))
    text = job.status.replace("_", " ")
    if job.status == "requested" and job.pending:
        text = "waits for the host"
    if job.status == "running" and job.percent is not None:
        return Overlay(shape, kind, f"running {percent(job.percent)}", percent=job.percent)
    return Overlay(shape, kind, text)


def job_progress(job: JobView) -> str:
    """Return how far a running job is: `1.2 MiB of 3.4 MiB · 120 files · 2 min left`."""
    if job.status != "running":
        return ""
    done, total = size(job.bytes_done), size(job.bytes_total)
    files = f"{job.files_done} files" if job.files_done is not None else ""
    left = f"{math.ceil(job.seconds_left / 60)} min left" if job.seconds_left else ""
    amount = f"{done} of {total}" if done and total else done
    return " · ".join(part for part in (amount, files, left) if part)


def job_follows(job: JobView) -> str:
    """Return what comes after a job that did not succeed, where that is not in its error."""
    unreachable = job.reason == FailureReason.REPOSITORY_UNREACHABLE
    if job.status == "failed" and unreachable and job.origin == "catchup":
        return "the catch-up tries again, with growing pauses, until the repository is reached"
    return ""


def job_about(job: JobView) -> str:
    """Return what a job was asked beside its kind: `snapshot 1a2b3c4d into /tmp/restored`."""
    asked = job.arguments or {}
    if job.kind == "restore":
        paths = ", ".join(map(str, asked.get("paths") or [])) or "everything"
        return f"{paths} of snapshot {asked.get('snapshot')} into {asked.get('target')}"
    return "of all hosts that share the repository" if asked.get("all_hosts") else ""


def mode_hosts(mode: str) -> str:
    """Return the hosts of a mode: `24×7 hosts`, `intermittent hosts`."""
    return "24×7 hosts" if mode == HostMode.ALWAYS_ON else "intermittent hosts"


def alert_name(kind: str) -> str:
    return kind.replace("_", " ")


WHAT = {
    "alert_raised": "alert", "alert_resolved": "resolved", "alert_acknowledged": "acknowledged",
    "alert_silenced": "silenced", "alert_unsilenced": "silenced no more",
    "alert_reminded": "told again",
    "alert_held": "held back", "alert_released": "released", "alert_muted": "muted",
    "catchup_armed": "woke", "catchup_requested": "caught up", "catchup_listed": "due",
    "catchup_waits": "waits", "catchup_pair_skipped": "skipped", "catchup_finished": "caught up",
    "catchup_send_failed": "send failed", "same_condition": "still so", "no_alert_yet": "no alert",
}  # fmt: skip
"""Names of decisions, as people say them; `dormice why` says the same."""


def decision_name(what: str) -> str:
    """Return a decision's name. Of a catch-up that was dropped, its text says why."""
    if what not in WHAT and what.startswith("catchup_"):
        return "no catch-up"
    return WHAT.get(what, what.replace("_", " "))


def size(count: float | None) -> str:
    """Return bytes as people read them: `3.4 MiB`."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
