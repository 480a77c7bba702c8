"""ntfy's API for publishing, and that every HTTP kind shares the rules of the webhook's way."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.testing.webhook_receiver import CLOSE, Answer, WebhookReceiver
from services.notify.policy import News
from tests.integration.notify.wires import body_of, send, wires
from tests.unit.notify.world import make_alert

RAISED = body_of(News.RAISED, make_alert())
TEN_MB = b"x" * 10_000_000


def configs(server: WebhookReceiver) -> dict[str, dict[str, Any]]:
    base = f"http://127.0.0.1:{server.port}"
    return {
        "webhook": {"url": f"{base}/hook"},
        "ntfy": {"url": base, "topic": "backups", "token": "tk_x"},
        "alertmanager": {"url": f"{base}/am/", "token": "tk_x"},
    }


async def test_a_push_message_as_ntfy_takes_it() -> None:
    async with WebhookReceiver() as server, wires() as out:
        assert await send(out, "ntfy", configs(server)["ntfy"], RAISED) == {"status": 200}
    (got,) = server.received
    assert (got.method, got.path) == ("POST", "/")
    assert got.headers["authorization"] == "Bearer tk_x"
    assert got.json == {
        "topic": "backups",
        "title": "[warning] name-h1: Agent offline for 17m0s (threshold 15m0s)",
        "message": "name-h1: Agent offline for 17m0s (threshold 15m0s)\n\n- name-h1: Agent offline "
        "for 17m0s (threshold 15m0s) (warning, open since 2026-06-15 09:00 UTC)\n",
        "priority": 4,
        "tags": ["warning", "agent_offline"],
        "click": "https://dormice.example/alerts/a1",
    }


@pytest.mark.parametrize("kind", ["webhook", "ntfy", "alertmanager"])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(500), {"status": 500}),
        (Answer(403), {"status": 403}),
        (Answer(429, retry_after="7"), {"status": 429, "retry_after": 7.0}),
        (Answer(302, headers={"Location": "http://169.254.169.254/"}), {"status": 302}),
        (CLOSE, {"error": "the connection broke before an answer came"}),
        (Answer(200, headers={"Content-Length": "5"}), {"status": 200}),  # Closes mid-body.
        (Answer(200, body=TEN_MB), {"status": 200}),
    ],
    ids=["500", "403", "429", "redirect", "closes", "closes mid-body", "10 MB"],
)
async def test_bad_servers_are_one_clear_outcome(
    kind: str, answer: Answer, outcome: dict[str, Any]
) -> None:
    async with WebhookReceiver() as server, wires() as out:
        server.next_answers(answer)
        assert await send(out, kind, configs(server)[kind], RAISED) == outcome
        assert await send(out, kind, configs(server)[kind], RAISED) == {"status": 200}
    assert len(server.received) == 2  # A redirect is not followed.


@pytest.mark.parametrize("kind", ["webhook", "ntfy", "alertmanager"])
async def test_private_addresses_are_refused(kind: str) -> None:
    async with WebhookReceiver() as server, wires(allowed=()) as out:
        config = configs(server)[kind]
        config["url"] = config["url"].replace("127.0.0.1", "localhost")
        outcome = await send(out, kind, config, RAISED)
    assert outcome["refused"]
    assert "DORMICE_ALLOW_TARGETS" in outcome["error"]
    assert server.received == []
