"""What operators do about alerts: silence them, for once or every week, and handle one together."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from cli.simulator.operators import MINUTE, TAGS, edit, some_host
from cli.simulator.oracle_hands import Handled
from cli.simulator.oracle_silences import DAYS, Silence, Weekly
from libs.common.errors import DormiceError
from libs.common.events.alert import AlertKind

if TYPE_CHECKING:
    from cli.simulator.world import World

HOUR = timedelta(hours=1)
ZONES = ["Europe/Berlin", "America/New_York", "UTC", "Australia/Lord_Howe"]


def silence(world: World, random: Random) -> None:
    """A host, a tag, a kind, or two of them: from now or later on, for once or every week."""
    asked = _whom(world, random)
    begins_at = world.now + HOUR * random.choice([0, 0, random.uniform(0, 12)])
    asked["from"] = begins_at
    wanted = Silence(begins_at, None, asked.get("host_id"), asked.get("tag"), asked.get("kind"))
    if random.random() < 0.4:
        wanted.weekly = weekly = _weekly(random)
        asked["weekly"] = {"days": weekly.days, "from": weekly.begins, "to": weekly.ends,
                           "timezone": weekly.zone}  # fmt: skip
    if wanted.weekly is not None and random.random() < 0.5:
        asked["until_ended"] = True
    else:
        asked["to"] = wanted.ends_at = begins_at + HOUR * random.choice([1, 6, 30, 100])
    world.truth.disturb("silence made")
    world.truth.unanswered += 1
    world.nodes["alerting"].call("create_silence", partial(_made, world, wanted), **asked)


def _whom(world: World, random: Random) -> dict[str, Any]:
    found, by = some_host(world, random), random.choice(["host", "tag", "kind", "both"])
    asked: dict[str, Any] = {}
    if by in ("kind", "both") or found is None:
        asked["kind"] = random.choice(list(AlertKind)).value
    if by in ("host", "both") and found is not None:
        asked["host_id"] = found[0].host_id
    if by == "tag":
        asked["tag"] = random.choice(TAGS)
    return asked


def _weekly(random: Random) -> Weekly:
    days = tuple(day for day in DAYS if random.random() < 0.7) or ("sun",)
    begins, ends = random.sample(range(24), 2)
    return Weekly(days, f"{begins:02}:30", f"{ends:02}:00", random.choice(ZONES))


def _made(world: World, wanted: Silence, answer: Any) -> None:
    """Who was not answered may have been heard: the oracle looks whether there is one more."""
    if not isinstance(answer, DormiceError):
        world.truth.unanswered -= 1
        world.truth.silences[answer["id"]] = wanted


def end_silence(world: World, random: Random) -> None:
    known = [key for key, one in world.truth.silences.items() if one.ended_at is None]
    if known:
        chosen = random.choice(known)
        world.truth.disturb("silence ended")
        world.truth.perhaps_ended.add(chosen)
        world.nodes["alerting"].call("end_silence", silence_id=chosen)


def change_tags(world: World, random: Random) -> None:
    """Silences and thresholds of tags hold for other hosts from now on."""
    found = some_host(world, random)
    if found:
        agent, record = found
        sites = [tag for tag in record.tags if tag.startswith("site:")]
        agent.limits_set_at = world.now
        tags = [*sites, *(tag for tag in TAGS if random.random() < 0.5)]
        edit(world, agent, "patch_host", tags=tags)


def handle_together(world: World, random: Random) -> None:
    """Two operators acknowledge the same alert, or resolve it, in the same moment."""
    db = world.nodes["alerting"].db
    rows = db.execute("SELECT alert_id, host_id, kind FROM alert WHERE state = 'open'").fetchall()
    if not rows:
        return
    alert_id, host_id, kind = random.choice(rows)
    handled = Handled(random.choice(["acknowledge", "acknowledge", "resolve"]), alert_id, asked=2)
    world.truth.disturb(f"two {handled.verb} at once")
    world.truth.handled.append(handled)

    def note(answer: Any) -> None:
        handled.note(answer)
        query = "SELECT 1 FROM alert WHERE alert_id = ? AND state = 'resolved'"
        if handled.verb == "resolve" and db.execute(query, (alert_id,)).fetchone():
            world.truth.muted[host_id, kind] = world.now + 2 * MINUTE

    for _ in range(handled.asked):
        world.nodes["alerting"].call(handled.verb, note, alert_id=alert_id)
