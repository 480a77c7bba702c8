"""The webhook body, version 1, and its signature, held against PROTOCOL.md."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from libs.common.events.alert import AlertState
from libs.common.testing.rig import START
from services.notify import message
from services.notify.kinds import http, webhook
from services.notify.kinds.base import Errand
from services.notify.kinds.webhook import WebhookConfig
from services.notify.policy import News
from tests.unit.notify.world import SECRET, URL, make_alert, outage

BASE = "https://dormice.example"


def errand(body: dict[str, Any]) -> Errand:
    return Errand("c1", "d1", message.json_of(body), START)


def test_a_body_has_exactly_the_documented_fields():
    alert = make_alert(message="Agent offline for 17m0s (threshold 15m0s) – naïve")
    written = message.json_of(message.compose("d1", News.RAISED, alert, BASE))
    body = json.loads(message.finish(written, START))
    assert body == {
        "version": 1,
        "id": "d1",
        "event": "raised",
        "sent_at": "2026-06-15T09:00:00Z",
        "alerts": [
            {
                "id": "a1",
                "host_id": "h1",
                "host_name": "name-h1",
                "kind": "agent_offline",
                "severity": "warning",
                "message": "Agent offline for 17m0s (threshold 15m0s) – naïve",
                "state": "open",
                "raised_at": "2026-06-15T09:00:00Z",
                "resolved_at": None,
                "url": f"{BASE}/alerts/a1",
            }
        ],
        "summary": "name-h1: Agent offline for 17m0s (threshold 15m0s) – naïve",
    }
    assert list(body) == ["version", "id", "event", "sent_at", "alerts", "summary"]


def test_two_tries_differ_in_sent_at_only():
    body = message.compose("d1", News.RAISED, make_alert(message='"sent_at":null'), BASE)
    first = json.loads(message.finish(message.json_of(body), START))
    by_an_earlier_build = json.dumps(body, ensure_ascii=False)
    second = json.loads(message.finish(by_an_earlier_build, START + timedelta(hours=1)))
    assert first.pop("sent_at") != second.pop("sent_at")
    assert first == second
    assert first["alerts"][0]["message"] == '"sent_at":null'


def test_sentences():
    alert = make_alert(acknowledged_by="ada", state=AlertState.ACKNOWLEDGED)
    assert message.sentence(News.ACKNOWLEDGED, alert).endswith("(by ada)")
    assert message.sentence(News.RESOLVED, alert).startswith("Resolved: name-h1: Agent")
    assert message.sentence(News.REMINDED, alert).startswith("Still open: name-h1: ")
    assert message.sentence(News.RAISED, outage()) == "6 of 10 hosts went silent within 2m0s"


def test_a_fleet_wide_alert_has_no_host():
    view = message.alert_view(outage(), BASE + "/")
    assert (view["host_id"], view["host_name"]) == (None, None)
    assert view["url"] == f"{BASE}/alerts/o1"


def test_a_summary_lists_200_and_counts_the_rest():
    away = [make_alert(f"a{n}", f"h{n}") for n in range(203)]
    body = message.compose_release("d1", outage(), away, BASE)
    assert body["event"] == "summary"
    assert [view["id"] for view in body["alerts"]] == [f"a{n}" for n in range(200)]
    assert body["more"] == 3
    assert "203 hosts are still away: name-h0" in body["summary"]
    assert body["summary"].endswith("and 193 more")
    short = message.compose_release("d1", outage(), away[:1], BASE)
    assert short["more"] == 0
    assert short["summary"].endswith("1 host is still away: name-h0")


def test_the_signature_covers_timestamp_and_body():
    body = message.compose("d1", News.RAISED, make_alert(), BASE)
    letter = webhook.write_letter(WebhookConfig(url=URL, secret=SECRET), errand(body))
    headers = {name.lower(): value for name, value in letter.headers.items()}
    assert headers["dormice-id"] == "d1"
    assert headers["dormice-timestamp"] == str(int(START.timestamp()))
    signed = headers["dormice-timestamp"].encode() + b"." + letter.content
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["dormice-signature"] == f"v1={expected}"


def test_no_secret_no_signature():
    body = message.compose_test("d1", "ops")
    letter = webhook.write_letter(WebhookConfig(url="https://example.org/x"), errand(body))
    head = letter.request.partition(b"\r\n\r\n")[0].lower()
    assert b"dormice-signature" not in head
    assert b"authorization" not in head


def test_user_and_password_go_into_a_header_and_not_into_the_address():
    body = message.compose_test("d1", "ops")
    letter = webhook.write_letter(WebhookConfig(url=URL), errand(body))
    headers = letter.headers
    assert headers["Authorization"] == "Basic YWRhOnBhc3NAd29yZA=="  # ada:pass@word
    assert headers["Host"] == "127.0.0.1:9"
    assert "ada" not in str(letter.url)


def test_no_header_can_begin_another():
    letter = http.letter_to(URL, b"{}", {"X-Token": "a\r\nHost: evil.example"})
    with pytest.raises(ValueError, match="line"):
        _ = letter.request


def test_retry_after_in_both_forms():
    def parse(text: str) -> float | None:
        return http.parse_retry_after(text.encode(), START)

    assert parse("120") == 120
    assert parse("Mon, 15 Jun 2026 09:01:30 GMT") == 90
    assert parse("Mon, 15 Jun 2026 08:00:00 GMT") == 0
    assert [parse(text) for text in ("", "soon", "-5", "1.5", "9" * 40, "١٢")] == [None] * 6
    assert http.parse_retry_after(b"", START) is None
