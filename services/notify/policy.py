"""What notify decides: who is told of what, what an answer means, when to try again.

An alert's way on one channel:

    raised ── not held, matches the filter ──▶ told: `raised` is queued
      │                                          ├─ acknowledged, resolved follow it, in order
      └─ held by a mass outage, or silenced      └─ failed for good: nothing follows
            ├─ the outage ends: still away ──▶ told: named in the one `summary`; else never told
            └─ no silence covers it any more ──▶ told: `raised` is queued; else never told

Both may hold it back at once: then it is told when the later of them lets go. What is told may
still wait for the channel's quiet hours or its rate: policy_pace.py.

A delivery's way: queued (blocked while an earlier one of the same alert on the same channel has not
ended) → sending → delivered | failed | waiting (until its next try) → queued … | dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pydantic import BaseModel, ConfigDict

from libs.common.events.alert import Alert, AlertKind, AlertState, Severity

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=30)
TRY_FOR = timedelta(hours=24)
JITTER = 0.1
WINDOW_PER_CHANNEL = 400
"""How many deliveries of a channel may be handed to the shell at once; it sends a few at a time."""
LISTED_IN_SUMMARY = 200
KEEP_HISTORY = timedelta(days=90)
"""Longer than the log keeps events: a repeated old fact always finds its delivery."""

_TRY_AGAIN = frozenset({408, 429})


class News(StrEnum):
    """What a message says; the `event` of the webhook body."""

    RAISED = "raised"
    REMINDED = "reminded"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUMMARY = "summary"
    DIGEST = "digest"
    TEST = "test"


TELLING = frozenset({News.RAISED, News.REMINDED, News.SUMMARY, News.DIGEST})
"""What tells a channel that an alert is open."""
FOLLOW_UPS = frozenset({News.ACKNOWLEDGED, News.RESOLVED})
"""What makes sense only after the channel was told."""


class Filter(BaseModel):
    """Which alerts a channel wants. Each list restricts; an absent or empty one does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[AlertKind, ...] | None = None
    severities: tuple[Severity, ...] | None = None
    tags: tuple[str, ...] | None = None
    host_ids: tuple[str, ...] | None = None

    @property
    def asks_for_hosts(self) -> bool:
        return bool(self.tags or self.host_ids)


class Verdict(Enum):
    """Why a channel is, or is not, told of something."""

    TOLD = "matches the filter"
    HELD = "held back by a mass outage"
    SILENCED = "silenced"
    OTHER_KIND = "the filter wants other kinds"
    OTHER_SEVERITY = "the filter wants other severities"
    OTHER_HOST = "the filter wants other hosts"
    OTHER_TAGS = "the filter wants other tags"
    TOLD_BEFORE = "was told of it before"
    NOT_TOLD_BEFORE = "this channel was not told of the alert"
    UNSAID = "this kind of channel has no word for it"
    PACED = "waits for the channel's next digest"


@dataclass(frozen=True, slots=True)
class Concerned:
    """A host that an alert is about: what filters ask of it."""

    host_id: str
    tags: frozenset[str]


def assess_news(alert: Alert, about: Collection[Concerned], wanted: Filter) -> Verdict:
    """Say whether a channel is told that `alert` is open, and why.

    `about`: its host, or those of a mass outage.
    """
    if alert.held_by is not None:
        return Verdict.HELD
    if alert.silenced:
        return Verdict.SILENCED
    if wanted.kinds and alert.kind not in wanted.kinds:
        return Verdict.OTHER_KIND
    if wanted.severities and alert.severity not in wanted.severities:
        return Verdict.OTHER_SEVERITY
    return assess_hosts(about, wanted)


def assess_hosts(about: Collection[Concerned], wanted: Filter) -> Verdict:
    """Say whether a channel hears of hosts: of one it is enough that it matches.

    A mass outage stands for the alerts that it holds back: it goes where one of those would go. One
    that names no hosts may be about any.
    """
    if not about:
        return Verdict.TOLD
    of_host = [one for one in about if not wanted.host_ids or one.host_id in wanted.host_ids]
    if not of_host:
        return Verdict.OTHER_HOST
    if wanted.tags and not any(one.tags & set(wanted.tags) for one in of_host):
        return Verdict.OTHER_TAGS
    return Verdict.TOLD


def is_plain(alert: Alert) -> bool:
    """Say whether a raised alert is about one host, and no mass outage has to do with it."""
    return alert.host_id is not None and alert.held_by is None and alert.state is AlertState.OPEN


def is_new(news: News, known: AlertState | None) -> bool:
    """Say whether an event about an alert that we know as `known` says anything new.

    A repeated or late fact never moves an alert back; only a reminder may come again.
    """
    if news is News.RAISED:
        return known is None
    if news is News.ACKNOWLEDGED:
        return known in (None, AlertState.OPEN)
    return known is not AlertState.RESOLVED


