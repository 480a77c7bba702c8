"""`dormice why`: a host's decisions in words, what was told, and what comes next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cli import words
from cli.client import Client
from cli.finding import find_host, label, short
from cli.table import Row, wrap
from cli.times import day_and_clock, local_clock, moment

LONGEST_WHAT = 13
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)")
_ID = re.compile(r"\b([0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_WHAT = {
    "alert_raised": "alert", "alert_resolved": "resolved", "alert_acknowledged": "acknowledged",
    "alert_held": "held back", "alert_released": "released", "alert_muted": "muted",
    "catchup_armed": "woke", "catchup_requested": "caught up", "catchup_listed": "due",
    "catchup_waits": "waits", "catchup_pair_skipped": "skipped", "catchup_finished": "caught up",
    "catchup_send_failed": "send failed", "same_condition": "still so", "no_alert_yet": "no alert",
    "backup_requested": "asked for", "job_cancel_asked": "cancelled", "catchup_met": "covered",
    "job_undeliverable": "not sent", "job_not_accepted": "not taken", "job_abandoned": "given up",
    "job_interrupted": "interrupted", "job_withdrawn": "withdrawn", "run_by_agent": "ran by itself",
    "job_succeeded_with_warnings": "with warnings", "schedules_lost_group": "group removed",
    "host_facts_changed": "host changed", "notification_failed": "not told", "notified": "told",
    "notification_dropped": "not told", "not_notified": "nobody told",
    "alert_reminded": "told again", "alert_silenced": "silenced", "alert_unsilenced": "told now",
    "alert_stands": "still so", "outage_goes_on": "goes on", "no_outage": "no outage",
    "schedule_created": "new schedule", "source_group_created": "new group",
    "host_enrolled": "joined",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Story:
    """A host and what is known of its why; decisions newest first."""

    host: Row
    decisions: list[Row]
    alerts: list[Row]
    schedules: list[Row]


def fetch_story(client: Client, word: str, limit: int) -> Story:
    """Raises: NotFound, Ambiguous."""
    host = find_host(client, word)
    path = f"/hosts/{host['id']}"
    return Story(
        host,
        list(client.items(f"{path}/decisions", limit)),
        list(client.items("/alerts", host_id=host["id"], state="open")),
        client.get(f"{path}/schedules")["items"],
    )


def explain(story: Story, now: datetime, width: int | None) -> list[str]:
    """Return the answer as lines."""
    lines = wrap(f"{state_sentence(story.host, now)} {told_sentence(story)}", width)
    for line in _decision_lines(story, now):
        head, text = line
        lines += wrap(head + text, width, len(head))
    return lines


def state_sentence(host: Row, now: datetime) -> str:
    """`laptop-7 is asleep (intermittent), last seen 11:03.`"""
    name, how = host["name"], words.mode(host)
    at = moment(host["last_seen_at"])
    if at is None:
        return f"{name} ({how}) never connected."
    if host["display"] == "online":
        began = moment(host["since"])
        return f"{name} is online ({how}){f' since {local_clock(began, now)}' if began else ''}."
    return f"{name} is {host['display']} ({how}), last seen {local_clock(at, now)}."


def told_sentence(story: Story) -> str:
    """Return what was told, and what will be told if nothing changes."""
    if story.alerts:
        return " ".join(f"{alert['state'].capitalize()} alert: {alert['message']}."
                        for alert in story.alerts)  # fmt: skip
    ahead = story.host["next_alert"]
    at = moment(ahead["at"]) if ahead else None
    if at is None:
        return "Nobody was told, and no alert is ahead."
    when, because = day_and_clock(at), _because(story.host)
    if story.host["display"] == "online":
        return f"Nobody was told. Without a backup, the first alert comes {when}{because}."
    return f"Nobody was told, and nobody will be before {when}{because}."


def _because(host: Row) -> str:
    """Return the threshold behind the next alert, if it is not the fleet's own."""
    name = "offline" if host["next_alert"]["kind"] == "agent_offline" else "stale"
    threshold = host["thresholds"][name]
    if threshold["from"] == "fleet":
        return ""
    return f" (threshold {threshold['value']}, {threshold['from']})"


def _decision_lines(story: Story, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield (time and word, text); what comes next is the last."""
    found = []
    for one in story.decisions:
        at = moment(one["at"])
        assert at is not None
        found.append((local_clock(at, now), what_of(one), text_of(one, now)))
    coming = coming_next(story.host, story.schedules, now)
    if coming:
        found.append(("next", "", coming))
    clock_width = max((len(clock) for clock, _, _ in found), default=0)
    what_width = max((len(what) for _, what, _ in found), default=0)
    for clock, what, text in found:
        head = f"  {clock:<{clock_width}}  " + (f"{what:<{what_width}}  " if what else "")
        yield head, text


def what_of(decision: Row) -> str:
    what = str(decision["what"])
    if what not in _WHAT and _is_said(decision):
        return "changed"
    if what not in _WHAT and what.startswith("catchup_"):
        return "no catch-up"  # Its text says why it was dropped.
    return _WHAT.get(what, what.replace("_", " "))[:LONGEST_WHAT]


def _is_said(decision: Row) -> bool:
    """Whether its text begins with its name: `repository set by ada`."""
    return str(decision["text"]).startswith(str(decision["what"]).replace("_", " ") + " by ")


def text_of(decision: Row, now: datetime) -> str:
    """Return the decision's words, with its rule and the job it is about; times as clocks here, ids
    in their short form."""
    text, rule = _TIME.sub(lambda at: _clock(at[0], now), decision["text"]), str(decision["rule"])
    text = _ID.sub(lambda known: short(known[0]), text)
    if rule and rule not in text:
        text += f" ({rule})"
    job = decision["facts"].get("job_id")
    return f"{text} · job {short(str(job))}" if job else text


def _clock(text: str, now: datetime) -> str:
    return local_clock(datetime.fromisoformat(text), now)


def coming_next(host: Row, schedules: list[Row], now: datetime) -> str:
    """Return what happens next by itself, empty for nothing."""
    if host["current_job_id"]:
        return f"job {short(host['current_job_id'])} is running"
    if host["catch_up"]:
        return words.catching_up(host["catch_up"], now)
    overdue = [label(one) for one in schedules if one["overdue"]]
    if host["display"] == "asleep":
        late = ", ".join(_late(one, now) for one in schedules if one["overdue"])
        return f"when it wakes: settles, {f'then {late}' if late else 'looks for missed backups'}"
    if host["display"] == "offline" and (warning := words.alert_warning(host, now)):
        return warning
    fires = [(at, label(one)) for one in schedules if (at := moment(one["next_fire"]))]
    if not fires:
        return ""
    at, name = min(fires)
    late = f" ({', '.join(overdue)} overdue)" if overdue else ""
    return f"{local_clock(at, now)} {name}{late}"


def _late(schedule: Row, now: datetime) -> str:
    since = moment(schedule.get("overdue_since"))
    return f"{label(schedule)} (overdue{f' since {local_clock(since, now)}' if since else ''})"
