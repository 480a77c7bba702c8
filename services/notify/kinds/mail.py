"""A message as a mail: plain text and small HTML, one thread per alert. Pure.

All mails about an alert refer to one made-up root, and have its subject, so that mail programs
show them as one conversation. A try that is repeated has the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Any

from services.notify.kinds import words
from services.notify.policy import FOLLOW_UPS, News

_THREADED = frozenset({News.RAISED, News.REMINDED, *FOLLOW_UPS})


def write(body: dict[str, Any], sender: str, to: Sequence[str], now: datetime) -> bytes:
    """Return the mail for a try at `now`; `body` as message.py composes it."""
    mail = EmailMessage(policy=SMTP)
    domain = sender.rpartition("@")[2]
    mail["From"] = Address("Dormice", addr_spec=sender)
    mail["To"] = tuple(Address(addr_spec=one) for one in to)
    mail["Subject"] = subject(body)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message_id(body)}@{domain}>"
    root = root_of(body)
    if root is not None and root != message_id(body):
        mail["In-Reply-To"] = mail["References"] = f"<{root}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Dormice-Id"] = body["id"]
    mail["X-Dormice-Event"] = body["event"]
    if words.severity_of(body) == "critical" and body["event"] not in FOLLOW_UPS:
        mail["Importance"] = "high"
    mail.set_content(words.text(body))
    mail.add_alternative(html(body), subtype="html")
    return mail.as_bytes()


def root_of(body: dict[str, Any]) -> str | None:
    """Return the left part of the Message-ID that the thread hangs on, or None outside of one."""
    if body["event"] not in _THREADED or not body["alerts"]:
        return None
    return f"alert.{body['alerts'][0]['id']}"


def message_id(body: dict[str, Any]) -> str:
    """The raise is the root itself; all else is known by its Dormice-Id."""
    root = root_of(body)
    return root if root is not None and body["event"] == News.RAISED else str(body["id"])


def subject(body: dict[str, Any]) -> str:
    """Return the subject; the thread keeps that of the raise, and the text says what is new."""
    if root_of(body) is None:
        return words.title(body)
    alert = body["alerts"][0]
    host = f"{alert['host_name']}: " if alert["host_name"] else ""
    line = " ".join(f"[{alert['severity']}] {host}{alert['message']}".split())
    return line if body["event"] == News.RAISED else f"Re: {line}"


def html(body: dict[str, Any]) -> str:
    """Return the message as HTML that needs nothing from elsewhere."""
    rows = "".join(
        f'<li><a href="{escape(alert["url"])}">{escape(words.line_of(alert))}</a></li>'
        for alert in body["alerts"]
    )
    more = f"<p>… and {body['more']} more</p>" if body.get("more") else ""
    listed = f"<ul>{rows}</ul>" if rows else ""
    return (
        '<!doctype html><html><body style="font-family: sans-serif">'
        f"<p><strong>{escape(body['summary'])}</strong></p>{listed}{more}</body></html>\n"
    )
