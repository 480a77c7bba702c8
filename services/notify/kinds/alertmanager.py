"""Alertmanager (API v2): Dormice's alerts, routed by an Alertmanager that is there already.

It is told of states, not of news: an alert is posted with its end some minutes ahead, posted again
every minute while it is open, and with its true end when it is resolved. So an Alertmanager that
was restarted knows it again within a minute, and one that hears no more of Dormice lets it end.
Whom to tell, when and how often is its own affair; it has no word for an acknowledgement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from libs.common.clock import to_rfc3339
from services.notify.kinds.base import Errand, Kind, Outcome, Wires
from services.notify.kinds.http import bearer, json_bytes, letter_to, post
from services.notify.kinds.urls import HttpConfig, below
from services.notify.policy import News

PATH = "/api/v2/alerts"
REPEAT_EVERY = timedelta(minutes=1)
LASTS = timedelta(minutes=5)
"""How long an alert is firing without being told again."""
AT_ONCE = 500
TEST_LASTS = timedelta(minutes=1)

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN = frozenset({"alertname", "severity", "host", "host_id", "alert_id", "source"})


class AlertmanagerConfig(HttpConfig):
    """`labels` are added to every alert, for its routes; `token` is sent as a bearer's."""

    secrets: ClassVar[frozenset[str]] = frozenset({"token"})

    labels: dict[str, str] = Field(default={}, max_length=20)
    token: str | None = Field(default=None, min_length=1, max_length=4096, pattern=r"^[!-~]+$")

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, value in labels.items():
            if not _LABEL.fullmatch(name) or name in _OWN:
                raise ValueError(f"{name[:64]!r} is no name for a label of yours")
            if not value or len(value) > 256:
                raise ValueError("a label's value has 1 to 256 characters")
        return labels


async def send(wires: Wires, config: AlertmanagerConfig, errand: Errand) -> Outcome:
    """Post what the message is about; after whatever is being posted on this channel."""
    alerts = [alert_of(view, config.labels, errand.now) for view in errand.body["alerts"]]
    if errand.body["event"] == News.TEST:
        alerts = [_test_alert(errand, config.labels)]
    async with wires.turn(errand.channel_id):
        return await _post(wires, config, alerts, errand.now)


async def repeat(
    wires: Wires, config: AlertmanagerConfig, views: Sequence[dict[str, Any]], now: datetime
) -> Outcome:
    """Post again what is open; the caller holds the channel's turn."""
    outcome: Outcome = {"taken": True}
    for start in range(0, len(views), AT_ONCE):
        alerts = [alert_of(view, config.labels, now) for view in views[start : start + AT_ONCE]]
        outcome = await _post(wires, config, alerts, now)
        if outcome.get("status") != 200:
            break
    return outcome


async def _post(
    wires: Wires, config: AlertmanagerConfig, alerts: list[dict[str, Any]], now: datetime
) -> Outcome:
    address = below(config.url, PATH)
    letter = letter_to(address, json_bytes(alerts), bearer(config.token))
    return await post(wires.lines, letter, now)


def alert_of(view: dict[str, Any], labels: dict[str, str], now: datetime) -> dict[str, Any]:
    """Return an alert as Alertmanager takes it. Its labels are what it is known by."""
    began = min(datetime.fromisoformat(view["raised_at"]), now)
    ends = now + LASTS
    if view["resolved_at"] is not None:
        ends = max(datetime.fromisoformat(view["resolved_at"]), began)
    own = {
        "alertname": view["kind"], "severity": view["severity"], "alert_id": view["id"],
        "source": "dormice", "host": view["host_name"], "host_id": view["host_id"],
    }  # fmt: skip
    return {
        "labels": {**labels, **{name: value for name, value in own.items() if value}},
        "annotations": {"summary": _summary(view), "description": view["message"]},
        "startsAt": to_rfc3339(began),
        "endsAt": to_rfc3339(ends),
        "generatorURL": view["url"],
    }


def _summary(view: dict[str, Any]) -> str:
    host = f"{view['host_name']}: " if view["host_name"] else ""
    return f"{host}{view['message']}"


def _test_alert(errand: Errand, labels: dict[str, str]) -> dict[str, Any]:
    """Return an alert that ends by itself."""
    own = {"alertname": "dormice_test", "severity": "info", "source": "dormice"}
    return {
        "labels": {**labels, **own},
        "annotations": {"summary": errand.body["summary"]},
        "startsAt": to_rfc3339(errand.now),
        "endsAt": to_rfc3339(errand.now + TEST_LASTS),
    }


KIND = Kind(
    AlertmanagerConfig, send, repeat=repeat, repeat_every=REPEAT_EVERY, paces_itself=True,
    unsaid=frozenset({News.ACKNOWLEDGED, News.REMINDED, News.SUMMARY, News.DIGEST}),
)  # fmt: skip
