"""What the command line says of hosts, alerts and jobs: shapes and words. Pure: rows and `now`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from cli.table import Row
from cli.terminal import Shape
from cli.times import countdown, local_clock, moment, since, until

PRESENCE = {
    "online": (Shape.ONLINE, "online"),
    "offline": (Shape.OFFLINE, "offline"),
    "asleep": (Shape.ASLEEP, "asleep"),
    "never_seen": (Shape.NEVER_SEEN, "never connected"),
}
ALERT_WORDS = {
    "agent_offline": "offline",
    "stale_schedule": "no backup",
    "pending_run_abandoned": "run abandoned",
    "backup_not_succeeding": "no backup",
    "schedule_missed": "no run",
}
_SHAPES = {ord(one.shape): None for one in Shape if one is not Shape.NONE}
JOB_SHAPES = {
    "requested": Shape.WAITING,
    "dispatched": Shape.WAITING,
    "running": Shape.RUNNING,
    "failed": Shape.ATTENTION,
    "interrupted": Shape.ATTENTION,
    "abandoned": Shape.ATTENTION,
    "succeeded_with_warnings": Shape.ATTENTION,
}
JOB_ENDS = frozenset(
    {"succeeded", "succeeded_with_warnings", "failed", "cancelled", "interrupted", "abandoned"}
)


def mode(host: Row) -> str:
    return "24×7" if host["always_on"] else "intermittent"


def brief_mode(host: Row) -> str:
    return "24×7" if host["always_on"] else "may sleep"


def presence(host: Row) -> str:
    """`☾ asleep`: exactly one state, by its shape and its word."""
    shape, word = PRESENCE[host["display"]]
    return shape.beside(word)


def brief_presence(host: Row) -> str:
    return presence(host).replace("never connected", "never seen")


def seen(host: Row, now: datetime) -> str:
    at = moment(host["last_seen_at"])
    return since(at, now) if at else "never"


def last_backup(host: Row, now: datetime) -> str:
    at = moment(host["last_backup_at"])
    return since(at, now) if at else "none yet"


def brief_ago(text: str) -> str:
    """`18 min` for `18 min ago`."""
    return text.removeprefix("just ").removesuffix(" ago")


def next_backup(host: Row, now: datetime) -> str:
    """Return what the host does or waits for, else when its next backup is.

    As on the page: what is overdue waits for a host that is away, and only one that sleeps is
    caught up when it wakes.
    """
    if host["current_job_id"]:
        return Shape.RUNNING.beside("backing up")
    if host["catch_up"]:
        return Shape.WAITING.beside(catching_up(host["catch_up"], now))
    if host["overdue"] and host["display"] != "online":
        return "when it wakes" if host["display"] == "asleep" else "overdue, waits"
    at = moment(host["next_fire_at"])
    if at is None:
        return "-"
    due = local_clock(at, now)
    return f"{due} (overdue)" if host["overdue"] else due


def brief_next(host: Row, now: datetime) -> str:
    """Return the same without its shape: the word says it, too."""
    text = next_backup(host, now)
    if "overdue" in text:
        return "overdue"
    return text.translate(_SHAPES).strip().replace("catches up in", "catch-up")


def catching_up(arm: Row, now: datetime) -> str:
    """`catches up in 0:42` (when it begins), `3rd in queue, starts in about 9 min`,
    `catch-up waits: …`."""
    due = moment(arm["due_at"])
    if arm["state"] == "settling" and due:
        return f"catches up in {countdown(due, now)}"
    if arm["place"]:
        starts = moment(arm["starts_at"])
        about = f", starts in about {until(starts, now)}" if starts else ""
        return f"{ordinal(arm['place'])} in queue{about}"
    if arm["reason"]:
        return f"catch-up waits: {arm['reason']}"
    return {"running": "catching up", "waiting": "waits to catch up"}.get(arm["state"], "queued")


def ordinal(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def alert_word(kind: str) -> str:
    return ALERT_WORDS.get(kind, kind.replace("_", " "))


def attention(host: Row, kinds: Sequence[str]) -> str:
    """Return what someone should look at, `-` for nothing."""
    if kinds:
        words = ", ".join(dict.fromkeys(map(alert_word, kinds)))
        return Shape.ATTENTION.beside(words)
    return Shape.ATTENTION.beside("look") if host["attention"] else "-"


def brief_attention(host: Row, kinds: Sequence[str]) -> str:
    return attention(host, kinds).translate(_SHAPES).strip()


def alert_warning(host: Row, now: datetime) -> str:
    """Return what an offline host within its floor will lead to: `alert in 9 min`."""
    ahead = host["next_alert"]
    if not ahead:
        return ""
    at = moment(ahead["at"])
    if at is None or at <= now:
        return "alert due"
    return f"alert in {until(at, now)}"


def fleet_summary(fleet: Mapping[str, int]) -> str:
    """`18 hosts: 6 online, 11 asleep, 1 offline · 2 need attention`."""
    text = presences(fleet)
    if count := fleet["attention"]:
        text += f" · {count} need{'s' if count == 1 else ''} attention"
    return text


def calm_summary(fleet: Mapping[str, int]) -> str:
    """The same where no alert counts: who has attention all the same has a backup that failed last
    or an alert that is silenced, or sleeps."""
    text = presences(fleet)
    if count := fleet["attention"]:
        text += f" · {count} to look at, no alert counts: dormice hosts is:attention"
    return text


def presences(fleet: Mapping[str, int]) -> str:
    """`18 hosts: 6 online, 11 asleep, 1 offline`."""
    total = fleet["total"]
    parts = [
        f"{fleet[key]} {word}"
        for key, word in (("online", "online"), ("asleep", "asleep"), ("offline", "offline"),
                          ("never_seen", "never connected"))
        if fleet[key]
    ]  # fmt: skip
    return f"{total} host{'' if total == 1 else 's'}" + (f": {', '.join(parts)}" if parts else "")


def job_state(job: Row) -> str:
    word = job["status"].replace("_", " ")
    if job["status"] == "requested" and job["pending"]:
        word = "waits for the host"
    if job["status"] == "running" and job["percent"] is not None:
        word = f"running {min(max(int(job['percent']), 0), 100)} %"
    return JOB_SHAPES.get(job["status"], Shape.NONE).beside(word)


def job_progress(job: Row) -> str:
    """Return how far a running job is: `1.2 MiB of 3.4 MiB, 120 files, 2 min left`."""
    if job["status"] != "running" or job.get("bytes_done") is None:
        return ""
    total = f" of {size(job['bytes_total'])}" if job["bytes_total"] else ""
    files = f", {job['files_done']} files" if job["files_done"] is not None else ""
    left = f", {math.ceil(job['seconds_left'] / 60)} min left" if job["seconds_left"] else ""
    return size(job["bytes_done"]) + total + files + left


def alert_state(alert: Row) -> str:
    shape = Shape.NONE if alert["state"] == "resolved" else Shape.ATTENTION
    if alert["state"] != "open":
        return shape.beside(alert["state"])
    held = "held" if alert["held_by"] else "open"
    return shape.beside("silenced" if alert["silenced"] else held)


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
