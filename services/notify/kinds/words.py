"""A message in words, for the kinds that people read: mail, push messages, chats. Pure."""

from __future__ import annotations

from typing import Any

TITLE_LENGTH = 200
_SEVERITIES = ("critical", "warning")  # The worst first.


def severity_of(body: dict[str, Any]) -> str | None:
    """Return the worst severity of what is still open in it (of all, if nothing is), or None."""
    alerts = body["alerts"]
    listed = [one for one in alerts if one["state"] != "resolved"] or alerts
    there = {one["severity"] for one in listed}
    return next((severity for severity in _SEVERITIES if severity in there), None)


def kinds_of(body: dict[str, Any]) -> list[str]:
    return sorted({alert["kind"] for alert in body["alerts"]})


def title(body: dict[str, Any]) -> str:
    """Return one line; of what is open or raised it begins with the severity."""
    severity = severity_of(body)
    marked = severity is not None and body["event"] not in ("resolved", "acknowledged")
    lead = f"[{severity}] " if marked else ""
    line = " ".join(f"{lead}{body['summary']}".split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"


def text(body: dict[str, Any], *, links: bool = True) -> str:
    """Return the whole message as plain text."""
    parts = [body["summary"], ""]
    for alert in body["alerts"]:
        parts.append(f"- {line_of(alert)}")
        if links:
            parts.append(f"  {alert['url']}")
    if body.get("more"):
        parts.append(f"… and {body['more']} more")
    return "\n".join(parts).rstrip() + "\n"


def line_of(alert: dict[str, Any]) -> str:
    """`web-3: Agent offline for 17m0s (warning, open since 2026-06-15 09:17 UTC)`."""
    host = f"{alert['host_name']}: " if alert["host_name"] else ""
    return f"{host}{alert['message']} ({alert['severity']}, {_state(alert)})"


def _state(alert: dict[str, Any]) -> str:
    began = minute(alert["raised_at"])
    if alert["state"] == "resolved" and alert["resolved_at"]:
        return f"from {began} to {minute(alert['resolved_at'])}"
    return f"{alert['state']} since {began}"


def minute(moment: str) -> str:
    """Return an RFC 3339 moment in UTC as people read it."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def link_of(body: dict[str, Any]) -> str | None:
    """Return where a click leads: the alert, or all of them."""
    alerts = body["alerts"]
    if not alerts:
        return None
    first: str = alerts[0]["url"]
    return first if len(alerts) == 1 else first.rpartition("/")[0]


def shortened(whole: str, most_bytes: int) -> str:
    """Return the text cut to so many bytes of UTF-8, with an ellipsis if something is missing."""
    data = whole.encode()
    if len(data) <= most_bytes:
        return whole
    return data[: most_bytes - 3].decode(errors="ignore") + "…"
