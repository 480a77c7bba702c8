"""Apprise in its process: what arrives, what is refused there, and that it can be ended."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from libs.common.testing.webhook_receiver import CLOSE, HANG, Answer, WebhookReceiver
from services.notify.policy import News
from services.notify.target_rules import Network
from tests.integration.notify.wires import LOOPBACK, body_of, send, wires
from tests.unit.notify.world import make_alert

RAISED = body_of(News.RAISED, make_alert())
Urls = Sequence[str]


async def outcomes(
    urls: Urls, allowed: Sequence[Network] = LOOPBACK, seconds: float = 60.0
) -> list[dict[str, Any]]:
    """Return what became of each, one after the other in one process."""
    async with wires(allowed, apprise_seconds=seconds) as out:
        return [await send(out, "apprise", {"url": url}, RAISED) for url in urls]


async def test_a_message_arrives_by_an_apprise_url() -> None:
    async with WebhookReceiver() as server:
        url = f"json://127.0.0.1:{server.port}/hook"
        assert await outcomes([url, url]) == [{"taken": True}] * 2
    got = server.received[0].json
    assert got["title"] == "[warning] name-h1: Agent offline for 17m0s (threshold 15m0s)"
    assert "https://dormice.example/alerts/a1" in got["message"]
    assert got["type"] == "warning"


async def test_answers_are_read_as_those_of_every_kind() -> None:
    async with WebhookReceiver() as server:
        server.next_answers(
            Answer(404), Answer(503), CLOSE,
            Answer(302, headers={"Location": "http://169.254.169.254/latest"}),
        )  # fmt: skip
        url = f"json://127.0.0.1:{server.port}/hook"
        found = await outcomes([url] * 5)
    assert found == [
        {"status": 404}, {"status": 503}, {"error": "Apprise could not deliver it"},
        {"status": 302}, {"taken": True},
    ]  # fmt: skip
    assert len(server.received) == 5


async def test_private_addresses_are_refused_on_every_connect() -> None:
    """Whatever plugin, name or redirect leads there; and no local socket, and no program."""
    async with WebhookReceiver() as server:
        urls = [
            f"json://127.0.0.1:{server.port}/hook", f"json://localhost:{server.port}/hook",
            "xml://10.0.0.1/hook",
            f"mailto://u:p@x.example?smtp=localhost&port={server.port}&mode=insecure",
            "json://169.254.169.254/latest",
        ]  # fmt: skip
        found = await outcomes(urls, allowed=())
        assert server.received == []
    assert [outcome.get("refused") for outcome in found] == [True] * len(urls)
    assert all("is not public" in outcome["error"] for outcome in found)


async def test_a_redirect_that_is_followed_on_demand_gains_nothing() -> None:
    async with WebhookReceiver() as server, WebhookReceiver() as inside:
        server.next_answers(Answer(302, headers={"Location": f"http://127.0.0.2:{inside.port}/"}))
        url = f"json://127.0.0.1:{server.port}/hook?redirect=yes"
        (outcome,) = await outcomes([url], allowed=[ipaddress.ip_network("127.0.0.1/32")])
        assert inside.received == []
    assert outcome["refused"]
    assert "127.0.0.2" in outcome["error"]


async def test_what_apprise_does_not_know_is_refused() -> None:
    found = await outcomes(["nonsense://x", "syslog://user"])
    assert found[0] == {
        "error": "Apprise does not know this URL, or lacks a library", "refused": True,
    }  # fmt: skip
    assert found[1]["refused"]


async def test_one_that_hangs_is_ended_and_the_next_works() -> None:
    async with WebhookReceiver() as server:
        url = f"json://127.0.0.1:{server.port}/hook"
        server.next_answers(Answer(200), HANG)
        async with wires(apprise_seconds=60.0) as out:
            assert await send(out, "apprise", {"url": url}, RAISED) == {"taken": True}
            workers: Any = out.apprise
            (first,) = [child.process for child in workers._children.values()]
            workers._timeout_seconds = 0.5
            hung = await send(out, "apprise", {"url": f"{url}?rto=60"}, RAISED)
            assert hung == {"error": "no answer within 0.5 s"}
            assert first.returncode is not None
            workers._timeout_seconds = 60.0
            assert await send(out, "apprise", {"url": url}, RAISED) == {"taken": True}
            (second,) = [child.process for child in workers._children.values()]
        assert second.returncode is not None