def is_silence_news(alert: Alert, known: Alert | None) -> bool:
    """Say whether that `alert` is silenced now, or is no more, is news to us who know it so."""
    if known is None:
        return True
    return known.state is not AlertState.RESOLVED and alert.silence_changes > known.silence_changes


def is_released(alert: Alert, known: Alert) -> bool:
    """Say whether what was held back, as we have `known` it, is held back no more."""
    was_held = known.held_by is not None or known.silenced
    return was_held and alert.held_by is None and not alert.silenced


def delivery_id(channel_id: str, news: News, alert: Alert) -> str:
    """Return the id that the delivery of this fact on this channel has, whenever it is computed.

    A reminder comes again under the same alert and state, so its content tells one from the next.
    """
    rung = ""
    if news is News.REMINDED:
        rung = hashlib.sha256(alert.model_dump_json().encode()).hexdigest()
    return str(uuid5(NAMESPACE_OID, f"dormice:delivery:{channel_id}:{news}:{alert.id}:{rung}"))


def digest_id(channel_id: str, alert_ids: Iterable[str], due_at: datetime) -> str:
    """Return the id of a digest: a state file that was put back tells it under the same one."""
    named = f"dormice:digest:{channel_id}:{due_at.isoformat()}:{','.join(sorted(alert_ids))}"
    return str(uuid5(NAMESPACE_OID, named))


def digest_order(alert: Alert) -> tuple[bool, bool, datetime, str]:
    """Return how alerts are sorted in a digest: what is open, the worst first, then the oldest."""
    resolved = alert.state is AlertState.RESOLVED
    return resolved, alert.severity is not Severity.CRITICAL, alert.raised_at, alert.id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try: an HTTP status, or an `error` before there was one.

    `taken`: the receiver took it and speaks no HTTP; an `error` with it is about a part only.
    `refused`: our own rules, or the receiver's, forbid it: trying again is pointless.
    """

    status: int | None = None
    taken: bool = False
    error: str | None = None
    retry_after: timedelta | None = None
    refused: bool = False


def read_outcome(outcome: Mapping[str, Any]) -> Outcome:
    """Return the shell's report as the rules see it."""
    seconds = outcome.get("retry_after")
    return Outcome(
        status=outcome.get("status"),
        taken=bool(outcome.get("taken")),
        error=outcome.get("error"),
        retry_after=None if seconds is None else timedelta(seconds=seconds),
        refused=bool(outcome.get("refused")),
    )


class Ending(Enum):
    """What a try means for its delivery."""

    DELIVERED = "the receiver took it"
    TRY_AGAIN = "it may work later"
    REFUSED = "the receiver, or our own rules, will never take it"
    GIVEN_UP = "24 h of tries have passed"


def simply_worked(outcome: Outcome) -> bool:
    """Say whether the receiver took it, with nothing more to be said."""
    return outcome.error is None and _is_taken(outcome)


def _is_taken(outcome: Outcome) -> bool:
    return outcome.taken or (outcome.status is not None and 200 <= outcome.status < 300)


def assess_try(outcome: Outcome, *, first_tried_at: datetime, now: datetime) -> Ending:
    """Say what the outcome of a try means. Redirects are not followed, so 3xx is a refusal."""
    if _is_taken(outcome):
        return Ending.DELIVERED
    if outcome.refused:
        return Ending.REFUSED
    status = outcome.status
    if status is not None and status not in _TRY_AGAIN and status < 500:
        return Ending.REFUSED
    if now >= first_tried_at + TRY_FOR:
        return Ending.GIVEN_UP
    return Ending.TRY_AGAIN


def next_try(
    delivery: str, tries: int, *, retry_after: timedelta | None, first_tried_at: datetime,
    now: datetime,
) -> datetime:  # fmt: skip
    """Return when to try again after the `tries`-th try (from 1) failed at `now`.

    5 s doubling to 30 min, ±10 % by the delivery's id; later if the receiver says so; the last try
    is 24 h after the first.
    """
    doublings = min(max(tries, 1) - 1, 16)
    wait = min(FIRST_RETRY * int(2**doublings), LONGEST_RETRY) * _jitter(delivery, tries)
    if retry_after is not None:
        wait = max(wait, min(retry_after, TRY_FOR))
    return min(now + wait, max(first_tried_at + TRY_FOR, now + FIRST_RETRY * (1 - JITTER)))


def _jitter(delivery: str, tries: int) -> float:
    digest = hashlib.sha256(f"{delivery}:{tries}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return 1 - JITTER + 2 * JITTER * share


def explain_failure(outcome: Outcome, ending: Ending) -> str:
    """Return what to show for a try that did not work."""
    if outcome.status is None:
        said = outcome.error or "no answer"
    elif 300 <= outcome.status < 400:
        said = f"HTTP {outcome.status}: redirects are not followed"
    else:
        said = f"HTTP {outcome.status}"
    return f"{said}; given up after 24 h" if ending is Ending.GIVEN_UP else said
