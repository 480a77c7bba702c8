"""Every example of docs/integrations.md does what it says, with the real thing if there is one."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from jinja2 import Environment
from nats import connect

from libs.common.clock import SystemClock
from libs.common.events.alert import Alert
from libs.common.testing.nats import NatsServer
from libs.common.testing.webhook_receiver import Answer, WebhookReceiver
from services.notify import message
from services.notify.policy import News
from tests.integration.notify import examples
from tests.integration.notify.running import Outside
from tests.integration.notify.wires import BASE, body_of, send, wires
from tests.npm import node_modules
from tests.unit.notify.world import acknowledged, make_alert, outage, raised, resolved

SUBSCRIBER, DURABLE, VERIFIER = examples.blocks("python")
RAISED = "dormice.alert.raised.v1 warning name-h1 Agent offline for 17m0s (threshold 15m0s)"


@pytest_asyncio.fixture
async def outside(nats: NatsServer) -> AsyncIterator[Outside]:
    async with Outside(nats) as made:
        yield made


def reader_url(nats: NatsServer) -> str:
    return nats.url.replace("//", f"//reader:{nats.passwords['reader']}@")


async def told(outside: Outside, example: examples.Example, alert: Alert) -> list[str]:
    """Publish until the subscriber is there and says something; return all that it said of it."""
    while True:
        await outside.publish(raised(alert))
        try:
            lines = [await example.line(1.0)]
            break
        except TimeoutError:
            assert example.process.returncode is None
    await outside.publish([acknowledged(alert), resolved(alert)])
    while "resolved" not in lines[-1]:
        lines.append(await example.line())
    return lines


async def test_the_python_subscriber(nats: NatsServer, outside: Outside) -> None:
    command = examples.python(SUBSCRIBER)
    async with examples.running(*command, DORMICE_NATS_URL=reader_url(nats)) as example:
        lines = await told(outside, example, make_alert())
    assert lines[0] == RAISED
    assert [line.split(".")[2] for line in lines[-2:]] == ["acknowledged", "resolved"]
    assert len([line for line in SUBSCRIBER.splitlines() if line]) <= 20


@pytest.mark.npm
async def test_the_node_subscriber(nats: NatsServer, outside: Outside) -> None:
    (code,) = examples.blocks("javascript")
    file = node_modules().parent / "alerts.mjs"
    _write(file, code)
    node = shutil.which("node")
    assert node, "Node.js is needed (Debian: nodejs)"
    async with examples.running(node, str(file), DORMICE_NATS_URL=reader_url(nats)) as example:
        lines = await told(outside, example, make_alert())
    assert lines[0] == RAISED
    assert [line.split(".")[2] for line in lines[-2:]] == ["acknowledged", "resolved"]
    assert len([line for line in code.splitlines() if line]) <= 20


async def until_acknowledged(url: str) -> None:
    """Wait until the bus has the consumer's acknowledgements of all that it was given."""
    client = await connect(url)
    log = client.jetstream()
    while (await log.consumer_info("ALERTS", "my-desk")).num_ack_pending:
        await asyncio.sleep(0.01)
    await client.close()


async def test_the_durable_subscriber_gets_what_came_while_it_was_away(
    nats: NatsServer, outside: Outside
) -> None:
    command, url = examples.python(DURABLE), reader_url(nats)
    alert = make_alert()
    await outside.publish(raised(alert))
    async with examples.running(*command, DORMICE_NATS_URL=url) as example:
        assert "dormice.alert.raised.v1 Agent offline" in await example.line()
        await outside.publish([acknowledged(alert)])
        assert "dormice.alert.acknowledged.v1" in await example.line()
        await until_acknowledged(url)
    await outside.publish([resolved(alert)])
    async with examples.running(*command, DORMICE_NATS_URL=url) as example:
        assert "dormice.alert.resolved.v1" in await example.line()


