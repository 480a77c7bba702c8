"""What a channel is told: the webhook body, version 1 (docs in PROTOCOL.md), from alerts.

A body is composed once and kept; every try sends the same one but for `sent_at`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.common.clock import to_rfc3339
from libs.common.events.alert import Alert, AlertState
from services.notify.policy import LISTED_IN_SUMMARY, News

VERSION = 1
_LEADS = {
    News.RAISED: "",
    News.REMINDED: "Still open: ",
    News.ACKNOWLEDGED: "Acknowledged: ",
    News.RESOLVED: "Resolved: ",
}
_NAMES_IN_SENTENCE = 10
json_of = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TO_SEND = '"sent_at":null'


def alert_view(alert: Alert, public_url: str) -> dict[str, Any]:
    """Return an alert as receivers see it."""
    resolved_at = alert.resolved_at
    return {
        "id": alert.id,
        "host_id": alert.host_id,
        "host_name": alert.host_name or None,
        "kind": alert.kind.value,
        "severity": alert.severity.value,
        "message": alert.message,
        "state": alert.state.value,
        "raised_at": to_rfc3339(alert.raised_at),
        "resolved_at": None if resolved_at is None else to_rfc3339(resolved_at),
        "url": f"{public_url.rstrip('/')}/alerts/{alert.id}",
    }


def compose(delivery_id: str, news: News, alert: Alert, public_url: str) -> dict[str, Any]:
    """Return the body about one alert."""
    views = [alert_view(alert, public_url)]
    return _body(delivery_id, news, views, sentence(news, alert))


def compose_release(
    delivery_id: str, outage: Alert, away: Sequence[Alert], public_url: str
) -> dict[str, Any]:
    """Return the summary at the end of a mass outage: the alerts of the hosts still away.

    At most 200 are listed; `more` counts the others.
    """
    listed = away[:LISTED_IN_SUMMARY]
    views = [alert_view(alert, public_url) for alert in listed]
    text = f"{_ended(outage)}; {_still_away([alert.host_name for alert in away])}"
    return _body(delivery_id, News.SUMMARY, views, text, more=len(away) - len(listed))


def compose_outage_over(
    delivery_id: str, news: News, outage: Alert, still_away: Sequence[str], public_url: str
) -> dict[str, Any]:
    """Return the one message of an ended outage that leaves no alert of a host to list here.

    `still_away` names hosts that have none (yet), or none that this channel wants.
    """
    text = f"{_ended(outage)}; {_still_away(still_away)}" if still_away else sentence(news, outage)
    more = 0 if news is News.SUMMARY else None
    return _body(delivery_id, news, [alert_view(outage, public_url)], text, more=more)


def compose_digest(
    delivery_id: str, told: Sequence[Alert], public_url: str, *, quiet_over: bool
) -> dict[str, Any]:
    """Return the one message about alerts that were held back, in the order given.

    `quiet_over`: some waited for quiet hours; else there were too many messages.
    """
    listed = told[:LISTED_IN_SUMMARY]
    views = [alert_view(alert, public_url) for alert in listed]
    resolved = sum(1 for alert in told if alert.state is AlertState.RESOLVED)
    lead = "Quiet hours are over" if quiet_over else f"And {len(told)} more"
    text = f"{lead}: {_counted(len(told) - resolved, resolved)}"
    return _body(delivery_id, News.DIGEST, views, text, more=len(told) - len(listed))


def _counted(still_open: int, resolved: int) -> str:
    opened = f"{still_open} alert{'' if still_open == 1 else 's'} open"
    ended = f"{resolved} resolved meanwhile"
    return ", ".join([opened] * bool(still_open) + [ended] * bool(resolved))


def compose_test(delivery_id: str, channel_name: str) -> dict[str, Any]:
    """Return the body of "send test": it is about no alert."""
    return _body(delivery_id, News.TEST, [], f"Test message from Dormice to {channel_name}.")


def sentence(news: News, alert: Alert) -> str:
    """Return one line for people."""
    host = f"{alert.host_name}: " if alert.host_name else ""
    who = f" (by {alert.acknowledged_by})" if _names_who(news, alert) else ""
    return f"{_LEADS.get(news, '')}{host}{alert.message}{who}"


def finish(written: str, sent_at: datetime) -> bytes:
    """Return the bytes to send now. In what was written nothing of a user is before `sent_at`."""
    if _TO_SEND not in written:  # Written by an earlier build, with spaces.
        written = json_of(json.loads(written))
    return written.replace(_TO_SEND, f'"sent_at":"{to_rfc3339(sent_at)}"', 1).encode()


def _body(
    delivery_id: str, news: News, alerts: list[dict[str, Any]], summary: str,
    *, more: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    body: dict[str, Any] = {
        "version": VERSION,
        "id": delivery_id,
        "event": news.value,
        "sent_at": None,  # Its place; each try fills it in.
        "alerts": alerts,
        "summary": summary,
    }
    return body if more is None else {**body, "more": more}


def _names_who(news: News, alert: Alert) -> bool:
    return news is News.ACKNOWLEDGED and alert.acknowledged_by is not None


def _ended(outage: Alert) -> str:
    return f"Mass outage over ({outage.message})"


def _still_away(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_IN_SENTENCE])
    rest = len(names) - _NAMES_IN_SENTENCE
    hosts = "1 host is" if len(names) == 1 else f"{len(names)} hosts are"
    return f"{hosts} still away: {shown}" + (f" and {rest} more" if rest > 0 else "")
