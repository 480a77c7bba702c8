"""The oracle's opinion on silences: which alerts one covers now, worked out from what was asked.

A weekly one is looked up on the wall clock of its zone; in nights in which that clock is set, and
where a silence has just begun or ended, there is no opinion.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cli.simulator.asking import Asking
from libs.common.events.host import HostRecord

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AROUND = timedelta(hours=3)
ONE_DAY = timedelta(days=1)


@dataclass(slots=True)
class Weekly:
    """On each of `days` from one wall clock time to another, over midnight if that is not later."""

    days: tuple[str, ...]
    begins: str
    ends: str
    zone: str

    def covers(self, now: datetime) -> bool:
        local = now.astimezone(ZoneInfo(self.zone))
        clock, today = f"{local:%H:%M}", DAYS[local.weekday()] in self.days
        if self.begins < self.ends:
            return today and self.begins <= clock < self.ends
        yesterday = DAYS[(local - ONE_DAY).weekday()] in self.days
        return (today and clock >= self.begins) or (yesterday and clock < self.ends)

    def is_doubtful(self, now: datetime) -> bool:
        """Whether the wall clock is set about now."""
        offsets = {
            at.astimezone(ZoneInfo(self.zone)).utcoffset() for at in (now - AROUND, now + AROUND)
        }
        return len(offsets) > 1


@dataclass(slots=True)
class Silence:
    """What operators asked for; `ends_at` None: until it is ended."""

    begins_at: datetime
    ends_at: datetime | None
    host_id: str | None = None
    tag: str | None = None
    kind: str | None = None
    weekly: Weekly | None = None
    ended_at: datetime | None = None

    def covers(self, alert: dict[str, Any], tags: tuple[str, ...], now: datetime) -> bool:
        return (
            self.host_id in (None, alert["host_id"])
            and (self.tag is None or self.tag in tags)
            and self.kind in (None, alert["kind"])
            and self.begins_at <= now
            and all(end is None or now < end for end in (self.ends_at, self.ended_at))
            and (self.weekly is None or self.weekly.covers(now))
        )

    def is_doubtful(self, now: datetime, slack: timedelta) -> bool:
        """Whether it begins or ends about now."""
        moments = (self.begins_at, self.ends_at, self.ended_at)
        if any(at is not None and abs(at - now) <= slack for at in moments):
            return True
        weekly = self.weekly
        return weekly is not None and (
            weekly.is_doubtful(now) or weekly.covers(now - slack) != weekly.covers(now + slack)
        )


def read(body: str) -> Silence:
    """Return a silence as alerting keeps it: for one whose maker got no answer."""
    kept = json.loads(body)
    weekly = kept["weekly"] and Weekly(
        tuple(kept["weekly"]["days"]), kept["weekly"]["from"], kept["weekly"]["to"],
        kept["weekly"]["timezone"],
    )  # fmt: skip
    return Silence(
        _moment(kept["from"]), kept["to"] and _moment(kept["to"]), kept["host_id"], kept["tag"],
        kept["kind"], weekly or None, kept["ended_at"] and _moment(kept["ended_at"]),
    )  # fmt: skip


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class SilenceOracle(Asking):
    """Who is silenced is shown so and told to nobody; everybody else is told of."""

    def judge(self, records: dict[str, HostRecord]) -> None:
        self._take_unanswered()
        known = self._world.truth.silences
        kept = {row[0] for row in self._all("alerting", "SELECT silence_id FROM silence")}
        current = {key for key, one in known.items() if one.ends_at is None}
        self._expect(current <= kept, f"R18: silences are lost: {current - kept}")
        for alert in self._open_alerts():
            self._judge_alert(alert, records.get(alert["host_id"]))
        self._judge_messages()

    def _take_unanswered(self) -> None:
        """Whoever asked in vain may have been heard all the same."""
        truth = self._world.truth
        for silence_id, body in self._all("alerting", "SELECT silence_id, body FROM silence"):
            if silence_id not in truth.silences:
                truth.unanswered -= 1
                self._expect(truth.unanswered >= 0, f"nobody asked for the silence {silence_id}")
                truth.silences[silence_id] = read(body)
            elif silence_id in truth.perhaps_ended:
                truth.silences[silence_id].ended_at = read(body).ended_at

    def _judge_alert(self, alert: dict[str, Any], record: HostRecord | None) -> None:
        now = self._world.now
        silences = list(self._world.truth.silences.values())
        tags = record.tags if record is not None else (alert["dedup_key"],)
        meant = [
            one for one in silences
            if one.host_id in (None, alert["host_id"]) and one.tag in (None, *tags)
        ]  # fmt: skip
        if any(one.is_doubtful(now, self.slack) for one in meant):
            return
        covered = any(one.covers(alert, tags, now) for one in meant)
        weekly = covered and any(one.weekly for one in meant if one.covers(alert, tags, now))
        self._wants("a silenced alert" + " (weekly)" * weekly if covered else "a loud alert")
        what = "is silenced, and no silence covers it" if alert["silenced"] else "is not silenced"
        self._expect(
            alert["silenced"] == covered, f"{alert['kind']} of {alert['host_name']} {what}"
        )

    def _judge_messages(self) -> None:
        """What was silenced from its raise on is told to nobody; nor is what is held back."""
        told = {row[0] for row in self._all("notify", "SELECT alert_id FROM delivery_alert")}
        for alert in self._open_alerts():
            quiet = alert["silenced"] and alert["silence_changes"] == 0
            if quiet or (alert["held_by"] and alert["silence_changes"] == 0):
                self._expect(alert["id"] not in told, f"somebody was told of {alert['id']}")
            elif not alert["silenced"] and not alert["held_by"]:
                self._expect(alert["id"] in told, f"nobody was told of {alert['id']}")