async def test_the_verifying_receiver_takes_what_is_signed_once() -> None:
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        port = link.getsockname()[1]
    command, url = examples.python(VERIFIER), f"http://127.0.0.1:{port}/"
    signed = {"url": url, "secret": "geheim – ß"}
    body = body_of(News.RAISED, make_alert())
    now = SystemClock().now()
    async with (
        examples.running(*command, PORT=str(port), DORMICE_WEBHOOK_SECRET="geheim – ß",
                         LANG="C.UTF-8") as example,
        wires() as out,
    ):  # fmt: skip
        async with asyncio.timeout(20):
            while "status" not in (got := await send(out, "webhook", signed, body, now)):
                await asyncio.sleep(0.05)
        assert got == {"status": 204}
        assert await send(out, "webhook", signed, body, now) == {"status": 204}
        for other in ({"url": url}, {"url": url, "secret": "another"}):
            assert await send(out, "webhook", other, body, now) == {"status": 403}
        assert await send(out, "webhook", signed, body) == {"status": 403}  # Months old.
        test = message.compose_test("d2", "ops")
        assert await send(out, "webhook", signed, test, now) == {"status": 204}
        said = [await example.line(), await example.line()]
    assert said == [
        "raised name-h1: Agent offline for 17m0s (threshold 15m0s)",
        "test Test message from Dormice to ops.",
    ]


def test_alertmanager_s_routes(tmp_path: Path) -> None:
    """The configuration is Alertmanager's own kind of valid, and sends each alert where it says."""
    file = tmp_path / "alertmanager.yml"
    (text, _) = examples.blocks("yaml")
    _write(file, text)
    amtool = shutil.which("amtool")
    assert amtool, "amtool comes with Debian's prometheus-alertmanager"
    for severity, receiver in (("critical", "at-night-too"), ("warning", "by-day")):
        asked = [amtool, "config", "routes", "test", f"--config.file={file}", "source=dormice"]
        done = subprocess.run([*asked, f"severity={severity}"], capture_output=True, text=True)
        assert (done.returncode, done.stdout.strip()) == (0, receiver), done.stderr
    checked = subprocess.run([amtool, "check-config", file], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_home_assistant_s_templates_say_what_a_message_is() -> None:
    (automation,) = yaml.safe_load(examples.blocks("yaml")[1])["automation"]
    condition = automation["conditions"][0]["value_template"]
    data = automation["actions"][0]["data"]

    def rendered(template: str, body: dict[str, Any]) -> str:
        return Environment().from_string(template).render(trigger={"json": body})

    alert = make_alert()
    body = body_of(News.RAISED, alert)
    assert rendered(condition, body) == "True"
    assert rendered(condition, body_of(News.ACKNOWLEDGED, alert)) == "False"
    assert rendered(data["title"], body) == "Backups: raised"
    assert rendered(data["message"], body) == body["summary"]
    many = message.compose_release("d1", outage(), [alert] * 203, BASE)
    assert rendered(data["message"], many).endswith("more, and 3 more")


async def test_health_for_what_polls() -> None:
    """Of the answers that `/fleet/health` gives, the line of the page takes only the good one."""
    (code,) = examples.blocks("sh")
    for status, exit_code in (("ok", 0), ("degraded", 1), ("failing", 1)):
        async with WebhookReceiver() as server:
            body = json.dumps({"status": status, "reasons": []}, separators=(",", ":"))
            server.default = Answer(200, body=body.encode())
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", code,
                env={"PATH": "/usr/bin:/bin", "DORMICE_TOKEN": "t0",
                     "DORMICE_URL": server.url.removesuffix("/hook")},
            )  # fmt: skip
            assert await process.wait() == exit_code
        (got,) = server.received
        assert (got.path, got.headers["authorization"]) == ("/api/v1/fleet/health", "Bearer t0")


def _write(file: Path, text: str) -> None:
    file.write_text(text)
